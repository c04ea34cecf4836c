"""What receivers of hooks get, and what becomes of messages that they do not take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.conftest import Inside
from tests.predictions.hooks.conftest import Author, Statement, Subscribe
from tests.predictions.hooks.receiver import Message, Reaction, Receiver

DUE = "UPDATE hooks_hookdelivery SET next_try_at = now() WHERE id = %s"
LAST_TRY = "UPDATE hooks_hookdelivery SET attempts = 14, next_try_at = now() WHERE id = %s"
FAILING_SINCE = "UPDATE hooks_hooksubscription SET failing_since = now() - make_interval(days => %s) WHERE id = %s"
MOVED = "UPDATE hooks_hooksubscription SET url = %s WHERE id = %s"


def ping(author: Author, subscription_id: str) -> str:
    sent = author.http.post(f"/hook-subscriptions/{subscription_id}/test")
    assert sent.status_code == 202, sent.text
    return str(sent.json()["id"])


def events_of(author: Author, subscription_id: str) -> list[str]:
    listed = author.http.get(f"/hook-subscriptions/{subscription_id}/deliveries?limit=100").json()
    return sorted(delivery["event"] for delivery in listed)


def told(receiver: Receiver, count: int) -> dict[str, Message]:
    """The next messages by event: their order is not promised."""
    return {message.json()["type"]: message for message in (receiver.next() for _ in range(count))}


def test_a_run_is_told_signed_and_once(
    author: Author, receiver: Receiver, subscribe: Subscribe, model: ScriptedModel
) -> None:
    subscription = subscribe()
    flow_id = author.new_flow(drawing.conversation(model.url))

    answer = author.answer(flow_id, "Hi", chatId="c")
    messages = told(receiver, 2)

    assert sorted(messages) == ["run.completed", "run.started"]
    assert all(message.is_signed_with(subscription["secret"]) for message in messages.values())
    completed = messages["run.completed"].json()
    assert completed["data"]["executionId"] == answer["executionId"]
    assert completed["data"]["chatflowId"] == flow_id
    assert completed["data"]["output"]["text"] == "You said: Hi"
    assert completed["run_id"] == f"run_{answer['executionId'].replace('-', '')}"
    assert events_of(author, subscription["id"]) == ["run.completed", "run.started"]
    age = datetime.now(UTC).timestamp() - int(messages["run.started"].headers["webhook-timestamp"])
    assert abs(age) < 60
    for message in messages.values():
        delivery = author.tried(message.headers["webhook-id"], 1)
        assert (delivery["state"], delivery["payload"]) == ("delivered", message.json())


def test_a_failure_is_told_with_its_reason(
    author: Author, receiver: Receiver, subscribe: Subscribe, model: ScriptedModel
) -> None:
    subscription = subscribe()
    model.script(Reply(status=401))

    author.predict(author.new_flow(drawing.conversation(model.url)), "Hi")
    messages = told(receiver, 2)

    assert "401 Unauthorized" in messages["run.failed"].json()["error"]
    assert events_of(author, subscription["id"]) == ["run.failed", "run.started"]


def test_a_run_that_waits_and_is_stopped_is_told_as_such(
    author: Author, receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    flow_id = author.new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW")

    author.answer(flow_id, "Send it", chatId="c")
    author.http.put(f"/chatmessage/abort/{flow_id}/c")
    messages = told(receiver, 3)

    assert messages["run.waiting"].json()["data"]["output"]["action"]["mapping"]["approve"] == "Proceed"
    assert messages["run.cancelled"].json()["status"] == "cancelled"
    assert events_of(author, subscription["id"]) == ["run.cancelled", "run.started", "run.waiting"]


def test_a_run_that_goes_on_is_not_told_as_started_again(
    author: Author, receiver: Receiver, subscribe: Subscribe
) -> None:
    subscription = subscribe()
    flow_id = author.new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW")
    author.answer(flow_id, "Send it", chatId="c")

    author.answer(flow_id, "Proceed", chatId="c", humanInput={"type": "proceed"})
    messages = told(receiver, 3)

    assert "run.completed" in messages
    assert events_of(author, subscription["id"]) == ["run.completed", "run.started", "run.waiting"]


QUEUE = """
from chatflows.models import Chatflow
from predictions.hooks.run_hooks import stored_hooks
from predictions.models import Execution
flow = Chatflow.objects.get(pk={flow!r})
run = Execution.objects.create(
    workspace=flow.workspace, chatflow=flow, version=flow.version, chat_id="c", session_id="c", question="Hi",
    request={{"hooks": stored_hooks([{{"url": {url!r}, "events": ["run.completed"], "secret": "between us"}}])}},
    dispatched_at="2026-01-01T00:00:00Z",
)
print(json.dumps(str(run.pk)))
"""


def test_hooks_that_come_with_a_run_hear_of_it_alone(
    author: Author, receiver: Receiver, model: ScriptedModel, inside: Inside
) -> None:
    flow_id = author.new_flow(drawing.conversation(model.url))

    execution_id = inside(QUEUE.format(flow=flow_id, url=receiver.url))
    message = receiver.next()
    author.answer(flow_id, "Another", chatId="d")

    assert message.is_signed_with("between us")
    assert message.json()["data"]["executionId"] == execution_id
    [delivery] = author.http.get("/hook-deliveries", params={"executionId": execution_id}).json()
    assert (delivery["subscriptionId"], delivery["url"]) == (None, receiver.url)
    assert receiver.is_empty()


def test_what_is_not_taken_is_sent_again(
    author: Author, receiver: Receiver, subscribe: Subscribe, execute: Statement
) -> None:
    receiver.script(Reaction(500, b"Out of order"))
    subscription = subscribe()
    delivery_id = ping(author, subscription["id"])

    first = receiver.next()
    waiting = author.tried(delivery_id, 1)
    execute(DUE, [delivery_id])
    second = receiver.next()
    delivered = author.tried(delivery_id, 2)

    assert (waiting["state"], waiting["lastError"]) == ("pending", "Answered 500")
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert second.is_signed_with(subscription["secret"])
    assert delivered["state"] == "delivered"
    assert [(one["number"], one["status"], one["answer"]) for one in delivered["log"]] == [
        (1, 500, "Out of order"),
        (2, 200, "ok"),
    ]
    assert author.subscription(subscription["id"])["failures"] == 0


def test_a_receiver_may_say_when_to_come_back(author: Author, receiver: Receiver, subscribe: Subscribe) -> None:
    receiver.script(Reaction(503, headers={"Retry-After": "7200"}))
    began = datetime.now(UTC)

    waiting = author.tried(ping(author, subscribe()["id"]), 1)

    assert datetime.fromisoformat(waiting["nextTryDate"]) - began > timedelta(seconds=7190)


def test_redirects_are_not_followed(author: Author, receiver: Receiver, subscribe: Subscribe) -> None:
    receiver.script(Reaction(307, headers={"Location": receiver.url}))

    waiting = author.tried(ping(author, subscribe()["id"]), 1)

    receiver.next()
    assert waiting["state"] == "pending"
    assert "redirects are not followed" in waiting["lastError"]
    assert receiver.is_empty()


def test_a_long_answer_is_no_failure(author: Author, receiver: Receiver, subscribe: Subscribe) -> None:
    receiver.script(Reaction(200, b"x" * 300_000))

    delivered = author.tried(ping(author, subscribe()["id"]), 1)

    assert delivered["state"] == "delivered"
    assert delivered["log"][0]["answer"] == "x" * 1000


def test_a_receiver_that_cannot_be_reached_is_tried_again(
    author: Author, subscribe: Subscribe, execute: Statement
) -> None:
    subscription = subscribe(url="https://127.0.0.1:9/hooks")

    waiting = author.tried(ping(author, subscription["id"]), 1)

    assert (waiting["state"], waiting["log"][0]["status"]) == ("pending", None)
    assert "127.0.0.1" in waiting["lastError"]


@pytest.mark.parametrize("url", ["http://10.0.0.1/hooks", "http://[::1]:5/hooks"])
def test_an_address_that_is_not_public_is_not_called(
    author: Author, subscribe: Subscribe, execute: Statement, url: str
) -> None:
    subscription = subscribe()
    execute(MOVED, [url, subscription["id"]])

    waiting = author.tried(ping(author, subscription["id"]), 1)

    assert (waiting["state"], waiting["log"][0]["status"]) == ("pending", None)
    assert "is not a public host" in waiting["lastError"]


def test_a_message_can_be_asked_for_again(author: Author, receiver: Receiver, subscribe: Subscribe) -> None:
    delivery_id = ping(author, subscribe()["id"])
    first = receiver.next()
    author.tried(delivery_id, 1)

    again = author.http.post(f"/hook-deliveries/{delivery_id}/redeliver")
    second = receiver.next()

    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert author.tried(delivery_id, 2)["state"] == "delivered"


def test_a_receiver_that_is_gone_is_paused_and_hears_again_once_it_is_back(
    author: Author, receiver: Receiver, subscribe: Subscribe, model: ScriptedModel
) -> None:
    receiver.script(Reaction(410))
    subscription = subscribe(events=["run.completed"])
    path = f"/hook-subscriptions/{subscription['id']}"
    flow_id = author.new_flow(drawing.conversation(model.url))

    gone = author.tried(ping(author, subscription["id"]), 1)
    paused = author.subscription(subscription["id"])
    refused = [author.http.post(f"{path}/test"), author.http.post(f"/hook-deliveries/{gone['id']}/redeliver")]
    author.answer(flow_id, "Unheard")
    resumed = author.http.put(path, json={"enabled": True}).json()
    author.answer(flow_id, "Heard")

    assert gone["state"] == "failed"
    assert paused["pausedReason"] == "The receiver answered 410 Gone"
    assert [answer.status_code for answer in refused] == [409, 409]
    assert "enabled=true" in refused[0].json()["message"]
    assert "pausedDate" not in resumed
    assert receiver.next().json()["type"] == "ping"
    assert receiver.next().json()["data"]["output"]["text"] == "You said: Heard"
    assert receiver.is_empty()


@pytest.mark.parametrize(("days", "is_paused"), [(3, True), (1, False)])
def test_a_receiver_that_took_nothing_for_days_is_paused_when_a_message_runs_out_of_tries(
    author: Author, receiver: Receiver, subscribe: Subscribe, execute: Statement, days: int, is_paused: bool
) -> None:
    receiver.script(Reaction(500), Reaction(500))
    subscription = subscribe()
    delivery_id = ping(author, subscription["id"])
    author.tried(delivery_id, 1)

    execute(FAILING_SINCE, [days, subscription["id"]])
    execute(LAST_TRY, [delivery_id])

    assert author.tried(delivery_id, 2)["state"] == "failed"
    seen = author.subscription(subscription["id"])
    assert ("pausedDate" in seen) is is_paused
    assert seen["failures"] == 2


def test_what_was_meant_for_a_receiver_that_was_switched_off_is_not_sent(
    author: Author, receiver: Receiver, subscribe: Subscribe, execute: Statement
) -> None:
    receiver.script(Reaction(500))
    subscription = subscribe()
    delivery_id = ping(author, subscription["id"])
    author.tried(delivery_id, 1)
    author.http.put(f"/hook-subscriptions/{subscription['id']}", json={"enabled": False})

    execute(DUE, [delivery_id])
    wait_for(lambda: author.delivery(delivery_id)["state"] == "failed", "the end of the delivery")

    assert "paused or disabled" in author.delivery(delivery_id)["lastError"]
    receiver.next()
    assert receiver.is_empty()


def test_a_receiver_that_hangs_keeps_nobody_waiting(author: Author, receiver: Receiver, subscribe: Subscribe) -> None:
    receiver.script(*[Reaction(hangs=True)] * 4)
    slow = subscribe()
    hanging = [ping(author, slow["id"])]
    receiver.next()
    hanging += [ping(author, slow["id"]) for _ in range(5)]
    for _ in range(3):
        receiver.next()

    with Receiver() as quick:
        other = subscribe(url=quick.url)
        message_id = ping(author, other["id"])

        assert quick.next().headers["webhook-id"] == message_id
        assert all(author.delivery(one)["state"] == "pending" for one in hanging)
        assert author.tried(message_id, 1)["state"] == "delivered"


def test_deliveries_are_listed_by_their_state(author: Author, receiver: Receiver, subscribe: Subscribe) -> None:
    receiver.script(Reaction(200), Reaction(500))
    subscription = subscribe()
    taken, refused = (ping_and_wait(author, subscription["id"]) for _ in range(2))

    path = f"/hook-subscriptions/{subscription['id']}/deliveries"
    found = {state: author.http.get(path, params={"state": state}) for state in ("delivered", "pending", "failed", "?")}

    assert [one["id"] for one in found["delivered"].json()] == [taken]
    assert [one["id"] for one in found["pending"].json()] == [refused]
    assert (found["failed"].json(), found["delivered"].headers["X-Total-Count"]) == ([], "1")
    assert (found["?"].status_code, found["?"].json()["message"][:6]) == (400, "state:")


def ping_and_wait(author: Author, subscription_id: str) -> str:
    delivery_id = ping(author, subscription_id)
    author.tried(delivery_id, 1)
    return delivery_id


def test_a_delivery_that_is_not_there_is_not_found(author: Author) -> None:
    missing: list[Any] = [f"/hook-deliveries/{uuid4()}", f"/hook-subscriptions/{uuid4()}/deliveries"]

    assert [author.http.get(path).status_code for path in missing] == [404, 404]
