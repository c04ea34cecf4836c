"""Deleting runs and messages whose time is over, and what is not to be stored at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from redis import Redis

from chatflows.models import Chatflow
from forjinn.core.scopes import system_scope
from predictions.hooks.models import HookDelivery
from predictions.models import ChatMessage, Execution, NodeRun
from predictions.retention.models import Retention
from predictions.stream import stream_key

BATCH = 500  # rows in one transaction, so that nobody waits long for their locks
MOST = 20_000  # rows of each kind that one call deletes; the next one goes on
PASSING_S = 60  # for which an ended run that is not stored can still be read: by those who ask for its answer later
ENDED = (Execution.State.COMPLETED, Execution.State.FAILED, Execution.State.CANCELLED)

# What others have not been told yet is told first.
PASSED = """
SELECT id FROM predictions_execution run
WHERE contents = 'passing' AND state IN ('COMPLETED', 'FAILED', 'CANCELLED')
  AND finished_at < now() - make_interval(secs => %s)
  AND NOT EXISTS (SELECT FROM hooks_hookdelivery sent WHERE sent.execution_id = run.id AND next_try_at IS NOT NULL)
  AND NOT EXISTS (SELECT FROM triggers_callback callback WHERE callback.execution_id = run.id)
ORDER BY finished_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
# Ids, times, counts and the code of an error tell nothing of what was said. The key is who pays.
EMPTY = """
UPDATE predictions_execution
SET contents = 'gone', question = '', checkpoint = NULL, flow_state = NULL,
    request = jsonb_strip_nulls(jsonb_build_object('key', request->'key')),
    error = CASE error WHEN '' THEN '' ELSE %s END,
    output = CASE WHEN output IS NOT NULL THEN jsonb_build_object('text', '', 'question', '', 'chatId', chat_id,
        'sessionId', session_id, 'executionId', id, 'warnings', jsonb_build_array(%s::text)) END
WHERE id = ANY(%s)
"""
NOT_STORED = "What was asked and said in this run is not stored"


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


def empty_runs(*, most: int = MOST) -> int:
    """Delete what was asked and said in ended runs that are not to be stored; returns how many runs that were.

    What stays of a run is that it was, when, how it ended and what it took. Messages of such runs are never written.
    Raises RedisError: a run is emptied once its stream is gone.
    """
    emptied = 0
    with system_scope(), Redis.from_url(settings.REDIS_URL) as redis:
        while emptied < most and (count := _empty_some(redis, min(BATCH, most - emptied))):
            emptied += count
    return emptied


@transaction.atomic
def _empty_some(redis: Redis, most: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(PASSED, [PASSING_S, most])
        ids: list[UUID] = [row[0] for row in cursor.fetchall()]
        if ids:
            redis.delete(*(stream_key(execution_id) for execution_id in ids))
            NodeRun.objects.filter(execution_id__in=ids).delete()
            HookDelivery.objects.filter(execution_id__in=ids).delete()
            cursor.execute(EMPTY, [NOT_STORED, NOT_STORED, ids])
    return len(ids)


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
