"""The last word on an answer: a flow's own JavaScript may rewrite it before it is stored and sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from chatflows.records import FlowRecord, is_post_processed
from engine.context import World
from engine.errors import EngineError
from engine.events import RunFinished
from engine.providers.base import Message
from predictions.store import ClaimedRun

logger = logging.getLogger(__name__)

SPEAKERS = {"user": "userMessage", "assistant": "apiMessage"}


def post_processor(flow: FlowRecord) -> str:
    """The function's text; empty if the flow has none that is switched on."""
    if not is_post_processed(flow.chatbot_config):
        return ""
    code = str(flow.chatbot_config["postProcessing"].get("customFunction") or "")
    try:
        # The editor stores it as a JSON text inside the JSON.
        read = orjson.loads(code)
    except ValueError:
        return code
    return read if isinstance(read, str) else code


async def post_processed(code: str, answer: RunFinished, run: ClaimedRun, world: World) -> str | None:
    """The text that takes the answer's place; None leaves the answer as it is. A function that fails is only logged."""
    history = await world.history.load() if "chatHistory" in code else ()
    variables = {"$flow": _flow(answer, run, history), "$vars": dict(world.variables), "$input": run.question}
    try:
        returned = await world.sandbox.run(code, variables=variables, http=world.http)
    except EngineError as exc:
        logger.warning("post-processing failed", extra={"execution_id": run.id, "error": exc.message})
        return None
    return _text(returned.value)


def _flow(answer: RunFinished, run: ClaimedRun, history: Sequence[Message]) -> Mapping[str, Any]:
    raw = answer.text if answer.json is None else orjson.dumps(answer.json, option=orjson.OPT_INDENT_2).decode()
    return {
        "chatflowId": str(run.chatflow_id),
        "sessionId": run.session_id,
        "chatId": run.chat_id,
        "input": run.question,
        "rawOutput": raw,
        "chatHistory": [{"type": SPEAKERS.get(m.role, m.role), "message": m.content} for m in history],
        "sourceDocuments": list(answer.sources),
        "usedTools": list(answer.used_tools),
        "artifacts": [],
        "fileAnnotations": [],
    }


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return f"```json\n{orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()}\n```"
    return orjson.dumps(value).decode()
