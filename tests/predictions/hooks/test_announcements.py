"""Which changes of a run's state are told to whom: rows of the outbox, written by the database with the change."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import transaction

from predictions.hooks.models import EVENTS, HookDelivery, HookSubscription
from predictions.models import Execution
from tests.factories import make_chatflow
from workspaces.models import Workspace

QUEUED, RUNNING, WAITING = Execution.State.QUEUED, Execution.State.RUNNING, Execution.State.WAITING
STARTED_AT = "2026-01-01T12:00:00Z"


def subscribe(workspace: Workspace, **fields: Any) -> HookSubscription:
    given = {"name": "A", "url": "https://example.com/a", "events": list(EVENTS), "secret": "", **fields}
    subscription: HookSubscription = HookSubscription.objects.create(workspace=workspace, **given)
    return subscription


def make_run(workspace: Workspace, state: str = QUEUED, **fields: Any) -> Execution:
    chatflow = make_chatflow(workspace)
    assert chatflow.version is not None
    run: Execution = Execution.objects.create(
        workspace=workspace,
        chatflow=chatflow,
        version=chatflow.version,
        state=state,
        chat_id="chat",
        session_id="session",
        question="Hi",
        started_at=None if state == QUEUED else STARTED_AT,
        **fields,
    )
    return run


def turn(run: Execution, state: str, **fields: Any) -> None:
    """What every writer of a run's state does, in whichever way."""
    Execution.objects.filter(pk=run.pk).update(state=state, **fields)


def told(run: Execution) -> list[str]:
    return sorted(HookDelivery.objects.filter(execution=run).values_list("event", flat=True))


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (QUEUED, "RUNNING", "run.started"),
        (RUNNING, "COMPLETED", "run.completed"),
        (RUNNING, "FAILED", "run.failed"),
        (RUNNING, "CANCELLED", "run.cancelled"),
        (RUNNING, "WAITING", "run.waiting"),
        (QUEUED, "FAILED", "run.failed"),
        (QUEUED, "CANCELLED", "run.cancelled"),
        (WAITING, "FAILED", "run.failed"),
        (WAITING, "CANCELLED", "run.cancelled"),
    ],
)
def test_a_change_of_state_is_told_once_to_each_receiver(
    workspace: Workspace, before: str, after: str, event: str
) -> None:
    subscribe(workspace)
    run = make_run(workspace, before, request={"hooks": [{"url": "https://example.com/b", "events": [event]}]})

    turn(run, after)

    assert told(run) == [event, event]
    urls = HookDelivery.objects.filter(execution=run).values_list("subscription__url", "url")
    assert sorted(one or other for one, other in urls) == ["https://example.com/a", "https://example.com/b"]


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        (RUNNING, QUEUED, {}),  # taken back from a worker that died
        (QUEUED, RUNNING, {"started_at": STARTED_AT}),  # and taken by another
        (QUEUED, WAITING, {}),  # put back: no worker could be told that it goes on
        (WAITING, QUEUED, {}),
    ],
)
def test_what_is_no_news_is_not_told(workspace: Workspace, before: str, after: str, fields: dict[str, Any]) -> None:
    subscribe(workspace)
    run = make_run(workspace, before)
    Execution.objects.filter(pk=run.pk).update(**fields)

    turn(run, after)

    assert told(run) == []


def test_who_did_not_ask_is_told_nothing(workspace: Workspace, stranger: Workspace) -> None:
    run = make_run(workspace)
    subscribe(stranger)
    subscribe(workspace, events=["run.failed"])
    subscribe(workspace, enabled=False)
    subscribe(workspace, paused_at=STARTED_AT)
    subscribe(workspace, chatflow=make_chatflow(workspace))
    asked = subscribe(workspace, chatflow=run.chatflow)

    turn(run, "RUNNING")

    assert [delivery.subscription for delivery in HookDelivery.objects.all()] == [asked]


def test_a_change_that_is_taken_back_is_told_to_nobody(workspace: Workspace) -> None:
    subscribe(workspace)
    run = make_run(workspace)

    with transaction.atomic():
        turn(run, "RUNNING")
        transaction.set_rollback(True)

    assert told(run) == []


def test_a_message_says_how_the_run_ended(workspace: Workspace) -> None:
    subscribe(workspace)
    run = make_run(workspace, RUNNING)

    turn(
        run,
        "COMPLETED",
        output={"text": "Hello", "agentFlowExecutedData": ["long"]},
        flow_state={"state": {"name": "Ada"}, "form": []},
    )

    payload = HookDelivery.objects.get(execution=run).payload
    run_id = f"run_{run.pk.hex}"
    assert payload.pop("timestamp").endswith("Z")
    assert payload == {
        "type": "run.completed",
        "event": "run.completed",
        "run_id": run_id,
        "status": "completed",
        "state": {"name": "Ada"},
        "error": None,
        "data": {
            "run_id": run_id,
            "executionId": str(run.pk),
            "chatflowId": str(run.chatflow_id),
            "chatId": "chat",
            "sessionId": "session",
            "status": "completed",
            "state": {"name": "Ada"},
            "output": {"text": "Hello"},
            "error": None,
            "errorCode": None,
        },
    }


def test_a_message_says_why_the_run_failed(workspace: Workspace) -> None:
    subscribe(workspace)
    run = make_run(workspace, RUNNING, request={"state": {"email": "a@example.com"}})

    turn(run, "FAILED", error="The model refused", error_code="provider_error")

    payload = HookDelivery.objects.get(execution=run).payload
    assert (payload["error"], payload["data"]["errorCode"]) == ("The model refused", "provider_error")
    assert payload["state"] == {"email": "a@example.com"}


def test_what_is_too_long_for_a_message_is_left_out(workspace: Workspace) -> None:
    subscribe(workspace)
    run = make_run(workspace, RUNNING)

    turn(run, "COMPLETED", output={"text": "x" * 300_000}, flow_state={"state": {"y": "z" * 100_000}})

    payload = HookDelivery.objects.get(execution=run).payload
    assert (payload["data"]["output"], payload["data"]["state"], payload["state"]) == (None, None, None)


def test_the_id_of_a_delivery_begins_with_its_time(workspace: Workspace) -> None:
    subscribe(workspace)
    run = make_run(workspace)
    before_ms = int(time.time() * 1000)

    turn(run, "RUNNING")

    [delivery] = HookDelivery.objects.all()
    assert before_ms - 1 <= delivery.pk.int >> 80 <= int(time.time() * 1000) + 1
    assert delivery.pk.version == 7


def test_a_run_may_hold_anything_under_the_name_of_its_hooks(workspace: Workspace) -> None:
    run = make_run(workspace, request={"hooks": {"url": "https://example.com"}})

    turn(run, "RUNNING")

    assert told(run) == []


def test_a_run_is_deleted_with_what_was_told_of_it(workspace: Workspace) -> None:
    subscribe(workspace)
    run = make_run(workspace)
    turn(run, "RUNNING")

    run.delete()

    assert not HookDelivery.objects.exists()
