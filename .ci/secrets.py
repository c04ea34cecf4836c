"""Look through every file of the repository for what looks like a secret. What was looked at is in secrets.txt.

After a look at what is told here, and only then: `python .ci/secrets.py --accept`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings

KNOWN = Path(__file__).with_name("secrets.txt")
# Hashes of packages are no secrets, and there are thousands of them.
LOCKS = ("requirements", "tests/clients/package-lock.json")


def main() -> int:
    """1 if there is something that nobody has looked at."""
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    files = [name for name in listed.split("\0") if Path(name).is_file() and not name.startswith(LOCKS)]
    files.remove(KNOWN.relative_to(Path.cwd()).as_posix())
    found = SecretsCollection()
    with default_settings():
        found.scan_files(*files)
    # By content, not by line: a file may change around it.
    places = {f"{name} {secret.secret_hash}": f"{name}:{secret.line_number}: {secret.type}" for name, secret in found}
    if "--accept" in sys.argv:
        KNOWN.write_text("".join(f"{place}\n" for place in sorted(places)))
        return 0
    known = set(KNOWN.read_text().splitlines())
    unknown = [told for place, told in places.items() if place not in known]
    for told in unknown:
        print(f"{told}: take it out, and have it changed where it is used. If it is none: see .ci/secrets.py")
    print(f"secrets: {len(files)} files looked through, {len(unknown)} finds that nobody has looked at")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
