"""This API in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from predictions.hooks.models import EVENTS
from predictions.hooks.run_hooks import MAX_HOOKS, MAX_SECRET
from predictions.openapi import ONCE

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
ERROR: Schema = {
    "type": "object",
    "properties": {"error": {"type": "string", "description": "What is wrong, and the way out."}},
    "required": ["error"],
}
PROBLEMS: Schema = {
    "type": "object",
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"field": TEXT, "message": TEXT},
                "required": ["field", "message"],
            },
        }
    },
    "required": ["errors"],
}
RUN_EXAMPLE = "run_0190a0e68f3a7c7080000e4f1b2c3d4e"


def _json(schema: Schema, example: Any) -> Schema:
    return {"application/json": {"schema": schema, "example": example}}


def _refusal(description: str, example: str) -> Schema:
    return {"description": description, "content": _json(ERROR, {"error": example})}


BAD = {"400": _refusal("The body is malformed, or the id is none.", "The body must be a JSON object")}
UNKNOWN = {
    "401": _refusal("No good key or token.", "Invalid API key: send Authorization: Bearer cf_…"),
    "4XX": _refusal("Refused; the error says why.", "Nothing here"),
    "503": _refusal("Unavailable for the moment.", "Unavailable for the moment: the database cannot be reached"),
}
NOT_FOUND = {"404": _refusal("No run of this deployment has that id.", f"Run {RUN_EXAMPLE} not found")}
TOO_OFTEN = {
    "429": {
        **_refusal("Beyond the workflow's rate limit.", "Too many requests: wait a moment and ask again"),
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
    }
}
KEYED: list[dict[str, list[str]]] = [{"bearerAuth": []}]
RUN_ID = {
    "name": "run_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^run_[0-9a-f]{32}$"},
}
SHOWN_TO = "A participant's token goes as well, as the bearer or as `?token=`."

HOOK: Schema = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "Where to POST; https."},
        "events": {"type": ["array", "null"], "items": {"enum": list(EVENTS)}, "description": "All, if left out."},
        "secret": {
            "type": ["string", "null"],
            "maxLength": MAX_SECRET,
            "description": "What messages are signed with.",
        },
    },
    "required": ["url"],
}
NEW_RUN: Schema = {
    "type": "object",
    "properties": {
        "input": {
            "type": ["object", "null"],
            "description": "The run's initial state, checked against the inputs that the workflow declares; nodes read "
            "it as `{{state.name}}`.",
        },
        "connections": {
            "type": ["object", "null"],
            "description": "Credentials for this run alone, by the slug of a connection that callers fulfill: an "
            "object of texts each. They are sealed, and forgotten when the run ends.",
            "additionalProperties": {"type": "object", "additionalProperties": TEXT},
        },
        "hooks": {
            "type": ["array", "null"],
            "maxItems": MAX_HOOKS,
            "items": HOOK,
            "description": "Who hears of this run.",
        },
        "workflow_id": {
            "description": "Not needed: the key stands for the workflow. If it is sent, it must be that one.",
        },
    },
}
STARTED: Schema = {
    "type": "object",
    "properties": {"run_id": TEXT, "status": {"enum": ["pending", "running"]}},
    "required": ["run_id", "status"],
}
RUN: Schema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "status": {"enum": ["pending", "running", "waiting_for_input", "waiting", "completed", "failed"]},
        "state": {"type": "object", "description": "The input, and what nodes have added. Not shown to participants."},
        "current_step_id": {"type": ["string", "null"], "description": "The node that runs, or waits."},
        "created_at": TIME,
        "started_at": {**TIME, "description": "When it began, or went on the last time."},
        "completed_at": TIME,
        "error": {"type": "string", "description": "Why it failed."},
    },
    "required": ["id", "status", "current_step_id", "created_at"],
}
MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "role": {"enum": ["assistant", "user"]},
        "content": TEXT,
        "step_id": {"type": "string", "description": "The node that said it, or that it was said to."},
        "created_at": TIME,
    },
    "required": ["id", "role", "content", "step_id", "created_at"],
}
SAID: Schema = {
    "type": "object",
    "properties": {
        "content": {"type": ["string", "null"], "description": "The message that the run waits for."},
        "decision": {"enum": ["proceed", "reject", None], "description": "Instead, the decision that it waits for."},
        "feedback": {"type": ["string", "null"], "pattern": r"\S", "maxLength": 100000, "description": "Why so."},
    },
    "anyOf": [
        {
            "properties": {
                "content": {"type": "string", "pattern": r"\S", "maxLength": 100000},
                "decision": {"type": "null"},
            },
            "required": ["content"],
        },
        {
            "properties": {"decision": {"enum": ["proceed", "reject"]}, "content": {"type": "null"}},
            "required": ["decision"],
        },
    ],
}

START: Schema = {
    "operationId": "run_start",
    "summary": "Start a run of the deployment that the key stands for.",
    "security": KEYED,
    "parameters": [ONCE],
    "requestBody": {
        "required": True,
        "content": _json(NEW_RUN, {"input": {"name": "Alice", "issue": "Billing query"}}),
    },
    "responses": {
        "202": {
            "description": "It is written down and will run.",
            "headers": {"Location": {"schema": TEXT}},
            "content": _json(STARTED, {"run_id": RUN_EXAMPLE, "status": "pending"}),
        },
        **BAD,
        "422": {
            "description": "What was sent does not fit, one entry a problem; or the Idempotency-Key came before with "
            "another request. No run was started.",
            "content": _json({"anyOf": [PROBLEMS, ERROR]}, {"errors": [{"field": "email", "message": "is required"}]}),
        },
        **TOO_OFTEN,
        **UNKNOWN,
    },
}
LOOK: Schema = {
    "operationId": "run_get",
    "summary": "How a run stands.",
    "description": SHOWN_TO,
    "security": KEYED,
    "parameters": [RUN_ID],
    "responses": {
        "200": {
            "description": "The run.",
            "content": _json(
                RUN,
                {
                    "id": RUN_EXAMPLE,
                    "status": "running",
                    "state": {"name": "Alice", "issue": "Billing query"},
                    "current_step_id": "ask-details",
                    "created_at": "2026-06-10T12:00:00Z",
                    "started_at": "2026-06-10T12:00:01Z",
                },
            ),
        },
        **BAD,
        **NOT_FOUND,
        **UNKNOWN,
    },
}
MESSAGES: Schema = {
    "operationId": "run_messages",
    "summary": "What was said in a run, oldest first.",
    "description": SHOWN_TO,
    "security": KEYED,
    "parameters": [RUN_ID],
    "responses": {
        "200": {
            "description": "The conversation.",
            "content": _json(
                {"type": "array", "items": MESSAGE},
                [
                    {
                        "id": "msg_0190a0e68f3a7c7080000e4f1b2c3d4f",
                        "role": "assistant",
                        "content": "Hi Alice! How can I help with your billing query?",
                        "step_id": "support-agent",
                        "created_at": "2026-06-10T12:00:02Z",
                    }
                ],
            ),
        },
        **BAD,
        **NOT_FOUND,
        **UNKNOWN,
    },
}
SAY: Schema = {
    "operationId": "run_say",
    "summary": "Answer a run that waits: a message, or a decision.",
    "description": SHOWN_TO,
    "security": KEYED,
    "parameters": [RUN_ID, ONCE],
    "requestBody": {"required": True, "content": _json(SAID, {"content": "It is about invoice 42."})},
    "responses": {
        "202": {
            "description": "It goes on.",
            "content": _json(STARTED, {"run_id": RUN_EXAMPLE, "status": "running"}),
        },
        **BAD,
        **NOT_FOUND,
        "409": _refusal("It does not wait for that.", "Run 0190a0e6-8f3a-7c70-8000-0e4f1b2c3d4e waits for nothing"),
        **TOO_OFTEN,
        **UNKNOWN,
    },
}
MINT: Schema = {
    "operationId": "run_token_mint",
    "summary": "A token for a participant: one run, one role, one hour.",
    "security": KEYED,
    "parameters": [RUN_ID],
    "requestBody": {
        "required": True,
        "content": _json(
            {
                "type": "object",
                "properties": {"role": {"type": "string", "maxLength": 100, "pattern": r"\S"}},
                "required": ["role"],
            },
            {"role": "customer"},
        ),
    },
    "responses": {
        "200": {
            "description": "The token, a JWT. It cannot be looked up again.",
            "content": _json(
                {"type": "object", "properties": {"participant_token": TEXT}, "required": ["participant_token"]},
                {"participant_token": "eyJhbGciOiJIUzI1NiIs..."},
            ),
        },
        **BAD,
        **NOT_FOUND,
        **UNKNOWN,
    },
}
