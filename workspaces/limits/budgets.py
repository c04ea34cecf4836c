"""Budgets of a calendar month (UTC): which hold for a run, and what there is to say when one is spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from workspaces.limits.records import Bounds, LimitsRecord

NANO = 1_000_000_000
Kind = Literal["workspace", "key", "flow"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, and money in 1e-9 of a dollar."""

    tokens: int = 0
    nano_usd: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.tokens + other.tokens, self.nano_usd + other.nano_usd)

    @property
    def usd(self) -> Decimal:
        return Decimal(self.nano_usd) / NANO


@dataclass(frozen=True, slots=True)
class Budget:
    """What one thing may spend in a month; None: as much as there is of this kind."""

    kind: Kind
    target_id: UUID
    tokens: int | None
    usd: Decimal | None

    def problem(self, spent: Spent) -> str:
        """What to tell whoever would spend more; empty if there is something left."""
        if self.tokens is not None and spent.tokens >= self.tokens:
            used = f"{spent.tokens} of {self.tokens} tokens"
        elif self.usd is not None and spent.usd >= self.usd:
            used = f"{spent.usd:.2f} of {self.usd:.2f} US dollars"
        else:
            return ""
        return (
            f"The budget of this {self.kind} is spent: {used} this month. It begins anew on "
            f"{next_month():%Y-%m-%d} at 00:00 UTC; PUT /api/v1/limits changes it"
        )


def budgets_of(
    limits: LimitsRecord, *, workspace_id: UUID, flow_id: UUID | None, key_id: UUID | None
) -> Iterator[Budget]:
    """Those that pay for a run of this flow, started with this key."""
    yield from _budget("workspace", workspace_id, limits.workspace)
    if flow_id is not None:
        yield from _budget("flow", flow_id, limits.of_flow(flow_id))
    if key_id is not None:
        yield from _budget("key", key_id, limits.of_key(key_id))


def _budget(kind: Kind, target_id: UUID, bounds: Bounds) -> Iterator[Budget]:
    if bounds.has_budget:
        yield Budget(kind, target_id, bounds.tokens_a_month, bounds.usd_a_month)


def this_month() -> datetime:
    """Its first moment."""
    return datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month() -> datetime:
    """Its first moment: when budgets begin anew."""
    present = this_month()
    return present.replace(year=present.year + present.month // 12, month=present.month % 12 + 1)


def left_of_month_s() -> int:
    """Seconds, at least one."""
    return max(1, int((next_month() - datetime.now(UTC)).total_seconds()))
