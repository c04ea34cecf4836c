"""Who calls: the holder of a deployment's key, or a participant of one of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from chatflows.deployments import DeploymentRecord, afind_deployment
from chatflows.records import FlowRecord, afind_flow, aflow_at
from forjinn.core.errors import BadRequest, NotFound, Unauthenticated
from forjinn.core.scopes import enter, system_scope
from predictions.doors.chatterfly.tokens import read_token
from predictions.pool import Pool, borrowed
from predictions.reading import RunReading, read_run, read_run_name
from predictions.web import web_process

PREFIX = "cf_"
EXPECTED = "send Authorization: Bearer cf_…"
INVALID = f"Invalid API key: {EXPECTED}"
TOKENS = ("token", "participant_token")  # in the query, where browsers cannot send headers

# Whoever revokes a key that has leaked ends the tokens that were made with it, too.
STANDS = """
SELECT FROM chatflows_deployment deployment JOIN apikeys_apikey key ON key.id = deployment.apikey_id
JOIN workspaces_workspace workspace ON workspace.id = deployment.workspace_id
WHERE deployment.id = %b AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > now())
    AND workspace.archived_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose runs they may see: the deployment's; a participant the one only, and nothing of its inside.

    `key_id`: that of the deployment, if they have it.
    """

    deployment_id: UUID
    run_id: UUID | None = None
    key_id: UUID | None = None

    @property
    def is_participant(self) -> bool:
        return self.run_id is not None


async def read_key(headers: Mapping[str, str]) -> DeploymentRecord:
    """The deployment that the caller's key stands for. Raises Unauthenticated, Forbidden, Unavailable."""
    deployment = await afind_deployment(_bearer(headers))
    if deployment is None:
        raise Unauthenticated(INVALID)
    deployment.conditions.check(_header(headers, "origin") or "")
    enter(deployment.workspace_id)
    return deployment


async def read_caller(headers: Mapping[str, str], query: Mapping[str, str]) -> Caller:
    """Who calls, by key or by token. What the header says counts alone.

    Raises Unauthenticated, Forbidden, Unavailable.
    """
    in_query = next((query[name] for name in TOKENS if name in query), None)
    if in_query is not None and _header(headers, "authorization") is None:
        return await _participant(in_query)
    raw = _bearer(headers)
    if "." in raw:
        return await _participant(raw)
    deployment = await read_key(headers)
    return Caller(deployment.id, key_id=deployment.apikey_id)


async def find_own_run(run_id: str, caller: Caller) -> RunReading:
    """The run as it stands. Raises BadRequest for what is no id, NotFound for a run of another deployment."""
    execution_id = read_run_name(run_id)
    if execution_id is None:
        raise BadRequest(f"Invalid run id '{run_id[:80]}': expected run_ and 32 hexadecimal digits")
    process = web_process()
    with system_scope():  # a participant's token names a run, and no workspace
        run = await read_run(process.pool, execution_id, redis=process.redis)
    is_own = run is not None and run.request.get("deployment") == str(caller.deployment_id)
    if run is None or not is_own or caller.run_id not in (None, execution_id):
        raise NotFound(f"Run {run_id} not found")
    enter(run.workspace_id)
    return run


async def find_deployed_flow(chatflow_id: UUID, version_id: UUID) -> FlowRecord:
    """The flow in the version that was deployed. Raises NotFound for one that was deleted since, Unavailable."""
    flow = await afind_flow(chatflow_id)
    if flow is None:
        raise NotFound("The workflow of this deployment is gone")
    return await aflow_at(flow, version_id)


async def _participant(token: str) -> Caller:
    found = read_token(token)
    if found is None or not await _stands(web_process().pool, found.deployment_id):
        raise Unauthenticated("Invalid participant token: it is good for one run, and for an hour; mint another one")
    return Caller(found.deployment_id, found.run_id)


async def _stands(pool: Pool, deployment_id: UUID) -> bool:
    with system_scope():  # likewise
        async with borrowed(pool) as connection:
            return await (await connection.execute(STANDS, [deployment_id])).fetchone() is not None


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name) or headers.get(name.capitalize())


def _bearer(headers: Mapping[str, str]) -> str:
    """What was sent as a key. Raises Unauthenticated."""
    header = _header(headers, "authorization")
    if header is None:
        raise Unauthenticated(f"API key missing: {EXPECTED}")
    scheme, _, raw = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(INVALID)
    return raw.strip()
