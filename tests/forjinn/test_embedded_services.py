"""PostgreSQL and Valkey from wheels keep what they were given, whatever kills them."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from forjinn.embedded.launch import Service, launch
from forjinn.embedded.postgres import Postgres
from forjinn.embedded.problems import StartError
from forjinn.embedded.processes import identify
from forjinn.embedded.supervisor import stop_children
from forjinn.embedded.valkey import Valkey
from tests.platform import platform_folder

Run = Callable[[Service], subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    with platform_folder() as folder:
        (folder / "log").mkdir()
        yield folder


@pytest.fixture
def run() -> Iterator[Run]:
    """Launches a service; stopped at the end of the test."""
    running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(service: Service) -> subprocess.Popen[bytes]:
        return launch(service, started=lambda process: running.append((service.role, process)))

    yield start
    for role, process in running:
        stop_children({role: identify(process.pid)})
        process.wait()


def ask(postgres: Postgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_committed_rows_survive_a_kill(var: Path, run: Run) -> None:
    postgres = Postgres(var, password="secret")
    server = run(postgres)
    ask(postgres, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 7 AS number")

    server.kill()
    server.wait()
    run(postgres)

    assert ask(postgres, "SELECT number FROM kept") == [(7,)]


def test_a_note_that_names_another_program_keeps_nobody_from_starting(var: Path, run: Run) -> None:
    postgres = Postgres(var, password="secret")
    server = run(postgres)
    server.kill()
    server.wait()
    note = postgres.data / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as other:
        note.write_text(note.read_text().replace(str(server.pid), str(other.pid), 1))

        run(postgres)

        assert ask(postgres, "SELECT 1") == [(1,)]
        assert other.poll() is None
        other.kill()


def test_data_that_was_made_half_is_made_again(run: Run) -> None:
    with platform_folder() as var:
        (var / "log").mkdir()
        (var / "postgres.new" / "base").mkdir(parents=True)
        (var / "postgres.new" / "PG_VERSION").write_text("18\n")
        postgres = Postgres(var, password="secret", is_scratch=True)

        server = run(postgres)

        assert ask(postgres, "SELECT current_database()") == [("forjinn",)]
        stop_children({"postgres": identify(server.pid)})


def test_another_password_than_the_datas_is_told_at_once(var: Path, run: Run) -> None:
    server = run(Postgres(var, password="secret"))
    stop_children({"postgres": identify(server.pid)})

    with pytest.raises(StartError, match="made with another password"):
        run(Postgres(var, password="guess"))


def test_postgres_wants_a_password_and_listens_on_loopback_only(var: Path, run: Run) -> None:
    postgres = Postgres(var, password="secret")
    run(postgres)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url.replace("secret", "guess"))
    assert ask(postgres, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert ask(postgres, "SHOW unix_socket_directories") == [("",)]


def test_root_does_not_run_postgres(var: Path, run: Run) -> None:
    server = run(Postgres(var, password="secret"))

    owner = psutil.Process(server.pid).uids().real

    assert owner != 0
    assert os.geteuid() in (0, owner)


def test_keys_survive_a_kill(var: Path, run: Run) -> None:
    valkey = Valkey(var, password="secret")
    server = run(valkey)
    with Redis.from_url(valkey.url) as redis:
        redis.set("kept", "7")
        redis.execute_command("WAITAOF", 1, 0, 5000)  # otherwise the second before a crash may be lost

    server.kill()
    server.wait()
    run(valkey)

    with Redis.from_url(valkey.url) as redis:
        assert redis.get("kept") == b"7"


def test_only_their_owner_reads_what_the_services_keep(var: Path, run: Run) -> None:
    postgres, valkey = Postgres(var, password="secret"), Valkey(var, password="secret")

    for service in (postgres, valkey):
        run(service)

    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (postgres.data, valkey.data)] == [0o700, 0o700]


def test_an_ended_service_is_told_with_its_last_words(run: Run) -> None:
    with platform_folder() as var:
        (var / "log").mkdir()
        (var / "valkey" / "appendonlydir").mkdir(parents=True)
        (var / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

        with pytest.raises(StartError, match=r"valkey ended before it was ready: .*AOF.* \(see .*valkey\.log\)"):
            run(Valkey(var, password="secret"))
