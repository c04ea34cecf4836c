"""What the person at the terminal reads: progress as it happens, then how to use what runs."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TypedDict


class Demo(TypedDict):
    """What `prepare` put in place. The password is known only to the start that made the owner."""

    apiKey: str
    workspaceId: str
    demoFlowId: str
    agentflowId: str
    ownerEmail: str
    ownerPassword: str | None


class Console:
    """Lines on standard output, each with the seconds since the start."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()

    def step(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._started_at:7.1f} s  {text}")

    def welcome(self, url: str, demo: Demo, var: Path) -> None:
        owner = demo["ownerEmail"]
        if demo["ownerPassword"]:
            owner += f", password {demo['ownerPassword']} (shown this once)"
        body = json.dumps({"question": "Hello! Who are you?", "streaming": True})
        flow = f"{url}/api/v1/prediction/{demo['demoFlowId']}"
        self._say(
            f"\n  Forjinn   {url}\n"
            f"  API key   {demo['apiKey']}\n"
            f"  Admin     {url}/admin/ as {owner}\n"
            f"  API docs  {url}/api/docs\n\n"
            "Stream an answer:\n\n"
            f"  curl -N {flow} -H 'Content-Type: application/json' -d '{body}'\n\n"
            f"Ctrl-C stops everything; data and logs stay in {var}.\n"
        )

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone; that is no reason to leave things undone
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
