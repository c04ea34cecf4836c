"""Whether the keys that the platform was started with are those that its secrets were sealed with."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connections

from forjinn.core.crypto import SealBroken, seal, unseal
from forjinn.core.scopes import system_scope
from workspaces.models import Credential, KeyCheck

logger = logging.getLogger(__name__)

PROOF = "These keys open what is stored here."
KEYS_LOST = (
    "ENCRYPTION_KEYS lacks the key that the secrets in this database were sealed with. Put it back, behind the present "
    "ones and separated by a comma. If it is lost for good, `manage.py rotate_keys --accept-loss` takes the present "
    "keys as the right ones; what was sealed with it has to be saved again then"
)


def check_keys() -> None:
    """Raises SealBroken, with the way out, if the configured keys do not open this database's secrets.

    One row, sealed at the first start, stands for all of them. Where there is none yet, the newest credential does.
    """
    with system_scope():  # of no workspace, or of any
        proof = KeyCheck.objects.first()
        newest = Credential.objects.exclude(sealed="").order_by("-updated_at").first() if proof is None else None
        try:
            unseal(proof.sealed if proof else newest.sealed if newest else seal(PROOF))
        except SealBroken as exc:
            raise SealBroken(KEYS_LOST) from exc
        if proof is None:
            KeyCheck.objects.bulk_create([KeyCheck(sealed=seal(PROOF))], ignore_conflicts=True)


def check_keys_at_start() -> None:
    """As `check_keys`, for a process that is starting: a database that is away, or older than this, is not waited for.

    Leaves no connection behind.
    """
    try:
        check_keys()
    except DatabaseError as exc:
        logger.warning("keys not checked: the database does not answer", extra={"error": str(exc)})
    finally:
        connections.close_all()


def accept_keys() -> None:
    """The configured keys are the right ones from now on, whatever was sealed before."""
    with system_scope():  # of no workspace
        KeyCheck.objects.update_or_create(pk=KeyCheck.ONLY, defaults={"sealed": seal(PROOF)})
