"""The lock files hold what pyproject.toml asks for, with hashes, and name no host."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["anthropic"]]
EMBEDDED = PYPROJECT["project"]["optional-dependencies"]["embedded"]
GROUPS = PYPROJECT["dependency-groups"]
ASKED = {
    "requirements.lock": RUNTIME,
    "requirements-run.lock": [*RUNTIME, *EMBEDDED],
    "requirements-test.lock": [*RUNTIME, *EMBEDDED, *GROUPS["dev"]],
    "requirements-uv.lock": GROUPS["uv"],
}


def locked(name: str) -> list[str]:
    """A lock's entries, each with its hashes behind it."""
    return re.findall(r"^\S.*(?:\n .*)*", (ROOT / name).read_text(), re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """The version of each package that is installed here."""
    entries = (Requirement(entry.partition(" \\")[0]) for entry in locked(name))
    return {
        canonicalize_name(entry.name): str(entry.specifier).removeprefix("==")
        for entry in entries
        if entry.marker is None or entry.marker.evaluate()
    }


def missing(asked: Iterable[str], name: str) -> list[str]:
    found = pins(name)

    def is_missing(each: Requirement) -> bool:
        version = found.get(canonicalize_name(each.name))
        return version is None or not each.specifier.contains(version)

    here = (each for each in map(Requirement, asked) if each.marker is None or each.marker.evaluate())
    return [str(each) for each in here if is_missing(each)]


@pytest.mark.parametrize(("name", "asked"), ASKED.items())
def test_a_lock_holds_what_is_asked_for(name: str, asked: list[str]) -> None:
    assert missing(asked, name) == []


@pytest.mark.parametrize("name", ASKED)
def test_every_entry_has_a_hash_and_none_an_address(name: str) -> None:
    entries = locked(name)

    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry or "://" in entry] == []


def test_a_dependency_that_no_lock_holds_is_noticed() -> None:
    assert missing(["django>=99", "no-such-package"], "requirements.lock") == ["django>=99", "no-such-package"]


def test_each_lock_only_adds_to_the_one_before() -> None:
    production, run, everything = (
        pins("requirements.lock"),
        pins("requirements-run.lock"),
        pins("requirements-test.lock"),
    )

    assert production.items() <= run.items() <= everything.items()


def test_production_carries_nothing_of_the_embedded_services() -> None:
    embedded = {canonicalize_name(Requirement(each).name) for each in EMBEDDED}

    assert embedded & pins("requirements.lock").keys() == set()
