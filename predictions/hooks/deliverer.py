"""Sending what is due: one loop in each worker process, beside its runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from random import Random
from uuid import UUID

from django.conf import settings

from engine.http import HttpClient
from predictions.duties import end, forever
from predictions.hooks.outbox import ClaimedDelivery, claim_due, forget, report
from predictions.hooks.sending import deliver
from predictions.pool import DatabaseAway, Pool, patiently

logger = logging.getLogger(__name__)

TICK_S = 0.5
AT_ONCE = 64
FOR_ONE = 4  # of them for one receiver: one that is slow keeps nobody else waiting
PATIENCE_S = 20.0  # for the database, within the lease
LAST_S = 5.0  # how long tries may go on after the order to stop
FORGET_EVERY_S = 60.0
FORGET_AT_ONCE = 1000


class Deliverer:
    """This process's share of the outbox."""

    def __init__(self, *, pool: Pool, http: HttpClient) -> None:
        self._pool = pool
        self._http = http
        self._random = Random()  # noqa: S311 -- jitter, no secret
        self._sending: dict[asyncio.Task[None], str] = {}
        self._forget_at = 0.0
        self._task = asyncio.create_task(forever(self._deliver_forever))

    async def stop(self) -> None:
        """Take no more, and let what is under way end for a bounded time; the rest becomes due again."""
        await end(self._task)
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_S)
        for task in list(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _deliver_forever(self) -> None:
        while True:
            try:
                while await self._begin_due():
                    pass
                await self._forget()
            except DatabaseAway as exc:
                logger.warning("hooks are not looked after", extra={"error": str(exc)})
            await self._rest()

    async def _begin_due(self) -> bool:
        """Begin a few; whether there may be more."""
        counts = Counter(self._sending.values())
        busy = [url for url, count in counts.items() if count >= FOR_ONE]
        fullest = max((count for count in counts.values() if count < FOR_ONE), default=0)
        room = min(AT_ONCE - len(self._sending), FOR_ONE - fullest)  # all that is claimed may be for one receiver
        if room <= 0:
            return False
        claimed = await claim_due(self._pool, most=room, busy=busy)
        for delivery in claimed:
            if not delivery.is_over:
                task = asyncio.create_task(self._deliver(delivery))
                self._sending[task] = delivery.url
                task.add_done_callback(self._end)
        return len(claimed) == room

    async def _deliver(self, delivery: ClaimedDelivery) -> None:
        outcome = await deliver(self._http, delivery, random=self._random)
        try:
            paused = await patiently(lambda: report(self._pool, outcome), for_s=PATIENCE_S)
        except DatabaseAway:
            # At least once: it is sent again when its lease ends.
            logger.warning("hook delivery not written down", extra={"delivery_id": delivery.id})
            return
        if paused:
            logger.warning("hook subscription paused", extra={"subscription_id": paused, "error": outcome.error})

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        if not task.cancelled() and (exc := task.exception()):
            logger.error("a hook delivery broke", exc_info=exc)

    async def _rest(self) -> None:
        """Until a place is free, or for a tick."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(TICK_S)

    async def _forget(self) -> None:
        if time.monotonic() < self._forget_at:
            return
        self._forget_at = time.monotonic() + FORGET_EVERY_S
        await forget(self._pool, before=_id_of_age(settings.HOOK_RETENTION_D * 86_400), most=FORGET_AT_ONCE)


def _id_of_age(age_s: float) -> UUID:
    """The least id of a row of that age: ids begin with the time in milliseconds."""
    return UUID(int=max(0, int((time.time() - age_s) * 1000)) << 80)
