"""Participants' tokens: a JWT that stands for one role in one run, for an hour. Nothing of it is stored."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
from django.conf import settings

from predictions.reading import read_run_name, run_name

LIFETIME = timedelta(hours=1)
ALGORITHM = "HS256"
CLAIMS = ("exp", "iat", "run_id", "role", "deployment_id")


@dataclass(frozen=True, slots=True)
class Participant:
    """Whom a good token stands for."""

    run_id: UUID
    role: str
    deployment_id: UUID


def mint(*, run_id: UUID, role: str, deployment_id: UUID) -> str:
    """A token that is good from now on."""
    now = datetime.now(UTC)
    claims = {
        "sub": role,
        "role": role,
        "run_id": run_name(run_id),
        "deployment_id": str(deployment_id),
        "iat": now,
        "exp": now + LIFETIME,
    }
    return jwt.encode(claims, _key(), algorithm=ALGORITHM)


def read_token(token: str) -> Participant | None:
    """Whom the token stands for; None for one that is not ours, has been changed, or is too old."""
    try:
        claims = jwt.decode(token, _key(), algorithms=[ALGORITHM], options={"require": list(CLAIMS)})
        run_id = read_run_name(str(claims["run_id"]))
        return Participant(run_id, str(claims["role"]), UUID(str(claims["deployment_id"]))) if run_id else None
    except (jwt.InvalidTokenError, ValueError):
        return None


def _key() -> bytes:
    # Its own: what else is signed with SECRET_KEY must not pass for a token, nor a token for that.
    return hmac.digest(settings.SECRET_KEY.encode(), b"chatterfly participants", hashlib.sha256)
