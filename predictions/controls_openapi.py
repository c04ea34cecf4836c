"""The controls of runs in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from forjinn.core.openapi import ERROR_RESPONSE
from predictions.openapi import HUMAN_INPUT, ONCE, TEXT

Schema = dict[str, Any]

RUN = {
    "type": "object",
    "properties": {
        "executionId": {"type": "string", "format": "uuid"},
        "state": {"enum": ["INPROGRESS", "TERMINATED"]},
    },
    "required": ["executionId", "state"],
}
EXAMPLE = {"executionId": "0190a0e6-8f3a-7c70-8000-0e4f1b2c3d4e", "state": "INPROGRESS"}
REUSED = {"422": {"description": "The key came before with another request.", **ERROR_RESPONSE}}
CONFLICT = {"409": {"description": "The run is in no state for this.", **ERROR_RESPONSE}}


def _answer(description: str) -> Schema:
    return {
        "description": description,
        "headers": {"Location": {"schema": TEXT}},
        "content": {"application/json": {"schema": RUN, "example": EXAMPLE}},
    }


def _body(properties: Schema, example: Schema) -> Schema:
    schema = {"type": "object", "properties": properties}
    return {"content": {"application/json": {"schema": schema, "example": example}}}


CANCEL: Schema = {
    "operationId": "execution_cancel",
    "summary": "Stop a run, whether it is queued, runs or waits.",
    "responses": {"202": _answer("It is told, or has ended by this."), **CONFLICT},
}
PAUSE: Schema = {
    "operationId": "execution_pause",
    "summary": "Have a run wait before its next node.",
    "description": "Agent flows only: the other kinds are one step.",
    "responses": {"202": _answer("It will wait; GET it to see when."), **CONFLICT},
}
RESUME: Schema = {
    "operationId": "execution_resume",
    "summary": "Let a run go on that waits.",
    "description": "For a decision with humanInput, for the user's next message with message, and without either where "
    "it was told to pause.",
    "parameters": [ONCE],
    "requestBody": _body(
        {"humanInput": HUMAN_INPUT, "message": {"type": ["string", "null"]}}, {"humanInput": {"type": "proceed"}}
    ),
    "responses": {
        "202": _answer("It goes on."),
        **REUSED,
        **CONFLICT,
    },
}
FORK: Schema = {
    "operationId": "execution_fork",
    "summary": "Start a new run with what this one did before a node.",
    "description": "What the journal holds up to the last turn of `fromNode` is not done again. Without a node the run "
    "begins anew. `version`: the number of another version of the flow.",
    "requestBody": _body(
        {
            "fromNode": {"type": ["string", "null"], "minLength": 1},
            "version": {"type": ["integer", "null"], "minimum": 0, "maximum": 2147483647},
        },
        {"fromNode": "llmAgentflow_1"},
    ),
    "parameters": [ONCE],
    "responses": {"201": _answer("The new run."), **REUSED, **CONFLICT},
}
RETRY: Schema = {
    "operationId": "execution_retry",
    "summary": "Start a new run where this one failed.",
    "parameters": [ONCE],
    "responses": {"201": _answer("The new run."), **REUSED, **CONFLICT},
}
