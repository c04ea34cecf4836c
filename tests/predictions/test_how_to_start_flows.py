"""The calls that the page on triggers tells people to make, made by a shell as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

from tests.journeys.stage import wait_for
from tests.platform import ROOT, Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

PAGE = ROOT / "docs" / "how-to" / "start-flows-by-themselves.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shell(script: str, **variables: str) -> Any:
    """What the script's last call was answered with."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl --silent --fail-with-body ")],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_pages_calls_do_what_it_says(platform: Platform, holder: Caller, agent: str, new_flow: NewFlow) -> None:
    schedule, webhook, call, flow_webhook = BLOCK.findall(PAGE.read_text())
    known = {"URL": platform.url, "KEY": platform.api_key, "FLOW": agent}
    start = drawing.start(startInputType="webhookTrigger", webhookDefaultInput="{{ $webhook.body.name }} called")
    reply = drawing.reply(0, "{{ startAgentflow_0.output.question }}")
    drawn = drawing.flow([start, reply], drawing.path("startAgentflow_0", "directReplyAgentflow_0"))

    due = shell(schedule, **known)
    made = shell(webhook, **known)
    started = shell(call, **known, WEBHOOK=made["webhookUrl"])
    answered = shell(flow_webhook, **known, HOOK=new_flow(drawn, type="AGENTFLOW"))

    assert due["nextExecution"].endswith("T00:30:00.000Z")
    assert started["status"] == "pending"
    assert answered["text"] == "Ann called"
    path = f"/triggers/{made['id']}/executions"
    wait_for(lambda: bool(holder.http.get(path).json()[0]["output"]), "the webhook's run")
    assert holder.http.get(path).json()[0]["output"]["text"] == "You said: Where is my order?"
