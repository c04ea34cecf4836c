from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.context import CalledFlow
from engine.errors import NodeInputError
from engine.events import RunFinished, RunPaused
from engine.providers.base import ToolCall
from engine.providers.fake import calling
from engine.runner import Resume
from engine.sandbox.pool import JavaScriptSandbox
from tests.engine.drawing import error_of
from tests.engine.node_world import NodeWorld
from tests.engine.team import Team, answer, spoke, steps

STATE = {"stateMemoryUI": [{"key": "found", "type": "Replace", "defaultValue": ""}]}


@pytest.fixture
async def sandbox() -> AsyncIterator[JavaScriptSandbox]:
    async with JavaScriptSandbox() as running:
        yield running


@pytest.fixture
def team(nodes: NodeWorld, sandbox: JavaScriptSandbox) -> Team:
    return Team(nodes, types={"code": "seqCustomFunction", "call": "seqExecuteFlow"}, world={"sandbox": sandbox})


def state_of(events: Any) -> Any:
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].state


async def test_a_function_sees_the_run_and_its_variables_and_says_a_text(team: Team) -> None:
    team.inputs["code"] = {
        "functionInputVariables": '{"who": "{{question}}", "last": "$flow.state.messages[-1].content"}',
        "javascriptFunction": "return [$who, $last, $flow.state.messages.length, $input].join('|')",
    }
    team.model.script("one")

    events = await team.run("start -> first -> code -> end", "Ann")

    assert answer(events) == "Ann|one|2|Ann"
    assert spoke(events) == ["first", "code"]


async def test_a_function_may_change_the_state_instead_of_speaking(team: Team) -> None:
    team.inputs |= {
        "state": STATE,
        "code": {"javascriptFunction": "return { found: 7 }", "returnValueAs": "stateObj"},
    }

    events = await team.run("start -> first -> code -> end")

    assert state_of(events) == {"found": 7}
    assert answer(events) == "You said: hi"


async def test_what_a_function_puts_into_the_state_is_appended_where_the_state_says_so(team: Team) -> None:
    rows = [{"key": "found", "type": "Append", "defaultValue": '["a"]'}, {"key": "kept", "defaultValue": "k"}]
    team.inputs |= {
        "state": {"stateMemoryUI": rows},
        "code": {"javascriptFunction": "return { found: 'b', kept: null }", "returnValueAs": "stateObj"},
    }

    events = await team.run("start -> first -> code -> end")

    assert state_of(events) == {"found": ["a", "b"], "kept": "k"}


async def test_a_function_that_gives_no_text_is_told_so(team: Team) -> None:
    team.inputs["code"] = {"javascriptFunction": "return 7"}

    events = await team.run("start -> code -> end")

    assert error_of(events).error == "Error in code: It must give a text, not 7."


async def test_code_makes_state_of_what_an_agent_used(team: Team) -> None:
    team.inputs |= {
        "state": STATE,
        "first": {
            "tools": ["{{shout.data.instance}}"],
            "selectedUpdateStateMemoryTab_first": "updateStateMemoryCode",
            "updateStateMemoryCode": "return { found: $flow.output.usedTools.map((used) => used.toolOutput) }",
        },
    }
    team.model.script(calling("shout", {"input": "hey"}), "done")

    events = await team.run("start -> first -> end")

    assert state_of(events) == {"found": ["HEY"]}


@pytest.mark.parametrize(("said", "taken"), [("stop", "b"), ("go", "a")])
async def test_code_chooses_the_way(team: Team, said: str, taken: str) -> None:
    team.inputs["check"] = {
        "selectedConditionFunctionTab_check": "conditionFunction",
        "conditionFunction": "return $flow.state.messages.at(-1).content === 'go' ? 'Next' : 'End'",
    }
    team.model.script(said)

    events = await team.run("start -> first -> check\ncheck[Next] -> a -> end\ncheck[End] -> b -> end2")

    assert spoke(events) == ["first", "check", taken]


