"""`Idempotency-Key`: however often a request is sent again, it starts or resumes one run, and gets its answer.

The key is written down in the statement that records the run, so of many at once one wins and the rest attach to its
run. Keys live for 24 hours, apart for each workspace, flow, API key and speaker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from forjinn.core.errors import AppError
from predictions.pool import Pool, borrowed
from predictions.requests import RequestInvalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST = 255

FIND = """
SELECT execution_id, attempt, answer, fingerprint FROM predictions_idempotencykey
WHERE scope = %b AND key = %b AND created_at > now() - interval '24 hours'
"""


class KeyReused(AppError):
    """The key came before, with another request."""

    status = 422
    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Once:
    """A request that is to count once. `scope` and `fingerprint` are SHA-256, in hexadecimal digits."""

    scope: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class First:
    """What the first request with this key did: the run that it started or resumed, and the attempts before that.

    `resumed`: all runs, of a request that resumed several.
    """

    execution_id: UUID
    attempt: int
    resumed: Sequence[str] = ()


def read_once(request: HttpRequest, *scope: object) -> Once | None:
    """The request's key, None if it has none; `scope` says within which keys are unique. Raises RequestInvalid."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not key or len(key) > LONGEST or not key.isprintable():
        raise RequestInvalid(f"{HEADER}: expected 1 to {LONGEST} printable characters")
    # Who calls is in the scope: callers of a public flow who hit on one key must not meet.
    within = hashlib.sha256("\n".join(map(str, scope)).encode())
    whole = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode() + request.body)
    return Once(within.hexdigest(), key, whole.hexdigest())


async def find_first(pool: Pool, once: Once) -> First | None:
    """What the first request with this key did, if there was one.

    Raises KeyReused if that was another request, DatabaseAway.
    """
    async with borrowed(pool) as connection:
        row = await (await connection.execute(FIND, [once.scope, once.key])).fetchone()
    if row is None:
        return None
    execution_id, attempt, answer, fingerprint = row
    if fingerprint != once.fingerprint:
        raise KeyReused(f"{HEADER} '{once.key[:64]}' came before with another request: send a new key with this one")
    return First(execution_id, attempt, answer or ())
