"""Starting a run: the checks in their order, the record, the wake-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from apikeys.records import KeyRecord
from chatflows.records import FlowRecord, afind_flow
from forjinn.core.errors import AppError, NotFound, Unauthenticated, Unavailable
from forjinn.core.ids import uuid7
from predictions.dispatch import BrokerAway
from predictions.pool import DatabaseAway, Pool, borrowed
from predictions.requests import PredictionRequest
from predictions.store import NewRun
from predictions.web import WebProcess


class OriginForbidden(AppError):
    """The page that asks is not among the flow's allowed origins."""

    status = 403
    code = "origin_forbidden"


class NotRunnable(AppError):
    """The flow exists and may be called, but not like this."""

    status = 400
    code = "not_runnable"


class RunFailedError(AppError):
    """The run ended without an answer; the status follows from why."""

    STATUS: ClassVar[Mapping[str, int]] = {
        "provider_error": 502,
        "node_timeout": 504,
        "worker_lost": 503,
        "database_away": 503,
        "broker_away": 503,
        "internal": 500,
        "node_failed": 500,
    }

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        # What is left is the flow's own: a graph, an input or a limit that its author can mend.
        self.status = self.STATUS.get(code, 422)


@dataclass(frozen=True, slots=True)
class FoundRun:
    """What a viewer of a run needs to know of it."""

    id: UUID
    chatflow_id: UUID
    question: str
    chat_id: str
    session_id: str


FIND_RUN = "SELECT id, chatflow_id, question, chat_id, session_id FROM predictions_execution WHERE id = %b"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key, if one was sent and is good, and what the browser says of the page."""

    key: KeyRecord | None
    sent_key: bool
    origin: str


async def find_callable_flow(chatflow_id: str, caller: Caller) -> FlowRecord:
    """The flow, if this caller may run it. The order of the checks is part of the contract."""
    try:
        flow_id = UUID(chatflow_id)
    except ValueError:
        raise NotRunnable("Invalid Chatflow ID") from None
    flow = await afind_flow(flow_id)
    if flow is None:
        raise NotFound(f"Chatflow {chatflow_id} not found")
    check_origin(flow, caller.origin)
    _check_key(flow, caller, chatflow_id)
    if not flow.deployed:
        raise NotFound(f"Chatflow {chatflow_id} is not deployed: set deployed to true to accept predictions")
    if flow.start_input_type in ("webhookTrigger", "scheduleInput"):
        way = f"/api/v1/webhook/{chatflow_id}" if flow.start_input_type == "webhookTrigger" else "its schedule only"
        raise NotRunnable(f"Chatflow {chatflow_id} is started through {way}")
    return flow


def check_origin(flow: FlowRecord, origin: str) -> None:
    """Raises OriginForbidden for a page that the flow's `allowedOrigins` does not list."""
    allowed = [str(entry).strip() for entry in flow.chatbot_config.get("allowedOrigins") or () if str(entry).strip()]
    if not origin or not allowed:
        return
    host = urlsplit(origin).netloc
    if not any(entry in ("*", origin, host) or (urlsplit(entry).netloc or entry) == host for entry in allowed):
        text = flow.chatbot_config.get("allowedOriginsError") or "This site is not allowed to access this chatbot"
        raise OriginForbidden(str(text))


def _check_key(flow: FlowRecord, caller: Caller, chatflow_id: str) -> None:
    if flow.apikey_id is not None:
        if caller.key is None or caller.key.id != flow.apikey_id:
            raise Unauthenticated("Unauthorized: this chatflow needs the API key that it is tied to")
        return
    if flow.is_public:
        return
    if caller.key is None:
        raise Unauthenticated(
            "Invalid API key" if caller.sent_key else "API key missing: send Authorization: Bearer <key>"
        )
    if caller.key.workspace_id != flow.workspace_id:
        # The same words as for a flow that does not exist: a stranger learns nothing.
        raise NotFound(f"Chatflow {chatflow_id} not found")


async def start_prediction(
    process: WebProcess, *, flow: FlowRecord, request: PredictionRequest, execution_id: UUID, is_streaming: bool
) -> None:
    """Record the run and wake a worker. Raises Unavailable, within seconds, when either cannot be done."""
    if not process.hub.is_connected:
        raise Unavailable("Predictions are unavailable for the moment: the broker cannot be reached")
    run = NewRun(
        id=execution_id,
        workspace_id=flow.workspace_id,
        chatflow_id=flow.id,
        version_id=flow.version_id,
        chat_id=request.chat_id,
        session_id=request.session_id,
        chat_type="EXTERNAL",
        question=request.question,
        request=request.stored(),
        is_streaming=is_streaming,
        reply_to=process.hub.channel,
    )
    try:
        await process.start_run(run)
    except BrokerAway as exc:
        raise Unavailable("Predictions are unavailable for the moment: the broker cannot be reached") from exc
    except DatabaseAway as exc:
        raise Unavailable("Predictions are unavailable for the moment: the database cannot be reached") from exc


async def find_run(pool: Pool, *, execution_id: UUID, chatflow_id: UUID | None = None) -> FoundRun:
    """A run, of the given flow if one is given. Raises NotFound."""
    async with borrowed(pool) as connection:
        row = await (await connection.execute(FIND_RUN, [execution_id])).fetchone()
    if row is None or (chatflow_id is not None and row[1] != chatflow_id):
        raise NotFound(f"Execution {execution_id} not found")
    return FoundRun(*row)


def new_execution_id() -> UUID:
    """Time-ordered, so that runs of a flow lie together."""
    return uuid7()
