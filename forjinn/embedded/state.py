"""What is kept in the var folder: secrets, made once, and which services run right now. Settings read both first."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from forjinn.embedded.processes import ProcessId, is_alive
from forjinn.env import EnvError, env_text

CLONE = Path(__file__).resolve().parents[2]
VARIABLES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL", "model": "MODEL_URL"}


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the platform, and where it is reached if it serves others."""

    process: ProcessId
    url: str = ""


def var_folder() -> Path:
    return Path(env_text("FORJINN_VAR") or CLONE / "var").resolve()


def load_secrets() -> dict[str, str]:
    """Django's key, the pepper, the Fernet key and the services' passwords; made at the first call, then kept.

    Processes that make them at once agree. Raises EnvError when the folder cannot be used.
    """
    path = var_folder() / "secrets.json"
    try:
        if not path.exists():
            _make_secrets(path)
        return dict(json.loads(path.read_text()))
    except OSError as exc:
        raise EnvError(f"FORJINN_VAR: secrets cannot be kept in {path.parent}: {exc.strerror}") from exc
    except (ValueError, TypeError) as exc:
        raise EnvError(f"FORJINN_VAR: {path} is damaged: put a copy of it back; without it the data is lost") from exc


def service_urls() -> dict[str, str]:
    """DATABASE_URL, REDIS_URL and MODEL_URL of the embedded services that run at this moment."""
    children = read_children(var_folder())
    return {
        variable: children[role].url
        for role, variable in VARIABLES.items()
        if role in children and is_alive(children[role].process)
    }


def read_children(var: Path) -> dict[str, Child]:
    """Every process that the last start left a note of, by role; some or all may be gone."""
    try:
        notes = json.loads((var / "services.json").read_text())
        return {role: Child(ProcessId(**note["process"]), note["url"]) for role, note in notes.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_children(var: Path, children: dict[str, Child]) -> None:
    write_private(var / "services.json", json.dumps({role: asdict(child) for role, child in children.items()}))


def read_ports(var: Path) -> dict[str, int]:
    """Where each service was last reached, by role."""
    try:
        return {role: int(port) for role, port in json.loads((var / "ports.json").read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_ports(var: Path, ports: dict[str, int]) -> None:
    write_private(var / "ports.json", json.dumps(ports))


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; only its owner can read it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _make_secrets(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_suffix(".lock")):
        if path.exists():
            return
        made = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "API_KEY_PEPPER": secrets.token_urlsafe(48),
            "ENCRYPTION_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
            "VALKEY_PASSWORD": secrets.token_urlsafe(24),
        }
        write_private(path, json.dumps(made, indent=1))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
