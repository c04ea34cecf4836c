"""What runs have spent of their budgets: counted between model calls, for all processes at once.

PostgreSQL has the truth: a run's row in the ledger is written when it settles (`predictions.store`). Redis has the
present: a counter a budget, begun from the ledger whenever it is not there and thrown away after some minutes, so that
it cannot stray far. Between two model calls each run adds what it has spent and looks whether anything is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from engine.errors import BudgetExceeded
from engine.providers.base import Usage
from forjinn.core.errors import Unavailable
from forjinn.core.rates import passed_uncounted
from predictions.pool import DatabaseAway, Pool, borrowed
from workspaces.limits.budgets import Budget, Spent, budgets_of, this_month
from workspaces.limits.prices import nano_usd
from workspaces.limits.records import afind_limits

COUNTER_S = 600  # how long a counter is believed before it is begun anew from the ledger

# Counters that are there, after adding; {-1, -1} for one that is not.
ADD = """
local found = {}
for i, name in ipairs(KEYS) do
    if redis.call('EXISTS', name) == 0 then
        found[i] = {-1, -1}
    else
        found[i] = {redis.call('HINCRBY', name, 'tokens', ARGV[1]), redis.call('HINCRBY', name, 'nano', ARGV[2])}
    end
end
return found
"""
# Somebody else may have begun the counter meanwhile: then this run's last call alone is added.
BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], 'tokens', ARGV[1], 'nano', ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[5])
else
    redis.call('HINCRBY', KEYS[1], 'tokens', ARGV[3])
    redis.call('HINCRBY', KEYS[1], 'nano', ARGV[4])
end
return {tonumber(redis.call('HGET', KEYS[1], 'tokens')), tonumber(redis.call('HGET', KEYS[1], 'nano'))}
"""
LEDGER = """
SELECT coalesce(sum(tokens), 0)::bigint, coalesce(sum(nano_usd), 0)::bigint FROM limits_spending
WHERE workspace_id = %b AND month = %b AND kind = %b AND target_id = %b
"""
NOTHING = Spent()


class Counters:
    """The counters of one workspace's budgets."""

    def __init__(self, redis: Redis, pool: Pool, workspace_id: UUID) -> None:
        self._redis = redis
        self._pool = pool
        self._workspace_id = workspace_id

    async def add(
        self, budgets: Sequence[Budget], spent: Spent = NOTHING, *, unsettled: Spent = NOTHING
    ) -> list[Spent]:
        """What was spent of each budget, after adding; `unsettled`: all of the run that the ledger does not have yet.

        Raises RedisError, OSError and DatabaseAway.
        """
        names = [_name(budget) for budget in budgets]
        answer = await self._redis.execute_command("EVAL", ADD, len(names), *names, spent.tokens, spent.nano_usd)
        return [
            await self._begin(budget, spent, unsettled) if tokens < 0 else Spent(tokens, nano)
            for budget, (tokens, nano) in zip(budgets, answer, strict=True)
        ]

    async def _begin(self, budget: Budget, spent: Spent, unsettled: Spent) -> Spent:
        values = [self._workspace_id, this_month().date(), budget.kind, budget.target_id]
        async with borrowed(self._pool) as connection:
            row = await (await connection.execute(LEDGER, values)).fetchone()
        whole = Spent(*(row or (0, 0))) + unsettled
        written = [whole.tokens, whole.nano_usd, spent.tokens, spent.nano_usd, COUNTER_S]
        return Spent(*await self._redis.execute_command("EVAL", BEGIN, 1, _name(budget), *written))


class RunAccount:
    """What one run spends, from whichever budgets hold for it at that moment; implements `engine.budget.Account`.

    While it cannot be counted, the run goes by what it has heard last and spent since.
    """

    def __init__(self, counters: Counters, *, workspace_id: UUID, flow_id: UUID, key_id: UUID | None) -> None:
        self.spent = NOTHING
        self._counters = counters
        self._workspace_id = workspace_id
        self._flow_id = flow_id
        self._key_id = key_id
        self._heard: dict[Budget, Spent] = {}

    async def check(self) -> None:
        """See `Account.check`."""
        for budget, spent in (await self._count(NOTHING)).items():
            if problem := budget.problem(spent):
                raise BudgetExceeded(problem)

    async def spend(self, model_name: str, usage: Usage) -> None:
        """See `Account.spend`."""
        price = nano_usd(model_name, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
        call = Spent(usage.total_tokens, price)
        self.spent += call
        await self._count(call)

    async def _count(self, call: Spent) -> dict[Budget, Spent]:
        try:
            limits = await afind_limits(self._workspace_id)
            budgets = list(
                budgets_of(limits, workspace_id=self._workspace_id, flow_id=self._flow_id, key_id=self._key_id)
            )
            counted = await self._counters.add(budgets, call, unsettled=self.spent) if budgets else []
            self._heard = dict(zip(budgets, counted, strict=True))
        except (RedisError, OSError, DatabaseAway, Unavailable) as exc:
            passed_uncounted(exc)
            self._heard = {budget: spent + call for budget, spent in self._heard.items()}
        return self._heard


def _name(budget: Budget) -> str:
    return f"spent:{budget.kind}:{budget.target_id}:{this_month():%Y-%m}"
