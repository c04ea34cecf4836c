"""The asynchronous views in OpenAPI's words: DRF does not see them, so each names its operation from here."""

from __future__ import annotations

from typing import Any

from forjinn.core.openapi import ERROR_RESPONSE

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Continue the stream that this event id belongs to, after it.",
}

TURN: Schema = {
    "type": "object",
    "description": "An earlier message; `{type, message}` and `{role, content}` are both understood.",
    "properties": {
        "role": {"enum": ["userMessage", "apiMessage"]},
        "content": TEXT,
        "type": {"enum": ["userMessage", "apiMessage"]},
        "message": TEXT,
    },
}
UPLOAD: Schema = {
    "type": "object",
    "properties": {
        "type": {"enum": ["file", "file:full", "url"]},
        "name": TEXT,
        "mime": TEXT,
        "data": {
            "type": "string",
            "description": "A data URI, the file's text for `file:full`, or an address for `url`.",
        },
    },
}
REQUEST: Schema = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "The user's message."},
        "chatId": {"type": "string", "maxLength": 255, "description": "The conversation; made up when absent."},
        "sessionId": {"type": "string", "maxLength": 255, "description": "An alias of chatId."},
        "streaming": {"type": "boolean", "description": "Answer with server-sent events, if the flow can."},
        "history": {"type": "array", "items": TURN},
        "form": {"type": "object", "description": "Values for a flow that starts from a form; instead of question."},
        "overrideConfig": {"type": "object", "properties": {"sessionId": {"type": "string", "maxLength": 255}}},
        "uploads": {"type": "array", "items": UPLOAD},
        "leadEmail": TEXT,
    },
}
ANSWER: Schema = {
    "type": "object",
    "properties": {
        "text": TEXT,
        "json": {"description": "Instead of text, in flows that end in an output parser."},
        "question": TEXT,
        "chatId": TEXT,
        "chatMessageId": TEXT,
        "sessionId": TEXT,
        "executionId": TEXT,
        "memoryType": TEXT,
        "isStreamValid": {"type": "boolean"},
        "usedTools": {"type": "array", "items": {"type": "object"}},
        "agentFlowExecutedData": {"type": "array", "items": {"type": "object"}},
        "warnings": {"type": "array", "items": TEXT},
    },
    "required": ["question", "chatId"],
}
EVENTS = {"text/event-stream": {"schema": TEXT, "example": 'message:\ndata:{"event":"token","data":"Hello"}\n\n'}}


def _json(schema: Schema, example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "example": example}}


EXAMPLE_ANSWER = {
    "text": "Hello! How can I help?",
    "question": "Hello",
    "chatId": "8a5c1f0e-8f0b-4a3c-9b1e-0d6f5f0d9a11",
    "chatMessageId": "0199f1d2-7a3b-7c1d-8e2f-3a4b5c6d7e8f",
    "sessionId": "8a5c1f0e-8f0b-4a3c-9b1e-0d6f5f0d9a11",
    "executionId": "0199f1d2-7a3a-7f00-9c1b-2d3e4f5a6b7c",
    "isStreamValid": False,
}
PUBLIC: list[dict[str, list[str]]] = [{}, {"bearerAuth": []}]

CRASHED = {"500": {"description": "The run failed inside a node.", **ERROR_RESPONSE}}
VENDOR_FAILED = {"502": {"description": "The model's vendor refused or failed.", **ERROR_RESPONSE}}
WORDS = {"text/plain": {"schema": TEXT}}
NOT_FROM_HERE = {
    "403": {
        "description": "The page that asks is not allowed to; in words alone when a stream was asked for.",
        "content": {**ERROR_RESPONSE["content"], **WORDS},
    }
}
TOO_OFTEN = {"429": {"description": "Beyond the flow's rate limit, in its author's words.", "content": WORDS}}
TOO_SLOW = {"504": {"description": "A node took too long.", **ERROR_RESPONSE}}

PREDICT: Schema = {
    "operationId": "prediction_create",
    "summary": "Ask a deployed chatflow.",
    "description": "Public flows need no key. With Last-Event-ID a running or finished stream is continued.",
    "security": PUBLIC,
    "parameters": [LAST_EVENT],
    "requestBody": {
        "required": True,
        "content": {
            **_json(REQUEST, {"question": "Hello"}),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "question": TEXT,
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            },
        },
    },
    "responses": {
        "200": {
            "description": "The answer, whole or as it comes.",
            "content": {**_json(ANSWER, EXAMPLE_ANSWER), **EVENTS},
        },
        **NOT_FROM_HERE,
        **TOO_OFTEN,
        **CRASHED,
        **VENDOR_FAILED,
        **TOO_SLOW,
    },
}
IS_STREAMING: Schema = {
    "operationId": "chatflow_is_streaming",
    "summary": "Can this flow stream?",
    "security": PUBLIC,
    "responses": {
        "200": {
            "description": "Whether it can.",
            "content": _json(
                {"type": "object", "properties": {"isStreaming": {"type": "boolean"}}, "required": ["isStreaming"]},
                {"isStreaming": True},
            ),
        }
    },
}
CHATBOT_CONFIG: Schema = {
    "operationId": "chatflow_public_config",
    "summary": "What a chat widget needs of a flow.",
    "security": PUBLIC,
    "responses": {
        "200": {
            "description": "The widget's settings.",
            "content": _json({"type": "object"}, {"flowData": '{"nodes":[],"edges":[]}', "isTTSEnabled": False}),
        }
    },
}
ABORT: Schema = {
    "operationId": "chatmessage_abort",
    "summary": "Stop what runs in a conversation.",
    "security": PUBLIC,
    "responses": {
        "200": {
            "description": "Stopped, or nothing was running.",
            "content": _json(
                {"type": "object", "properties": {"status": {"type": "integer"}, "message": TEXT}},
                {"status": 200, "message": "Chat message aborted"},
            ),
        }
    },
}
FOLLOW: Schema = {
    "operationId": "execution_stream",
    "summary": "Follow a run from its beginning, or after Last-Event-ID.",
    "security": PUBLIC,
    "parameters": [LAST_EVENT, {"name": "lastEventId", "in": "query", "schema": TEXT}],
    "responses": {"200": {"description": "The run's events.", "content": EVENTS}},
}
