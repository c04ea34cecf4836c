"""The page on hooks, followed: its calls made one after the other, its lines of Python run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from string import Template
from typing import Any

import httpx

from tests.model_server import ScriptedModel
from tests.platform import ROOT, Platform
from tests.predictions import drawing
from tests.predictions.hooks.conftest import Author
from tests.predictions.hooks.receiver import Receiver

PAGE = (ROOT / "docs" / "how-to" / "hear-of-runs.md").read_text()
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
JSON = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every `curl` of the page, as a shell takes it apart."""
    blocks = [block.replace("\\\n", " ") for block in SHELL.findall(PAGE)]
    return [shlex.split(command) for block in blocks for command in block.split("curl ")[1:]]


def curl(words: list[str], variables: Mapping[str, str]) -> Any:
    said = iter([Template(word).substitute(variables) for word in words])
    method, url, headers, body = "GET", "", {}, None
    for word in said:
        match word:
            case "-X":
                method = next(said)
            case "-H":
                name, _, value = next(said).partition(": ")
                headers[name] = value
            case "-d":
                body = json.loads(next(said))
            case _:
                url = word
    response = httpx.request(method, url, headers=headers, json=body, timeout=60)
    assert response.is_success, response.text
    return response.json()


def test_the_pages_calls_lead_to_messages_that_its_python_verifies(
    platform: Platform, author: Author, receiver: Receiver, model: ScriptedModel
) -> None:
    variables = {"URL": platform.url, "KEY": author.key, "RECEIVER": receiver.url, "HOOK": "", "DELIVERY": ""}
    subscribe, test, deliveries, delivery, redeliver, resume = commands()
    page: dict[str, Any] = {}
    exec(PYTHON.findall(PAGE)[0], page)

    made = curl(subscribe, variables)
    variables["HOOK"] = made["id"]
    curl(test, variables)
    pinged = receiver.next()
    variables["DELIVERY"] = curl(deliveries, variables)[0]["id"]
    author.tried(variables["DELIVERY"], 1)
    read = curl(delivery, variables)
    curl(redeliver, variables)
    again = receiver.next()
    curl(resume, variables)
    author.answer(author.new_flow(drawing.conversation(model.url)), "Hi")
    completed = receiver.next()

    assert read["log"][0]["status"] == 200
    assert pinged.headers["webhook-id"] == again.headers["webhook-id"]
    assert page["is_genuine"](completed.headers, completed.body, made["secret"])
    assert not page["is_genuine"](completed.headers, completed.body + b" ", made["secret"])
    [sample] = JSON.findall(PAGE)
    sent, told = completed.json(), json.loads(sample)
    assert (sent.keys(), sent["data"].keys()) == (told.keys(), told["data"].keys())
    author.http.delete(f"/hook-subscriptions/{made['id']}")
