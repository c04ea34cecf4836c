"""`install.sh`: what is done before is not done again, and two at once take turns."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "forjinn/embedded/install.sh"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone in which everything is installed already."""
    for name in (SCRIPT, "requirements-uv.lock", "requirements-test.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    summed = "cat requirements-uv.lock requirements-test.lock | cksum"
    checksum = subprocess.run(["bash", "-c", summed], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    (tmp_path / ".venv" / "installed").write_text(f"test {tmp_path} {checksum}")
    return tmp_path


def install(clone: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(["bash", str(clone / SCRIPT), "run"], stderr=subprocess.PIPE, text=True)


def test_what_is_installed_is_not_installed_again(clone: Path) -> None:
    with install(clone) as process:
        _, said = process.communicate(timeout=30)

    assert said == ""
    assert process.returncode == 0


@pytest.mark.skipif(shutil.which("flock") is None, reason="this system has no lock for shells")
def test_a_second_one_waits_for_the_first(clone: Path) -> None:
    with (clone / SCRIPT).open() as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with install(clone) as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(0.5)

            fcntl.flock(first, fcntl.LOCK_UN)

            assert second.wait(30) == 0
