from typing import Any

import orjson
import pytest

from engine.context import PreviousRun
from engine.errors import NodeInputError
from engine.nodes.start import run_start
from engine.templating import Given
from tests.engine.drawing import Board, echoes, entry_of
from tests.engine.node_world import NodeWorld

FIELDS = [
    {"type": "string", "label": "Subject", "name": "subject", "addOptions": ""},
    {"type": "number", "label": "Age", "name": "age"},
    {"type": "boolean", "label": "Urgent", "name": "urgent"},
    {"type": "options", "label": "Team", "name": "team", "addOptions": [{"option": "sales"}, {"option": "help"}]},
]
FORM = {"startInputType": "formInput", "formInputTypes": FIELDS}


async def test_a_message_is_handed_on(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("hello"), {"startInputType": "chatInput", "startState": ""})

    assert result.output == {"question": "hello"}
    assert result.state == {}


async def test_state_begins_with_its_defaults(nodes: NodeWorld) -> None:
    state = [{"key": "tries", "value": "0"}, {"key": "", "value": "lost"}, {"key": "plan"}]

    result = await run_start(nodes.context(), {"startState": state})

    assert result.state == {"tries": "0", "plan": ""}


async def test_state_that_the_run_was_given_goes_before_the_defaults(nodes: NodeWorld) -> None:
    ctx = nodes.context(state={"tries": "7"})

    result = await run_start(ctx, {"startState": [{"key": "tries", "value": "0"}, {"key": "plan", "value": "p"}]})

    assert result.state == {"tries": "7", "plan": "p"}


async def test_switches_are_told_to_the_run(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("x"), {"startEphemeralMemory": "true", "startPersistState": True})

    assert result.output == {"question": "x", "ephemeralMemory": True, "persistState": True}


async def test_form_values_become_what_their_fields_hold(nodes: NodeWorld) -> None:
    form = {"subject": "Hi", "age": "42", "urgent": "on", "team": "help", "more": [1]}

    result = await run_start(nodes.context("", form=form), FORM)

    assert result.output["form"] == {"subject": "Hi", "age": 42, "urgent": True, "team": "help", "more": [1]}


