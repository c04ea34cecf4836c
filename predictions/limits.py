"""How often a flow may be asked: by its workspace's limits, and by its author's in `apiConfig.rateLimit`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from apikeys.records import is_of_page
from chatflows.records import FlowRecord
from forjinn.core.rates import RateLimited, Window, acount, network_of
from predictions.web import web_process
from workspaces.access import Access
from workspaces.limits.records import LimitsRecord, afind_limits
from workspaces.limits.windows import address_window, caller_windows, flow_window, key_window

DEFAULT_MESSAGE = "Too many requests: wait a moment and ask again"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `most` calls in `window_s` seconds, counted from the first of them."""

    most: int
    window_s: int
    message: str


def rate_limit_of(api_config: Mapping[str, Any]) -> RateLimit | None:
    """The limit in a flow's settings; None if it is switched off or was never filled in."""
    chosen = api_config.get("rateLimit")
    if not isinstance(chosen, Mapping) or chosen.get("status") in (False, "false"):
        return None
    most, window_s = _positive(chosen.get("limitMax")), _positive(chosen.get("limitDuration"))
    if most is None or window_s is None:
        return None
    return RateLimit(most, window_s, str(chosen.get("limitMsg") or DEFAULT_MESSAGE))


async def check_rate(
    redis: Redis, flow: FlowRecord, address: str, key_id: UUID | None, *, is_visitor: bool = False
) -> None:
    """Count one call to this flow in every limit that holds for it; `key_id`: that of a key of its workspace.

    `is_visitor`: the key is a page's. One of its visitors is not to use up what all of them have.
    Raises RateLimited beyond one of them, Unavailable if a stranger's call cannot be counted.
    """
    limits, is_known = await afind_limits(flow.workspace_id), key_id is not None and not is_visitor
    await acount(redis, list(_windows(flow, limits, address, key_id, is_known=is_known)), is_known=is_known)


async def check_knock(redis: Redis, flow: FlowRecord, address: str, key_id: UUID | None) -> None:
    """Count a call of somebody who is not let in: for themselves, not in what the flow and its workspace may be called.

    Else whoever knows a flow's id could use that up. Raises as `check_rate`.
    """
    limits = await afind_limits(flow.workspace_id)
    own = address_window(limits, flow.workspace_id, address) if key_id is None else key_window(limits, key_id)
    await acount(redis, [*_author_window(flow, address), *own], is_known=key_id is not None)


async def check_flow_rate(redis: Redis, flow: FlowRecord, address: str) -> None:
    """As `check_rate`, for a caller who is known and counted already: in the limits of the flow alone."""
    limits = await afind_limits(flow.workspace_id)
    await acount(redis, list(_flow_windows(flow, limits, address)), is_known=True)


async def check_visit(redis: Redis, flow: FlowRecord, address: str, key_id: UUID | None) -> None:
    """Count a stranger's call about this flow that does not ask it. Raises RateLimited, Unavailable.

    Apart from those that ask it: who may ask no more may still stop what they began, and follow it.
    """
    if key_id is None:
        windows = address_window(await afind_limits(flow.workspace_id), flow.workspace_id, address, what="visit")
        await acount(redis, list(windows), is_known=False)


async def check_caller(access: Access) -> None:
    """Count one call that is to no flow. Raises RateLimited."""
    await check_look(access.workspace_id, "", access.id)


async def check_look(workspace_id: UUID, address: str, key_id: UUID | None) -> None:
    """Count a call that only looks, for its key; or for where it comes from, of those who have the token of a run.

    Raises RateLimited.
    """
    limits = await afind_limits(workspace_id)
    if key_id is None:
        windows = list(address_window(limits, workspace_id, address, what="visit"))
    else:
        windows = list(caller_windows(limits, workspace_id, key_id))
    if windows:
        await acount(web_process().redis, windows, is_known=True)


def is_of_author(refusal: RateLimited) -> bool:
    """Whether the flow's author wrote the refusal's words."""
    return refusal.window.name.startswith(AUTHORS)


async def count_call(redis: Redis, what: str, limit: RateLimit) -> None:
    """Count one call of this kind. Raises RateLimited beyond the limit, Unavailable if it cannot be counted."""
    await acount(redis, [Window(what, limit.most, limit.message, limit.window_s)], is_known=False)


AUTHORS = "author:"


def own_key_id(access: Access | None, flow: FlowRecord) -> UUID | None:
    """The caller's, if they are of the flow's workspace; whoever else calls counts as a stranger."""
    return access.id if access is not None and access.workspace_id == flow.workspace_id else None


def known_id(access: Access | None, flow: FlowRecord) -> UUID | None:
    """As `own_key_id`, but a page's visitors count by where they call from, as those without a key do."""
    return None if is_of_page(access) else own_key_id(access, flow)


def _author_window(flow: FlowRecord, address: str) -> Iterator[Window]:
    if own := rate_limit_of(flow.api_config):
        yield Window(f"{AUTHORS}{flow.id}:{network_of(address)}", own.most, own.message, own.window_s)


def _flow_windows(flow: FlowRecord, limits: LimitsRecord, address: str) -> Iterator[Window]:
    yield from _author_window(flow, address)
    yield from flow_window(limits, flow.id)


def _windows(
    flow: FlowRecord, limits: LimitsRecord, address: str, key_id: UUID | None, *, is_known: bool
) -> Iterator[Window]:
    yield from _flow_windows(flow, limits, address)
    if not is_known:
        yield from address_window(limits, flow.workspace_id, address)
    yield from caller_windows(limits, flow.workspace_id, key_id)


def _positive(value: Any) -> int | None:
    """Editors save numbers as text, too."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if math.isfinite(number) and number >= 1 else None
