"""Every write to chatflows."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from apikeys.models import ApiKey
from chatflows.flowdata import digest_of, read_graph
from chatflows.models import SLUG_LENGTH, Chatflow, ChatflowVersion
from forjinn.core.errors import BadRequest, NotFound, PreconditionFailed
from forjinn.core.scopes import current, system_scope

Check = Callable[[Chatflow], None]  # raises what is to be refused


class Changes(TypedDict, total=False):
    """What may be changed of a flow that exists. "" unsets what is optional."""

    name: str
    display_name: str
    description: str
    category: str
    deployed: bool
    is_public: bool
    apikey_id: UUID | None
    chatbot_config: str
    api_config: str


class Creation(Changes, total=False):
    """What a new flow may have from the start; `name` must be there. `id`: that of a flow from another server."""

    kind: str
    id: UUID


def create_chatflow(*, workspace_id: UUID, author: str, flow_data: str, **fields: Unpack[Creation]) -> Chatflow:
    """Save a new flow and its first version, under a slug made of the flow's name; one that is taken gets a tail.

    Raises FlowDataInvalid if the text is not a flow, BadRequest for a key of another workspace.
    """
    _check_apikey(workspace_id, fields.get("apikey_id"))
    now = timezone.now()
    chatflow = Chatflow(workspace_id=workspace_id, created_at=now, updated_at=now, **fields)
    chatflow.version = _version(chatflow, flow_data, number=1, author=author, now=now)
    words = slugify(chatflow.name)[: SLUG_LENGTH - 8].strip("-") or "flow"
    chatflow.slug = words
    while True:
        try:
            with transaction.atomic():
                # Each names the other; PostgreSQL looks whether both are there when the transaction ends.
                chatflow.save(force_insert=True)
                chatflow.version.save(force_insert=True)
            return chatflow
        except IntegrityError:
            if not Chatflow.objects.of(workspace_id).filter(slug=chatflow.slug).exists():
                raise
            chatflow.slug = f"{words}-{secrets.token_hex(3)}"


@transaction.atomic
def update_chatflow(
    *,
    workspace_id: UUID,
    chatflow_id: object,
    author: str,
    flow_data: str | None = None,
    if_revision: Collection[str] | None = None,
    check: Check | None = None,
    **changes: Unpack[Changes],
) -> Chatflow:
    """Change what is given and keep the rest. The same text again makes no version; no change at all changes no date.

    `if_revision`: only if the flow is at one of these revisions; PreconditionFailed otherwise. `check` is shown the
    flow as it was, first. Raises NotFound, FlowDataInvalid, and BadRequest for a key of another workspace.
    """
    chatflow = _lock(workspace_id, chatflow_id, if_revision, check)
    if "apikey_id" in changes:
        _check_apikey(workspace_id, changes["apikey_id"])
    changed = [name for name, value in changes.items() if getattr(chatflow, name) != value]
    for name in changed:
        setattr(chatflow, name, changes[name])  # type: ignore[literal-required]  # the names of `changes` itself
    now = timezone.now()
    assert chatflow.version is not None
    if flow_data is not None and flow_data != chatflow.version.flow_data:
        latest = chatflow.versions.order_by("-number").values_list("number", flat=True).first() or 0
        chatflow.version = _version(chatflow, flow_data, number=latest + 1, author=author, now=now)
        chatflow.version.save(force_insert=True)
        changed.append("version")
    if changed:
        chatflow.updated_at = now
        chatflow.save(update_fields=[*changed, "updated_at"])
    return chatflow


@transaction.atomic
def delete_chatflow(
    *,
    workspace_id: UUID,
    chatflow_id: object,
    if_revision: Collection[str] | None = None,
    check: Check | None = None,
) -> None:
    """Delete a flow for good, with its versions and all that its runs left. Raises NotFound, PreconditionFailed.

    `if_revision` and `check` are those of `update_chatflow`.
    """
    flow = _lock(workspace_id, chatflow_id, if_revision, check)
    # A flow and its versions point at each other, so Django deletes the flow first; then its versions would not be
    # there any more for the workspace, and stay behind.
    with system_scope(current().actor):
        flow.delete()


def _lock(
    workspace_id: UUID, chatflow_id: object, if_revision: Collection[str] | None, check: Check | None
) -> Chatflow:
    rows = Chatflow.objects.select_related("version").select_for_update(of=("self",))
    chatflow = rows.get_for(workspace_id, pk=chatflow_id)
    if check is not None:
        check(chatflow)
    if if_revision is not None and chatflow.revision not in if_revision:
        raise PreconditionFailed("The chatflow has been changed since it was read: read it again, then repeat")
    return chatflow


def _version(chatflow: Chatflow, flow_data: str, *, number: int, author: str, now: datetime) -> ChatflowVersion:
    return ChatflowVersion(
        chatflow=chatflow,
        number=number,
        flow_data=flow_data,
        digest=digest_of(read_graph(flow_data)),
        author=author,
        created_at=now,
    )


def _check_apikey(workspace_id: UUID, apikey_id: UUID | None) -> None:
    """A neighbour's key is as unknown as one that does not exist; a deployment's opens no flow but its own."""
    if apikey_id is None:
        return
    try:
        ApiKey.objects.get_for(workspace_id, pk=apikey_id, kind=ApiKey.Kind.WORKSPACE)
    except NotFound:
        raise BadRequest(f"apikeyid: no API key {apikey_id} in this workspace") from None
