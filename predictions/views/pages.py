"""Pages for people: what runs here, and a plain chat for each public flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from chatflows.models import Chatflow
from chatflows.records import afind_flow
from forjinn.core.permissions import PUBLIC, needing
from forjinn.core.scopes import SYSTEM, enter, in_scope
from predictions.publicity import public_config
from predictions.store import Store
from predictions.web import web_process
from workspaces.models import Workspace

SHOWN_FLOWS = 50
# Scripts, styles and calls of this server's own; names and answers that are drawn cannot bring others.
OWN_ALONE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@needing(GET=PUBLIC)
async def index(request: HttpRequest) -> HttpResponse:
    """What runs here, and the way to docs, admin and chats."""
    flows = await in_scope(SYSTEM, _public_flows)  # nobody has said which workspace it is about
    return _page(request, "predictions/index.html", {"flows": flows})


@needing(GET=PUBLIC)
async def chat(request: HttpRequest, chatflow_id: UUID) -> HttpResponse:
    """The chat page of a public, deployed flow; any other is not found."""
    flow = await afind_flow(chatflow_id)
    if flow is None or not flow.is_public or not flow.deployed:
        raise Http404("No public chat here")
    enter(flow.workspace_id)
    config = public_config(flow, await Store(web_process().pool).flow_data(flow.version_id))
    context = {
        "flow": flow,
        "prompts": _prompts(config),
        "needs_form": flow.start_input_type == "formInput",
    }
    return _page(request, "predictions/chat.html", context)


def _page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    response = render(request, template, dict(context))
    response.headers["Content-Security-Policy"] = OWN_ALONE
    return response


def _prompts(config: Mapping[str, Any]) -> list[str]:
    """The suggestions, which editors save as `{"0": {"prompt": "..."}}`; anything else is none."""
    starters = config.get("starterPrompts")
    entries = starters.values() if isinstance(starters, dict) else ()
    prompts = [entry.get("prompt") for entry in entries if isinstance(entry, dict)]
    return [prompt for prompt in prompts if isinstance(prompt, str) and prompt.strip()]


def _public_flows() -> list[dict[str, Any]]:
    """Where one tenant is alone. Of several none is shown: whose flows there are is nobody else's business."""
    if Workspace.objects.filter(archived_at=None).count() != 1:
        return []
    flows = Chatflow.objects.filter(is_public=True, deployed=True).order_by("name")
    return [dict(flow) for flow in flows.values("id", "name", "description", "kind")[:SHOWN_FLOWS]]
