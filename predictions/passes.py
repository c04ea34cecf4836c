"""Whether somebody who follows a run still may: a key that ends takes with it, within a second, what it has opened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from forjinn.core.errors import AppError, Unavailable
from forjinn.core.scopes import request_scope
from predictions.pool import DatabaseAway

EVERY_S = 0.8  # between two looks, however much there is to tell
PATIENCE_S = 1.0  # nobody waits longer for a look than that


class Pass:
    """What somebody has shown to be let in. `show` shows it again, and raises what they are refused with."""

    def __init__(self, show: Callable[[], Awaitable[object]]) -> None:
        self._show = show
        self._next_at = asyncio.get_running_loop().time() + EVERY_S

    async def check(self) -> None:
        """Raises what they would be refused with now."""
        with request_scope():
            await self._show()

    async def holds(self) -> bool:
        """Whether they would be let in now, or a moment ago. What cannot be found out at once holds."""
        now = asyncio.get_running_loop().time()
        if now < self._next_at:
            return True
        self._next_at = now + EVERY_S
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.check()
        except (Unavailable, DatabaseAway, TimeoutError):
            return True
        except AppError:
            return False
        return True
