"""What the triggers of tables cannot tell: events of people, and that entries are over."""

from __future__ import annotations

import time
from uuid import UUID

from django.db import connection, transaction
from django.http import HttpRequest

from forjinn.core.scopes import system_scope
from workspaces.audit.models import AuditEntry
from workspaces.models import Membership, User

ACCOUNT = "account"
MOST_FORGOTTEN = 10_000  # entries deleted in one transaction

FORGET = """
DELETE FROM audit_auditentry WHERE id IN (SELECT id FROM audit_auditentry WHERE id < %s ORDER BY id LIMIT %s)
"""


def record_event(*, person: User, action: str, request: HttpRequest | None, is_theirs: bool = True) -> None:
    """Something happened to a person's account that no row tells, such as `signed-in`.

    Told in each workspace that they are in, and once for themselves. `is_theirs`: they did it; otherwise somebody did
    who has not shown to be them.
    """
    meta, request_id = (request.META, getattr(request, "request_id", "")) if request else ({}, "")
    actor = {"actor_kind": "member", "actor_id": str(person.pk), "actor_name": person.email}
    # An account belongs to no workspace, and to several at once.
    with system_scope():
        workspaces = Membership.objects.filter(user=person).values_list("workspace_id", flat=True)
        AuditEntry.objects.bulk_create(
            AuditEntry(
                workspace_id=workspace_id,
                **(actor if is_theirs else {"actor_kind": "visitor"}),
                address=meta.get("REMOTE_ADDR", "")[:64],
                request_id=request_id,
                resource=ACCOUNT,
                action=action,
                row_id=str(person.pk),
                row_name=person.email,
            )
            for workspace_id in (None, *workspaces)
        )


def forget(*, older_than_d: int) -> int:
    """Delete what is older than so many days, and say how many entries that were."""
    # The least id of that age: ids begin with the time in milliseconds.
    oldest = UUID(int=max(0, int((time.time() - older_than_d * 86_400) * 1000)) << 80)
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('forjinn.retention', 'over', true)")
            cursor.execute(FORGET, [oldest, MOST_FORGOTTEN])
            count: int = cursor.rowcount
        total += count
        if count < MOST_FORGOTTEN:
            return total
