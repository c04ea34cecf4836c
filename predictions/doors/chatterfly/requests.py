"""The bodies of this API's calls, read once into plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest

from chatflows.deployments import DeploymentRecord
from chatflows.records import FlowRecord
from forjinn.core.errors import BadRequest
from predictions.doors.chatterfly.connections import read_connections
from predictions.doors.chatterfly.refusals import InputUnfit
from predictions.hooks.run_hooks import problems_of_hooks, stored_hooks
from predictions.inputs import Problem, problems_of, request_of
from predictions.requests import HumanAnswer, PredictionRequest, check_json, read_object
from predictions.web import WebProcess

LONGEST_ROLE = 100
LONGEST_MESSAGE = 100_000
DECISIONS = ("proceed", "reject")


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a call that starts a run says."""

    input: Mapping[str, Any]
    connections: Mapping[str, Any]
    hooks: list[Any]


def read_new_run(request: HttpRequest, flow: FlowRecord) -> NewRun:
    """Raises BadRequest for a body that is no such call."""
    body = _body(request)
    workflow_id = body.get("workflow_id")
    if workflow_id is not None and workflow_id not in (str(flow.id), flow.slug, flow.object_id):
        raise BadRequest("workflow_id: the API key stands for another workflow; leave it out")
    given = _object(body, "input")
    check_json("input", given)
    hooks = body.get("hooks")
    if hooks is not None and not isinstance(hooks, list):
        raise BadRequest("hooks: expected a list of objects")
    return NewRun(given, _object(body, "connections"), hooks or [])


async def asked_for(
    process: WebProcess, flow: FlowRecord, deployment: DeploymentRecord, new: NewRun
) -> PredictionRequest:
    """The prediction that the run is. Raises InputUnfit with all that is wrong."""
    problems = [
        problem if problem.field else Problem("input", problem.message) for problem in problems_of(flow, new.input)
    ]
    sealed, unfit = await read_connections(process.pool, flow, new.connections)
    problems += [*unfit, *problems_of_hooks(new.hooks)]
    if problems:
        raise InputUnfit(problems)
    beside: dict[str, Any] = {"deployment": str(deployment.id)}
    if sealed:
        beside["connections"] = sealed
    if new.hooks:
        beside["hooks"] = stored_hooks(new.hooks)
    return replace(request_of(flow, new.input), beside=beside)


def read_role(request: HttpRequest) -> str:
    """The participant's role. Raises BadRequest."""
    role = _body(request).get("role")
    if not isinstance(role, str) or not role.strip() or len(role) > LONGEST_ROLE:
        raise BadRequest(f"role: expected text of 1 to {LONGEST_ROLE} characters")
    return role


def read_said(request: HttpRequest) -> HumanAnswer:
    """What a participant says to a run that waits. Raises BadRequest."""
    return answer_of(_body(request))


def answer_of(body: Mapping[str, Any]) -> HumanAnswer:
    """A decision, or else a message: `{decision, feedback?}` or `{content}`. Raises BadRequest."""
    decision, feedback = body.get("decision"), body.get("feedback")
    feedback = "" if feedback is None else _said(body, "feedback")
    if decision is None:
        return HumanAnswer("message", _said(body, "content"))
    if decision not in DECISIONS:
        raise BadRequest(f"decision: expected {' or '.join(DECISIONS)}")
    if body.get("content") is not None:
        raise BadRequest("content: a decision has feedback instead")
    return HumanAnswer(decision, feedback)


def _said(body: Mapping[str, Any], name: str) -> str:
    said = body.get(name)
    if not isinstance(said, str) or not said.strip() or len(said) > LONGEST_MESSAGE or "\0" in said:
        raise BadRequest(f"{name}: expected text of 1 to {LONGEST_MESSAGE} characters")
    return said


def _body(request: HttpRequest) -> Mapping[str, Any]:
    if not request.body:
        raise BadRequest("The body is empty: send a JSON object")
    return read_object(request)


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{name}: expected an object")
    return value
