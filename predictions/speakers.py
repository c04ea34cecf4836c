"""Whose a conversation is: nobody else's messages, state or questions are found by its ids.

A run and its messages carry who spoke: `user:…` for an end user whom the page's server has named, `visitor` for those
who came to a public flow without a name or a key, and nothing for callers with a key, who speak for their own users.
"""

from __future__ import annotations

from django.http import HttpRequest

from apikeys.records import is_of_page
from chatflows.access import resource_of
from chatflows.records import FlowRecord
from forjinn.core.errors import Unauthenticated
from forjinn.core.rates import network_of
from predictions.admission import Caller
from workspaces.access import Access
from workspaces.end_users import subject_of

HEADER = "X-End-User"
VISITOR = "visitor"
PREFIX = "user:"


async def speaker_of(request: HttpRequest, flow: FlowRecord, caller: Caller, token: str = "") -> str:
    """Who speaks in this call; `token` may come in the body, or in the query of a stream, instead of the header.

    Raises Unauthenticated for a token that is not good, and without one where the flow takes named visitors only.
    """
    token = request.headers.get(HEADER, "") or token
    if token:
        return PREFIX + await subject_of(flow.workspace_id, token)
    if caller.access is not None and _speaks_for_others(caller.access, flow):
        return ""
    rules = flow.api_config.get("endUsers")
    if isinstance(rules, dict) and rules.get("required") is True:
        raise Unauthenticated(f"This flow takes visitors whom its page's server has named: send {HEADER}")
    return VISITOR


def _speaks_for_others(access: Access, flow: FlowRecord) -> bool:
    """Whether they speak for users of their own: who may not execute the flow is a visitor where it is public."""
    is_own = access.workspace_id == flow.workspace_id
    return is_own and not is_of_page(access) and access.may(f"{resource_of(flow.kind)}:execute", flow.id)


def apart(speaker: str, address: str) -> str:
    """What keeps a speaker's requests apart from those of others who send the same; visitors have no name of their own,
    and are told apart by where they call from."""
    return f"{VISITOR} {network_of(address)}" if speaker == VISITOR else speaker


def name_of(speaker: str) -> str | None:
    """The subject of an end user; None of anybody else."""
    return speaker.removeprefix(PREFIX) if speaker.startswith(PREFIX) else None
