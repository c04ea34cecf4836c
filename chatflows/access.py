"""What somebody may do with flows: the kind of a flow decides which resource's permission counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chatflows.flowdata import is_open_webhook
from chatflows.models import Chatflow, ChatflowQuerySet
from forjinn.core.errors import NotFound
from workspaces.access import Access

KINDS = tuple(Chatflow.Kind.values)
AGENT_KINDS = ("AGENTFLOW", "AUTOADK", "AUTOGEN", "CREWAI")

# Who changes these decides who may call the flow.
DEPLOYING = ("deployed", "is_public", "apikey_id")


def resource_of(kind: str) -> str:
    return "agentflows" if kind in AGENT_KINDS else "chatflows"


def either(action: str) -> tuple[str, str]:
    """The rule of a view for flows of every kind: the row decides which of the two counts."""
    return f"chatflows:{action}", f"agentflows:{action}"


def check_flow_access(access: Access, action: str, *, kind: str, flow_id: Any) -> None:
    """Raises NotFound for a flow that they cannot reach, Forbidden for what they may not do with its kind."""
    access.check(f"{resource_of(kind)}:{action}", flow_id)


def flows_of(access: Access, action: str, kinds: Collection[str] = KINDS) -> ChatflowQuerySet:
    """The flows of these kinds that they may do this to."""
    flows = access.within(Chatflow.objects.of(access.workspace_id), "pk")
    allowed = [kind for kind in kinds if access.may(f"{resource_of(kind)}:{action}")]
    return flows if len(allowed) == len(KINDS) else flows.of_kinds(allowed)


def find_own_flow(access: Access, action: str, flow_id: object, kinds: Collection[str] = KINDS) -> Chatflow:
    """The flow with its version, if they may do this to it. Raises NotFound, Forbidden."""
    flow = Chatflow.objects.of_kinds(kinds).select_related("version").get_for(access.workspace_id, pk=flow_id)
    check_flow_access(access, action, kind=flow.kind, flow_id=flow.pk)
    return flow


def check_own_flow(access: Access, action: str, flow: Chatflow, kinds: Collection[str] = KINDS) -> None:
    """As `find_own_flow`, for a flow of the workspace that is at hand."""
    if flow.kind not in kinds:
        raise NotFound(f"Chatflow {flow.pk} not found")
    check_flow_access(access, action, kind=flow.kind, flow_id=flow.pk)


def check_deploying(access: Access, changes: Mapping[str, Any], *, kind: str, flow: Chatflow | None = None) -> None:
    """Raises Forbidden if what is asked for opens or closes the flow to callers, and they may not deploy its kind."""
    before = flow or Chatflow()
    permission, flow_id = f"{resource_of(kind)}:deploy", flow.pk if flow else None
    is_deploying = any(changes.get(name, value) != value for name in DEPLOYING for value in [getattr(before, name)])
    # The text is only read for the few who may not.
    if is_deploying or (
        before.deployed and not access.may(permission, flow_id) and is_open_webhook(changes.get("flow_data", ""))
    ):
        access.check(permission, flow_id)


def asking(flows: Collection[Chatflow]) -> list[str]:
    """What whoever asks these flows must be permitted."""
    return sorted({f"{resource_of(flow.kind)}:execute" for flow in flows})
