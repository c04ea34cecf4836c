"""This API in OpenAPI's words."""

from __future__ import annotations

from typing import Any

from predictions.doors.interactly.reading import COMMANDS, ORDERS, PATTERN
from predictions.doors.interactly.sessions import STATUSES
from predictions.openapi import ONCE, PREFER

Schema = dict[str, Any]

KEYED: list[dict[str, list[str]]] = [{"bearerAuth": []}]
RUN_ID = "6650c0de5eb7cf5a86d9755d"
WORKFLOW_ID = "5eb7cf5a86d9755df3a6c593"
TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
OBJECT: Schema = {"type": "object"}
ID: Schema = {"type": "string", "minLength": 24, "maxLength": 24, "pattern": PATTERN}
COUNT: Schema = {"type": "integer", "minimum": 0}

MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "type": {**TEXT, "description": "`human` for what the user says; others are passed over."},
        "content": {"type": ["string", "array"], "description": "Text, or parts `{type: text, text}`."},
    },
    "required": ["type", "content"],
}
NODE_INPUT: Schema = {
    "type": "object",
    "properties": {"type": TEXT, "messages": {"type": ["array", "null"], "items": MESSAGE}},
}
THREADS: Schema = {
    "type": "object",
    "description": "What is said in the main thread, `0`.",
    "properties": {
        "0": {"type": "object", "properties": {"node_run_inputs": {"type": ["array", "null"], "items": NODE_INPUT}}}
    },
    "additionalProperties": False,
}
PROPERTIES: Schema = {
    "dynamic_variables": {
        **OBJECT,
        "description": "Values that the run's state begins with. Without a message, `user_message` is what the user "
        "says, or else the whole.",
    },
    "runtime_variables": {**OBJECT, "description": "More of them."},
    "miscellaneous": {**OBJECT, "description": "Shown again in the run's record."},
    "command": {
        "enum": list(COMMANDS),
        "default": "start",
        "description": "`start` and `data` take a turn. `stop` ends the run, `pause` has it wait before its next node, "
        "`resume` lets it go on after that, or follows a turn that is still going on.",
    },
    "workflow_id": TEXT_OR_NULL,
    "version_number": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "As the query's `version`, which goes before it. 0 is the version that is active.",
    },
    "run_by": TEXT_OR_NULL,
    "workflow_run_id": TEXT_OR_NULL,
    "team_id": TEXT_OR_NULL,
    "start_node_logical_id": {**TEXT_OR_NULL, "description": "Not used; a `workflow_warning` says so."},
    "initial_state": {"type": ["object", "null"], "description": "Not used; a `workflow_warning` says so."},
    "thread_to_node_inputs": THREADS,
    "welcome_message": TEXT_OR_NULL,
}
RUN_INPUT: Schema = {"type": "object", "properties": PROPERTIES}
TURN: Schema = {
    "type": "object",
    "properties": {
        "run_input": RUN_INPUT,
        "run_id": {**TEXT_OR_NULL, "description": "Leave it out on the first turn, send it with all others."},
    },
    "required": ["run_input"],
    # Orders are to a run.
    "anyOf": [
        {"properties": {"run_id": {"type": "string", "minLength": 1}}, "required": ["run_id"]},
        {"properties": {"run_input": {"properties": {"command": {"enum": [c for c in COMMANDS if c not in ORDERS]}}}}},
    ],
}
START_OR_RESUME_BODY: Schema = {
    "type": "object",
    "properties": {**PROPERTIES, "workflow_id": ID},
    "required": ["workflow_id"],
    "anyOf": [
        {"properties": {"workflow_run_id": {"type": "string", "minLength": 1}}, "required": ["workflow_run_id"]},
        {"properties": {"command": {"enum": [c for c in COMMANDS if c not in ORDERS]}}},
    ],
}
EVENT: Schema = {
    "type": "object",
    "properties": {
        "type": TEXT,
        "logical_id": {**TEXT, "description": "The same whenever the turn is asked for."},
        "timestamp": {"type": "number", "description": "Seconds since the epoch."},
        "origin_thread_id": TEXT_OR_NULL,
    },
    "required": ["type", "logical_id", "timestamp", "origin_thread_id"],
}
ANSWER: Schema = {
    "type": "object",
    "properties": {
        "run_id": ID,
        "status": {"enum": list(STATUSES)},
        "turn_number": {"type": "integer", "minimum": 1},
        "events": {"type": "array", "items": EVENT, "description": "Every event of this turn, in order."},
        "is_waiting_for_input": {"type": "boolean"},
        "is_completed": {"type": "boolean", "description": "It has ended, however that was."},
        "error": TEXT_OR_NULL,
        "next_input_hint": {"type": ["object", "null"], "description": "The event that says what it waits for."},
        "has_active_companions": {"type": "boolean"},
        "has_background_work": {"type": "boolean", "description": "The turn goes on: follow it with `resume`."},
    },
    "required": ["run_id", "status", "turn_number", "events", "is_waiting_for_input", "is_completed"],
}
RECORD: Schema = {
    "type": "object",
    "properties": {
        "_id": ID,
        "team_id": TEXT,
        "created_by": TEXT_OR_NULL,
        "updated_by": TEXT_OR_NULL,
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
        "workflow_run": {
            "type": "object",
            "properties": {
                "status": {"enum": list(STATUSES)},
                "workflow_id": ID,
                "version_number": COUNT,
                "input_output_pairs": {"type": "array", "items": OBJECT},
            },
            "required": ["status", "workflow_id", "version_number", "input_output_pairs"],
        },
    },
    "required": ["_id", "team_id", "created_at", "updated_at", "workflow_run"],
}
VERSION: Schema = {
    "type": "object",
    "properties": {
        "workflow_id": ID,
        "version_number": COUNT,
        "version_name": TEXT,
        "is_active": {"type": "boolean"},
        "created_by": TEXT_OR_NULL,
        "created_at": {"type": "string", "format": "date-time"},
    },
    "required": ["workflow_id", "version_number", "version_name", "is_active"],
}
FAULTS: Schema = {
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": TEXT,
                    "type": TEXT,
                },
                "required": ["loc", "msg", "type"],
            },
        }
    },
    "required": ["detail"],
}
DETAIL: Schema = {"type": "object", "properties": {"detail": TEXT}, "required": ["detail"]}
RULE: Schema = {"type": "object", "properties": {"message": TEXT, "error": TEXT}, "required": ["message", "error"]}
ANSWERED_EXAMPLE = {
    "run_id": RUN_ID,
    "status": "waiting_for_user_input",
    "turn_number": 1,
    "events": [
        {
            "type": "busy_wait_for_user_message",
            "logical_id": "event_5d0f27ac-3c1a-5b0e-9c56-0f5a4a5a3b11",
            "timestamp": 1780000000.25,
            "origin_thread_id": "0",
        }
    ],
    "is_waiting_for_input": True,
    "is_completed": False,
    "error": None,
    "next_input_hint": {"type": "busy_wait_for_user_message"},
    "has_active_companions": False,
    "has_background_work": False,
}


