"""Look a lock's packages up among the published vulnerabilities; say plainly what could not be looked up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SECONDS = 90


def main(lock: str) -> int:
    """1 if a package has a published vulnerability. One that nobody could be asked about does not fail the check."""
    program = Path(sys.executable).with_name("pip-audit")
    command = [
        str(program),
        "--requirement",
        lock,
        "--require-hashes",
        "--disable-pip",
        "--timeout",
        "5",
        "--format",
        "json",
    ]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        packages = json.loads(asked.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print(f"pip-audit: NOT AUDITED: no answer about {lock}. Run `make check` where a package index is reached")
        return 0
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    weak = [package for package in packages if package.get("vulns")]
    for package in weak:
        found = ", ".join(f"{one['id']} (mended in {one['fix_versions']})" for one in package["vulns"])
        print(f"{package['name']} {package['version']}: {found}")
    if unknown:
        print(f"pip-audit: NOT AUDITED: {len(unknown)} of {len(packages)}: the index here keeps no advisories on them")
    print(f"pip-audit: {len(packages) - len(unknown)} packages looked up, {len(weak)} with vulnerabilities")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
