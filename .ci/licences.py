"""Hold every package that a lock names, and that is installed here, to the licences that this project may ship with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ALLOWED = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla Public|CNRI|Unlicense|Zlib|0BSD")
# Looked at by hand.
KNOWN = {
    "docx2txt": "MIT, says its repository; its package says nothing",
    "psycopg": "LGPL-3.0, used as a library and not changed",
    "psycopg-binary": "as psycopg",
    "psycopg-pool": "as psycopg",
}


def names_in(lock: Path) -> set[str]:
    """What a lock pins, as package indexes spell it."""
    found = re.findall(r"^([A-Za-z0-9_.-]+)==", lock.read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


def main(lock: str) -> int:
    """The number of packages whose licence is not known to be permissive."""
    command = [str(Path(sys.executable).with_name("pip-licenses")), "--from=mixed", "--format=json"]
    installed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    pinned = names_in(Path(lock))
    looked_at, refused = 0, 0
    for package in installed:
        name = re.sub(r"[-_.]+", "-", package["Name"]).lower()
        if name not in pinned:
            continue
        looked_at += 1
        parts = re.split(r";| AND ", package["License"])
        if name not in KNOWN and not all(ALLOWED.search(part) for part in parts):
            refused += 1
            print(f"{name} {package['Version']}: {package['License']}: take another one, or look and add it to KNOWN")
    print(f"licences: {looked_at} packages of {lock} looked at, {refused} refused")
    return refused if looked_at else 1


if __name__ == "__main__":
    sys.exit(min(main(*sys.argv[1:]), 1))
