"""What the var folder keeps between starts, and what it says of the present one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from forjinn.embedded.processes import ProcessId, identify
from forjinn.embedded.state import Child, load_secrets, service_urls, write_children
from forjinn.env import EnvError

ROOT = Path(__file__).resolve().parents[2]
SHOW_SECRETS = "from forjinn.embedded.state import load_secrets; print(sorted(load_secrets().items()))"


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not there yet, as at a first start."""
    folder = tmp_path / "var"
    monkeypatch.setenv("FORJINN_VAR", str(folder))
    return folder


def test_processes_that_make_the_secrets_at_once_agree(var: Path) -> None:
    command = [sys.executable, "-c", SHOW_SECRETS]
    makers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)]

    made = {maker.communicate(timeout=30)[0] for maker in makers}

    assert len(made) == 1
    assert "SECRET_KEY" in made.pop()


def test_secrets_are_kept_and_only_their_owner_reads_them(var: Path) -> None:
    first = load_secrets()

    assert load_secrets() == first
    assert stat.S_IMODE((var / "secrets.json").stat().st_mode) == 0o600
    assert [path.name for path in var.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("held", ["{", "[1]", "null"])
def test_damaged_secrets_are_told_not_replaced(var: Path, held: str) -> None:
    var.mkdir()
    (var / "secrets.json").write_text(held)

    with pytest.raises(EnvError, match=r"secrets\.json is damaged"):
        load_secrets()
    assert (var / "secrets.json").read_text() == held


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FORJINN_VAR", str(tmp_path / "file" / "var"))

    with pytest.raises(EnvError, match=r"FORJINN_VAR: secrets cannot be kept in .*: Not a directory"):
        load_secrets()


def test_only_services_that_run_right_now_are_found(var: Path) -> None:
    var.mkdir()
    here = identify(os.getpid())
    gone = ProcessId(here.pid, "an earlier process of the same number")
    write_children(
        var,
        {
            "postgres": Child(here, "postgresql://there"),
            "valkey": Child(gone, "redis://gone"),
            "web": Child(here),
        },
    )

    assert service_urls() == {"DATABASE_URL": "postgresql://there"}
    assert stat.S_IMODE((var / "services.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("note", ["", "[]", '{"postgres": {}}', json.dumps({"postgres": {"process": {}, "url": ""}})])
def test_a_note_that_cannot_be_read_names_no_service(var: Path, note: str) -> None:
    var.mkdir()
    (var / "services.json").write_text(note)

    assert service_urls() == {}
