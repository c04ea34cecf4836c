"""This API in OpenAPI's words: the operations, and the document that it serves of itself alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from predictions.openapi import ONCE

Schema = dict[str, Any]

PREFIX = "/api/stepflow"
TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
RUN_STATUSES = ["pending", "running", "completed", "failed", "cancelled"]
STEP_STATUSES = ["pending", "running", "completed", "failed"]

SCHEMES: Schema = {
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key of the workspace."},
    "bearerAuth": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "runToken": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "What triggering a run answers: shows this run, for 24 hours after that.",
    },
}
KEYED: list[dict[str, list[str]]] = [{"apiKeyHeader": []}, {"bearerAuth": []}]
SHOWN = [*KEYED, {"runToken": []}]
PUBLIC: list[dict[str, list[str]]] = []

ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {"type": "string", "description": "What is wrong, and the way out."},
        "code": {"type": "string", "description": "Stable; for programs."},
    },
    "required": ["error", "code"],
}


def _json(schema: Schema, example: Any) -> Schema:
    return {"application/json": {"schema": schema, "example": example}}


def _refusal(description: str, code: str, error: str) -> Schema:
    return {"description": description, "content": _json(ERROR, {"error": error, "code": code})}


INVALID = {"400": _refusal("The input does not fit.", "INVALID_INPUT", "email: is required")}
UNAUTHORIZED = {"401": _refusal("No good key or token.", "UNAUTHORIZED", "Invalid API key")}
NO_WORKFLOW = {"404": _refusal("No such workflow.", "WORKFLOW_NOT_FOUND", "Workflow not found: welcome-user")}
NO_RUN = {"404": _refusal("No such run.", "RUN_NOT_FOUND", "Run not found: run_abc123")}
NO_EVENT = {"404": _refusal("No run waits for it.", "EVENT_NOT_FOUND", "Event not found: payment-received")}
KEY_REUSED = {
    "422": _refusal("The key came with another request.", "IDEMPOTENCY_KEY_REUSED", "Idempotency-Key 'a' came before")
}
OTHERS = {
    "4XX": _refusal("Refused; the error says why.", "METHOD_NOT_ALLOWED", "PUT is not allowed here; use POST"),
    "500": _refusal("The server failed.", "INTERNAL_ERROR", "The server failed; its log names this request id"),
    "503": _refusal("Unavailable for the moment.", "UNAVAILABLE", "The database cannot be reached"),
}

STEP: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "The node's label in words and hyphens, once in each run."},
        "status": {"enum": STEP_STATUSES},
        "result": {"description": "What a completed step gave: JSON if its node gives any, else text."},
        "error": {"type": "string", "description": "Why it failed."},
    },
    "required": ["name", "status"],
}
RUN: Schema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "workflowId": {"type": "string", "description": "The flow's slug."},
        "status": {
            "enum": RUN_STATUSES,
            "description": "A run that waits is `running`; its last step `pending`.",
        },
        "input": {"description": "What the run was triggered with."},
        "steps": {"type": "array", "items": STEP, "description": "In order; the one that runs or waits is the last."},
        "createdAt": TIME,
        "updatedAt": TIME,
        "result": {"description": "The answer of a completed run: JSON or text."},
        "error": {"type": "string", "description": "Why it failed, or that it was cancelled."},
    },
    "required": ["id", "workflowId", "status", "input", "steps", "createdAt", "updatedAt"],
}
EXAMPLE_RUN = {
    "id": "run_0199f1d27a3a7f009c1b2d3e4f5a6b7c",
    "workflowId": "welcome-user",
    "status": "running",
    "input": {"userId": "user_123", "email": "user@example.com"},
    "steps": [
        {"name": "send-welcome", "status": "completed", "result": {"sent": True}},
        {"name": "send-followup", "status": "pending"},
    ],
    "createdAt": "2024-01-15T10:30:00.000Z",
    "updatedAt": "2024-01-15T10:31:00.000Z",
}
EVENT: Schema = {
    "type": "object",
    "description": "`status`: the run's status changed, or a step began. `step`: one completed or failed. `complete` "
    "and `error` are the last; a run that was cancelled ends with a `status`.",
    "properties": {
        "event": {"enum": ["status", "step", "complete", "error"]},
        "id": {"type": "string", "description": "Send it back as Last-Event-ID to continue after this event."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "id", "data"],
}
EVENTS = {
    "text/event-stream": {
        "schema": EVENT,
        "example": 'id: 1.3\nevent: status\ndata: {"status":"running","stepName":"send-email"}\n\n'
        'id: 2.3\nevent: step\ndata: {"name":"send-email","status":"completed","result":{"sent":true}}\n\n'
        'id: 2.3.end\nevent: complete\ndata: {"status":"completed","result":{"success":true}}\n\n',
    }
}
PLACE: Schema = {"type": "string", "pattern": r"^([0-9]{1,9}\.[0-9]{1,9}(\.end)?)?$"}
LAST_EVENT = [
    {"name": "Last-Event-ID", "in": "header", "schema": PLACE, "description": "Continue after this event."},
    {"name": "lastEventId", "in": "query", "schema": PLACE, "description": "The same, where headers cannot be sent."},
]

TRIGGER: Schema = {
    "operationId": "stepflow_trigger",
    "summary": "Start a run of a workflow.",
    "description": "The workflow is a deployed flow: its slug, id or object id. The input is checked against the form "
    "that the flow begins with, and is the state that an agent flow begins with. The answer comes once the run is "
    "written down.",
    "security": KEYED,
    "parameters": [ONCE],
    "requestBody": {
        "content": _json(
            {"type": "object", "description": "The run's input; nothing is `{}`."},
            {"userId": "user_123", "email": "user@example.com"},
        )
    },
    "responses": {
        "200": {
            "description": "It will run, whatever breaks.",
            "content": _json(
                {
                    "type": "object",
                    "properties": {"runId": TEXT, "publicAccessToken": TEXT},
                    "required": ["runId", "publicAccessToken"],
                },
                {
                    "runId": "run_0199f1d27a3a7f009c1b2d3e4f5a6b7c",
                    "publicAccessToken": "pat_6bFzL5Z7T2m9HhXq1vJ0cYk3uWn8sRdE4aPgOiUtMlQ",
                },
            ),
        },
        **INVALID,
        **UNAUTHORIZED,
        **NO_WORKFLOW,
        "422": _refusal(
            "The key came with another request.", "IDEMPOTENCY_KEY_REUSED", "Idempotency-Key 'a' came before"
        ),
        **OTHERS,
    },
}
GET_RUN: Schema = {
    "operationId": "stepflow_run",
    "summary": "Look up a run.",
    "description": "Runs that were begun through another API of this server are shown, too.",
    "security": SHOWN,
    "responses": {
        "200": {"description": "How it stands.", "content": _json(RUN, EXAMPLE_RUN)},
        **UNAUTHORIZED,
        **NO_RUN,
        **OTHERS,
    },
}
STREAM: Schema = {
    "operationId": "stepflow_run_stream",
    "summary": "Follow a run from its beginning, or after an event, to its end.",
    "description": "It goes on while the run waits; a comment comes every 15 seconds.",
    "security": SHOWN,
    "parameters": LAST_EVENT,
    "responses": {
        "200": {"description": "The run's events.", "content": EVENTS},
        "204": {"description": "That event was the last: there is nothing to come back for."},
        "400": _refusal("That is no id of an event.", "INVALID_INPUT", "Last-Event-ID: expected the id of an event"),
        **UNAUTHORIZED,
        **NO_RUN,
        **OTHERS,
    },
}
NOTIFY: Schema = {
    "operationId": "stepflow_notify",
    "summary": "Report an event to the runs that wait for it.",
    "description": "Every run of the workspace that waits for it goes on; what nobody waits for is not kept. "
    "The body, any JSON, is the step's `eventData`.",
    "security": KEYED,
    "parameters": [ONCE],
    "requestBody": {
        "content": _json(
            {},  # any JSON
            {"status": "paid", "amount": 99.99, "transactionId": "txn_456"},
        )
    },
    "responses": {
        "200": {
            "description": "The runs go on.",
            "content": _json(
                {"type": "object", "properties": {"success": {"const": True}}, "required": ["success"]},
                {"success": True},
            ),
        },
        "400": _refusal("The body is not JSON.", "INVALID_INPUT", "The body is not valid JSON"),
        **UNAUTHORIZED,
        **NO_EVENT,
        **KEY_REUSED,
        **OTHERS,
    },
}
STATE: Schema = {
    "type": "object",
    "properties": {"status": {"enum": ["ok", "error"]}, "timestamp": TIME},
    "required": ["status", "timestamp"],
}
HEALTH: Schema = {
    "operationId": "stepflow_health",
    "summary": "Can runs be triggered?",
    "security": PUBLIC,
    "responses": {
        "200": {
            "description": "Database and broker answer.",
            "content": _json(STATE, {"status": "ok", "timestamp": "2024-01-15T10:30:00.000Z"}),
        },
        **OTHERS,
        "503": {
            "description": "One of them does not.",
            "content": _json(STATE, {"status": "error", "timestamp": "2024-01-15T10:30:00.000Z"}),
        },
    },
}
DOCUMENT: Schema = {
    "operationId": "stepflow_openapi",
    "summary": "This document.",
    "security": PUBLIC,
    "responses": {
        "200": {"description": "OpenAPI 3.1.", "content": {"application/yaml": {"schema": {"type": "object"}}}},
        **OTHERS,
    },
}
OPERATIONS: dict[str, Schema] = {
    "/trigger/{workflowId}": {"post": TRIGGER},
    "/runs/{runId}": {"get": GET_RUN},
    "/runs/{runId}/stream": {"get": STREAM},
    "/notify/{eventId}": {"post": NOTIFY},
    "/health": {"get": HEALTH},
    "/openapi.yaml": {"get": DOCUMENT},
}


def add_schemes(result: Schema, **_: Any) -> Schema:
    """A drf-spectacular postprocessing hook: how this API's callers say who they are."""
    known = result.setdefault("components", {}).setdefault("securitySchemes", {})
    result["components"]["securitySchemes"] = {**SCHEMES, **known}
    return result


@cache
def document() -> bytes:
    """The OpenAPI document of this API alone, as YAML."""
    written = {
        "openapi": "3.1.0",
        "info": {"title": "Stepflow API", "version": "1", "description": "Flows as durable workflows."},
        "servers": [{"url": PREFIX}],
        "paths": {path: _with_parameter(path, methods) for path, methods in OPERATIONS.items()},
        "components": {"securitySchemes": SCHEMES},
    }
    return yaml.dump(written, Dumper=_Plain, sort_keys=False, allow_unicode=True).encode()


class _Plain(yaml.SafeDumper):
    """What is used twice is written twice: not every reader of OpenAPI knows YAML's references."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _with_parameter(path: str, methods: Schema) -> Schema:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    named = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
    return {**({"parameters": named} if named else {}), **methods}
