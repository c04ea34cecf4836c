"""The statements of a delivery's life behind the trigger: claim, report, forget. Many workers share them.

A claim is a lease: `next_try_at` moves behind the longest try, so what a killed worker had begun becomes due again.
`attempts` is the fence: a result counts only for the try that it is of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.errors import ForeignKeyViolation

from predictions.pool import Pool, borrowed

LEASE_S = 60.0
DEAD_AFTER_D = 2  # a receiver that took nothing for so long, when a delivery runs out of tries
GONE = 410
ENDED = "The subscription was paused or disabled before this was delivered"
SILENT = "Nothing was taken since %s, and a delivery ran out of tries"
SAID_GONE = "The receiver answered 410 Gone"

# What was meant for a subscription that has been paused or disabled since ends here, unsent.
CLAIM = """
WITH due AS (
    SELECT d.id, coalesce(s.url, d.url) AS url, coalesce(s.secret, d.secret) AS secret,
        d.subscription_id IS NOT NULL AND (s.id IS NULL OR s.paused_at IS NOT NULL OR NOT s.enabled) AS is_over
    FROM hooks_hookdelivery d LEFT JOIN hooks_hooksubscription s ON s.id = d.subscription_id
    WHERE d.next_try_at <= now() AND NOT coalesce(s.url, d.url) = ANY(%b)
    ORDER BY d.next_try_at LIMIT %b FOR UPDATE OF d SKIP LOCKED
)
UPDATE hooks_hookdelivery d
SET attempts = d.attempts + CASE WHEN is_over THEN 0 ELSE 1 END,
    next_try_at = CASE WHEN is_over THEN NULL ELSE clock_timestamp() + make_interval(secs => %b) END,
    gave_up_at = CASE WHEN is_over THEN now() END,
    last_error = CASE WHEN is_over THEN %b ELSE d.last_error END
FROM due WHERE d.id = due.id
RETURNING d.id, due.url, due.secret, d.payload::text, d.attempts, d.attempts - d.attempts_before, due.is_over
"""
REPORT = """
WITH report AS (
    SELECT %(id)b::uuid AS id, %(number)b::int AS number, %(is_taken)b::boolean AS is_taken,
        %(pause_s)b::float8 AS pause_s, %(status)b::int AS status, %(error)b::text AS error
), done AS (
    UPDATE hooks_hookdelivery d
    SET delivered_at = CASE WHEN is_taken THEN now() END,
        gave_up_at = CASE WHEN NOT is_taken AND pause_s IS NULL THEN now() END,
        next_try_at = CASE WHEN NOT is_taken THEN clock_timestamp() + make_interval(secs => pause_s) END,
        last_status = status, last_error = error
    FROM report WHERE d.id = report.id AND d.attempts = report.number AND d.next_try_at IS NOT NULL
    RETURNING d.subscription_id
), logged AS (
    INSERT INTO hooks_hookattempt (delivery_id, number, began_at, duration_ms, status, error, answer)
    SELECT d.id, report.number, %(began_at)b, %(duration_ms)b, report.status, report.error, %(answer)b
    FROM report JOIN hooks_hookdelivery d USING (id)
), verdict AS (
    SELECT s.id, s.failing_since AS since, status IS NOT DISTINCT FROM %(gone)b::int AS is_gone,
        s.failing_since < now() - make_interval(days => %(dead_after)b::int) AS is_silent,
        NOT is_taken AND pause_s IS NULL AS is_last
    FROM report, done JOIN hooks_hooksubscription s ON s.id = done.subscription_id
)
UPDATE hooks_hooksubscription s
SET failures = CASE WHEN is_taken THEN 0 ELSE failures + 1 END,
    failing_since = CASE WHEN NOT is_taken THEN coalesce(failing_since, now()) END,
    paused_at = CASE WHEN is_last AND (is_gone OR is_silent) THEN coalesce(paused_at, now()) ELSE paused_at END,
    paused_reason = CASE WHEN NOT is_last OR paused_at IS NOT NULL THEN paused_reason
        WHEN is_gone THEN %(said_gone)b::text
        WHEN is_silent THEN format(%(silent)b::text, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
        ELSE '' END
FROM verdict, report WHERE s.id = verdict.id AND (NOT is_taken OR failures > 0)
RETURNING s.id, s.paused_at IS NOT DISTINCT FROM now()
"""
FORGET = """
DELETE FROM hooks_hookdelivery WHERE id IN (
    SELECT id FROM hooks_hookdelivery WHERE id < %b AND next_try_at IS NULL ORDER BY id LIMIT %b FOR UPDATE SKIP LOCKED
)
"""


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A message that this process is to send now."""

    id: UUID
    url: str
    secret: str  # sealed, or empty
    body: str
    number: int  # of this try; the fence
    tries: int  # this one among those since it was made, or asked for again
    is_over: bool  # ended by the claim: nobody is to be told any more


@dataclass(frozen=True, slots=True)
class Report:
    """How a try went. `pause_s`: until the next one; None if there is none."""

    id: UUID
    number: int
    is_taken: bool
    pause_s: float | None
    began_at: datetime
    duration_ms: float
    status: int | None
    error: str
    answer: str


async def claim_due(pool: Pool, *, most: int, busy: Sequence[str]) -> list[ClaimedDelivery]:
    """Take over what is due, the oldest first, but for receivers at the URLs in `busy`."""
    async with borrowed(pool) as connection:
        cursor = await connection.execute(CLAIM, [list(busy), most, LEASE_S, ENDED])
        return [ClaimedDelivery(*row) for row in await cursor.fetchall()]


async def report(pool: Pool, outcome: Report) -> UUID | None:
    """Write down how a try went; the subscription that is paused because of it, if one is."""
    values: Mapping[str, object] = {
        **{name: getattr(outcome, name) for name in Report.__slots__},
        "gone": GONE,
        "dead_after": DEAD_AFTER_D,
        "said_gone": SAID_GONE,
        "silent": SILENT,
    }
    try:
        async with borrowed(pool) as connection:
            row = await (await connection.execute(REPORT, values)).fetchone()
    except ForeignKeyViolation:  # deleted while it was sent
        return None
    return row[0] if row and row[1] else None


async def forget(pool: Pool, *, before: UUID, most: int) -> int:
    """Delete ended deliveries whose ids are older, with their logs; how many that were."""
    async with borrowed(pool) as connection:
        return (await connection.execute(FORGET, [before, most])).rowcount
