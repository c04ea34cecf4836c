"""The calls that the page on Stepflow's API tells people to make, made one after the other."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from string import Template
from uuid import uuid4

import httpx

from tests.platform import ROOT, Platform
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.doors.stepflow_calls import FRAME, Stepflow
from tests.predictions.doors.test_stepflow_runs import ended, reached, saved, welcome_flow

PAGE = ROOT / "docs" / "how-to" / "run-over-stepflow.md"
BLOCK = re.compile(r"^```(sh|json|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([A-Z_]{8,})`")


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text()) if found == kind]


def words(variables: Mapping[str, str]) -> Iterator[list[str]]:
    """Each `curl` of the page, as a shell takes it apart; variables are filled in when it is asked for."""
    for text in blocks("sh"):
        yield [Template(word).substitute(variables) for word in shlex.split(text.replace("\\\n", " "))]


def called(command: list[str]) -> httpx.Response:
    """What this `curl` gets."""
    [url] = [word for word in command if word.startswith("http")]
    options = [(name, value) for name, value in pairwise(command) if name in ("-X", "-H", "-d")]
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    chosen = dict(options)
    return httpx.request(chosen.get("-X", "GET"), url, headers=headers, content=chosen.get("-d"), timeout=60)


def test_the_page_runs_a_flow_to_its_end(
    platform: Platform, stepflow: Stepflow, holder: Caller, new_flow: NewFlow
) -> None:
    _, slug = saved(new_flow, holder, welcome_flow("payment-received"), name=f"Welcome user {uuid4().hex}")
    variables = {"URL": platform.url, "KEY": platform.api_key, "FLOW": slug, "RUN": "", "TOKEN": ""}
    commands = words(variables)

    triggered = called(next(commands)).json()
    variables |= {"RUN": triggered["runId"], "TOKEN": triggered["publicAccessToken"]}
    reached(stepflow, triggered["runId"], "pending")
    looked = [called(next(commands)).json() for _ in range(2)]
    follow, notify = commands
    notified = called(notify)
    ended(stepflow, triggered["runId"])
    followed = called(follow)

    assert looked[0] == looked[1]
    assert looked[0]["steps"][-1] == {"name": "send-followup", "status": "pending"}
    assert notified.json() == {"success": True}
    assert followed.text.split("\n\n")[-2].endswith('data: {"status":"completed","result":{"success":true}}')


def test_the_page_shows_answers_as_they_are() -> None:
    [triggered], [stream] = blocks("json"), blocks("text")

    assert list(json.loads(triggered)) == ["runId", "publicAccessToken"]
    assert all(FRAME.fullmatch(block.encode()) for block in stream.strip().split("\n\n"))


def test_the_page_names_every_code_that_is_described(keyless: Stepflow) -> None:
    described = re.findall(r"code: ([A-Z_]+)$", keyless.http.get("/openapi.yaml").text, re.MULTILINE)

    assert set(described) <= set(CODE.findall(PAGE.read_text()))
