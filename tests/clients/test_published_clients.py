"""The two published clients of this API, unmodified, against the running platform."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from flowise import Flowise, IMessage, PredictionData

from tests.platform import Platform

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def node() -> Path:
    """The npm client, installed from its lock file into a folder that git ignores."""
    npm = shutil.which("npm")
    if npm is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Node.js for the npm client's test")
        pytest.skip("no Node.js here: the npm client is not tested")
    subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, capture_output=True, timeout=120)
    return HERE


def with_node(platform: Platform, mode: str) -> Any:
    command = ["node", "predict.mjs", platform.url, platform.api_key, platform.demo_flow_id, "Hello there", mode]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["data"] for event in events if event["event"] == "token")


def test_the_python_client_gets_a_whole_answer(platform: Platform) -> None:
    client = Flowise(platform.url, platform.api_key)

    answers = list(client.create_prediction(PredictionData(platform.demo_flow_id, "Hello there")))

    assert len(answers) == 1
    assert answers[0]["text"] == "You said: Hello there"


def test_the_python_client_streams(platform: Platform) -> None:
    client = Flowise(platform.url, platform.api_key)
    earlier = [IMessage("Good morning", "userMessage"), IMessage("Good morning to you", "apiMessage")]
    question = PredictionData(platform.demo_flow_id, "Hello there", streaming=True, history=earlier)

    events = [json.loads(event) for event in client.create_prediction(question)]

    assert text_of(events) == "You said: Hello there"
    assert events[0]["event"] == "start"
    assert events[-1] == {"event": "end", "data": "[DONE]"}


@pytest.mark.usefixtures("node")
def test_the_npm_client_gets_a_whole_answer(platform: Platform) -> None:
    assert with_node(platform, "whole")["text"] == "You said: Hello there"


@pytest.mark.usefixtures("node")
def test_the_npm_client_streams(platform: Platform) -> None:
    events = with_node(platform, "stream")

    assert text_of(events) == "You said: Hello there"
    assert events[-1] == {"event": "end", "data": "[DONE]"}
