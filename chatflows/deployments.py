"""Versions handed out under keys of their own: making one, and which one a key stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_delete
from django.dispatch import receiver

from apikeys.conditions import Conditions
from apikeys.models import ApiKey, hash_key
from apikeys.records import conditions_of, note_use
from apikeys.services import create_api_key, revoke_api_key
from chatflows.models import Chatflow, Deployment
from forjinn.core.records import RecordCache, announce_stale
from workspaces.models import Workspace

KEY_SHAPE = re.compile(r"cf_[A-Za-z0-9_-]{40}")


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """What a good deployment key stands for."""

    id: UUID
    workspace_id: UUID
    chatflow_id: UUID
    version_id: UUID
    apikey_id: UUID
    conditions: Conditions


@transaction.atomic
def deploy(*, chatflow: Chatflow, name: str) -> tuple[Deployment, str]:
    """Pin the flow's current version under a new key. The key itself, `cf_…`, cannot be looked up again."""
    assert chatflow.version is not None, "a saved flow has a version"
    key, raw = create_api_key(workspace=chatflow.workspace, name=name, kind=ApiKey.Kind.DEPLOYMENT)
    deployment = Deployment.objects.create(
        workspace=chatflow.workspace, chatflow=chatflow, version=chatflow.version, apikey=key
    )
    return deployment, raw


async def afind_deployment(raw_key: str) -> DeploymentRecord | None:
    """What the key stands for; None for one that is unknown, revoked or expired. Raises Unavailable."""
    if not KEY_SHAPE.fullmatch(raw_key):
        return None
    found = await _deployments.aget(hash_key(raw_key))
    return None if found is None or found.conditions.is_over else found


def _load(digest: str) -> DeploymentRecord | None:
    keys = ApiKey.objects.with_digest(digest)
    found = Deployment.objects.select_related("apikey").filter(apikey__in=keys).first()
    if found is None:
        return None
    note_use(found.apikey)
    return DeploymentRecord(
        id=found.pk,
        workspace_id=found.workspace_id,
        chatflow_id=found.chatflow_id,
        version_id=found.version_id,
        apikey_id=found.apikey_id,
        conditions=conditions_of(found.apikey, digest),
    )


_deployments = RecordCache[str, DeploymentRecord]("deployments", _load, read_key=str)


@receiver([post_save, post_delete], sender=ApiKey)
def _announce_key(instance: ApiKey, **_: object) -> None:
    for digest in instance.digests:
        announce_stale("deployments", digest)


@receiver(post_save, sender=Workspace)
def _announce_all(instance: Workspace, update_fields: frozenset[str] | None = None, **_: object) -> None:
    """Archived or brought back."""
    if update_fields and "archived_at" in update_fields:
        for key in ApiKey.objects.of(instance.pk).filter(kind=ApiKey.Kind.DEPLOYMENT):
            _announce_key(key)


@receiver(post_save, sender=Deployment)
def _announce(instance: Deployment, **_: object) -> None:
    _announce_key(instance.apikey)


@receiver(pre_delete, sender=Deployment)
def _retire_key(instance: Deployment, **_: object) -> None:
    """A deployment's key opens nothing else; revoking it announces it, too.

    Before the row goes: where a workspace goes as a whole, its keys may be gone before its deployments are.
    """
    revoke_api_key(key=instance.apikey)
