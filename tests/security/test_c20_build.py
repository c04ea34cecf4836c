"""C20: what is built and shipped is what is written down here, to the byte."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
EXPANSION = re.compile(r"\$\{\{|github\.event|\beval |curl [^|]*\|\s*(?:ba)?sh")


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_by_version_and_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())

    assert entries
    assert [
        entry for entry in entries if not re.match(r"[\w.\[\]-]+==\S+", entry) or "--hash=sha256:" not in entry
    ] == []


def test_no_script_of_the_build_runs_what_others_wrote() -> None:
    scripts = [path for path in tracked() if path.startswith((".ci/", ".github/", "docker/")) or path == "Makefile"]

    assert ".ci/run" in scripts
    assert [path for path in scripts if EXPANSION.search((ROOT / path).read_text())] == []


def test_every_image_is_named_by_a_version() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text() + (ROOT / "docker" / "compose.yaml").read_text()
    images = re.findall(r"^(?:FROM|\s+image:)\s+(\S+)", text, re.MULTILINE)

    assert images
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []


def test_no_secret_and_no_binary_is_in_the_repository() -> None:
    names = [path for path in tracked() if re.search(r"(^|/)\.env$|\.pem$|\.key$|id_rsa|\.sqlite3?$", path)]

    assert names == []
