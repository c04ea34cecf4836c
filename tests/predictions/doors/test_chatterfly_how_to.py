"""The calls that the page on Chatterfly's API tells people to make, made one after the other."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import pairwise
from string import Template

import httpx

from tests.platform import ROOT
from tests.predictions.doors.chatterfly_calls import Client, read, until

PAGE = ROOT / "docs" / "how-to" / "run-over-chatterfly.md"
BLOCK = re.compile(r"^```(sh|json|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPE = re.compile(r"`((?:run|step|state|message|hitl)\.[a-z]+)`")


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE.read_text()) if found == kind]


def commands(variables: Mapping[str, str]) -> Iterator[list[str]]:
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


def test_the_page_runs_a_flow_to_its_end_and_shows_answers_as_they_are(asker: Client) -> None:
    started, _, shown, minted = map(json.loads, blocks("json"))
    variables = {"URL": asker.url, "KEY": asker.key, "RUN": ""}
    page = commands(variables)

    first = called(next(page)).json()
    variables["RUN"] = first["run_id"]
    asker.until(first["run_id"], "waiting_for_input")
    look, conversation, answer, token = (called(command) for command in page)

    assert first.keys() == started.keys()
    assert {**look.json(), "id": "", "created_at": "", "started_at": ""} == {
        **shown,
        "id": "",
        "created_at": "",
        "started_at": "",
    }
    assert conversation.json()[-1]["content"] == "Which invoice?"
    assert answer.status_code == 202
    assert token.json().keys() == minted.keys()
    asker.until(first["run_id"])
    assert asker.messages(first["run_id"])[-1]["content"] == "It is It is about invoice 42."


def test_the_page_names_every_frame_that_comes(asker: Client) -> None:
    with asker.connect(asker.start()) as stream:
        frames = until(stream, "run.waiting")
        stream.send('{"type": "message", "content": "42"}')
        frames += read(stream)

    shown = json.loads(blocks("text")[1])
    assert frames[0].keys() == shown.keys()
    assert {frame["type"] for frame in frames} <= set(TYPE.findall(PAGE.read_text()))
