"""When a model is asked again: a vendor's passing refusal, before anything was said."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from engine.context import Clock
from engine.errors import ProviderError

TRIES = 3
BACKOFF_BASE_S = 0.5
BACKOFF_CEILING_S = 8.0
LONGEST_WAIT_S = 30.0  # a vendor that asks for more is not waited for: the caller is waiting too


@dataclass(frozen=True, slots=True)
class Retrying:
    """Decides, and waits, after a failed call."""

    clock: Clock
    random: Random

    async def may_retry(self, error: ProviderError, failures: int) -> bool:
        """Whether to try again, after the due wait: the vendor's own, else full jitter."""
        asked_s = error.retry_after_s
        if not error.retryable or failures >= TRIES or (asked_s or 0) > LONGEST_WAIT_S:
            return False
        ceiling_s = min(BACKOFF_CEILING_S, BACKOFF_BASE_S * 2**failures)
        await self.clock.sleep(self.random.uniform(0, ceiling_s) if asked_s is None else asked_s)
        return True
