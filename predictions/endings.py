"""The end of a run that no worker settles: its question is kept, and those who wait are told."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from redis.asyncio import Redis
from redis.exceptions import RedisError

from forjinn.core.ids import uuid7
from predictions.pool import Connection
from predictions.recorder import user_content
from predictions.stream import AT, FIELD, SETTLED, now_ms, stream_key

# The run's other columns are where they were; only the text and the ids are made here.
KEEP = """
INSERT INTO predictions_chatmessage (id, workspace_id, chatflow_id, execution_id, role, content, chat_id, session_id,
    end_user, chat_type, memory_type, lead_email, error, extra)
SELECT turn.id, run.workspace_id, run.chatflow_id, run.id, turn.role, turn.content, run.chat_id, run.session_id,
    run.end_user, run.chat_type, '', coalesce(run.request->>'leadEmail', ''), run.error, '{}'
FROM jsonb_to_recordset(%b::jsonb) AS turn (execution_id uuid, id uuid, role text, content text)
JOIN predictions_execution run ON run.id = turn.execution_id
WHERE run.contents = 'kept'
"""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What a statement that ends runs returns of each, in this order."""

    id: UUID
    attempt: int
    state: str
    error: str
    error_code: str
    reply_to: str
    question: str
    request: Mapping[str, Any]
    attempts_before: int


async def keep_questions(connection: Connection, ended: Sequence[EndedRun]) -> None:
    """Store both turns of each, the answer's empty beside the reason: a conversation forgets no question.

    A run that had paused has its question stored already. Call it in the transaction that ended the runs.
    """
    turns = [turn for run in ended if not run.attempts_before for turn in _turns(run)]
    if turns:
        await connection.execute(KEEP, [orjson.dumps(turns).decode()])


async def tell(redis: Redis, ended: Sequence[EndedRun]) -> None:
    """Tell those who watch, once it is committed. Should that fail, they find the end in the database."""
    for run in ended:
        settled = {"state": run.state, "output": None, "error": run.error, "error_code": run.error_code}
        payload = orjson.dumps([[SETTLED, settled]])
        entry_id = f"{run.attempt}-1"
        pipeline = redis.pipeline(transaction=False)
        pipeline.execute_command("XADD", stream_key(run.id), entry_id, FIELD, payload, AT, now_ms())
        pipeline.execute_command("EXPIRE", stream_key(run.id), settings.STREAM_RETENTION_S)
        if run.reply_to:
            message = b"%b %b %b" % (str(run.id).encode(), entry_id.encode(), payload)
            pipeline.execute_command("PUBLISH", run.reply_to, message)
        with contextlib.suppress(RedisError, OSError):
            await pipeline.execute()


def _turns(run: EndedRun) -> list[dict[str, Any]]:
    asked = user_content(run.question, run.request)
    return [
        {"execution_id": run.id, "id": uuid7(), "role": role, "content": content}
        for role, content in (("userMessage", asked), ("apiMessage", ""))
    ]