async def test_fields_that_were_left_out_are_empty(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("", form={"subject": "Hi", "age": None}), FORM)

    assert result.output["form"] == {"subject": "Hi", "age": "", "urgent": "", "team": ""}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"age": "old"}, "The form's 'Age' must be a number, not 'old'."),
        ({"age": "nan"}, "The form's 'Age' must be a number, not 'nan'."),
        ({"age": "1e999"}, "The form's 'Age' must be a number, not '1e999'."),
        ({"age": True}, "The form's 'Age' must be a number, not True."),
        ({"urgent": "perhaps"}, "The form's 'Urgent' must be true or false, not 'perhaps'."),
        ({"team": "chess"}, "The form's 'Team' must be one of sales, help, not 'chess'."),
    ],
)
async def test_a_form_value_that_does_not_fit_names_its_field(
    nodes: NodeWorld, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(NodeInputError) as refused:
        await run_start(nodes.context("", form=given), FORM)

    assert refused.value.message == told


async def test_a_huge_number_in_a_form_can_be_written_down(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("", form={"age": "1e300"}), FORM)

    assert orjson.loads(orjson.dumps(result.output))["form"]["age"] == 1e300


async def test_a_row_without_a_name_is_no_field(nodes: NodeWorld) -> None:
    inputs = {**FORM, "formInputTypes": [{"type": "number"}, {"name": "age", "type": "number"}]}

    result = await run_start(nodes.context("", form={"age": "7", "None": "x"}), inputs)

    assert result.output["form"] == {"age": 7, "None": "x"}


async def test_a_session_whose_form_is_filled_in_goes_on_with_messages(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("and then?"), FORM)

    assert result.output == {"question": "and then?"}


async def test_a_form_that_was_not_sent_names_its_fields(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="send 'form' with values for subject, age, urgent, team"):
        await run_start(nodes.context(" "), FORM)


async def test_other_starts_are_refused_by_name(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="carrierPigeon"):
        await run_start(nodes.context("x"), {"startInputType": "carrierPigeon"})


CALL = {"body": {"name": "Ann"}, "headers": {"Authorization": "Bearer secret", "X-Id": "1"}, "query": {}}


@pytest.mark.parametrize(
    ("inputs", "question"),
    [
        ({"webhookDefaultInput": "Ann called"}, "Ann called"),
        ({"webhookInputMode": "none"}, " "),
        ({"webhookInputMode": "payload"}, orjson.dumps({**CALL, "headers": {"X-Id": "1"}}).decode()),
        ({}, " "),
    ],
)
async def test_a_webhook_says_what_its_input_mode_makes_of_it(
    nodes: NodeWorld, inputs: dict[str, Any], question: str
) -> None:
    ctx = nodes.context("", webhook=CALL)

    result = await run_start(ctx, {"startInputType": "webhookTrigger", **inputs})

    assert result.output["question"] == question
    assert result.output["webhook"] == {"body": {"name": "Ann"}, "headers": {"X-Id": "1"}, "query": {}}


@pytest.mark.parametrize("header", ["X-Hook-Token", "x-hook-token"])
async def test_what_proves_a_call_is_not_kept(nodes: NodeWorld, header: str) -> None:
    ctx = nodes.context("", webhook={"headers": {header: "t0ken", "X-Id": "1"}})
    start = {
        "startInputType": "webhookTrigger",
        "webhookInputMode": "payload",
        "webhookSignatureHeader": "X-Hook-Token",
    }

    result = await run_start(ctx, start)

    assert result.output["webhook"] == {"headers": {"X-Id": "1"}}
    assert "t0ken" not in result.output["question"]


async def test_a_flow_with_a_webhook_can_be_tried_out_by_a_message(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("hello"), {"startInputType": "webhookTrigger"})

    assert result.output == {"question": "hello"}


async def test_a_flow_with_a_webhook_does_not_begin_without_anything(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="begins with a webhook"):
        await run_start(nodes.context(""), {"startInputType": "webhookTrigger"})


@pytest.mark.parametrize(
    ("asked", "inputs", "output"),
    [
        ("", {"scheduleDefaultInput": "Good morning"}, {"question": "Good morning"}),
        ("hello", {"scheduleDefaultInput": "Good morning"}, {"question": "hello"}),
        ("", {"scheduleInputMode": "none"}, {"question": " "}),
        (
            "",
            {
                "scheduleInputMode": "form",
                "scheduleFormInputTypes": [{"type": "number", "name": "age"}],
                "scheduleFormDefaults": '{"age": "4"}',
            },
            {"form": {"age": 4}},
        ),
    ],
)
async def test_a_schedule_begins_as_its_input_mode_says(
    nodes: NodeWorld, asked: str, inputs: dict[str, Any], output: dict[str, Any]
) -> None:
    result = await run_start(nodes.context(asked), {"startInputType": "scheduleInput", **inputs})

    assert result.output == output


async def test_the_question_of_a_trigger_is_the_questions_of_the_run(board: Board) -> None:
    board.types["start"] = "startAgentflow"
    board.inputs |= {
        "start": {"startInputType": "webhookTrigger", "webhookDefaultInput": "{{ $webhook.body.name }} called"},
        "end": {"text": "{{ question }}"},
    }
    board.does["end"] = echoes

    events = await board.run("start -> end", "", webhook=CALL)

    assert entry_of(events, "end")["data"]["output"]["content"] == "Ann called"


PERSISTENT: dict[str, Any] = {
    "startPersistState": True,
    "startState": [{"key": "tries", "value": "0"}, {"key": "plan", "value": "p"}],
}


async def test_state_that_is_persistent_goes_on_where_the_sessions_last_run_ended(nodes: NodeWorld) -> None:
    nodes.previous = PreviousRun(state={"tries": "3", "more": "x"})

    result = await run_start(nodes.context("hi"), PERSISTENT)

    assert result.state == {"tries": "3", "plan": "p", "more": "x"}


async def test_what_the_caller_of_a_run_sets_goes_before_what_the_session_kept(nodes: NodeWorld) -> None:
    nodes.previous = PreviousRun(state={"tries": "3", "plan": "q"})
    rows = [PERSISTENT["startState"][1], {"key": Given("tries"), "value": Given("0")}]

    result = await run_start(nodes.context("hi"), {**PERSISTENT, "startState": rows})

    assert result.state == {"tries": "0", "plan": "q"}


async def test_the_first_run_of_a_session_begins_with_the_defaults(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("hi"), PERSISTENT)

    assert result.state == {"tries": "0", "plan": "p"}


async def test_state_that_is_not_persistent_is_forgotten(nodes: NodeWorld) -> None:
    nodes.previous = PreviousRun(state={"tries": "3"})

    result = await run_start(nodes.context("hi"), {**PERSISTENT, "startPersistState": ""})

    assert result.state == {"tries": "0", "plan": "p"}


async def test_a_message_after_a_form_still_sees_the_form(board: Board, nodes: NodeWorld) -> None:
    nodes.previous = PreviousRun(form={"subject": "Hi"})
    board.world = nodes.world
    board.types["start"] = "startAgentflow"
    board.inputs |= {"start": FORM, "end": {"text": "{{ $form.subject }}: {{ question }}"}}
    board.does["end"] = echoes

    events = await board.run("start -> end", "And then?")

    assert entry_of(events, "end")["data"]["output"]["content"] == "Hi: And then?"