def _json(schema: Schema, example: Any = None) -> Schema:
    return {"application/json": {"schema": schema, **({} if example is None else {"example": example})}}


def _refusal(description: str, schema: Schema, example: Any) -> Schema:
    return {"description": description, "content": _json(schema, example)}


UNREADABLE = {"loc": ["body", "run_input"], "msg": "Field required", "type": "missing"}
OTHERS = {
    "422": _refusal("The request does not have this form.", FAULTS, {"detail": [UNREADABLE]}),
    "4XX": _refusal("Refused; the detail says why.", DETAIL, {"detail": "Session not found"}),
    "500": _refusal("The server failed.", DETAIL, {"detail": "The server failed; its log names this request id"}),
    "503": _refusal("Unavailable for the moment.", DETAIL, {"detail": "The database cannot be reached"}),
}
BROKEN = {
    "400": _refusal(
        "The run waits for something else.",
        RULE,
        {"message": "Decision expected", "error": "Say 'Proceed' or 'Reject'"},
    )
}
CONFLICT = {"409": _refusal("The run takes no such turn now.", DETAIL, {"detail": "Run … is completed"})}
WORKFLOW = {"name": "workflow_id", "in": "path", "required": True, "schema": ID, "example": WORKFLOW_ID}
VERSION_QUERY = {
    "name": "version",
    "in": "query",
    "schema": COUNT,
    "description": "The version to run, on the first turn; a run stays on it. 0, or nothing: the active one.",
}
FIRST_EXAMPLE = {
    "run_input": {
        "command": "start",
        "thread_to_node_inputs": {
            "0": {"node_run_inputs": [{"type": "llm", "messages": [{"type": "human", "content": "Hello"}]}]}
        },
    }
}


