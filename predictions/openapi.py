"""The asynchronous views in OpenAPI's words: DRF does not see them, so each names its operation from here."""

from __future__ import annotations

from typing import Any

from forjinn.core.openapi import ERROR_RESPONSE
from predictions.requests import UPLOAD_TYPES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": TEXT,
    "description": "Continue the stream that this event id belongs to, after it.",
}

TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
ID_OR_NULL: Schema = {"type": ["string", "null"], "maxLength": 255}
ROLE_OR_NULL: Schema = {"enum": ["userMessage", "apiMessage", None]}
TURN: Schema = {
    "type": "object",
    "description": "An earlier message, as `{role, content}` or in the older spelling `{type, message}`.",
    "properties": {"role": ROLE_OR_NULL, "content": TEXT_OR_NULL, "type": ROLE_OR_NULL, "message": TEXT_OR_NULL},
    "anyOf": [
        {"properties": {"role": {"type": "string"}, "content": TEXT}, "required": ["role", "content"]},
        {"properties": {"type": {"type": "string"}, "message": TEXT}, "required": ["type", "message"]},
    ],
}
UPLOAD: Schema = {
    "type": "object",
    "properties": {
        "type": {"enum": list(UPLOAD_TYPES)},
        "name": TEXT_OR_NULL,
        "mime": {**TEXT_OR_NULL, "description": "Must agree with the name and with the data."},
        "data": {
            **TEXT_OR_NULL,
            "description": "A data URI, the file's text for `file:full`, or an address for `url`.",
        },
    },
    "required": ["type"],
}
HUMAN_INPUT: Schema = {
    "type": ["object", "null"],
    "description": "The answer to a run of this session that waits for a person: that run goes on.",
    "properties": {
        "type": {"enum": ["proceed", "reject"]},
        "feedback": TEXT_OR_NULL,
        "startNodeId": {**TEXT_OR_NULL, "description": "`action.data.nodeId`; the node that waits when absent."},
    },
    "required": ["type"],
}
REQUEST: Schema = {
    "type": "object",
    "description": "A question, the values of a form, or the answer to a run that waits for a person. Fields that are "
    "null count as absent, others are ignored.",
    "properties": {
        "question": {**TEXT_OR_NULL, "description": "The user's message."},
        "chatId": {**ID_OR_NULL, "description": "The conversation; made up when absent."},
        "sessionId": {**ID_OR_NULL, "description": "An alias of chatId."},
        "streaming": {"type": ["boolean", "null"], "description": "Answer with server-sent events, if the flow can."},
        "history": {"type": ["array", "null"], "items": TURN},
        "form": {"type": ["object", "null"], "description": "Values for a flow that starts from a form."},
        "overrideConfig": {
            "type": ["object", "null"],
            "description": "The memory's key, and values for what the flow's owner lets callers change.",
            "properties": {"sessionId": ID_OR_NULL},
        },
        "uploads": {"type": ["array", "null"], "items": UPLOAD},
        "humanInput": HUMAN_INPUT,
        "action": {
            "type": ["object", "null"],
            "description": "The action of a multi-agent graph that waits for a person; the question is then the label "
            "of the button that was chosen.",
            "properties": {"id": TEXT_OR_NULL},
        },
        "leadEmail": TEXT_OR_NULL,
    },
    "anyOf": [
        {
            "properties": {"question": TEXT, "form": {"type": ["object", "null"], "maxProperties": 0}},
            "required": ["question"],
        },
        {
            "properties": {"form": {"type": "object"}, "question": {"type": ["string", "null"], "maxLength": 0}},
            "required": ["form"],
        },
        {"properties": {"humanInput": {"type": "object"}}, "required": ["humanInput"]},
    ],
}
ACTION: Schema = {
    "type": "object",
    "description": "Set when the run waits for a person: what to ask them. Answer with humanInput in the same session.",
    "properties": {
        "id": TEXT,
        "mapping": {
            "type": "object",
            "description": "The labels of the two answers.",
            "properties": {"approve": TEXT, "reject": TEXT},
        },
        "elements": {"type": "array", "description": "The buttons to show.", "items": {"type": "object"}},
        "data": {"type": "object", "description": "The node that asks: nodeId, nodeLabel, input."},
    },
    "required": ["id", "mapping"],
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
        "flowVariables": {"type": "object", "description": "What the flow's Set Variable nodes show."},
        "isStreamValid": {"type": "boolean"},
        "usedTools": {"type": "array", "items": {"type": "object"}},
        "sourceDocuments": {"type": "array", "items": {"type": "object"}},
        "artifacts": {"type": "array", "items": {"type": "object"}},
        "agentFlowExecutedData": {"type": "array", "items": {"type": "object"}},
        "agentReasoning": {
            "type": "array",
            "description": "The steps of a multi-agent graph: agentName, messages, next, instructions, usedTools ...",
            "items": {"type": "object"},
        },
        "action": ACTION,
        "warnings": {"type": "array", "items": TEXT},
    },
    "required": ["question", "chatId"],
}
EVENT: Schema = {
    "type": "object",
    "description": "One event of the stream. Its data is JSON text that names what happened; the last says `end`.",
    "properties": {
        "id": {**TEXT, "description": "Send it back as Last-Event-ID to continue after this event."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "type": "object",
                "properties": {"event": TEXT, "data": {}},
                "required": ["event", "data"],
            },
        },
    },
    "required": ["data"],
}
EVENTS = {"text/event-stream": {"schema": EVENT, "example": 'message:\ndata:{"event":"token","data":"Hello"}\n\n'}}


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
TOO_OFTEN = {
    "429": {
        "description": "Beyond a limit, or a month's budget is spent. The flow's own rate limit is told in its "
        "author's words alone, and any limit in words alone when a stream was asked for.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}}},
        "content": {**ERROR_RESPONSE["content"], **WORDS},
    }
}
NOT_WAITING = {"409": {"description": "Nothing waits in this session for that answer.", **ERROR_RESPONSE}}
TOO_SLOW = {"504": {"description": "A node took too long.", **ERROR_RESPONSE}}

