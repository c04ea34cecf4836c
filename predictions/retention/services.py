"""Deleting runs and messages whose time is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from chatflows.models import Chatflow
from forjinn.core.scopes import system_scope
from predictions.models import ChatMessage, Execution
from predictions.retention.models import Retention

BATCH = 500  # rows in one transaction, so that nobody waits long for their locks
MOST = 20_000  # rows of each kind that one call deletes; the next one goes on
ENDED = (Execution.State.COMPLETED, Execution.State.FAILED, Execution.State.CANCELLED)


def forget_conversations(*, most: int = MOST) -> int:
    """Delete ended runs, what hangs on them, and messages that are older than their flow's or workspace's days.

    Returns how many runs and messages that were, at most `most` of each. A run that goes on or waits stays, however
    old it is: it is deleted once it has ended.
    """
    total = runs = messages = 0
    # It serves all workspaces at once.
    with system_scope():
        for flow_id, before in _due():
            runs += _forget_runs(flow_id, before, most - runs)
            messages += _forget_messages(flow_id, before, most - messages)
            total = runs + messages
            if runs >= most and messages >= most:
                break
    return total


def _due() -> Iterator[tuple[UUID, datetime]]:
    """The flows that are not kept for ever, and the moment before which each one's rows are over."""
    now = timezone.now()
    of_workspaces: Mapping[UUID, int | None] = dict(
        Retention.objects.filter(chatflow=None).values_list("workspace_id", "days")
    )
    own = Retention.objects.exclude(chatflow=None).values_list("chatflow_id", "days")
    of_flows = {flow_id: days for flow_id, days in own if flow_id}
    flows = Chatflow.objects.filter(workspace_id__in=of_workspaces) | Chatflow.objects.filter(id__in=of_flows)
    for flow_id, workspace_id in flows.order_by("id").values_list("id", "workspace_id").iterator():
        days = of_flows[flow_id] if flow_id in of_flows else of_workspaces[workspace_id]
        if days is not None:
            yield flow_id, now - timedelta(days=days)


def _forget_runs(flow_id: UUID, before: datetime, most: int) -> int:
    # By id, which begins with the time in milliseconds: so the index of the flow's runs is enough to find them.
    oldest = UUID(int=int(before.timestamp() * 1000) << 80)
    old = Execution.objects.filter(chatflow_id=flow_id, id__lt=oldest, state__in=ENDED).order_by("-id")
    deleted = 0
    while deleted < most:
        ids = list(old.values_list("id", flat=True)[: min(BATCH, most - deleted)])
        if not ids:
            break
        # Its messages are younger than the run by as long as it took, and say the same.
        ChatMessage.objects.filter(execution_id__in=ids).delete()
        Execution.objects.filter(id__in=ids).delete()
        deleted += len(ids)
    return deleted


def _forget_messages(flow_id: UUID, before: datetime, most: int) -> int:
    # Those whose run is gone, and none of a run that goes on or waits.
    old = ChatMessage.objects.filter(chatflow_id=flow_id, created_at__lt=before, execution=None)
    deleted = 0
    while deleted < most:
        ids = list(old.order_by("-created_at", "-id").values_list("id", flat=True)[: min(BATCH, most - deleted)])
        if not ids:
            break
        deleted += ChatMessage.objects.filter(id__in=ids).delete()[0]
    return deleted
