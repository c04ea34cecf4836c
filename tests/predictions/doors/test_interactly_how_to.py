"""The calls that the page on Interactly's API tells people to make, made one after the other."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from string import Template
from typing import Any

import httpx

from predictions.doors.interactly.openapi import ANSWER
from tests.platform import ROOT, Platform
from tests.predictions.doors.interactly_calls import STATUSES, TurnClient, Workflows, assert_consistent, names, said

PAGE = ROOT / "docs" / "how-to" / "run-over-interactly.md"
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"`([a-z]+_[a-z_]+)`")


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text()) if found == kind]


def words(variables: Mapping[str, str]) -> Iterator[list[str]]:
    """Each `curl` of the page, as a shell takes it apart; variables are filled in when it is asked for."""
    for text in blocks("sh"):
        yield shlex.split(Template(text.replace("\\\n", " ")).substitute(variables))


def called(command: list[str]) -> Any:
    """What this `curl` gets."""
    [url] = [word for word in command if word.startswith("http")]
    options = [(name, value) for name, value in pairwise(command) if name in ("-X", "-H", "-d")]
    headers = dict(value.split(": ", 1) for name, value in options if name == "-H")
    chosen = dict(options)
    response = httpx.request(chosen.get("-X", "GET"), url, headers=headers, content=chosen.get("-d"), timeout=60)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_page_takes_turns_and_shows_them(platform: Platform, turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking("Where to, {{ $flow.state.name }}?")
    variables = {"URL": platform.url, "KEY": platform.api_key, "WORKFLOW": workflow, "RUN": ""}
    commands = words(variables)

    first = called(next(commands))
    variables["RUN"] = first["run_id"]
    second = called(next(commands))
    variables["RUN"] = turns.turn(workflow)["run_id"]
    stopped, listed, shown, versions = (called(command) for command in commands)

    for turn in (first, second, stopped):
        assert_consistent(turn)
    assert (first["status"], said(first)) == ("waiting_for_user_input", ["Where to, Ann?"])
    assert (second["status"], said(second)) == ("completed", ["On to Kyoto"])
    assert stopped["status"] == "cancelled"
    assert [run["_id"] for run in listed["workflow_runs"]] == [variables["RUN"]]
    assert shown["workflow_run"]["workflow_run"]["status"] == "cancelled"
    assert [version["version_number"] for version in versions["versions"]] == [1]


def test_the_page_shows_an_answer_as_it_is() -> None:
    [text] = blocks("json")

    assert json.loads(text).keys() == ANSWER["properties"].keys()


def test_the_page_names_every_status_and_every_event_that_it_saw(turns: TurnClient, workflows: Workflows) -> None:
    named = set(SAID.findall(PAGE.read_text()))
    workflow = workflows.approving()
    asked = turns.turn(workflow)

    seen = {*names(asked), *names(turns.turn(workflow, asked["run_id"], "yes"))}

    assert seen <= named
    assert named >= {status for status in STATUSES if "_" in status}
