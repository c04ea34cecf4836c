"""Webhooks as calls find them: whose they are, whether they may start one more run, and which they started."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from chatflows.records import FlowRecord
from forjinn.core.crypto import SealBroken
from forjinn.core.errors import AppError, Conflict, Unavailable
from predictions.asking import Begun, begin
from predictions.idempotency import LONGEST, Once
from predictions.pool import Pool, borrowed
from predictions.requests import PredictionRequest, RequestInvalid
from predictions.triggers.models import hash_token, open_secrets
from predictions.triggers.signatures import NOT_KEPT, delivery_of
from predictions.web import WebProcess

logger = logging.getLogger(__name__)

COLUMNS = "id, chatflow_id, enabled, sealed, platform, input_mapping, message, timeout_s"
FIND = f"SELECT {COLUMNS} FROM triggers_trigger WHERE digest = %b AND kind = 'webhook'"  # noqa: S608 -- our own text
FIND_OWN = f"SELECT {COLUMNS} FROM triggers_trigger WHERE chatflow_id = %b AND is_of_flow AND kind = 'webhook'"  # noqa: S608
TAKE = """
UPDATE triggers_trigger SET execution_count = execution_count + 1, last_executed = now()
WHERE id = %b AND enabled AND (max_executions IS NULL OR execution_count < max_executions) RETURNING id
"""
GIVE_BACK = "UPDATE triggers_trigger SET execution_count = execution_count - 1 WHERE id = %b AND execution_count > 0"
FIRED = "INSERT INTO triggers_firing (trigger_id, execution_id) VALUES (%b, %b) ON CONFLICT DO NOTHING"
CALL_BACK = """
INSERT INTO triggers_callback (execution_id, tries) VALUES (%b, 0)
ON CONFLICT (execution_id) DO UPDATE SET tries = 0, due_at = now()
"""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One that may be called. `sealed`: what verifies its calls."""

    id: UUID
    chatflow_id: UUID
    enabled: bool
    sealed: str
    platform: str
    input_mapping: Mapping[str, str]
    message: str
    timeout_s: int

    def secrets(self) -> list[str]:
        """What its calls are signed with; none if nothing verifies them. Raises Unavailable if they cannot be read."""
        try:
            return [secret for secret in open_secrets(self.sealed).values() if secret]
        except SealBroken as exc:
            logger.error("webhook's secret cannot be read", extra={"trigger_id": self.id})
            raise Unavailable("This webhook's secret cannot be read: set it anew") from exc


async def find_webhook(pool: Pool, token: str) -> Webhook | None:
    """The webhook at this address, as it is at this moment: a token that was rotated is unknown at once."""
    return await _find(pool, FIND, hash_token(token))


async def find_own_webhook(pool: Pool, flow: FlowRecord) -> Webhook | None:
    """That of the flow's start node."""
    return await _find(pool, FIND_OWN, flow.id)


async def _find(pool: Pool, statement: str, value: object) -> Webhook | None:
    async with borrowed(pool) as connection:
        row = await (await connection.execute(statement, [value])).fetchone()
    return Webhook(*row) if row else None


async def start_run(
    process: WebProcess,
    *,
    webhook: Webhook,
    flow: FlowRecord,
    asked: PredictionRequest,
    once: Once | None,
    is_streaming: bool = False,
    has_caller: bool = False,
    timeout_s: float | None = None,
) -> Begun:
    """Start one run more, or find that of an earlier delivery. Whoever gets it closes the watcher.

    Raises Conflict if the webhook is off or has started as many as it may, and what `begin` raises.
    """
    if not await _run(process.pool, TAKE, webhook.id):
        raise Conflict("This webhook starts no more runs: it is off, or has started as many as it may")
    try:
        begun = await begin(
            process,
            flow=flow,
            asked=asked,
            is_streaming=is_streaming,
            once=once,
            has_caller=has_caller,
            timeout_s=timeout_s,
        )
    except AppError:
        await _run(process.pool, GIVE_BACK, webhook.id)
        raise
    if begun.is_replay:
        await _run(process.pool, GIVE_BACK, webhook.id)
    else:
        await _run(process.pool, FIRED, webhook.id, begun.execution_id)
    return begun


async def promise_callback(pool: Pool, execution_id: UUID) -> None:
    """Write down that somebody is to be told the run's answer."""
    await _run(pool, CALL_BACK, execution_id)


async def _run(pool: Pool, statement: str, *values: object) -> int:
    """How many rows it changed."""
    async with borrowed(pool) as connection:
        return (await connection.execute(statement, list(values))).rowcount


def read_delivery(request: HttpRequest, webhook: Webhook) -> Once | None:
    """The delivery's own id, if the sender gave it one: it then counts once. Raises RequestInvalid."""
    delivery = delivery_of(request.headers)
    if delivery is None:
        return None
    if not delivery or len(delivery) > LONGEST or not delivery.isprintable():
        raise RequestInvalid(f"The delivery's id must have 1 to {LONGEST} printable characters")
    scope = hashlib.sha256(f"webhook\n{webhook.id}".encode()).hexdigest()
    return Once(scope, delivery, hashlib.sha256(request.body).hexdigest())


def call_of(request: HttpRequest, body: Any, *secret_headers: str) -> dict[str, Any]:
    """The call as its run sees it: `{{ $webhook.body.… }}`. What verified it is nobody's to read."""
    hidden = NOT_KEPT | {name.lower() for name in secret_headers}
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower() not in hidden}
    query = {name: values[-1] for name, values in request.GET.lists() if name != "apiKey" and values}
    return {"body": body, "headers": headers, "query": query}
