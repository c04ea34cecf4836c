"""The wire's spelling of workspaces, members, roles and invitations. No secret and no hash has a field here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from forjinn.core.fields import KINDS, NameField, OptionalTextField, TextField
from forjinn.core.times import iso_millis
from workspaces.models import LONGEST_NAME, LONGEST_PERSON, CustomRole, Invitation, Membership, Workspace
from workspaces.permissions import BUILT_IN, PERMISSIONS

ROLES = tuple(BUILT_IN)
MEMBER_STATES = ("active", "suspended")
INVITATION_STATES = ("pending", "accepted", "expired")


class ListField(serializers.ListField):
    """A list of texts, in order and each once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=TextField(max_length=100), max_length=200, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list):
            raise serializers.ValidationError(f"expected an array, got {KINDS.get(type(data), 'another type')}")
        given: list[str] = super().to_internal_value(data)
        return sorted(set(given))


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": sorted(PERMISSIONS)}, "maxItems": 200})
class PermissionsField(ListField):
    """Permission keys."""

    def to_internal_value(self, data: Any) -> list[str]:
        given = super().to_internal_value(data)
        if unknown := [key for key in given if key not in PERMISSIONS]:
            raise serializers.ValidationError(f"not known: {', '.join(unknown)}")
        return given


def role_field(**kwargs: Any) -> serializers.ChoiceField:
    expected = f"expected one of {', '.join(ROLES)}"
    return serializers.ChoiceField(ROLES, error_messages={"invalid_choice": expected, "null": expected}, **kwargs)


class WorkspaceSerializer(serializers.Serializer[Workspace]):
    """A workspace, and what the caller is in it."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    createdDate = serializers.DateTimeField()
    archivedDate = serializers.DateTimeField(required=False)
    role = serializers.ChoiceField(ROLES, required=False, help_text="The caller's own; absent for keys.")
    isActive = serializers.BooleanField(help_text="Whether the caller works in it at the moment.")

    def to_representation(self, instance: Workspace) -> dict[str, Any]:
        archived = {"archivedDate": iso_millis(instance.archived_at)} if instance.archived_at else {}
        role = {"role": role} if (role := self.context.get("roles", {}).get(instance.pk)) else {}
        return {
            "id": str(instance.pk),
            "name": instance.name,
            "createdDate": iso_millis(instance.created_at),
            "isActive": instance.pk == self.context.get("active"),
            **archived,
            **role,
        }


class WorkspaceNameSerializer(serializers.Serializer[Any]):
    """A workspace's name."""

    name = NameField(max_length=LONGEST_NAME)


class MemberSerializer(serializers.Serializer[Membership]):
    """A person in the workspace."""

    id = serializers.UUIDField()
    email = serializers.CharField()
    name = serializers.CharField()
    role = serializers.CharField(help_text=f"One of {', '.join(ROLES)}; empty: the other roles alone.")
    roles = serializers.ListField(child=serializers.UUIDField(), help_text="Roles of the workspace's own.")
    status = serializers.ChoiceField(MEMBER_STATES)
    isService = serializers.BooleanField()
    lastLogin = serializers.DateTimeField(required=False)
    createdDate = serializers.DateTimeField()

    def to_representation(self, instance: Membership) -> dict[str, Any]:
        user = instance.user
        seen = {"lastLogin": iso_millis(user.last_login)} if user.last_login else {}
        return {
            "id": str(user.pk),
            "email": user.email,
            "name": user.name,
            "role": instance.role,
            "roles": [str(role_id) for role_id in instance.role_ids],
            "status": "active" if user.is_active and instance.suspended_at is None else "suspended",
            "isService": user.is_service,
            "createdDate": iso_millis(user.created_at),
            **seen,
        }


class MemberUpdateSerializer(serializers.Serializer[Any]):
    """Other roles for a member; what is left out stays."""

    role = role_field(required=False)
    roles = ListField(required=False)


