"""How the turn API refuses: each in the shape that its clients read, whoever finds the fault."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.predictions.doors.interactly_calls import TurnClient, Workflows, human, replies

NOBODY = "0" * 24
EXECUTE = f"/workflows/{NOBODY}/execute"
RUN_INPUT = ["body", "run_input"]
NOT_OBJECT = "Input should be a valid dictionary or object to extract fields from"
COMMANDS = "Input should be 'start', 'data', 'resume', 'pause' or 'stop'"
PATTERN = "^[0-9a-f]{24}$"


def fault(loc: list[Any], msg: str, kind: str, **ctx: Any) -> dict[str, Any]:
    return {"loc": loc, "msg": msg, "type": kind, **({"ctx": ctx} if ctx else {})}


MISSING = fault(RUN_INPUT, "Field required", "missing")
UNREADABLE = [
    ({}, [MISSING]),
    ({"run_input": None}, [fault(RUN_INPUT, NOT_OBJECT, "model_attributes_type")]),
    ([], [fault(["body"], NOT_OBJECT, "model_attributes_type")]),
    ({"run_id": 1}, [fault(["body", "run_id"], "Input should be a valid string", "string_type"), MISSING]),
    (
        {"run_input": {"command": "go"}},
        [fault([*RUN_INPUT, "command"], COMMANDS, "enum", expected=COMMANDS.removeprefix("Input should be "))],
    ),
    (
        {"run_input": {"dynamic_variables": [], "run_by": 1, "initial_state": "s"}},
        [
            fault([*RUN_INPUT, "dynamic_variables"], "Input should be a valid dictionary", "dict_type"),
            fault([*RUN_INPUT, "run_by"], "Input should be a valid string", "string_type"),
            fault([*RUN_INPUT, "initial_state"], "Input should be a valid dictionary", "dict_type"),
        ],
    ),
    (
        {"run_input": {"version_number": "1"}},
        [fault([*RUN_INPUT, "version_number"], "Input should be a valid integer", "int_type")],
    ),
    (
        {"run_input": {"version_number": -1}},
        [
            fault(
                [*RUN_INPUT, "version_number"],
                "Input should be greater than or equal to 0",
                "greater_than_equal",
                ge=0,
            )
        ],
    ),
    (
        {"run_input": {"thread_to_node_inputs": {"1": {}}}},
        [
            fault(
                [*RUN_INPUT, "thread_to_node_inputs", "1"],
                "Thread should be '0': runs have one thread",
                "literal_error",
            )
        ],
    ),
    (
        {"run_input": {"thread_to_node_inputs": {"0": {"node_run_inputs": [{"messages": [{"type": "human"}]}, 1]}}}},
        [
            fault(
                [*RUN_INPUT, "thread_to_node_inputs", "0", "node_run_inputs", 0, "messages", 0, "content"],
                "Input should be a valid string",
                "string_type",
            ),
            fault(
                [*RUN_INPUT, "thread_to_node_inputs", "0", "node_run_inputs", 1],
                "Input should be a valid dictionary",
                "dict_type",
            ),
        ],
    ),
    (
        {"run_input": {"thread_to_node_inputs": {"0": {"node_run_inputs": {}}}}},
        [
            fault(
                [*RUN_INPUT, "thread_to_node_inputs", "0", "node_run_inputs"],
                "Input should be a valid list",
                "list_type",
            )
        ],
    ),
    (
        {"run_input": {"command": "stop"}},
        [fault(["body", "run_id"], "Field required by this command", "missing")],
    ),
    (
        {"run_input": {"dynamic_variables": {"a": "\0"}}},
        [fault(["body"], "The character NUL cannot be kept", "value_error")],
    ),
]


@pytest.mark.parametrize(("body", "faults"), UNREADABLE)
def test_a_body_of_another_form_is_refused_with_all_its_faults(body: Any, faults: list[Any], turns: TurnClient) -> None:
    response = turns.http.post(EXECUTE, json=body)

    assert response.status_code == 422
    assert sorted(map(str, response.json()["detail"])) == sorted(map(str, (ordered(one) for one in faults)))


def ordered(one: dict[str, Any]) -> dict[str, Any]:
    return {name: one[name] for name in ("type", "loc", "msg", "ctx") if name in one}


@pytest.mark.parametrize(
    ("text", "loc", "kind"),
    [
        ("", ["body"], "missing"),
        ('{"run_input": {', ["body", 15], "json_invalid"),
        ("{]", ["body", 1], "json_invalid"),
        (b"\xff\xfe{", ["body", 0], "json_invalid"),
        (b'{"run_input": %b}' % (b"1" * 5000), ["body", 0], "json_invalid"),
    ],
)
def test_a_body_that_is_no_json_is_refused(text: Any, loc: list[Any], kind: str, turns: TurnClient) -> None:
    response = turns.http.post(EXECUTE, content=text, headers={"Content-Type": "application/json"})

    assert response.status_code == 422
    [found] = response.json()["detail"]
    assert (found["loc"], found["type"]) == (loc, kind)


@pytest.mark.parametrize(
    ("workflow_id", "kind"),
    [("abc", "string_too_short"), ("a" * 25, "string_too_long"), ("A" * 24, "string_pattern_mismatch")],
)
def test_a_workflow_id_of_another_form_is_refused(workflow_id: str, kind: str, turns: TurnClient) -> None:
    response = turns.execute(workflow_id)

    assert response.status_code == 422
    [found] = response.json()["detail"]
    assert (found["loc"], found["type"]) == (["path", "workflow_id"], kind)


@pytest.mark.parametrize(
    ("version", "kind"), [("-1", "greater_than_equal"), ("one", "int_parsing"), ("1.5", "int_parsing")]
)
def test_a_version_that_is_no_number_is_refused(version: str, kind: str, turns: TurnClient) -> None:
    response = turns.execute(NOBODY, version=version)

    assert response.status_code == 422
    [found] = response.json()["detail"]
    assert (found["loc"], found["type"]) == (["query", "version"], kind)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ({"status": "odd"}, "enum"),
        ({"page": "0"}, "greater_than_equal"),
        ({"size": "1001"}, "less_than_equal"),
        ({"workflow_id": "abc"}, "string_pattern_mismatch"),
        ({"start": "yesterday"}, "datetime_from_date_parsing"),
    ],
)
def test_a_list_refuses_a_query_that_it_does_not_understand(
    query: dict[str, str], kind: str, turns: TurnClient
) -> None:
    response = turns.http.get("/workflow-runs", params=query)

    assert response.status_code == 422
    [found] = response.json()["detail"]
    assert (found["loc"], found["type"]) == (["query", next(iter(query))], kind)


def test_a_form_that_does_not_fit_is_refused_field_by_field(turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.new(drawing.form_flow("http://127.0.0.1:1"))

    response = turns.execute(workflow, dynamic_variables={"name": "Ann", "guests": "many"})

    where = [*RUN_INPUT, "dynamic_variables"]
    assert (response.status_code, response.json()["detail"]) == (
        422,
        [
            ordered(fault([*where, "guests"], "must be a number", "value_error")),
            ordered(fault([*where, "meal"], "is required", "value_error")),
        ],
    )


@pytest.mark.parametrize("key", [None, "fj-" + "a" * 40, "nonsense"])
def test_nobody_gets_in_without_a_good_key(key: str | None, platform: Platform) -> None:
    with TurnClient(platform.url, key) as client:
        response = client.execute(NOBODY)

    assert response.status_code == 401
    assert response.json().keys() == {"detail"}
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_headers_that_contradict_the_key_are_refused(
    turns: TurnClient, workflows: Workflows, platform: Platform
) -> None:
    workflow = workflows.replies("Hello")
    run_id = turns.turn(workflow, headers={"teamid": platform.workspace_id})["run_id"]
    user = turns.record(run_id)["created_by"]

    agrees = turns.execute(workflow, headers={"teamid": platform.workspace_id, "uuid": user})
    refused = [turns.execute(workflow, headers={name: str(uuid4())}) for name in ("teamid", "uuid")]

    assert agrees.status_code == 200
    assert [response.status_code for response in refused] == [403, 403]
    assert all("API key's" in response.json()["detail"] for response in refused)


def test_a_neighbour_finds_nothing(turns: TurnClient, neighbours_turns: TurnClient, workflows: Workflows) -> None:
    workflow = workflows.asking()
    run_id = turns.turn(workflow)["run_id"]

    answers = [
        neighbours_turns.execute(workflow),
        neighbours_turns.execute(workflow, run_id, command="stop"),
        neighbours_turns.http.get(f"/workflow-runs/{run_id}"),
        neighbours_turns.http.get(f"/workflows/{workflow}/versions"),
        neighbours_turns.http.post(f"/workflows/{workflow}/runs/{run_id}/pump-companions"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert all(answer.json().keys() == {"detail"} for answer in answers)
    listed = neighbours_turns.http.get("/workflow-runs", params={"workflow_id": workflow}).json()
    assert listed == {"workflow_runs": [], "total": 0}
    assert turns.turn(workflow, run_id, command="resume")["status"] == "waiting_for_user_input"


def test_a_run_of_another_workflow_is_not_found(turns: TurnClient, workflows: Workflows) -> None:
    workflow, other = workflows.asking(), workflows.asking()
    run_id = turns.turn(workflow)["run_id"]

    response = turns.execute(other, run_id, thread_to_node_inputs=human("Kyoto"))

    assert (response.status_code, response.json()) == (404, {"detail": "Session not found"})


def test_a_flow_that_is_not_deployed_takes_no_turn(turns: TurnClient, workflows: Workflows, new_flow: NewFlow) -> None:
    workflow = workflows.named(new_flow(replies("Hello"), type="AGENTFLOW", deployed=False))

    response = turns.execute(workflow)

    assert response.status_code == 404
    assert "is not deployed" in response.json()["detail"]


def test_a_flow_that_a_schedule_starts_takes_no_turn(turns: TurnClient, workflows: Workflows) -> None:
    response = turns.execute(workflows.new(drawing.started_by("scheduleInput")))

    assert (response.status_code, response.json().keys()) == (400, {"message", "error"})


def test_a_flow_that_is_asked_too_often_says_when_to_come_back(
    turns: TurnClient, holder: Caller, workflows: Workflows, new_flow: NewFlow
) -> None:
    flow_id = new_flow(replies("Hello"), type="AGENTFLOW")
    limit = '{"rateLimit": {"status": true, "limitMax": 1, "limitDuration": 60, "limitMsg": "Slowly"}}'
    assert holder.http.put(f"/chatflows/{flow_id}", json={"apiConfig": limit}).is_success
    workflow = workflows.named(flow_id)

    first, second = turns.execute(workflow), turns.execute(workflow)

    assert (first.status_code, second.status_code, second.json()) == (200, 429, {"detail": "Slowly"})
    assert 1 <= int(second.headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", EXECUTE, 405),
        ("DELETE", "/workflow-runs", 405),
        ("GET", "/nothing", 404),
        ("GET", f"/workflow-runs/{NOBODY}", 404),
        ("GET", "/workflow-runs/abc", 404),
    ],
)
def test_other_calls_are_refused_in_the_same_shape(method: str, path: str, status: int, turns: TurnClient) -> None:
    response = turns.http.request(method, path)

    assert (response.status_code, response.json().keys()) == (status, {"detail"})


def test_a_body_that_is_too_large_is_refused(turns: TurnClient) -> None:
    response = turns.http.post(EXECUTE, content=b" " * (51 * 1024 * 1024), headers={"Content-Type": "application/json"})

    assert (response.status_code, response.json()) == (413, {"detail": "The body is too large"})


@pytest.mark.parametrize(
    ("headers", "status", "keys"),
    [
        ({"Idempotency-Key": "a\tb"}, 400, {"message", "error"}),
        ({"Prefer": "wait=soon"}, 400, {"message", "error"}),
    ],
)
def test_headers_that_cannot_be_read_are_refused(
    headers: dict[str, str], status: int, keys: set[str], turns: TurnClient, workflows: Workflows
) -> None:
    response = turns.execute(workflows.replies("Hello"), headers=headers)

    assert (response.status_code, response.json().keys()) == (status, keys)


def test_every_answer_names_its_request(turns: TurnClient, workflows: Workflows) -> None:
    sent = {"X-Request-Id": "a-request-of-mine"}
    answers: list[httpx.Response] = [
        turns.execute(workflows.replies("Hello"), headers=sent),
        turns.execute(NOBODY, headers=sent),
        turns.http.get("/nothing", headers=sent),
    ]

    assert [answer.status_code for answer in answers] == [200, 404, 404]
    assert {answer.headers["X-Request-Id"] for answer in answers} == {"a-request-of-mine"}
    assert turns.execute(NOBODY).headers["X-Request-Id"]
