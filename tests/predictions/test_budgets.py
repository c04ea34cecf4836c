"""What runs may spend in a month: tokens and money, of a workspace, a flow, a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, Limited, NewFlow

A_CALL = 17  # tokens that the scripted model reports
FORGET = """
from django.conf import settings
from redis import Redis
redis = Redis.from_url(settings.REDIS_URL)
for name in redis.scan_iter("spent:*"):
    redis.delete(name)
"""


def told(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def two_steps(model: ScriptedModel) -> str:
    """An agent flow that asks its model twice."""
    steps = [drawing.llm_step(model.url, f"llmAgentflow_{number}", f"Ask {number}") for number in range(2)]
    nodes = [drawing.start(), *steps]
    return drawing.flow(nodes, drawing.path("startAgentflow_0", "llmAgentflow_0", "llmAgentflow_1"))


def test_once_a_budget_is_spent_no_run_begins_until_the_next_month(holder: Caller, chat: str, limited: Limited) -> None:
    limited("flow", target_id=chat, tokens_a_month=2 * A_CALL)

    answers = [holder.predict(chat, "Hi") for _ in range(3)]

    first_of_next = (datetime.now(UTC).replace(day=28) + timedelta(days=4)).replace(day=1)
    assert [told(answer) for answer in answers] == [(200, ""), (200, ""), (429, "budget_exceeded")]
    assert (
        answers[2]
        .json()["message"]
        .startswith(
            "The budget of this flow is spent: 34 of 34 tokens this month. It begins anew on "
            f"{first_of_next:%Y-%m-%d} at 00:00 UTC"
        )
    )
    assert 0 < int(answers[2].headers["Retry-After"]) <= 31 * 86400


def test_a_run_ends_before_the_call_that_nobody_pays_for(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, limited: Limited
) -> None:
    flow_id = new_flow(two_steps(model), type="AGENTFLOW")
    limited("flow", target_id=flow_id, tokens_a_month=A_CALL)

    ended = holder.predict(flow_id, "Hi")

    assert told(ended) == (429, "budget_exceeded")
    assert "17 of 17 tokens" in ended.json()["message"]
    assert len(model.requests) == 1


def test_what_one_run_spends_another_that_goes_on_does_not_have(
    platform: Platform, holder: Caller, new_flow: NewFlow, model: ScriptedModel, limited: Limited
) -> None:
    flow_id = new_flow(two_steps(model), type="AGENTFLOW")
    limited("flow", target_id=flow_id, tokens_a_month=2 * A_CALL)
    model.script(Reply("one", stall_after=0), Reply("two"))

    with platform.stream(flow_id, "Hi") as first:
        frames = iter(first)
        while next(frames).event != "nextAgentFlow":
            pass
        while not model.stalled.wait(0.01):
            pass
        second = holder.predict(flow_id, "Hi")
        model.release()
        ended = [frame for frame in frames if frame.event == "error"]

    assert told(second) == (200, "")
    assert "The budget of this flow is spent: 51 of 34 tokens" in ended[0].data


def test_money_is_counted_by_the_prices_of_the_models_vendor(
    holder: Caller, new_flow: NewFlow, model: ScriptedModel, limited: Limited
) -> None:
    flow_id = new_flow(drawing.conversation(model.url, modelName="gpt-4o-mini"))
    limited("flow", target_id=flow_id, usd_a_month="0.10")
    model.script(Reply("Hello", usage=(1_000_000, 0)))

    first, second = (holder.predict(flow_id, "Hi") for _ in range(2))

    assert told(first) == (200, "")
    assert told(second) == (429, "budget_exceeded")
    assert "0.15 of 0.10 US dollars" in second.json()["message"]


def test_a_redis_that_forgets_gives_nothing_back(holder: Caller, chat: str, limited: Limited, inside: Inside) -> None:
    limited("flow", target_id=chat, tokens_a_month=A_CALL)
    assert holder.predict(chat, "Hi").status_code == 200

    inside(FORGET)

    assert told(holder.predict(chat, "Hi")) == (429, "budget_exceeded")


def test_a_keys_budget_is_its_own(platform: Platform, holder: Caller, chat: str, limited: Limited) -> None:
    fresh = holder.http.post("/apikey", json={"keyName": "of a budget"}).json()
    limited("key", target_id=fresh["id"], tokens_a_month=A_CALL)

    with Caller(platform.url, fresh["apiKey"]) as second:
        answers = [second.predict(chat, "Hi") for _ in range(2)]

    assert [told(answer) for answer in answers] == [(200, ""), (429, "budget_exceeded")]
    assert "The budget of this key" in answers[1].json()["message"]
    assert holder.predict(chat, "Hi").status_code == 200


def test_a_fork_is_paid_for_by_whoever_asks_for_it(
    platform: Platform, holder: Caller, agent: str, model: ScriptedModel, limited: Limited
) -> None:
    run = holder.answer(agent, "Hi")["executionId"]
    broke = holder.http.post("/apikey", json={"keyName": "of no budget"}).json()
    limited("key", target_id=broke["id"], tokens_a_month=0)

    with Caller(platform.url, broke["apiKey"]) as caller:
        refused = caller.http.post(f"/executions/{run}/fork", json={})

    assert told(refused) == (429, "budget_exceeded")
    assert "The budget of this key" in refused.json()["message"]
    assert holder.http.post(f"/executions/{run}/fork", json={}).status_code == 201
