"""Every write to workspaces, and the two reads that runs make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson
from django.core.exceptions import ValidationError
from django.db import transaction

from engine.credential_kinds import hidden_texts
from engine.credentials import Secret
from forjinn.core.crypto import SealBroken, unseal
from forjinn.core.errors import BadRequest, Conflict
from forjinn.core.texts import check_name, check_storable
from workspaces.models import LONGEST_NAME, LONGEST_VARIABLE, Credential, Membership, User, Variable, Workspace

NONE_GIVEN: Mapping[str, str] = {}


@transaction.atomic
def create_workspace(*, name: str, owner: User | None) -> Workspace:
    """A new tenant, with its first member; without one it is reached by API keys alone.

    Raises BadRequest for a name that is none.
    """
    check_name(name, most=LONGEST_NAME)
    workspace = Workspace.objects.create(name=name)
    if owner is not None:
        add_member(workspace=workspace, user=owner, role=Membership.Role.OWNER)
    return workspace


def add_member(*, workspace: Workspace, user: User, role: Membership.Role) -> Membership:
    """Put a person into a workspace, or give a member another role."""
    membership, _ = Membership.objects.update_or_create(workspace=workspace, user=user, defaults={"role": role})
    return membership


def create_credential(
    *, workspace: Workspace, name: str, kind: str, fields: Mapping[str, str], allowed_hosts: Sequence[str] = ()
) -> Credential:
    """Seal a secret. It can be replaced and used, but never read back through an API.

    Flows send it to its vendor's hosts, and to those allowed here. Raises BadRequest for a host that is none.
    """
    credential = Credential(workspace=workspace, name=name, kind=kind, allowed_hosts=list(allowed_hosts))
    try:
        credential.clean()
    except ValidationError as exc:
        raise BadRequest(" ".join(exc.messages)) from exc
    credential.close(fields)
    credential.save()
    return credential


def set_variable(*, workspace: Workspace, name: str, value: str) -> Variable:
    """Create the variable or give it another value. Raises BadRequest for a name or a value that cannot be kept."""
    check_name(name, most=LONGEST_VARIABLE)
    check_storable("value", value)
    variable, _ = Variable.objects.update_or_create(workspace=workspace, name=name, defaults={"value": value})
    return variable


def create_caller_credential(
    *, workspace: Workspace, name: str, kind: str, slug: str, allowed_hosts: Sequence[str] = ()
) -> Credential:
    """A credential that whoever starts a run brings with it, under this slug. Raises BadRequest."""
    credential = Credential(
        workspace=workspace,
        name=name,
        kind=kind,
        fulfillment=Credential.Fulfillment.CALLER,
        slug=slug,
        allowed_hosts=list(allowed_hosts),
    )
    try:
        credential.full_clean()
    except ValidationError as exc:
        raise BadRequest(" ".join(exc.messages)) from exc
    credential.save()
    return credential


def open_credential(*, workspace_id: UUID, credential_id: str, given: Mapping[str, str] = NONE_GIVEN) -> Secret:
    """A secret in clear, for a run of its own workspace. `given`: what the run's caller brought, sealed, by slug.

    Raises NotFound, Conflict if the key that it was sealed with is gone, and BadRequest if it is the caller's to bring
    and they did not.
    """
    credential = Credential.objects.get_for(workspace_id, pk=credential_id)
    try:
        fields = _fields_of(credential, given)
    except SealBroken as exc:
        raise Conflict(
            f"The credential '{credential.name}' cannot be opened: the key that it was sealed with is not among "
            "ENCRYPTION_KEYS. Put that key back behind the present one, or save the secret again"
        ) from exc
    return Secret(fields, credential.allowed_hosts, hidden_texts(credential.kind, fields))


def _fields_of(credential: Credential, given: Mapping[str, str]) -> dict[str, str]:
    if credential.fulfillment != Credential.Fulfillment.CALLER:
        return credential.open()
    if credential.slug not in given:
        raise BadRequest(
            f"Whoever starts the run brings the credential '{credential.slug}': start it through POST /api/v1/runs "
            f"with connections.{credential.slug}"
        )
    brought: dict[str, str] = orjson.loads(unseal(given[credential.slug]))
    return brought


def variable_values(workspace_id: UUID) -> dict[str, str]:
    """The workspace's variables by name."""
    return dict(Variable.objects.of(workspace_id).values_list("name", "value"))
