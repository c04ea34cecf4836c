"""How many runs of a flow, a key or a workspace go on at once."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, Limited

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
