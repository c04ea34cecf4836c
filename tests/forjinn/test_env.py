"""Reading settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from forjinn.env import EnvError, database_from_url, env_bool, env_int, env_list, env_text


@pytest.fixture(autouse=True)
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("EXAMPLE", raising=False)
    monkeypatch.delenv("EXAMPLE_FILE", raising=False)
    return "EXAMPLE"


def test_what_is_not_set_or_empty_has_its_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert (env_bool(name, default=True), env_int(name, 7), env_list(name, ("a",))) == (True, 7, ["a"])
        monkeypatch.setenv(name, " ")


@pytest.mark.parametrize(("text", "read"), [("true", True), ("1", True), ("ON", True), ("no", False), ("0", False)])
def test_flags_have_several_spellings(name: str, monkeypatch: pytest.MonkeyPatch, text: str, read: bool) -> None:
    monkeypatch.setenv(name, text)

    assert env_bool(name, default=not read) is read


def test_a_list_is_separated_by_commas(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, " a, b ,,c")

    assert env_list(name) == ["a", "b", "c"]


def test_a_value_may_lie_in_a_file(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the file\n")
    monkeypatch.setenv(name, "of the variable")

    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))

    assert env_text(name) == "of the file"


@pytest.mark.parametrize(("held", "told"), [(None, "cannot read .*: No such file"), (b"\xff\xfe", "holds no text")])
def test_a_file_that_cannot_be_read_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, held: bytes | None, told: str
) -> None:
    if held is not None:
        (tmp_path / "secret").write_bytes(held)
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))

    with pytest.raises(EnvError, match=f"EXAMPLE_FILE: .*{told}"):
        env_text(name)


def test_what_is_no_number_and_no_flag_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "many")

    with pytest.raises(EnvError, match="EXAMPLE: expected a whole number, got 'many'"):
        env_int(name, 1)
    with pytest.raises(EnvError, match="EXAMPLE: expected true or false, got 'many'"):
        env_bool(name, default=True)


def test_a_database_url_is_taken_apart() -> None:
    read = database_from_url("postgresql://ann%40x:p%2Fw@db.example.org:5433/flows?sslmode=require")

    assert (read["USER"], read["PASSWORD"], read["HOST"], read["PORT"]) == ("ann@x", "p/w", "db.example.org", "5433")
    assert (read["NAME"], read["OPTIONS"]) == ("flows", {"sslmode": "require"})


@pytest.mark.parametrize("url", ["mysql://host/name", "postgresql://host", "postgresql://host:port/name", "flows"])
def test_a_database_url_that_is_none_is_told_without_its_password(url: str) -> None:
    with pytest.raises(EnvError, match="DATABASE_URL: "):
        database_from_url(url)
