"""Telling an answer to whoever called a webhook that answers later: `callbackUrl`, signed with `callbackSecret`."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.db import connection

from chatflows.models import ChatflowVersion
from engine.errors import EngineError
from engine.http import HttpClient
from forjinn.core.jsontext import to_json
from predictions.triggers.starts import Start, start_of
from workspaces.world import open_http

logger = logging.getLogger(__name__)

TRIES = 3
PAUSE_S = 3.0
ANSWER_S = 20.0  # a receiver that takes longer has not answered
AT_ONCE = 50
STATES = {"COMPLETED": "SUCCESS", "WAITING": "STOPPED", "CANCELLED": "STOPPED", "FAILED": "ERROR"}
SIGNATURE = "X-Flowise-Signature"

# Taken before it is told: a process that dies on it has used up a try, and the next one comes after a while.
TAKE = """
UPDATE triggers_callback SET tries = tries + 1, due_at = now() + make_interval(secs => %s)
WHERE id IN (
    SELECT callback.id FROM triggers_callback callback JOIN predictions_execution run ON run.id = callback.execution_id
    WHERE callback.due_at <= now() AND run.state NOT IN ('QUEUED', 'RUNNING')
    ORDER BY callback.due_at LIMIT %s FOR UPDATE OF callback SKIP LOCKED
) RETURNING id, execution_id, tries
"""
ANSWERS = "SELECT id, version_id, chat_id, state, output, error FROM predictions_execution WHERE id = ANY(%s)"
AGAIN = "UPDATE triggers_callback SET due_at = now() + make_interval(secs => %s) WHERE id = %s"
DONE = "DELETE FROM triggers_callback WHERE id = %s"


@dataclass(frozen=True, slots=True)
class _Answer:
    callback_id: int
    execution_id: UUID
    tries: int
    start: Start | None
    body: Mapping[str, Any]


async def call_back_due() -> int:
    """Tell every answer that is there by now; how many were tried. One that fails is tried three times in all."""
    due = await sync_to_async(_take)()
    if not due:
        return 0
    async with open_http() as http:
        told = await asyncio.gather(*(_tell(http, answer) for answer in due))
    for answer, is_told in zip(due, told, strict=True):
        await sync_to_async(_note)(answer, is_told=is_told)
    return len(due)


def _take() -> list[_Answer]:
    with connection.cursor() as cursor:
        cursor.execute(TAKE, [ANSWER_S + PAUSE_S, AT_ONCE])
        taken = cursor.fetchall()
        if not taken:
            return []
        cursor.execute(ANSWERS, [[row[1] for row in taken]])
        runs = {row[0]: row[1:] for row in cursor.fetchall()}
    return [_answer(*row, *runs[row[1]]) for row in taken if row[1] in runs]


def _answer(
    callback_id: int,
    execution_id: UUID,
    tries: int,
    version_id: UUID,
    chat_id: str,
    state: str,
    output: Any,
    error: str,
) -> _Answer:
    start = start_of(ChatflowVersion.objects.values_list("flow_data", flat=True).get(pk=version_id))
    status = STATES[state]
    said = orjson.loads(output) if isinstance(output, str) else output
    told = {"error": error} if status == "ERROR" else {"data": said}
    return _Answer(callback_id, execution_id, tries, start, {"status": status, "chatId": chat_id, **told})


async def _tell(http: HttpClient, answer: _Answer) -> bool:
    url = answer.start.text("callbackUrl") if answer.start else ""
    secret = answer.start.text("callbackSecret") if answer.start else ""
    body = to_json(answer.body)
    headers = {"Content-Type": "application/json"}
    if secret:
        headers[SIGNATURE] = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
    try:
        got = await http.request("POST", url, headers=headers, body=body, timeout_s=ANSWER_S, limit=65536, follow=False)
    except EngineError as exc:
        logger.warning("callback failed", extra={"execution_id": answer.execution_id, "error": exc.message})
        return False
    if got.status >= 300:
        logger.warning("callback refused", extra={"execution_id": answer.execution_id, "status": got.status})
    return got.status < 300


def _note(answer: _Answer, *, is_told: bool) -> None:
    with connection.cursor() as cursor:
        if is_told or answer.tries >= TRIES:
            cursor.execute(DONE, [answer.callback_id])
        else:
            cursor.execute(AGAIN, [PAUSE_S * answer.tries, answer.callback_id])
