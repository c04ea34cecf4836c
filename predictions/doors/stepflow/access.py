"""Who may do what here: keys of a workspace everything in it, a run's token may look at that run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.http import HttpRequest

from apikeys.records import afind_key
from forjinn.core.errors import Unauthenticated
from forjinn.core.scopes import system_scope
from predictions.admission import Caller, needed_access
from predictions.pool import borrowed
from predictions.web import web_process
from workspaces.access import Access, actor_of, admit_access

PREFIX = "pat_"
LIFETIME = timedelta(hours=24)  # of a token, from the beginning of its run
KEY_MISSING = "API key missing: send X-API-Key: <key> or Authorization: Bearer <key>"

# Whoever revokes a key that has leaked ends the tokens that came with it, too; one that is gone, or whose workspace was
# archived, is as good as revoked.
ENDED = """
SELECT FROM predictions_execution run JOIN workspaces_workspace workspace ON workspace.id = run.workspace_id
LEFT JOIN apikeys_apikey key ON key.id = (run.request->>'key')::uuid AND key.revoked_at IS NULL
    AND (key.expires_at IS NULL OR key.expires_at > now())
WHERE run.id = %b AND (workspace.archived_at IS NOT NULL OR (run.request ? 'key' AND key.id IS NULL))
"""


async def read_caller(request: HttpRequest) -> Caller:
    """Who calls, with a key that is good for it. Raises Unauthenticated, Forbidden."""
    raw = _sent_key(request)
    if raw is None:
        raise Unauthenticated(KEY_MISSING)
    key = await afind_key(raw)
    if key is None:
        raise Unauthenticated("Invalid API key")
    origin = request.headers.get("Origin", "")
    key.check_use(origin, asks_flow=False)
    return Caller(
        access=key,
        sent_key=True,
        origin=origin,
        address=request.META.get("REMOTE_ADDR", ""),
        actor=actor_of(key, request),
    )


async def identify(request: HttpRequest) -> Access:
    """Who calls. Raises Unauthenticated, Forbidden."""
    return needed_access(await read_caller(request))


async def reading_access(request: HttpRequest, run_id: UUID | None) -> Access | None:
    """Who wants to look at runs, and may; None: whoever has the token of this run, which shows no other.

    Raises Unauthenticated, Forbidden.
    """
    token = request.GET.get("token")
    if token is None or _sent_key(request) is not None:
        access = await identify(request)
        admit_access(request, access)
        access.check("executions:view")
        return access
    if run_id is None or not _shows(token, run_id) or await _has_ended(run_id):
        raise Unauthenticated("Invalid token: it shows one run, for 24 hours at most, and ends with the run's key")
    return None


async def _has_ended(run_id: UUID) -> bool:
    """Whether what the run was triggered with is no good any more."""
    with system_scope():  # a token names a run, and no workspace
        async with borrowed(web_process().pool) as connection:
            return await (await connection.execute(ENDED, [run_id])).fetchone() is not None


def token_of(run_id: UUID) -> str:
    """Shows this run for LIFETIME. Nothing of it is stored, and it is the same however often it is asked for."""
    return PREFIX + _signer().signature(run_id.hex)


def _shows(token: str, run_id: UUID) -> bool:
    if not token.startswith(PREFIX) or datetime.now(UTC) > _began(run_id) + LIFETIME:
        return False
    try:
        return _signer().unsign(f"{run_id.hex}:{token.removeprefix(PREFIX)}") == run_id.hex
    except BadSignature:
        return False


def _began(run_id: UUID) -> datetime:
    # The first 48 bits of a UUIDv7 are milliseconds since the epoch.
    return datetime.fromtimestamp((run_id.int >> 80) / 1000, UTC)


def _signer() -> Signer:
    return Signer(salt="stepflow run")


def _sent_key(request: HttpRequest) -> str | None:
    """The key as it was sent, None if none was. What is sent decides alone: a second one does not rescue a bad one."""
    if (raw := request.headers.get("X-API-Key")) is not None:
        return raw.strip()
    if (header := request.headers.get("Authorization")) is not None:
        scheme, _, token = header.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""
    return None
