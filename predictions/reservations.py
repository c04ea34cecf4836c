"""Whether one more run may begin: its budgets must not be spent, and a place among the runs at once must be free.

Places are sorted sets in Redis, one for a workspace, key or flow that has such a limit, with the runs that hold one. A
place that nobody gave back, because a worker died or a run was ended while it waited, is found when none is left: the
database then says which of the runs have ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from forjinn.core.errors import Conflict, TooManyRequests, Unavailable
from forjinn.core.rates import passed_uncounted
from predictions.pool import DatabaseAway, Pool, borrowed
from predictions.spending import Counters
from workspaces.limits.budgets import budgets_of, left_of_month_s
from workspaces.limits.records import LimitsRecord, afind_limits

RETRY_S = 2
YOUNG_MS = 10_000  # such a run may be about to be written down
KEPT_S = 86_400

# All places or none: answers the number of the set that has none, or 0.
TAKE = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for i, name in ipairs(KEYS) do
    if not redis.call('ZSCORE', name, ARGV[1]) and redis.call('ZCARD', name) >= tonumber(ARGV[i + 1]) then return i end
end
for i, name in ipairs(KEYS) do
    redis.call('ZADD', name, now_ms, ARGV[1])
    redis.call('EXPIRE', name, KEPT_S)
end
return 0
""".replace("KEPT_S", str(KEPT_S))
# Those that hold a place for a while, once a second at most however many ask.
OLD = """
if not redis.call('SET', KEYS[1] .. ':looked', 1, 'NX', 'PX', 1000) then return {} end
local time = redis.call('TIME')
return redis.call('ZRANGE', KEYS[1], '-inf', time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1], 'BYSCORE')
"""
GOING_ON = "SELECT id FROM predictions_execution WHERE id = ANY(%b) AND state IN ('QUEUED', 'RUNNING')"


class TooManyRuns(TooManyRequests):
    """As many runs as may are going on."""

    code = "too_many_runs"
    retry_after_s = RETRY_S


class BudgetSpent(TooManyRequests):
    """Nothing is left of a month's budget."""

    code = "budget_exceeded"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.retry_after_s = left_of_month_s()


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose limits hold for a run; `key_id`: that of a key of its workspace, if one starts it."""

    workspace_id: UUID
    flow_id: UUID
    key_id: UUID | None


def payer_of(workspace_id: UUID, flow_id: UUID, request: Mapping[str, Any]) -> Payer:
    """`request`: what the run keeps of how it was asked for."""
    key = request.get("key")
    return Payer(workspace_id, flow_id, UUID(key) if key else None)


@dataclass(frozen=True, slots=True)
class Places:
    """Room for runs at once."""

    kind: str
    target_id: UUID
    most: int

    @property
    def name(self) -> str:
        return f"runs:{self.kind}:{self.target_id}"


async def reserve(redis: Redis, pool: Pool, payer: Payer, execution_id: UUID) -> None:
    """Take a place for this run; `release` gives it back. Runs that wait for something hold none.

    Raises BudgetSpent and TooManyRuns; Unavailable for strangers while Redis is away: runs of keys begin then.
    """
    limits = await afind_limits(payer.workspace_id)
    try:
        await _check_budgets(Counters(redis, pool, payer.workspace_id), limits, payer)
        await _take(redis, pool, list(_places(limits, payer)), execution_id)
    except (RedisError, OSError) as exc:
        if payer.key_id is None:
            raise Unavailable("Unavailable for the moment: runs cannot be counted") from exc
        passed_uncounted(exc)


async def release(redis: Redis, payer: Payer, execution_id: UUID) -> None:
    """The run has ended, or waits. What cannot be said now is found out when the place is needed."""
    with contextlib.suppress(RedisError, OSError, Unavailable):
        if places := list(_places(await afind_limits(payer.workspace_id), payer)):
            async with redis.pipeline(transaction=False) as pipeline:
                for one in places:
                    pipeline.zrem(one.name, str(execution_id))
                await pipeline.execute()


@contextlib.asynccontextmanager
async def given_back(redis: Redis, payer: Payer, execution_id: UUID) -> AsyncIterator[None]:
    """Around what begins a run that has its place: should that fail, the place is free again.

    Not if the caller goes away meanwhile, as the run may be written down by then and hold the place; nor if somebody
    else was faster to let it go on.
    """
    try:
        yield
    except Conflict:
        raise
    except Exception:
        await release(redis, payer, execution_id)
        raise


async def _check_budgets(counters: Counters, limits: LimitsRecord, payer: Payer) -> None:
    budgets = list(budgets_of(limits, workspace_id=payer.workspace_id, flow_id=payer.flow_id, key_id=payer.key_id))
    if not budgets:
        return
    for budget, spent in zip(budgets, await counters.add(budgets), strict=True):
        if problem := budget.problem(spent):
            raise BudgetSpent(problem)


async def _take(redis: Redis, pool: Pool, places: Sequence[Places], execution_id: UUID) -> None:
    if not places:
        return
    full = await _full(redis, places, execution_id)
    if full is not None and await _give_back(redis, pool, full):
        full = await _full(redis, places, execution_id)
    if full is not None:
        raise TooManyRuns(
            f"This {full.kind} runs {full.most} flows at once at most: wait until one of them has ended, or ask who "
            "runs this workspace for more"
        )


async def _full(redis: Redis, places: Sequence[Places], execution_id: UUID) -> Places | None:
    """Takes a place in each, or in none: then which is full."""
    names, most = [one.name for one in places], [one.most for one in places]
    number = await redis.execute_command("EVAL", TAKE, len(names), *names, str(execution_id), *most)
    return places[number - 1] if number else None


async def _give_back(redis: Redis, pool: Pool, full: Places) -> bool:
    """Free the places of runs that have ended; whether there were any."""
    held: list[bytes] = await redis.execute_command("EVAL", OLD, 1, full.name, YOUNG_MS)
    ids = [UUID(one.decode()) for one in held]
    if not ids:
        return False
    try:
        async with borrowed(pool) as connection:
            going_on = {row[0] for row in await (await connection.execute(GOING_ON, [ids])).fetchall()}
    except DatabaseAway:
        return False
    ended = [str(one) for one in ids if one not in going_on]
    return bool(ended) and bool(await redis.zrem(full.name, *ended))


def _places(limits: LimitsRecord, payer: Payer) -> Iterator[Places]:
    if most := limits.workspace.runs_at_once:
        yield Places("workspace", payer.workspace_id, most)
    if most := limits.of_flow(payer.flow_id).runs_at_once:
        yield Places("flow", payer.flow_id, most)
    if payer.key_id is not None and (most := limits.of_key(payer.key_id).runs_at_once):
        yield Places("key", payer.key_id, most)
