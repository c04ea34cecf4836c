"""Runs and messages as this API shows them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from predictions.inputs import ASKING
from predictions.reading import MessageReading, RunReading, run_name

CANCELLED = "The run was cancelled"


def status_of(run: RunReading) -> str:
    """A run that waits says whether it waits for a participant, or for something that none of them can give."""
    match run.state:
        case "QUEUED":
            return "running" if run.attempt else "pending"
        case "RUNNING":
            return "running"
        case "WAITING":
            return "waiting_for_input" if run.wait_kind in (None, "human", "message") else "waiting"
        case "COMPLETED":
            return "completed"
    return "failed"


def shown_run(run: RunReading, *, is_participant: bool) -> dict[str, Any]:
    """The run. What is in it is the deployment's: a participant sees how far it is."""
    shown: dict[str, Any] = {"id": run_name(run.id), "status": status_of(run)}
    if not is_participant:
        shown["state"] = run.values
    shown |= {"current_step_id": run.current_node, "created_at": iso_seconds(run.created_at)}
    if run.started_at:
        shown["started_at"] = iso_seconds(run.started_at)
    if run.is_over and run.finished_at:
        shown["completed_at"] = iso_seconds(run.finished_at)
    if shown["status"] == "failed":
        shown["error"] = run.error or CANCELLED
    return shown


def shown_messages(run: RunReading) -> Iterator[tuple[UUID, dict[str, Any]]]:
    """The conversation, oldest first, with its rows' ids. An input that says nothing to anybody is no message."""
    for index, message in enumerate(run.messages):
        is_input = index == 0 and message.role == "user"
        if not is_input or _is_said(run):
            yield message.id, shown_message(message, first_step=run.steps[0].node_id if run.steps else "")


def shown_message(message: MessageReading, *, first_step: str = "") -> dict[str, Any]:
    return {
        "id": message_name(message.id),
        "role": message.role,
        "content": message.content,
        "step_id": message.node_id or first_step,
        "created_at": iso_seconds(message.created_at),
    }


def message_name(message_id: UUID) -> str:
    return f"msg_{message_id.hex}"


def iso_seconds(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _is_said(run: RunReading) -> bool:
    """Whether the input holds what the flow was asked, not only values for its state."""
    return bool(run.question) and any(run.input.get(name) == run.question for name in ASKING)
