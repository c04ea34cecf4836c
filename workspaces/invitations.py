"""Invitations: a token that is sent to one address, and lets whoever holds that address into one workspace."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from forjinn.core.errors import BadRequest, Conflict, NotFound
from workspaces.access import Access
from workspaces.members import check_grantable
from workspaces.models import Invitation, Membership, User, Workspace
from workspaces.permissions import BUILT_IN

GOOD_FOR = timedelta(days=7)
TEXT = """{inviter} invites you to the workspace {workspace}.

Accept at {url} or, from a program, with this token:

    {token}

It is good until {until:%Y-%m-%d %H:%M} UTC, for this address only. If you expected no invitation, ignore it.
"""


def _digest(token: str) -> str:
    # 240 random bits: a slow hash would protect nothing further.
    return hashlib.sha256(token.encode()).hexdigest()


def find_invitation(token: str) -> Invitation | None:
    """The open invitation that this token belongs to, in whichever workspace."""
    return _open_invitations().filter(digest=_digest(token)).first()


def pending_of(user: User) -> list[Invitation]:
    """The open invitations to addresses that the person has proved to be theirs, newest first."""
    return list(_open_invitations().filter(email__in=_addresses_of(user)).order_by("-created_at"))


@transaction.atomic
def invite(*, access: Access, email: str, role: str) -> Invitation:
    """Send an invitation; one that is open for the same address gets a new token, and the former one ends.

    Raises BadRequest for what is no address, Conflict for somebody who is a member, Forbidden for a role that may more
    than whoever asks, now or in the invitation that this one takes the place of.
    """
    workspace_id = access.workspace_id
    check_grantable(access, BUILT_IN[role])
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise BadRequest(f"email: '{email[:80]}' is no e-mail address") from None
    if Membership.objects.filter(workspace_id=workspace_id, user__email=email).exists():
        raise Conflict(f"{email} is a member already")
    if former := Invitation.objects.of(workspace_id).filter(email=email, accepted_at=None).first():
        check_grantable(access, BUILT_IN[former.role])
    token = secrets.token_urlsafe(30)
    invitation, _ = Invitation.objects.update_or_create(
        workspace_id=workspace_id,
        email=email,
        defaults={
            "role": role,
            "digest": _digest(token),
            "invited_by": access.name,
            "expires_at": timezone.now() + GOOD_FOR,
            "accepted_at": None,
        },
    )
    transaction.on_commit(lambda: _send(invitation, token))
    return invitation


@transaction.atomic
def revoke(*, access: Access, invitation_id: object) -> None:
    """Take an invitation back. Raises NotFound, and Forbidden for one to a role that may more than whoever asks."""
    invitation = Invitation.objects.get_for(access.workspace_id, pk=invitation_id)
    check_grantable(access, BUILT_IN[invitation.role])
    invitation.delete()


@transaction.atomic
def accept(*, token: str, user: User) -> Membership:
    """Make this person a member. Raises NotFound for a token that is not good, or was sent to another address."""
    # Locked: it may be taken back, or sent anew, at this very moment.
    invitation = _open_invitations().select_for_update(of=("self",)).filter(digest=_digest(token)).first()
    if invitation is None or invitation.email not in _addresses_of(user):
        # Alike: whether a token is good is nobody's business but the invited person's.
        raise NotFound("No open invitation for your address has this token: ask for another one")
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    membership, _ = Membership.objects.get_or_create(
        workspace=invitation.workspace, user=user, defaults={"role": invitation.role}
    )
    return membership


def _open_invitations() -> QuerySet[Invitation]:
    rows = Invitation.objects.select_related("workspace").filter(accepted_at=None, workspace__archived_at=None)
    return rows.filter(expires_at__gt=timezone.now())


def _addresses_of(user: User) -> list[str]:
    addresses: Any = user.emailaddress_set  # type: ignore[attr-defined]  # of django-allauth, which has no types
    return list(addresses.filter(verified=True).values_list("email", flat=True))


def _send(invitation: Invitation, token: str) -> None:
    workspace = Workspace.objects.get(pk=invitation.workspace_id)
    text = TEXT.format(
        inviter=invitation.invited_by,
        workspace=workspace.name,
        url=f"{settings.PUBLIC_URL}/invitations/{token}",
        token=token,
        until=invitation.expires_at,
    )
    send_mail(f"Invitation to {workspace.name}", text, None, [invitation.email])
