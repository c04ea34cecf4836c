"""One try to deliver a message: the request, and what is made of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

from engine.errors import EngineError
from engine.http import HttpClient, Patience, StreamedAnswer
from forjinn.core.crypto import SealBroken, unseal
from predictions.hooks.outbox import GONE, ClaimedDelivery, Report
from predictions.hooks.schedule import pause_after, read_wish
from predictions.hooks.signatures import signed_headers

TIMEOUT_S = 15.0
SHOWN_BYTES = 1000  # of an answer's body
BODY_S = 2.0  # how long the beginning of a body may take: its status has decided already


@dataclass(frozen=True, slots=True)
class Said:
    """What a receiver answered, or why it did not."""

    status: int | None = None
    error: str = ""
    answer: str = ""
    retry_after: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def deliver(http: HttpClient, delivery: ClaimedDelivery, *, random: Random) -> Report:
    """Send it once. Whatever goes wrong is in the report."""
    began_at = datetime.now(UTC)
    started = time.monotonic()
    said = await _send(http, delivery, int(began_at.timestamp()))
    pause_s = None
    if not said.is_taken and said.status != GONE:
        wish_s = read_wish(said.retry_after, now=time.time())
        pause_s = pause_after(delivery.tries, wish_s=wish_s, random=random)
    return Report(
        id=delivery.id,
        number=delivery.number,
        is_taken=said.is_taken,
        pause_s=pause_s,
        began_at=began_at,
        duration_ms=(time.monotonic() - started) * 1000,
        status=said.status,
        error=said.error,
        answer=said.answer,
    )


async def _send(http: HttpClient, delivery: ClaimedDelivery, timestamp: int) -> Said:
    body = delivery.body.encode()
    said = Said()
    try:
        secret = unseal(delivery.secret) if delivery.secret else None
        headers = signed_headers(delivery_id=str(delivery.id), timestamp=timestamp, body=body, secret=secret)
        headers |= {"Content-Type": "application/json", "User-Agent": "Forjinn-Hooks"}
        patience = Patience(TIMEOUT_S, TIMEOUT_S)
        async with http.stream("POST", delivery.url, headers=headers, body=body, patience=patience) as answer:
            said = Said(answer.status, _refusal(answer.status), "", answer.headers.get("retry-after", ""))
            said = replace(said, answer=await _beginning(answer))
    except SealBroken:
        return Said(error="The secret was sealed with a key that is no longer among ENCRYPTION_KEYS: subscribe anew")
    except EngineError as exc:
        # The status has decided, even if the rest of the answer breaks off.
        return said if said.status is not None else Said(error=str(exc))
    return said


async def _beginning(answer: StreamedAnswer) -> str:
    body = b""
    with contextlib.suppress(EngineError, TimeoutError):
        async with asyncio.timeout(BODY_S):
            while len(body) < SHOWN_BYTES and (chunk := await answer.chunk()):
                body += chunk
    return body[:SHOWN_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")


def _refusal(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"Answered {status}: redirects are not followed, so subscribe with the address that they lead to"
    return f"Answered {status}"
