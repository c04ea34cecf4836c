from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.nodes.start import run_start
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


async def test_a_session_whose_form_is_filled_in_goes_on_with_messages(nodes: NodeWorld) -> None:
    result = await run_start(nodes.context("and then?"), FORM)

    assert result.output == {"question": "and then?"}


async def test_a_form_that_was_not_sent_names_its_fields(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="send 'form' with values for subject, age, urgent, team"):
        await run_start(nodes.context(" "), FORM)


@pytest.mark.parametrize("kind", ["webhookTrigger", "scheduleInput", "carrierPigeon"])
async def test_other_starts_are_refused_by_name(nodes: NodeWorld, kind: str) -> None:
    with pytest.raises(NodeInputError, match=kind):
        await run_start(nodes.context(), {"startInputType": kind})
