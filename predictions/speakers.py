"""Whose a conversation is: nobody else's messages, state or questions are found by its ids.

A run and its messages carry who spoke: `user:…` for an end user whom the page's server has named, `visitor` for those
who came to a public flow without a name or a key, and nothing for callers with a key, who speak for their own users.
"""

from __future__ import annotations

from django.http import HttpRequest

from apikeys.records import KeyRecord
from chatflows.records import FlowRecord
from forjinn.core.errors import Unauthenticated
from predictions.admission import Caller
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
    access = caller.access
    is_page = isinstance(access, KeyRecord) and access.is_publishable  # anybody can read such a key in the page
    if access is not None and access.workspace_id == flow.workspace_id and not is_page:
        return ""
    rules = flow.api_config.get("endUsers")
    if isinstance(rules, dict) and rules.get("required") is True:
        raise Unauthenticated(f"This flow takes visitors whom its page's server has named: send {HEADER}")
    return VISITOR


def name_of(speaker: str) -> str | None:
    """The subject of an end user; None of anybody else."""
    return speaker.removeprefix(PREFIX) if speaker.startswith(PREFIX) else None
