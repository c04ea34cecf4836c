"""PostgreSQL refuses to run as root: the account that it runs as then, and folders which that account can reach."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from forjinn.embedded.problems import StartError
from forjinn.embedded.processes import Account, run

SYSTEM_FOLDER = Path("/var/lib/forjinn")  # for root only: reachable by every account, unlike /root and many a clone


def service_account() -> Account | None:
    """The account to run as; None when we are not root and simply stay who we are."""
    if os.geteuid() != 0:
        return None
    # initdb looks its own name up, so a bare number will not do.
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise StartError(
        "PostgreSQL does not run as root, and this system has neither a 'postgres' nor a 'nobody' account: "
        "run as another user, or set DATABASE_URL=postgresql://user:password@host/name"
    )


def can_enter(account: Account, path: Path) -> bool:
    """Whether the account may enter the folder (or run the file), and every folder above it."""
    return run(["test", "-x", path], account=account).returncode == 0


def system_folder(name: str) -> Path:
    """A folder of ours that every account can reach; only for root."""
    folder = SYSTEM_FOLDER / name
    for made in (SYSTEM_FOLDER, folder):
        made.mkdir(parents=True, exist_ok=True)
        made.chmod(0o755)  # whatever the umask
    return folder