class InvitationSerializer(serializers.Serializer[Invitation]):
    """An invitation; its token is told to the invited address alone."""

    id = serializers.UUIDField()
    email = serializers.CharField()
    role = serializers.ChoiceField(ROLES)
    invitedBy = serializers.CharField()
    status = serializers.ChoiceField(INVITATION_STATES)
    createdDate = serializers.DateTimeField()
    expiryDate = serializers.DateTimeField()

    def to_representation(self, instance: Invitation) -> dict[str, Any]:
        return {
            "id": str(instance.pk),
            "email": instance.email,
            "role": instance.role,
            "invitedBy": instance.invited_by,
            "status": instance.status,
            "createdDate": iso_millis(instance.created_at),
            "expiryDate": iso_millis(instance.expires_at),
        }


class OwnInvitationSerializer(serializers.Serializer[Invitation]):
    """An invitation as the invited person sees it."""

    id = serializers.UUIDField()
    workspace = serializers.CharField(help_text="Its name.")
    role = serializers.ChoiceField(ROLES)
    invitedBy = serializers.CharField()
    createdDate = serializers.DateTimeField()
    expiryDate = serializers.DateTimeField()

    def to_representation(self, instance: Invitation) -> dict[str, Any]:
        return {
            "id": str(instance.pk),
            "workspace": instance.workspace.name,
            "role": instance.role,
            "invitedBy": instance.invited_by,
            "createdDate": iso_millis(instance.created_at),
            "expiryDate": iso_millis(instance.expires_at),
        }


class InviteSerializer(serializers.Serializer[Any]):
    """Who is invited, and as what."""

    email = TextField(max_length=254)
    role = role_field(default="viewer")


class TokenSerializer(serializers.Serializer[Any]):
    """The token of an invitation."""

    token = TextField(max_length=100)


class ServiceAccountSerializer(serializers.Serializer[Any]):
    """An account for programs: keys act for it."""

    name = NameField(max_length=LONGEST_PERSON)
    role = role_field(default="viewer")


class RoleSerializer(serializers.Serializer[CustomRole]):
    """A set of permissions. The roles that every workspace comes with have no id."""

    id = serializers.UUIDField(required=False)
    name = serializers.CharField()
    description = serializers.CharField()
    permissions = serializers.ListField(child=serializers.CharField())

    def to_representation(self, instance: CustomRole) -> dict[str, Any]:
        return {
            "id": str(instance.pk),
            "name": instance.name,
            "description": instance.description,
            "permissions": sorted(instance.permissions),
        }


class RoleCreateSerializer(serializers.Serializer[Any]):
    """A new role."""

    name = NameField(max_length=LONGEST_NAME)
    description = OptionalTextField(max_length=500)
    permissions = PermissionsField()


class RoleUpdateSerializer(serializers.Serializer[Any]):
    """What is left out of a role keeps its value."""

    name = NameField(max_length=LONGEST_NAME, required=False)
    description = OptionalTextField(max_length=500)
    permissions = PermissionsField(required=False)

    def validate(self, attrs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Left out, the description is not unset."""
        return {name: value for name, value in attrs.items() if name in self.initial_data}


class AccountSerializer(serializers.Serializer[Any]):
    """The person who has signed in."""

    id = serializers.UUIDField()
    email = serializers.CharField()
    name = serializers.CharField()
    lastLogin = serializers.DateTimeField(required=False, help_text="When somebody last signed in as you.")
    workspaces = WorkspaceSerializer(many=True)
    permissions = serializers.ListField(child=serializers.CharField(), help_text="In the active workspace.")


class AccountUpdateSerializer(serializers.Serializer[Any]):
    """What people change of their accounts here; address and password are changed below /_allauth/."""

    name = NameField(max_length=LONGEST_PERSON)


class ExplanationSerializer(serializers.Serializer[Any]):
    """Whether somebody may do something, and why."""

    user = serializers.CharField()
    action = serializers.CharField()
    allowed = serializers.BooleanField()
    why = serializers.CharField()
    grants = serializers.ListField(child=serializers.CharField(), help_text="What their permissions come from.")
