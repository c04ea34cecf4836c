"""The calls that the page on the audit trail tells people to make, made by a shell as they stand there."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from pathlib import Path

from tests.factories import EMPTY_GRAPH
from tests.platform import ROOT, Platform

PAGE = ROOT / "docs" / "how-to" / "audit.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_pages_calls_do_what_it_says(platform: Platform, tmp_path: Path) -> None:
    look, ask, take = BLOCK.findall(PAGE.read_text())
    made = platform.call("POST", "/api/v1/chatflows", {"name": "Audited", "flowData": EMPTY_GRAPH}).json()
    flow_id = made["id"]

    def shell(script: str) -> list[str]:
        """The lines that its calls were answered with."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl --silent --fail-with-body -w '\\n' ")],
            env={"PATH": os.environ["PATH"], "URL": platform.url, "KEY": platform.api_key, "FLOW": flow_id},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    newest = json.loads(shell(look)[0])
    of_flow, _ = map(json.loads, shell(ask))
    shell(take)
    exported = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().strip().split("\n")]
    keys = list(csv.DictReader((tmp_path / "audit.csv").read_text().splitlines()))

    assert [entry["resource"] for entry in of_flow] == ["versions", "chatflows"]
    assert of_flow[0] in newest
    assert of_flow[0] in exported
    assert {row["resource"] for row in keys} == {"apikeys"}
