"""How many runs of a flow, a key or a workspace go on at once."""

from __future__ import annotations

import asyncio
import socket
import time

import httpx
import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, Limited, NewFlow

LATER = {"Prefer": "respond-async"}
# As if a worker had died with them, long ago.
LEFT_BEHIND = """
from uuid import uuid4
from django.conf import settings
from redis import Redis
Redis.from_url(settings.REDIS_URL).zadd("runs:flow:{flow}", {{str(uuid4()): 1, str(uuid4()): 1}})
"""


async def ask_at_once(platform: Platform, flow_id: str, calls: int) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {platform.api_key}", **LATER}
    async with httpx.AsyncClient(base_url=platform.url, headers=headers, timeout=60) as client:
        body = {"question": "Hi"}
        return await asyncio.gather(*(client.post(f"/api/v1/prediction/{flow_id}", json=body) for _ in range(calls)))


def wait_until_ended(holder: Caller, execution_id: str) -> None:
    deadline = time.monotonic() + 30
    while holder.http.get(f"/executions/{execution_id}").json()["state"] == "INPROGRESS":
        assert time.monotonic() < deadline


@pytest.mark.parametrize("kind", ["flow", "workspace", "key"])
def test_of_fifty_at_once_as_many_begin_as_may_and_more_once_they_have_ended(
    platform: Platform, holder: Caller, chat: str, model: ScriptedModel, limited: Limited, kind: str
) -> None:
    limited(kind, **({"target_id": chat} if kind == "flow" else {}), runs_at_once=10)
    model.script(*(Reply("Hello", stall_after=0) for _ in range(10)))

    answers = asyncio.run(ask_at_once(platform, chat, 50))

    begun = [answer for answer in answers if answer.status_code == 202]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(begun), len(refused)) == (10, 40)
    assert {answer.json()["code"] for answer in refused} == {"too_many_runs"}
    assert refused[0].json()["message"].startswith(f"This {kind} runs 10 flows at once at most")
    assert refused[0].headers["Retry-After"] == "2"

    model.release()
    for answer in begun:
        wait_until_ended(holder, answer.json()["executionId"])

    assert holder.predict(chat, "Hi").status_code == 200


def test_a_place_that_nobody_gave_back_is_found_when_none_is_left(
    holder: Caller, chat: str, limited: Limited, inside: Inside
) -> None:
    limited("flow", target_id=chat, runs_at_once=2)
    inside(LEFT_BEHIND.format(flow=chat))

    assert holder.predict(chat, "Hi").status_code == 200


def test_a_call_that_starts_nothing_holds_no_place(holder: Caller, chat: str, limited: Limited) -> None:
    limited("flow", target_id=chat, runs_at_once=1)

    refused = [holder.predict(chat, "Hi", humanInput={"type": "proceed"}).status_code for _ in range(2)]

    assert refused == [409, 409]
    assert holder.predict(chat, "Hi").status_code == 200


def fork(caller: Caller, execution_id: str) -> httpx.Response:
    return caller.http.post(f"/executions/{execution_id}/fork", json={})


def test_runs_that_are_forked_hold_places_too(
    holder: Caller, agent: str, model: ScriptedModel, limited: Limited
) -> None:
    run = holder.answer(agent, "Hi")["executionId"]
    limited("flow", target_id=agent, runs_at_once=1)
    model.script(Reply("Hello", stall_after=0))

    first, second = fork(holder, run), fork(holder, run)
    model.release()
    wait_until_ended(holder, first.json()["executionId"])

    assert (first.status_code, second.status_code) == (201, 429)
    assert second.json()["code"] == "too_many_runs"
    assert fork(holder, run).status_code == 201


def test_a_run_that_goes_on_holds_a_place(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, limited: Limited
) -> None:
    nodes = [drawing.start(), drawing.human(), drawing.llm_step(model.url), drawing.reply(1, "No")]
    edges = [
        *drawing.path("startAgentflow_0", "humanInputAgentflow_0"),
        drawing.branch("humanInputAgentflow_0", 0, "llmAgentflow_0"),
        drawing.branch("humanInputAgentflow_0", 1, "directReplyAgentflow_1"),
    ]
    flow_id = new_flow(drawing.flow(nodes, edges), type="AGENTFLOW")
    waiting = [holder.answer(flow_id, "Hi")["executionId"] for _ in range(2)]
    limited("flow", target_id=flow_id, runs_at_once=1)
    model.script(Reply("Hello", stall_after=0))

    def resume(execution_id: str) -> httpx.Response:
        return holder.http.post(f"/executions/{execution_id}/resume", json={"humanInput": {"type": "proceed"}})

    first, second = map(resume, waiting)
    model.release()
    wait_until_ended(holder, waiting[0])

    assert (first.status_code, second.status_code) == (202, 429)
    assert resume(waiting[1]).status_code == 202


def test_callers_who_hang_up_free_no_place(
    platform: Platform, holder: Caller, agent: str, model: ScriptedModel, limited: Limited
) -> None:
    limited("flow", target_id=agent, runs_at_once=2)
    model.script(*(Reply("Hello", stall_after=0) for _ in range(20)))
    body = b'{"question": "Hi"}'
    head = f"POST /api/v1/prediction/{agent} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {platform.api_key}\r\n"
    sent = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    host, _, port = platform.url.removeprefix("http://").partition(":")

    for number in range(60):  # somewhere among them is the moment when the run is written down
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(sent)
            time.sleep(number % 20 / 2000)
    going_on = holder.http.get("/executions", params={"agentflowId": agent, "state": "INPROGRESS"}).json()
    model.release()
    for run in going_on:
        wait_until_ended(holder, run["id"])

    assert 1 <= len(going_on) <= 2
