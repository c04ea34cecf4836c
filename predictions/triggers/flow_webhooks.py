"""The webhook of a flow's start node: `/api/v1/webhook/{flow}`, called and answered as the node's settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import orjson
from django.http import HttpRequest, HttpResponseBase, QueryDict

from apikeys.records import is_of_page
from chatflows.records import FlowRecord, afind_flow
from forjinn.core.errors import AppError, MethodNotAllowed, NotFound, Unauthenticated, error_response
from forjinn.core.openapi import documented
from forjinn.core.permissions import BY_FLOW
from forjinn.core.scopes import enter
from predictions.admission import Caller, let_in
from predictions.limits import check_knock, check_rate, known_id, own_key_id
from predictions.requests import MAX_ID, HumanAnswer, PredictionRequest, RequestInvalid, check_json
from predictions.speakers import speaker_of
from predictions.store import Store
from predictions.triggers import openapi
from predictions.triggers.calls import (
    Webhook,
    call_of,
    find_own_webhook,
    promise_callback,
    read_delivery,
    start_run,
)
from predictions.triggers.parameters import check_parameters
from predictions.triggers.signatures import check_signature, check_time
from predictions.triggers.starts import FORM, SIGNATURE_HEADER, WEBHOOK, Start, start_of
from predictions.views.api import api_view, json_response, read_caller
from predictions.views.predictions import streamed_answer, whole_answer
from predictions.web import web_process

JSON = "application/json"


class WrongContentType(AppError):
    """The body is of another kind than the start node takes."""

    status = 415
    code = "unsupported_media_type"


@documented(**openapi.CALL_FLOW)
@api_view(GET=BY_FLOW, POST=BY_FLOW, PUT=BY_FLOW, PATCH=BY_FLOW, DELETE=BY_FLOW)
async def call_flow(request: HttpRequest, chatflow_id: str) -> HttpResponseBase:
    """Start a run of a flow that begins with a webhook, or let the one go on that waits in the named chat."""
    flow = await _find_flow(chatflow_id)
    caller = await read_caller(request)
    enter(flow.workspace_id, caller.actor)
    process = web_process()
    start = start_of(await Store(process.pool).flow_data(flow.version_id))
    webhook = await find_own_webhook(process.pool, flow)
    if start is None or webhook is None:
        raise NotFound(f"Chatflow {chatflow_id} has no webhook: save it once more with a webhook as its start")
    if request.method != (method := start.text("webhookMethod", "POST")):
        refused = error_response(MethodNotAllowed(f"This webhook is called by {method}, not {request.method}"), request)
        refused.headers["Allow"] = method
        return refused
    key_id = own_key_id(caller.access, flow)
    try:
        is_signed = _check_caller(request, caller, flow, start, webhook)
    except AppError:
        await check_knock(process.redis, flow, caller.address, known_id(caller.access, flow))
        raise
    await check_rate(process.redis, flow, caller.address, key_id, is_visitor=is_of_page(caller.access))
    body = _read_body(request, start)
    check_parameters(start, body=body, query=request.GET, headers=request.headers)
    asked = _asked(request, body, start)
    if not is_signed:
        asked = replace(asked, end_user=await speaker_of(request, flow, caller))
    return await _answered(request, flow, start, webhook, asked)


async def _find_flow(chatflow_id: str) -> FlowRecord:
    try:
        flow = await afind_flow(UUID(chatflow_id))
    except ValueError:
        flow = None
    if flow is None or not flow.deployed or flow.start_input_type != WEBHOOK:
        raise NotFound(f"No deployed flow {chatflow_id} begins with a webhook")
    return flow


async def _answered(
    request: HttpRequest, flow: FlowRecord, start: Start, webhook: Webhook, asked: PredictionRequest
) -> HttpResponseBase:
    process = web_process()
    mode = start.text("webhookResponseMode", "sync")
    is_streaming = mode == "stream" and flow.is_streamable
    begun = await start_run(
        process,
        webhook=webhook,
        flow=flow,
        asked=asked,
        once=read_delivery(request, webhook),
        is_streaming=is_streaming,
        has_caller=mode != "async",
        timeout_s=webhook.timeout_s,
    )
    if is_streaming:
        return streamed_answer(begun, asked)
    if mode != "async":
        return await whole_answer(begun, asked)
    begun.watcher.close()
    if start.text("callbackUrl") and not begun.is_replay:
        await promise_callback(process.pool, begun.execution_id)
    response = json_response({"chatId": asked.chat_id, "status": "PROCESSING"})
    response.status_code = 202
    return response


def _check_caller(request: HttpRequest, caller: Caller, flow: FlowRecord, start: Start, webhook: Webhook) -> bool:
    """Signed calls, if the author has asked for them or has set a secret; any, if they have said so; else a key's.

    Whether it is a signed one.
    """
    wants_signature = start.flag("webhookEnableAuth")
    secrets = [secret for secret in (*webhook.secrets(), start.text("webhookSecret")) if secret]
    if wants_signature is False:
        return False
    if wants_signature is None and not secrets:
        let_in(flow, caller, str(flow.id))
        return False
    if not secrets:
        raise Unauthenticated(f"This webhook takes signed calls only and has no secret: give trigger {webhook.id} one")
    check_time(request.headers)
    is_token = start.text("webhookSignatureType", "hmac-sha256") == "plain-token"
    header = start.text("webhookSignatureHeader", SIGNATURE_HEADER)
    check_signature(request.headers, request.body, secrets, header, "plain-token" if is_token else "hmac-sha256")
    return True


def _read_body(request: HttpRequest, start: Start) -> dict[str, Any]:
    """Calls without a body have an empty one."""
    if not request.body:
        return {}
    wanted = start.text("webhookContentType", JSON)
    if request.content_type != wanted:
        raise WrongContentType(f"This webhook takes {wanted}, not {request.content_type or 'a body of no type'}")
    body = _form(request) if wanted == FORM else _json(request)
    check_json("The body", body)
    return body


def _form(request: HttpRequest) -> dict[str, Any]:
    fields = QueryDict(request.body)
    return {name: values[-1] if len(values) == 1 else values for name, values in fields.lists()}


def _json(request: HttpRequest) -> dict[str, Any]:
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as exc:
        raise RequestInvalid(f"The body is not valid JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise RequestInvalid("The body must be a JSON object")
    return body


def _asked(request: HttpRequest, body: Mapping[str, Any], start: Start) -> PredictionRequest:
    chat_id = body.get("chatId") or ""
    if not isinstance(chat_id, str) or len(chat_id) > MAX_ID:
        raise RequestInvalid(f"chatId: expected text of at most {MAX_ID} characters")
    answer = _answer(body, chat_id)
    named = chat_id or str(uuid4())
    call = call_of(request, body, start.text("webhookSignatureHeader", SIGNATURE_HEADER))
    written = orjson.dumps(call).decode()
    return PredictionRequest(
        question=answer.feedback if answer else written if start.text("webhookInputMode") == "payload" else "",
        chat_id=named,
        session_id=named,
        wants_stream=False,
        answer=answer,
        is_new_chat=not chat_id,
        beside={"webhook": written},
        chat_type="WEBHOOK",
    )


def _answer(body: Mapping[str, Any], chat_id: str) -> HumanAnswer | None:
    given = body.get("humanInput")
    if given in (None, ""):
        return None
    if not chat_id:
        raise RequestInvalid("chatId: required with humanInput, as the call that waits was answered with")
    if not isinstance(given, dict) or given.get("type") not in ("proceed", "reject"):
        raise RequestInvalid("humanInput: expected an object with type proceed or reject")
    feedback, node_id = given.get("feedback") or "", given.get("startNodeId") or ""
    if not isinstance(feedback, str) or not isinstance(node_id, str):
        raise RequestInvalid("humanInput: feedback and startNodeId must be text")
    return HumanAnswer(given["type"], feedback.strip(), node_id)
