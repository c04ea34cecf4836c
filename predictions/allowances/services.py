"""Reading what a workspace may use and has used, and setting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from django.db import models, transaction

from apikeys.models import ApiKey
from chatflows.models import Chatflow
from forjinn.core.errors import BadRequest
from workspaces.limits.budgets import Spent, this_month
from workspaces.limits.models import Limit, Spending
from workspaces.limits.records import Bounds, LimitsRecord, default_limits, load_limits

Given = Mapping[str, int | Decimal | None]  # columns of `Limit` that are to be set; null: as the server says
SERVERS = "{what}: at most {most} here; who runs this server can allow more"


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be set. What is left out keeps its value."""

    sections: Mapping[Limit.Kind, Given] = field(default_factory=dict)
    keys: Sequence[tuple[UUID, Given]] = ()
    flows: Sequence[tuple[UUID, Given]] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one thing may use, and what it has used this month."""

    bounds: Bounds
    spent: Spent


@dataclass(frozen=True, slots=True)
class Allowances:
    """What holds in a workspace. Keys and flows: those that have a limit of their own, or have cost something."""

    limits: LimitsRecord
    workspace: Allowance
    keys: Mapping[UUID, Allowance]
    flows: Mapping[UUID, Allowance]


def read_allowances(workspace_id: UUID) -> Allowances:
    """As it is at this moment; what runs that are going on have cost is not in it yet."""
    limits, spent = load_limits(workspace_id), _spent(workspace_id)
    return Allowances(
        limits=limits,
        workspace=Allowance(limits.workspace, spent.get((Limit.Kind.WORKSPACE, workspace_id), Spent())),
        keys={one: Allowance(limits.of_key(one), own) for one, own in _own(Limit.Kind.KEY, limits.keys, spent)},
        flows={one: Allowance(limits.of_flow(one), own) for one, own in _own(Limit.Kind.FLOW, limits.flows, spent)},
    )


@transaction.atomic
def change_limits(workspace_id: UUID, changes: Changes) -> None:
    """Set limits. Raises NotFound for a key or a flow that is not of this workspace, BadRequest for more than the
    server's operator lets workspaces have.
    """
    for kind, given in changes.sections.items():
        _set(workspace_id, kind, None, given)
    for key_id, given in changes.keys:
        ApiKey.objects.get_for(workspace_id, pk=key_id)
        _set(workspace_id, Limit.Kind.KEY, key_id, given)
    for flow_id, given in changes.flows:
        Chatflow.objects.get_for(workspace_id, pk=flow_id)
        _set(workspace_id, Limit.Kind.FLOW, flow_id, given)


def _set(workspace_id: UUID, kind: Limit.Kind, target_id: UUID | None, given: Given) -> None:
    row = Limit.objects.of(workspace_id).filter(kind=kind, target_id=target_id).first()
    row = row or Limit(workspace_id=workspace_id, kind=kind, target_id=target_id)
    ceiling = _ceiling(kind)
    for column, value in given.items():
        most = getattr(ceiling, column)
        # What an operator has granted beyond the server's own may stay.
        if value is not None and most is not None and value > most and value != getattr(row, column):
            raise BadRequest(SERVERS.format(what=f"{column.replace('_', ' ')} of a {kind}", most=most))
        setattr(row, column, value)
    if all(getattr(row, column) is None for column in COLUMNS):
        if not row._state.adding:
            row.delete()
    else:
        row.save()


COLUMNS = ("calls_a_minute", "runs_at_once", "tokens_a_month", "usd_a_month")


def _ceiling(kind: Limit.Kind) -> Bounds:
    """The most that a workspace may give itself: what the server's settings say."""
    default = default_limits()
    match kind:
        case Limit.Kind.WORKSPACE:
            return default.workspace
        case Limit.Kind.ADDRESS:
            return default.address
        case Limit.Kind.KEY:
            return default.each_key
    return default.each_flow


Ledger = Mapping[tuple[str, UUID], Spent]


def _spent(workspace_id: UUID) -> Ledger:
    rows = Spending.objects.of(workspace_id).filter(month=this_month().date()).values_list("kind", "target_id")
    sums = rows.annotate(models.Sum("tokens"), models.Sum("nano_usd"))
    return {(kind, target_id): Spent(tokens, nano_usd) for kind, target_id, tokens, nano_usd in sums}


def _own(kind: Limit.Kind, limited: Mapping[UUID, Bounds], spent: Ledger) -> list[tuple[UUID, Spent]]:
    """Those of this kind that there is something to tell of, in the order of their ids."""
    ids = {target_id for found, target_id in spent if found == kind} | limited.keys()
    return [(one, spent.get((kind, one), Spent())) for one in sorted(ids)]
