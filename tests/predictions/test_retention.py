"""Runs and conversations go when their workspace's or flow's days are over."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from chatflows.models import Chatflow
from forjinn.celery import app
from predictions.models import ChatMessage, Execution, NodeRun
from predictions.retention.models import Retention
from predictions.retention.services import forget_conversations
from predictions.retention.tasks import forget_old_conversations
from tests.factories import make_chatflow
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db


def make_old_run(flow: Chatflow, *, age_d: float, state: str = "COMPLETED") -> Execution:
    assert flow.version_id
    then = timezone.now() - timedelta(days=age_d)
    run = Execution.objects.create(
        id=UUID(int=int(then.timestamp() * 1000) << 80 | flow.pk.int & (1 << 80) - 1),
        workspace_id=flow.workspace_id,
        chatflow=flow,
        version_id=flow.version_id,
        state=state,
        chat_id="c",
        session_id="c",
        question="hello",
        created_at=then,
    )
    NodeRun.objects.create(
        execution=run, attempt=1, seq=1, node_id="n", label="n", status="FINISHED", entry={}, duration_ms=1
    )
    said = {"workspace_id": flow.workspace_id, "chatflow": flow, "chat_id": "c", "session_id": "c"}
    ChatMessage.objects.create(execution=run, role="userMessage", content="hello", created_at=then, **said)
    return run


def test_what_is_older_than_the_workspaces_days_goes_with_all_that_hangs_on_it(workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    Retention.objects.create(workspace=workspace, days=30)
    old, recent = make_old_run(flow, age_d=30.01), make_old_run(flow, age_d=29.99)

    forget_old_conversations()

    assert list(Execution.objects.filter(chatflow=flow)) == [recent]
    assert not NodeRun.objects.filter(execution_id=old.pk).exists()
    assert [message.execution_id for message in ChatMessage.objects.filter(chatflow=flow)] == [recent.pk]


@pytest.mark.parametrize(("days", "is_kept"), [(None, True), (90, True), (7, False)], ids=["ever", "longer", "less"])
def test_a_flows_own_days_count_instead(workspace: Workspace, days: int | None, is_kept: bool) -> None:
    flow = make_chatflow(workspace)
    Retention.objects.create(workspace=workspace, days=30 if is_kept else 365)
    Retention.objects.create(workspace=workspace, chatflow=flow, days=days)
    run = make_old_run(flow, age_d=60)

    forget_conversations()

    assert Execution.objects.filter(pk=run.pk).exists() is is_kept


def test_a_workspace_that_has_set_nothing_keeps_all(workspace: Workspace, stranger: Workspace) -> None:
    Retention.objects.create(workspace=stranger, days=1)
    run = make_old_run(make_chatflow(workspace), age_d=5000)

    forget_conversations()

    assert Execution.objects.filter(pk=run.pk).exists()


def test_a_run_that_has_not_ended_stays_with_what_was_said(workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    Retention.objects.create(workspace=workspace, days=1)
    run = make_old_run(flow, age_d=9, state="WAITING")

    forget_conversations()

    assert Execution.objects.filter(pk=run.pk).exists()
    assert ChatMessage.objects.filter(execution=run).exists()


def test_one_call_deletes_no_more_than_it_may_and_the_next_goes_on(workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    Retention.objects.create(workspace=workspace, days=1)
    for age_d in (2, 3, 4):
        make_old_run(flow, age_d=age_d)

    assert forget_conversations(most=2) == 2
    assert forget_conversations(most=2) == 1
    assert forget_conversations(most=2) == 0


def test_whoever_minds_the_clock_asks_for_it() -> None:
    tasks = {entry["task"] for entry in app.conf.beat_schedule.values()}

    assert forget_old_conversations.name in tasks


def test_messages_whose_run_is_gone_go_by_their_own_age(workspace: Workspace) -> None:
    flow = make_chatflow(workspace)
    Retention.objects.create(workspace=workspace, days=30)
    runs = [make_old_run(flow, age_d=age_d) for age_d in (31, 29)]
    recent = ChatMessage.objects.get(execution=runs[1])
    Execution.objects.filter(pk__in=[run.pk for run in runs]).delete()

    forget_conversations()

    assert list(ChatMessage.objects.filter(chatflow=flow)) == [recent]
