"""The limits of a workspace, remembered in each process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from forjinn.core.records import RecordCache, announce_stale
from workspaces.limits.models import Limit


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one thing may use; None: as much as there is."""

    calls_a_minute: int | None = None
    runs_at_once: int | None = None
    tokens_a_month: int | None = None
    usd_a_month: Decimal | None = None

    def over(self, others: Bounds) -> Bounds:
        """These, and where they say nothing the others."""
        return Bounds(
            calls_a_minute=_first(self.calls_a_minute, others.calls_a_minute),
            runs_at_once=_first(self.runs_at_once, others.runs_at_once),
            tokens_a_month=_first(self.tokens_a_month, others.tokens_a_month),
            usd_a_month=self.usd_a_month if self.usd_a_month is not None else others.usd_a_month,
        )

    @property
    def has_budget(self) -> bool:
        return self.tokens_a_month is not None or self.usd_a_month is not None


NO_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class LimitsRecord:
    """All limits of one workspace, the server's own among them."""

    workspace: Bounds
    address: Bounds
    each_key: Bounds = NO_BOUNDS
    each_flow: Bounds = NO_BOUNDS
    keys: Mapping[UUID, Bounds] = field(default_factory=dict)
    flows: Mapping[UUID, Bounds] = field(default_factory=dict)

    def of_key(self, key_id: UUID) -> Bounds:
        return self.keys.get(key_id, self.each_key)

    def of_flow(self, flow_id: UUID) -> Bounds:
        return self.flows.get(flow_id, self.each_flow)


def find_limits(workspace_id: UUID) -> LimitsRecord:
    """Raises Unavailable if they are not remembered and the database is away."""
    return _limits.get(workspace_id) or default_limits()


async def afind_limits(workspace_id: UUID) -> LimitsRecord:
    """As `find_limits`, for asynchronous callers."""
    return await _limits.aget(workspace_id) or default_limits()


def default_limits() -> LimitsRecord:
    """What holds where a workspace says nothing: the settings; 0 there is no limit."""
    return LimitsRecord(
        workspace=Bounds(
            calls_a_minute=settings.RATE_PER_WORKSPACE or None,
            runs_at_once=settings.RUNS_AT_ONCE or None,
            tokens_a_month=settings.TOKENS_PER_MONTH or None,
            usd_a_month=Decimal(settings.USD_PER_MONTH) if settings.USD_PER_MONTH else None,
        ),
        address=Bounds(calls_a_minute=settings.RATE_PER_ADDRESS or None),
        each_key=Bounds(calls_a_minute=settings.RATE_PER_KEY or None),
    )


def _first(own: int | None, other: int | None) -> int | None:
    return other if own is None else own


def load_limits(workspace_id: UUID) -> LimitsRecord:
    """As the database has them now."""
    rows = list(Limit.objects.of(workspace_id))
    default, each = default_limits(), {row.kind: _bounds(row) for row in rows if row.target_id is None}
    each_key = each.get(Limit.Kind.KEY, NO_BOUNDS).over(default.each_key)
    each_flow = each.get(Limit.Kind.FLOW, NO_BOUNDS).over(default.each_flow)
    return LimitsRecord(
        workspace=each.get(Limit.Kind.WORKSPACE, NO_BOUNDS).over(default.workspace),
        address=each.get(Limit.Kind.ADDRESS, NO_BOUNDS).over(default.address),
        each_key=each_key,
        each_flow=each_flow,
        keys=_by_target(rows, Limit.Kind.KEY, each_key),
        flows=_by_target(rows, Limit.Kind.FLOW, each_flow),
    )


def _by_target(rows: Iterable[Limit], kind: Limit.Kind, others: Bounds) -> Mapping[UUID, Bounds]:
    return {row.target_id: _bounds(row).over(others) for row in rows if row.kind == kind and row.target_id}


def _bounds(row: Limit) -> Bounds:
    return Bounds(row.calls_a_minute, row.runs_at_once, row.tokens_a_month, row.usd_a_month)


_limits = RecordCache[UUID, LimitsRecord]("limits", load_limits, read_key=UUID)


@receiver([post_save, post_delete], sender=Limit)
def _announce(instance: Limit, **_: object) -> None:
    announce_stale("limits", instance.workspace_id)
