"""Turns and runs in this API's words: the answer to a turn, the record of a run, a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from forjinn.core.times import iso_millis
from predictions.doors.interactly import words
from predictions.doors.interactly.events import EventBody, closing_of, events_of, hint_of
from predictions.doors.interactly.graphs import Drawing
from predictions.doors.interactly.reading import MAIN_THREAD
from predictions.doors.interactly.sessions import TERMINAL, Session, TurnReading

UNSUCCESSFUL = ("failed", "aborted_looping_risk")
REAPED = ("wait_expired", "worker_lost", "deadline")


def turn_answer(turn: TurnReading, drawing: Drawing, *, is_stop: bool = False) -> dict[str, Any]:
    """The answer to a turn; to a stop it tells of nothing but the end."""
    status = turn.status
    return {
        "run_id": turn.session.object_id,
        "status": status,
        "turn_number": turn.number,
        "events": closing_of(turn, drawing) if is_stop else events_of(turn, drawing),
        "is_waiting_for_input": status == "waiting_for_user_input",
        "is_completed": status in TERMINAL,
        "error": turn.session.error if status in UNSUCCESSFUL else None,
        "next_input_hint": hint_of(turn, drawing),
        "has_active_companions": False,
        "has_background_work": turn.is_going_on,
    }


def run_record(session: Session, turns: Sequence[TurnReading], drawing: Drawing) -> dict[str, Any]:
    """A run as lists and look-ups show it. Lists leave the turns out."""
    changed = session.finished_at or session.started_at or session.created_at
    return {
        "_id": session.object_id,
        "team_id": str(session.workspace_id),
        "created_by": session.begun_by,
        "updated_by": session.begun_by,
        "created_at": iso_millis(session.created_at),
        "updated_at": iso_millis(changed),
        "workflow_run": _run_state(session, [_pair(turn, drawing) for turn in turns]),
    }


def version_record(session_workflow_id: str, version: tuple[int, datetime, str, bool]) -> dict[str, Any]:
    """A version of a workflow; `is_active`: the one that runs unless another is asked for."""
    number, created_at, author, is_active = version
    return {
        "workflow_id": session_workflow_id,
        "version_number": number,
        "version_name": _version_name(number),
        "is_active": is_active,
        "created_by": author or None,
        "created_at": iso_millis(created_at),
    }


def _run_state(session: Session, pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "logical_id": f"workflow_run_{session.id}",
        "workflow_id": session.workflow_id,
        "voice_conversation_id": None,
        "version_number": session.version_number,
        "version_name": _version_name(session.version_number),
        "status": session.status,
        "termination_source": _termination(session),
        "input_output_pairs": list(pairs),
        "run_by": session.run_input.get("run_by"),
        "comments": [],
        "llm_token_usage": words.tokens(session.input_tokens, session.output_tokens),
        "llm_latency_stats": None,
        "workflow_config_fully_hydrated": None,
        "workflow_run_id": session.object_id,
        "miscellaneous": session.run_input.get("miscellaneous") or {},
        "source_workflow_run_id": None,
        "checkpoint_source_turn_index": None,
        "carried_over_llm_token_usage": None,
        "carried_over_llm_latency_stats": None,
        "is_evaluation_run": False,
        "evaluation_run_info": None,
    }


def _pair(turn: TurnReading, drawing: Drawing) -> dict[str, Any]:
    events = events_of(turn, drawing)
    outputs = [event["run_output"] for event in events if event["type"] == "end_node_run"]
    return {
        "run_input": turn.session.run_input if turn.number == 1 else _said_in(events),
        "run_output": {
            "events": events,
            "thread_to_node_outputs": {MAIN_THREAD: {"node_run_outputs": outputs}},
        },
        "evaluation": None,
        "iteration_end_state_miscellaneous": {},
        "comments": [],
        "ratings": [],
    }


def _said_in(events: Sequence[EventBody]) -> dict[str, Any]:
    """A later turn's input, as it would be sent again."""
    said = [message for event in events if event["type"] == "user_messages" for message in event["messages"]]
    messages = [{"type": "human", "content": message["content"]} for message in said]
    node_input = {"type": words.OTHER, "messages": messages}
    return {"command": "data", "thread_to_node_inputs": {MAIN_THREAD: {"node_run_inputs": [node_input]}}}


def _termination(session: Session) -> str | None:
    if session.status not in UNSUCCESSFUL:
        return None
    return "stale_run_reaper" if session.error_code in REAPED else "execution_error"


def _version_name(number: int) -> str:
    return f"Version {number}"
