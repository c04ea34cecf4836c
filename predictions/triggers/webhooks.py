"""Webhooks at addresses that nobody can guess: `POST /api/webhooks/{token}` starts a run and does not wait for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponseBase

from chatflows.records import FlowRecord, afind_flow
from engine.jsonpath import follow
from forjinn.core.errors import AppError, BadRequest, NotFound, PayloadTooLarge, shape_errors
from forjinn.core.openapi import documented
from forjinn.core.permissions import OWN
from forjinn.core.scopes import enter, system_scope
from predictions.inputs import Problem, problems_of, request_of
from predictions.limits import RateLimit, check_rate, count_call
from predictions.reading import run_name
from predictions.requests import PredictionRequest, check_json
from predictions.triggers import openapi
from predictions.triggers.calls import Webhook, call_of, find_webhook, read_delivery, start_run
from predictions.triggers.signatures import GENERIC, PLATFORMS, check_signature, check_time
from predictions.triggers.starts import WEBHOOK
from predictions.views.api import api_view, json_response
from predictions.web import web_process

TOKEN = re.compile(r"[A-Za-z0-9_-]{40}")
MOST_BYTES = 256 * 1024
A_MINUTE = RateLimit(60, 60, "This webhook takes 60 calls a minute")


class InputInvalid(AppError):
    """What the mapping makes of the body does not fit the flow."""

    status = 422
    code = "input_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.message}".strip() for problem in problems))
        self.problems = problems


def shape(error: AppError, request: Any) -> Mapping[str, Any]:
    """`{"error": ...}`, and `{"errors": [...]}` for what does not fit."""
    if error.status != 422:
        return {"error": error.message}
    problems = error.problems if isinstance(error, InputInvalid) else [Problem("", error.message)]
    return {"errors": [{"field": problem.field, "message": problem.message} for problem in problems]}


shape_errors("/api/webhooks", shape)


@documented(post=openapi.CALL_WEBHOOK)
@api_view(POST=OWN)
async def call_webhook(request: HttpRequest, token: str) -> HttpResponseBase:
    """Start a run of the webhook's flow with what its mapping takes of the body."""
    webhook, flow = await _find(token)
    process = web_process()
    await count_call(process.redis, f"webhook:{webhook.id}", A_MINUTE)
    body = _checked_body(request, webhook)
    await check_rate(process.redis, flow, request.META.get("REMOTE_ADDR", ""), None)
    begun = await start_run(
        process,
        webhook=webhook,
        flow=flow,
        asked=_asked(request, body, webhook, flow),
        once=read_delivery(request, webhook),
        timeout_s=webhook.timeout_s,
    )
    begun.watcher.close()
    response = json_response({"run_id": run_name(begun.execution_id), "status": "pending"})
    response.status_code = 202
    return response


async def _find(token: str) -> tuple[Webhook, FlowRecord]:
    with system_scope():  # whose it is only the token says
        webhook = await find_webhook(web_process().pool, token) if TOKEN.fullmatch(token) else None
    flow = await afind_flow(webhook.chatflow_id) if webhook and webhook.enabled else None
    if webhook is None or flow is None or not flow.deployed:
        raise NotFound("No webhook has this address: it was changed or switched off, or its flow is not deployed")
    enter(flow.workspace_id)
    return webhook, flow


def _checked_body(request: HttpRequest, webhook: Webhook) -> dict[str, Any]:
    if len(request.body) > MOST_BYTES:
        raise PayloadTooLarge(f"The body has {len(request.body)} bytes; at most {MOST_BYTES} are taken")
    check_time(request.headers)
    if secrets := webhook.secrets():
        header, kind = PLATFORMS.get(webhook.platform.lower(), (GENERIC, "hmac-sha256"))
        check_signature(request.headers, request.body, secrets, header, kind)
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"The body is not valid JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object")
    check_json("The body", body)
    return body


def _asked(request: HttpRequest, body: Mapping[str, Any], webhook: Webhook, flow: FlowRecord) -> PredictionRequest:
    given = dict(_mapped(body, webhook.input_mapping))
    problems = problems_of(flow, given)
    asked = request_of(flow, given, wants_stream=False)
    question = asked.question or ("" if flow.inputs else webhook.message)
    if not question and not flow.inputs and flow.start_input_type != WEBHOOK:
        problems.append(Problem("question", "is required: map a field to it, or give the trigger a triggerMessage"))
    if problems:
        raise InputInvalid(problems)
    call = orjson.dumps(call_of(request, body)).decode()
    return replace(asked, question=question, beside={"webhook": call}, chat_type="WEBHOOK")


def _mapped(body: Mapping[str, Any], mapping: Mapping[str, str]) -> list[tuple[str, Any]]:
    """What the mapping names and the body has; nothing else of it."""
    found = []
    for name, path in mapping.items():
        try:
            found.append((name, follow(body, path)))
        except LookupError:
            continue  # the flow says whether it can do without
    return found
