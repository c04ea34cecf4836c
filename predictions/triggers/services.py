"""Every write to triggers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from chatflows.flowdata import read_graph
from chatflows.models import Chatflow
from forjinn.core.errors import BadRequest, Conflict
from predictions.triggers.cron import PRESETS, CronInvalid
from predictions.triggers.models import Trigger, hash_token
from predictions.triggers.starts import Schedule, start_of

OF_THE_FLOW = ("name", "chatflow_id", "node_id", "kind", "cron_expression", "timezone")
SECRETS = {"webhook_secret": "secret", "webhook_bot_token": "bot_token"}
KEPT = "********"  # what a secret is shown as; who sends it back changes nothing


class Changes(TypedDict, total=False):
    """What may be changed of a trigger. "" unsets what is optional."""

    name: str
    chatflow_id: UUID
    node_id: str
    kind: str
    cron_expression: str
    timezone: str
    enabled: bool
    platform: str
    webhook_secret: str
    webhook_bot_token: str
    input_mapping: Mapping[str, str]
    message: str
    max_executions: int | None
    timeout_s: int
    notification_email: str


@transaction.atomic
def create_trigger(*, workspace_id: UUID, **fields: Unpack[Changes]) -> tuple[Trigger, str]:
    """Keep a new trigger; `name`, `chatflow_id` and `kind` must be there.

    Returns it with the token of its webhook's address, which cannot be looked up again; "" for a schedule. Raises
    NotFound for a flow of another workspace, BadRequest for a node or an expression that is none.
    """
    trigger = Trigger(workspace_id=workspace_id)
    _change(trigger, fields)
    token = _new_token(trigger) if trigger.kind == Trigger.Kind.WEBHOOK else ""
    trigger.save(force_insert=True)
    return trigger, token


@transaction.atomic
def update_trigger(*, workspace_id: UUID, trigger_id: object, **changes: Unpack[Changes]) -> Trigger:
    """Change what is given and keep the rest.

    Raises NotFound, BadRequest as `create_trigger` does, and Conflict for what a flow's start node says itself.
    """
    trigger = Trigger.objects.select_for_update().get_for(workspace_id, pk=trigger_id)
    if trigger.is_of_flow and (own := [name for name in OF_THE_FLOW if _differs(trigger, name, changes)]):
        raise Conflict(f"This is the flow's own trigger: change its start node instead ({', '.join(own)})")
    if "kind" in changes and changes["kind"] != trigger.kind:
        raise BadRequest("type: a trigger stays what it is; make another one")
    _change(trigger, changes)
    trigger.save()
    return trigger


@transaction.atomic
def rotate_token(*, workspace_id: UUID, trigger_id: object) -> tuple[Trigger, str]:
    """Give a webhook a new address; the former stops working at once. Raises NotFound, Conflict for a schedule."""
    trigger = Trigger.objects.select_for_update().get_for(workspace_id, pk=trigger_id)
    if trigger.kind != Trigger.Kind.WEBHOOK:
        raise Conflict("A schedule has no address that could be changed")
    token = _new_token(trigger)
    trigger.save(update_fields=["digest", "updated_at"])
    return trigger, token


def delete_trigger(*, workspace_id: UUID, trigger_id: object) -> None:
    """Delete it for good; the runs that it started stay. Raises NotFound, Conflict for a flow's own."""
    trigger = Trigger.objects.get_for(workspace_id, pk=trigger_id)
    if trigger.is_of_flow:
        raise Conflict("This is the flow's own trigger: change its start node, or switch the trigger off")
    trigger.delete()


def schedule_next(trigger: Trigger) -> None:
    """Set when it is due next; never, if it is off or spent. Raises CronInvalid."""
    trigger.next_execution = None
    if trigger.kind == Trigger.Kind.CRON and trigger.enabled and not trigger.is_spent and trigger.cron_expression:
        schedule = Schedule(trigger.cron_expression, trigger.timezone, trigger.ends_at)
        trigger.next_execution = schedule.next_after(timezone.now())


def _change(trigger: Trigger, changes: Changes) -> None:
    for name, value in changes.items():
        if name not in SECRETS:
            setattr(trigger, name, value)
    given = {kept: str(changes[name]) for name, kept in SECRETS.items() if name in changes}  # type: ignore[literal-required]
    if given := {kept: value for kept, value in given.items() if value != KEPT}:
        trigger.close({**trigger.open(), **given})
    if not trigger.is_of_flow:
        _check_place(trigger)
    if trigger.kind == Trigger.Kind.CRON and not trigger.is_of_flow:
        trigger.cron_expression = PRESETS.get(trigger.cron_expression, trigger.cron_expression)
        if not trigger.cron_expression:
            raise BadRequest("cronExpression: required for a trigger of type cron, e.g. 30 9 * * *")
    try:
        schedule_next(trigger)
    except CronInvalid as exc:
        raise BadRequest(f"{'timezone' if 'time zone' in str(exc) else 'cronExpression'}: {exc}") from exc


def _check_place(trigger: Trigger) -> None:
    """The flow is the workspace's own, and the node where it begins."""
    flow: Chatflow = Chatflow.objects.select_related("version").get_for(trigger.workspace_id, pk=trigger.chatflow_id)
    text = flow.version.flow_data if flow.version else ""
    start = start_of(text)
    if start is not None:
        if trigger.node_id not in ("", start.node_id):
            raise BadRequest(f"nodeId: this flow begins at '{start.node_id}', and triggers with it")
        trigger.node_id = start.node_id
    elif trigger.node_id and trigger.node_id not in {str(node.get("id")) for node in read_graph(text)["nodes"]}:
        raise BadRequest(f"nodeId: the flow has no node '{trigger.node_id[:80]}'")


def _differs(trigger: Trigger, name: str, changes: Mapping[str, Any]) -> bool:
    return name in changes and getattr(trigger, name) != changes[name]


def _new_token(trigger: Trigger) -> str:
    token = secrets.token_urlsafe(30)
    trigger.digest = hash_token(token)
    return token