ACCEPTED: Schema = {
    "description": "It goes on by itself: look for the answer at Location.",
    "headers": {"Location": {"schema": TEXT}, "Preference-Applied": {"schema": TEXT}},
    "content": _json(
        {
            "type": "object",
            "properties": {
                "executionId": {"type": "string", "format": "uuid"},
                "chatId": TEXT,
                "sessionId": TEXT,
                "state": {"enum": ["INPROGRESS"]},
            },
            "required": ["executionId", "chatId", "sessionId", "state"],
        },
        {
            "executionId": "0190a0e6-8f3a-7c70-8000-0e4f1b2c3d4e",
            "chatId": "visitor-7",
            "sessionId": "visitor-7",
            "state": "INPROGRESS",
        },
    ),
}
ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "The same request with the same key gets the first one's answer, for 24 hours.",
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": TEXT,
    "description": "`respond-async`: do not wait; `wait=N`: wait N seconds at most. Then the answer is a 202. "
    "`return=minimal`: leave out agentFlowExecutedData, which a stream tells whole after each node.",
}
ASYNC = {
    "name": "async",
    "in": "query",
    "schema": {"type": "boolean"},
    "description": "As Prefer: respond-async.",
}
KEY_REUSED = {
    "422": {"description": "The key came before with another request, or the flow ended so.", **ERROR_RESPONSE}
}

PREDICT: Schema = {
    "operationId": "prediction_create",
    "summary": "Ask a deployed chatflow.",
    "description": "Public flows need no key. With Last-Event-ID a running or finished stream is continued.",
    "security": PUBLIC,
    "parameters": [LAST_EVENT, ONCE, PREFER, ASYNC],
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
                    "required": ["question"],
                },
                "encoding": {"files": {"contentType": "image/gif, image/jpeg, image/png, image/webp"}},
            },
        },
    },
    "responses": {
        "200": {
            "description": "The answer, whole or as it comes.",
            "content": {**_json(ANSWER, EXAMPLE_ANSWER), **EVENTS},
        },
        "202": ACCEPTED,
        **KEY_REUSED,
        **NOT_FROM_HERE,
        **NOT_WAITING,
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
CONFIG: Schema = {
    "type": "object",
    "description": "The widget's settings as the flow's author made them, and what follows from the flow.",
    "properties": {
        "flowData": {"type": "string", "description": "JSON text of the start node's form; nothing else of the flow."},
        "uploads": {"type": "object", "description": "Which files a visitor may attach."},
        "isTTSEnabled": {"type": "boolean"},
    },
    "required": ["flowData", "uploads", "isTTSEnabled"],
}
CHATBOT_CONFIG: Schema = {
    "operationId": "chatflow_public_config",
    "summary": "What a chat widget needs of a flow.",
    "security": PUBLIC,
    "responses": {
        "200": {
            "description": "The widget's settings.",
            "content": _json(CONFIG, {"flowData": '{"nodes":[],"edges":[]}', "uploads": {}, "isTTSEnabled": False}),
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
REPORT_EVENT: Schema = {
    "operationId": "event_report",
    "summary": "Report an event to the runs that wait for it.",
    "description": "Every run of the workspace whose flow waits for an event of this name goes on; the body is what "
    "its node puts out. An event that no run waits for is not kept.",
    "parameters": [ONCE],
    "requestBody": {"content": {"application/json": {"schema": {}, "example": {"amount": 42}}}},
    "responses": {
        "200": {
            "description": "The runs that go on.",
            "content": _json(
                {
                    "type": "object",
                    "properties": {
                        "event": TEXT,
                        "executionIds": {"type": "array", "items": {"type": "string", "format": "uuid"}},
                    },
                    "required": ["event", "executionIds"],
                },
                {"event": "payment-received", "executionIds": ["0190a0e6-8f3a-7c70-8000-0e4f1b2c3d4e"]},
            ),
        },
        "404": {"description": "No run waits for it.", **ERROR_RESPONSE},
        "422": {"description": "The key came before with another report.", **ERROR_RESPONSE},
    },
}