async def test_reducers_in_code_tell_what_is_appended(team: Team) -> None:
    team.inputs |= {
        "state": {
            "selectedStateTab_state": "stateMemoryCode",
            "stateMemoryCode": """{
                said: { value: (x, y) => x.concat(y), default: () => ["none"] },
                mood: { value: (x, y) => y ?? x, default: () => "calm" },
            }""",
        },
        "first": {
            "updateStateMemoryUI": [
                {"key": "said", "value": "$flow.output.content"},
                {"key": "mood", "value": "$flow.output.content"},
            ]
        },
    }
    team.model.script("one")

    events = await team.run("start -> first -> end")

    assert state_of(events) == {"said": ["none", "one"], "mood": "one"}


async def test_code_makes_up_examples_that_stand_before_the_conversation(team: Team) -> None:
    team.inputs["first"] = {
        "systemMessagePrompt": "Calculate.",
        "messageHistory": """
            const { AIMessage, HumanMessage, ToolMessage } = require('@langchain/core/messages');
            return [
                new HumanMessage("What is 2 times 3?"),
                new AIMessage({ content: "", tool_calls: [{ id: "1", name: "calculator", args: { input: "2*3" } }] }),
                new ToolMessage({ tool_call_id: "1", content: "6" }),
            ];
        """,
    }

    await team.run("start -> first -> end", "And 4 times 5?")

    system, example, called_tool, told, question = team.model.calls[0].messages
    assert (system.content, example.content, question.content) == ("Calculate.", "What is 2 times 3?", "And 4 times 5?")
    assert called_tool.tool_calls == (ToolCall("1", "calculator", {"input": "2*3"}),)
    assert (told.role, told.tool_call_id, told.content) == ("tool", "1", "6")


async def test_examples_that_are_no_messages_are_told_so(team: Team) -> None:
    team.inputs["first"] = {"messageHistory": "return ['x']"}

    events = await team.run("start -> first -> end")

    assert error_of(events).error == "Error in first: The code of the message history must return a list of messages."


class Shelf:
    """The other flows of the workspace."""

    def __init__(self, **flows: CalledFlow) -> None:
        self._flows = flows

    async def load(self, flow_id: str) -> CalledFlow:
        if flow_id not in self._flows:
            raise NodeInputError(f"There is no flow {flow_id!r} in this workspace.")
        return self._flows[flow_id]


def called(team: Team, picture: str) -> CalledFlow:
    return CalledFlow("f2", "Other", "1", team.flow(picture), team.nodes.world)


async def test_another_flow_is_asked_the_question_or_what_a_node_said(team: Team) -> None:
    team.world["flows"] = Shelf(f2=called(team, "start -> inner -> end"))
    team.inputs |= {
        "call": {"selectedFlow": "f2", "seqExecuteFlowInput": "{{ question }}"},
        "call2": {"selectedFlow": "f2", "seqExecuteFlowInput": "{{first}}"},
    }
    team.types["call2"] = "seqExecuteFlow"
    team.model.script("{{ call }}")

    events = await team.run("start -> first -> call -> call2 -> end")

    assert [step["messages"] for step in steps(events)] == [["{{ call }}"], ["You said: hi"], ["You said: {{ call }}"]]


async def test_a_called_flow_that_waits_for_a_person_makes_its_caller_wait(team: Team) -> None:
    team.inputs |= {
        "inner": {"tools": ["{{shout.data.instance}}"], "interrupt": True},
        "call": {"selectedFlow": "f2"},
    }
    team.world["flows"] = Shelf(f2=called(team, "start -> inner -> end"))
    team.model.script(calling("shout", {"input": "hey"}), "May I?", "HEY")
    flow = team.flow("start -> call -> end")
    paused = await team.run(flow)
    assert isinstance(paused[-1], RunPaused)

    events = await team.run(flow, resume=Resume(paused[-1].snapshot, {"type": "proceed"}))

    assert answer(events) == "HEY"
    assert team.shouted == ["hey"]


async def test_a_flow_that_is_not_there_is_named(team: Team) -> None:
    team.world["flows"] = Shelf()
    team.inputs["call"] = {"selectedFlow": "f9"}

    events = await team.run("start -> call -> end")

    assert error_of(events).error == "Error in call: There is no flow 'f9' in this workspace."