def _answered(schema: Schema, description: str, example: Any = None) -> Schema:
    return {"200": {"description": description, "content": _json(schema, example)}}


EXECUTE: Schema = {
    "operationId": "workflow_execute",
    "summary": "Take one turn of a workflow.",
    "description": "Without run_id a run begins; with it, it goes on, or is stopped. The answer comes when the turn "
    "has ended, or after 25 seconds with the status `running`.",
    "security": KEYED,
    "parameters": [WORKFLOW, VERSION_QUERY, ONCE, PREFER],
    "requestBody": {"required": True, "content": _json(TURN, FIRST_EXAMPLE)},
    "responses": {
        **_answered(ANSWER, "The turn; a failure inside the workflow is one, too.", ANSWERED_EXAMPLE),
        **BROKEN,
        **CONFLICT,
        **OTHERS,
    },
}
PUMP: Schema = {
    "operationId": "workflow_pump",
    "summary": "Look how far a run's turn is.",
    "description": "Work in the background goes on by itself; this only tells of it.",
    "security": KEYED,
    "parameters": [WORKFLOW],
    "responses": {**_answered(ANSWER, "The turn as it stands.", ANSWERED_EXAMPLE), **OTHERS},
}
LIST_RUNS: Schema = {
    "operationId": "workflow_run_list",
    "summary": "List the runs that were begun through this API, newest first.",
    "security": KEYED,
    "parameters": [
        {"name": "workflow_id", "in": "query", "schema": ID},
        {"name": "status", "in": "query", "schema": {"enum": list(STATUSES)}},
        {
            "name": "start",
            "in": "query",
            "schema": {"type": "string", "format": "date-time"},
            "description": "Begun not before.",
        },
        {
            "name": "end",
            "in": "query",
            "schema": {"type": "string", "format": "date-time"},
            "description": "Begun not after.",
        },
        {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000000, "default": 1}},
        {"name": "size", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
    ],
    "responses": {
        **_answered(
            {
                "type": "object",
                "properties": {"workflow_runs": {"type": "array", "items": RECORD}, "total": COUNT},
                "required": ["workflow_runs", "total"],
            },
            "A page of them, without their turns.",
        ),
        **OTHERS,
    },
}
ONE_RECORD: Schema = {"type": "object", "properties": {"workflow_run": RECORD}, "required": ["workflow_run"]}
START_OR_RESUME: Schema = {
    "operationId": "workflow_run_start_or_resume",
    "summary": "Take one turn, with the input as the body.",
    "description": "As the execute call; `workflow_run_id` names the run to go on with. The answer is its record.",
    "security": KEYED,
    "parameters": [ONCE, PREFER],
    "requestBody": {"required": True, "content": _json(START_OR_RESUME_BODY, {"workflow_id": WORKFLOW_ID})},
    "responses": {**_answered(ONE_RECORD, "The run."), **BROKEN, **CONFLICT, **OTHERS},
}
GET_RUN: Schema = {
    "operationId": "workflow_run_get",
    "summary": "Look up a run, with all its turns.",
    "security": KEYED,
    "responses": {**_answered(ONE_RECORD, "The run."), **OTHERS},
}
LIST_VERSIONS: Schema = {
    "operationId": "workflow_version_list",
    "summary": "List the versions of a workflow, newest first.",
    "security": KEYED,
    "parameters": [WORKFLOW],
    "responses": {
        **_answered(
            {
                "type": "object",
                "properties": {"versions": {"type": "array", "items": VERSION}},
                "required": ["versions"],
            },
            "The newest thousand.",
        ),
        **OTHERS,
    },
}
