"""Who may run a flow: the checks before anything is recorded, in the order that clients rely on."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from redis.asyncio import Redis

from apikeys.authentication import KEY_INVALID, KEY_MISSING
from apikeys.records import is_of_page
from chatflows.access import check_flow_access
from chatflows.records import FlowRecord, afind_flow
from forjinn.core.errors import AppError, NotFound, Unauthenticated
from forjinn.core.scopes import enter
from predictions.limits import check_knock, check_rate, known_id, own_key_id
from workspaces.access import Access

TIED = "Unauthorized: this chatflow needs the API key that it is tied to"


class BodyMissing(AppError):
    """There is nothing to run."""

    status = 412
    code = "body_missing"


class OriginForbidden(AppError):
    """The page that asks is not among the flow's allowed origins."""

    status = 403
    code = "origin_forbidden"


class NotRunnable(AppError):
    """The flow exists and may be called, but not like this."""

    status = 400
    code = "not_runnable"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: whoever they have shown to be, if they have, and what the connection and the browser say.

    `refusal`: why what they have shown does not do for this call.
    """

    access: Access | None
    sent_key: bool
    origin: str
    address: str
    actor: str  # for the audit trail, see `workspaces.access.actor_of`
    refusal: AppError | None = None


async def admit(redis: Redis, chatflow_id: str, caller: Caller, *, has_body: bool) -> FlowRecord:
    """The flow, if this caller may ask it now. The order of the checks is part of the contract."""
    flow_id = _read_id(chatflow_id)
    flow = await afind_flow(flow_id) if flow_id else None
    if flow is not None:
        if _may_ask(flow, caller, chatflow_id):
            key_id, is_visitor = own_key_id(caller.access, flow), is_of_page(caller.access)
            await check_rate(redis, flow, caller.address, key_id, is_visitor=is_visitor)
        else:
            await check_knock(redis, flow, caller.address, known_id(caller.access, flow))
    if not has_body:
        raise BodyMissing('The body is empty: send JSON like {"question": "..."}')
    return _check(flow, chatflow_id, flow_id, caller)


async def find_callable_flow(chatflow_id: str, caller: Caller) -> FlowRecord:
    """The flow, if this caller may look at its runs: the same checks, without the flow's rate limit."""
    flow_id = _read_id(chatflow_id)
    return _check(await afind_flow(flow_id) if flow_id else None, chatflow_id, flow_id, caller)


async def find_own_flow(chatflow_id: str, access: Access, action: str) -> FlowRecord:
    """The flow, if they may do this to it: for what changes what a flow has, public or not."""
    flow_id = _read_id(chatflow_id)
    if flow_id is None:
        raise NotRunnable("Invalid Chatflow ID")
    flow = await afind_flow(flow_id)
    if flow is None or flow.workspace_id != access.workspace_id:
        raise NotFound(f"Chatflow {chatflow_id} not found")
    check_flow_access(access, action, kind=flow.kind, flow_id=flow.id)
    return flow


def needed_access(caller: Caller) -> Access:
    """Who calls. Raises Unauthenticated if they have not shown it, Forbidden if that does not do for this call."""
    if caller.access is None:
        raise caller.refusal or Unauthenticated(KEY_INVALID if caller.sent_key else KEY_MISSING)
    return caller.access


def _check(flow: FlowRecord | None, chatflow_id: str, flow_id: UUID | None, caller: Caller) -> FlowRecord:
    if flow_id is None:
        raise NotRunnable("Invalid Chatflow ID")
    if flow is None:
        raise NotFound(f"Chatflow {chatflow_id} not found")
    let_in(flow, caller, chatflow_id)
    if not flow.deployed:
        raise NotFound(f"Chatflow {chatflow_id} is not deployed: set deployed to true to accept predictions")
    if flow.start_input_type in ("webhookTrigger", "scheduleInput"):
        way = f"/api/v1/webhook/{chatflow_id}" if flow.start_input_type == "webhookTrigger" else "its schedule only"
        raise NotRunnable(f"Chatflow {chatflow_id} is started through {way}")
    return flow


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _check_origin(flow: FlowRecord, origin: str) -> None:
    """Raises OriginForbidden for a page that the flow's `allowedOrigins` does not list."""
    allowed = [str(entry).strip() for entry in flow.chatbot_config.get("allowedOrigins") or () if str(entry).strip()]
    if not origin or not allowed:
        return
    if not any(entry == "*" or _is_of(origin, entry) for entry in allowed):
        text = flow.chatbot_config.get("allowedOriginsError") or "This site is not allowed to access this chatbot"
        raise OriginForbidden(str(text))


def _is_of(origin: str, entry: str) -> bool:
    """Whether a page's origin is what an entry names: a whole origin, or a host (and port) by any scheme."""
    asked, listed = urlsplit(origin.lower()), urlsplit(entry.lower())
    if not asked.netloc:
        return False
    return asked[:2] == listed[:2] if listed.netloc else asked.netloc == entry.lower().rstrip("/")


def let_in(flow: FlowRecord, caller: Caller, chatflow_id: str) -> None:
    """From here on the request is the flow's workspace's: the flow is public, or they may execute it; else raises.

    A flow's own key is needed whoever calls, and a page must be of one of the flow's origins.
    """
    _check_origin(flow, caller.origin)
    _check_key(flow, caller, chatflow_id)
    enter(flow.workspace_id, caller.actor)


def _may_ask(flow: FlowRecord, caller: Caller, chatflow_id: str) -> bool:
    try:
        _check_origin(flow, caller.origin)
        _check_key(flow, caller, chatflow_id)
    except AppError:
        return False
    return True


def _check_key(flow: FlowRecord, caller: Caller, chatflow_id: str) -> None:
    if flow.apikey_id is not None:
        if caller.access is None or caller.access.id != flow.apikey_id:
            raise caller.refusal or Unauthenticated(TIED)
    elif flow.is_public:
        return
    access = needed_access(caller)
    if access.workspace_id != flow.workspace_id:
        # The same words as for a flow that does not exist: a stranger learns nothing.
        raise NotFound(f"Chatflow {chatflow_id} not found")
    check_flow_access(access, "execute", kind=flow.kind, flow_id=flow.id)
