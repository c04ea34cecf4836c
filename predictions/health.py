"""Is this process alive, and can predictions be made: for load balancers, supervisors and people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from engine.errors import EngineError
from forjinn.core.permissions import PUBLIC, needing
from forjinn.core.scopes import system_scope
from predictions.leases import DEAD_AFTER_S
from predictions.pool import DatabaseAway, borrowed
from predictions.web import web_process

CHECK_S = 2.0
MODEL_MEMORY_S = 5.0  # how long the model's state is believed: it is asked on behalf of every probe

WORKERS = "SELECT count(*) FROM predictions_workerlease WHERE beat_at > now() - make_interval(secs => %b)"

_model_state: tuple[float, str] = (0.0, "")


@needing(GET=PUBLIC)
async def health(request: HttpRequest) -> HttpResponse:
    """Live: the process answers."""
    return _json({"status": "ok"}, 200)


@needing(GET=PUBLIC)
async def ready(request: HttpRequest) -> HttpResponse:
    """Ready: every part that a prediction needs, each with its state. 503 while one of them is missing."""
    checks: dict[str, Callable[[], Awaitable[str]]] = {
        "database": _database,
        "broker": _broker,
        "worker": _worker,
        "model": _model,
    }
    states = dict(zip(checks, await asyncio.gather(*map(_state, checks.values())), strict=True))
    is_ready = all(state in ("ok", "not configured") for state in states.values())
    return _json({"status": "ok" if is_ready else "unavailable", **states}, 200 if is_ready else 503)


async def is_storage_up() -> bool:
    """Whether runs can be written down and workers told of them."""
    states = await asyncio.gather(_state(_database), _state(_broker))
    return all(state == "ok" for state in states)


async def _state(check: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(CHECK_S):
            return await check()
    except TimeoutError:
        return "no answer"
    except Exception as exc:
        # A probe reports whatever is wrong; it does not fail with it.
        return f"away ({type(exc).__name__})"


async def _database() -> str:
    async with borrowed(web_process().pool) as connection:
        await connection.execute("SELECT 1")
    return "ok"


async def _broker() -> str:
    await web_process().redis.execute_command("PING")
    return "ok" if web_process().hub.is_connected else "subscribing"


async def _worker() -> str:
    try:
        with system_scope():  # workers are no workspace's
            async with borrowed(web_process().pool) as connection:
                row = await (await connection.execute(WORKERS, [DEAD_AFTER_S])).fetchone()
    except DatabaseAway:
        return "unknown: the database is away"
    return "ok" if row and row[0] else "none"


async def _model() -> str:
    """The default model's server, where one is configured. Other models are their flows' own affair."""
    global _model_state
    if not settings.MODEL_URL:
        return "not configured"
    asked_at, state = _model_state
    if state and time.monotonic() - asked_at < MODEL_MEMORY_S:
        return state
    try:
        answer = await web_process().http.request("GET", f"{settings.MODEL_URL.rstrip('/')}/models", timeout_s=CHECK_S)
        state = "ok" if answer.status < 500 else f"answers {answer.status}"
    except EngineError:
        state = "away"
    _model_state = (time.monotonic(), state)
    return state


def _json(body: object, status: int) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json", status=status)
