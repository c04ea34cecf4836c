"""The background tasks of web and worker processes: none of them ends for a reason that nobody thought of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

PAUSE_S = 1.0
CANCEL_AGAIN_S = 1.0


async def forever(duty: Callable[[], Awaitable[None]]) -> None:
    """Do a duty until it is done or cancelled. One that breaks is told in the log and begun again after a pause."""
    while True:
        try:
            return await duty()
        except Exception:
            logger.exception("a duty broke and begins again", extra={"duty": getattr(duty, "__qualname__", repr(duty))})
            await asyncio.sleep(PAUSE_S)


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a duty, again and again until it has ended: what it awaits may swallow a cancellation that comes just when
    its result does."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
