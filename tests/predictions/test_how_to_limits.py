"""The calls that the page on limits tells people to make, made by a shell as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

from tests.platform import ROOT, Platform
from tests.predictions.conftest import Limited

PAGE = ROOT / "docs" / "how-to" / "limits.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_pages_calls_set_limits_and_show_them(platform: Platform, chat: str, limited: Limited) -> None:
    limited("flow", runs_at_once=100)  # all limits are gone after the test

    put, get = (run(script, platform, chat) for script in BLOCK.findall(PAGE.read_text()))

    assert put == get
    assert (get["workspace"]["usdPerMonth"], get["workspace"]["runsAtOnce"]) == (200, 50)
    assert get["eachKey"]["callsPerMinute"] == 600
    assert get["eachAddress"] == {"callsPerMinute": 60}
    assert {one["id"]: one["tokensPerMonth"] for one in get["flows"]}[chat] == 2_000_000


def run(script: str, platform: Platform, flow_id: str) -> dict[str, Any]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl --silent --fail-with-body ")],
        env={"PATH": os.environ["PATH"], "URL": platform.url, "KEY": platform.api_key, "FLOW": flow_id},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered
