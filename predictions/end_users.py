"""End users whom pages have named: who they are, all that is kept of one, and its erasure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from redis import Redis

from forjinn.core.errors import Conflict, NotFound
from forjinn.core.scopes import current, system_scope
from predictions.models import ChatMessage, Execution
from predictions.serializers import ChatMessageSerializer, ExecutionSerializer
from predictions.speakers import PREFIX, name_of
from predictions.stream import stream_key

OPEN = (Execution.State.QUEUED, Execution.State.RUNNING)
BATCH = 500

# Of runs, and of messages whose runs were deleted. One index entry of each is read for an end user, however much of
# theirs there is; `least` and `greatest` ignore what is not there.
NAMED = "workspace_id = %(workspace_id)s::uuid AND end_user LIKE 'user:%%'"
NEXT = f"""least(
    (SELECT end_user FROM predictions_execution WHERE {NAMED} AND end_user > {{after}} ORDER BY end_user LIMIT 1),
    (SELECT end_user FROM predictions_chatmessage WHERE {NAMED} AND end_user > {{after}} ORDER BY end_user LIMIT 1))"""  # noqa: S608 -- of constants
SEEN = f"""{{which}}(
    (SELECT created_at FROM predictions_execution
     WHERE {NAMED} AND end_user = seen.end_user ORDER BY id {{order}} LIMIT 1),
    (SELECT created_at FROM predictions_chatmessage
     WHERE {NAMED} AND end_user = seen.end_user ORDER BY id {{order}} LIMIT 1))"""  # noqa: S608 -- of constants
LIST = f"""
WITH RECURSIVE seen AS (
    SELECT {NEXT.format(after="%(after)s")} AS end_user
    UNION ALL
    SELECT {NEXT.format(after="seen.end_user")} FROM seen WHERE seen.end_user IS NOT NULL
)
SELECT seen.end_user, {SEEN.format(which="least", order="ASC")}, {SEEN.format(which="greatest", order="DESC")}
FROM seen WHERE seen.end_user IS NOT NULL LIMIT %(limit)s
"""  # noqa: S608 -- likewise


@dataclass(frozen=True, slots=True)
class EndUser:
    """Somebody whom a page has named."""

    id: str
    first_seen_at: datetime
    last_seen_at: datetime


def list_end_users(workspace_id: UUID, *, after: str, limit: int) -> list[EndUser]:
    """By their ids, those behind `after`."""
    with connection.cursor() as cursor:
        names: dict[str, str | int] = {"workspace_id": str(workspace_id), "after": PREFIX + after, "limit": limit}
        cursor.execute(LIST, names)
        return [EndUser(str(name_of(name)), first, last) for name, first, last in cursor.fetchall()]


def find_end_user(workspace_id: UUID, subject: str) -> EndUser:
    """Raises NotFound for somebody of whom nothing is kept."""
    kept = () if "\0" in subject else (_runs(workspace_id, subject), _messages(workspace_id, subject))
    times = [
        row.created_at for rows in kept for row in (rows.order_by("id").first(), rows.order_by("id").last()) if row
    ]
    if not times:
        raise NotFound(f"Nothing is kept of an end user {subject[:64]}")
    return EndUser(subject, min(times), max(times))


def export_end_user(workspace_id: UUID, subject: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All that is kept of one: `message` and `execution`, as the API shows each, oldest first. Raises NotFound."""
    find_end_user(workspace_id, subject)
    for message in _messages(workspace_id, subject).order_by("id").iterator(BATCH):
        yield "message", ChatMessageSerializer().to_representation(message)
    for run in _runs(workspace_id, subject).prefetch_related("node_runs").order_by("id").iterator(BATCH):
        yield "execution", {**ExecutionSerializer().to_representation(run), "request": run.request}


def erase_end_user(workspace_id: UUID, subject: str) -> Mapping[str, int]:
    """Delete their runs, with all that hangs on these, their messages, and the streams of both; returns how many.

    Raises NotFound, and Conflict while one of their runs goes on.
    """
    find_end_user(workspace_id, subject)
    if _runs(workspace_id, subject).filter(state__in=OPEN).exists():
        raise Conflict("A run of this end user is going on: stop it, then repeat")
    counts = {"executions": 0, "messages": 0}
    while ids := list(_runs(workspace_id, subject).values_list("pk", flat=True)[:BATCH]):
        counts["messages"] += _erase(workspace_id, ids)
        counts["executions"] += len(ids)
    left, _ = _messages(workspace_id, subject).delete()  # of runs that were deleted before
    counts["messages"] += left
    return counts


@transaction.atomic
def _erase(workspace_id: UUID, ids: Sequence[UUID]) -> int:
    deleted, _ = ChatMessage.objects.filter(workspace_id=workspace_id, execution_id__in=ids).delete()
    # What was sent to receivers of hooks hangs on the run, in tables that the workspace only reads.
    with system_scope(current().actor):
        Execution.objects.filter(workspace_id=workspace_id, pk__in=ids).delete()
    with Redis.from_url(settings.REDIS_URL) as redis:
        redis.delete(*(stream_key(execution_id) for execution_id in ids))
    return deleted


def _runs(workspace_id: UUID, subject: str) -> Any:
    # Said twice, so that the index of end users is of use.
    named = Execution.objects.filter(workspace_id=workspace_id, end_user__startswith=PREFIX)
    return named.filter(end_user=PREFIX + subject)


def _messages(workspace_id: UUID, subject: str) -> Any:
    named = ChatMessage.objects.filter(workspace_id=workspace_id, end_user__startswith=PREFIX)
    return named.filter(end_user=PREFIX + subject)
