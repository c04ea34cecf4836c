"""When a model is asked again: a vendor's passing refusal, before anything was said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from engine.context import Clock
from engine.errors import ProviderError

TRIES = 3
BACKOFF_BASE_S = 0.5
BACKOFF_CEILING_S = 8.0
LONGEST_WAIT_S = 30.0  # a vendor that asks for more is not waited for: the caller is waiting too

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Retrying:
    """Calls, and after a failure that may pass waits and calls again."""

    clock: Clock
    random: Random

    async def answer(self, call: Callable[[], Awaitable[Given]]) -> Given:
        """What a call gives. Raises the ProviderError of the last one."""
        failures = 0
        while True:
            try:
                return await call()
            except ProviderError as exc:
                failures += 1
                if not await self._may_retry(exc, failures):
                    raise

    async def pieces(self, listen: Callable[[], AsyncIterator[Given]]) -> AsyncGenerator[Given, None]:
        """The pieces of an answer as they arrive. After the first a retry would say it twice: there is none."""
        failures = 0
        while True:
            has_begun = False
            try:
                async for piece in listen():
                    has_begun = True
                    yield piece
                return
            except ProviderError as exc:
                failures += 1
                if has_begun or not await self._may_retry(exc, failures):
                    raise

    async def _may_retry(self, error: ProviderError, failures: int) -> bool:
        """Whether to try again, after the due wait: the vendor's own, else full jitter."""
        asked_s = error.retry_after_s
        if not error.retryable or failures >= TRIES or (asked_s or 0) > LONGEST_WAIT_S:
            return False
        ceiling_s = min(BACKOFF_CEILING_S, BACKOFF_BASE_S * 2**failures)
        await self.clock.sleep(self.random.uniform(0, ceiling_s) if asked_s is None else asked_s)
        return True
