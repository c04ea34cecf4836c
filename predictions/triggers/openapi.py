"""The webhooks in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from predictions.openapi import ANSWER, CRASHED, EVENTS, EXAMPLE_ANSWER, PUBLIC, TOO_SLOW, VENDOR_FAILED

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}


def _json(schema: Schema, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


def _header(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "schema": TEXT, "description": description}


SIGNED = [
    _header("X-Webhook-Signature", "HMAC-SHA256 of the raw body in hexadecimal digits, with or without `sha256=`."),
    _header("X-Webhook-Timestamp", "When it was sent, in seconds since 1970: must be within 300 s."),
    _header("X-Webhook-Id", "The delivery's own id: however often it comes, it starts one run."),
]
REFUSED: Schema = {
    "description": "Refused; the message says why.",
    "content": _json(
        {"type": "object", "properties": {"error": TEXT}, "required": ["error"]},
        {"error": "No webhook has this address"},
    ),
}
PROBLEM: Schema = {
    "type": "object",
    "properties": {"field": TEXT, "message": TEXT},
    "required": ["field", "message"],
}
CALL_WEBHOOK: Schema = {
    "operationId": "webhook_call",
    "summary": "Start a run by a webhook's address.",
    "description": "The address is the credential: it needs no key. At most 256 KB and 60 calls a minute.",
    "security": [{}],
    "parameters": SIGNED,
    "requestBody": {"required": True, "content": _json({"type": "object"}, {"customer_email": "ann@example.com"})},
    "responses": {
        "202": {
            "description": "The run goes on by itself.",
            "content": _json(
                {
                    "type": "object",
                    "properties": {"run_id": TEXT, "status": {"enum": ["pending"]}},
                    "required": ["run_id", "status"],
                },
                {"run_id": "run_0199f1d27a3a7f009c1b2d3e4f5a6b7c", "status": "pending"},
            ),
        },
        "422": {
            "description": "What the mapping takes of the body does not fit the flow: no run.",
            "content": _json(
                {
                    "type": "object",
                    "properties": {"errors": {"type": "array", "items": PROBLEM}},
                    "required": ["errors"],
                },
                {"errors": [{"field": "email", "message": "is required"}]},
            ),
        },
        "4XX": REFUSED,
        "503": REFUSED,
    },
}


def _call(method: str) -> Schema:
    body: Schema = {
        "content": {
            **_json({"type": "object"}, {"order": {"id": 7}}),
            "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        }
    }
    return {
        "operationId": f"flow_webhook_{method}",
        "summary": "Call the webhook that a flow begins with.",
        "description": "Method, kind of body, parameters, signature and way of answering are what its start node says. "
        "A body with `chatId` and `humanInput` lets the run go on that waits in that chat.",
        "security": PUBLIC,
        "parameters": SIGNED,
        **({"requestBody": body} if method != "get" else {}),
        "responses": {
            "200": {
                "description": "The answer, whole or as it comes.",
                "content": {**_json(ANSWER, EXAMPLE_ANSWER), **EVENTS},
            },
            "202": {
                "description": "The answer will be told at the node's callback URL.",
                "content": _json(
                    {
                        "type": "object",
                        "properties": {"chatId": TEXT, "status": {"enum": ["PROCESSING"]}},
                        "required": ["chatId", "status"],
                    },
                    {"chatId": "8a5c1f0e-8f0b-4a3c-9b1e-0d6f5f0d9a11", "status": "PROCESSING"},
                ),
            },
            **CRASHED,
            **VENDOR_FAILED,
            **TOO_SLOW,
        },
    }


CALL_FLOW = {method: _call(method) for method in ("get", "post", "put", "patch", "delete")}
