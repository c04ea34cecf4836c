"""Which windows of time a call counts in."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from forjinn.core.rates import Window, network_of
from workspaces.limits.records import LimitsRecord

LATER = "wait until RateLimit-Reset, or ask who runs this workspace for more"


def caller_windows(limits: LimitsRecord, workspace_id: UUID, key_id: UUID | None) -> Iterator[Window]:
    """Those of the key, if one is known, and of its workspace."""
    if key_id is not None:
        yield from key_window(limits, key_id)
    if most := limits.workspace.calls_a_minute:
        yield Window(f"workspace:{workspace_id}", most, f"This workspace takes {most} calls a minute at most: {LATER}")


def key_window(limits: LimitsRecord, key_id: UUID) -> Iterator[Window]:
    """That of the key alone."""
    if most := limits.of_key(key_id).calls_a_minute:
        yield Window(f"key:{key_id}", most, f"This key makes {most} calls a minute at most: {LATER}")


def flow_window(limits: LimitsRecord, flow_id: UUID) -> Iterator[Window]:
    """That of the flow, whoever calls it."""
    if most := limits.of_flow(flow_id).calls_a_minute:
        yield Window(f"flow:{flow_id}", most, f"This flow takes {most} calls a minute at most: {LATER}")


def address_window(
    limits: LimitsRecord, workspace_id: UUID, address: str, *, what: str = "address"
) -> Iterator[Window]:
    """That of a caller without a secret key, of whom is known where they call from; one for each `what` they do."""
    if most := limits.address.calls_a_minute:
        name = f"{what}:{workspace_id}:{network_of(address)}"
        yield Window(name, most, f"{most} calls a minute come through without a secret key: wait until RateLimit-Reset")
