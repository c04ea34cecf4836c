import orjson
import pytest

from engine.context import PreviousRun
from engine.errors import FlowError, MissingTypes
from engine.events import AgentReasoned, NodeFinished, RunFailed, RunFinished, TokenEmitted
from engine.plan import plan_for
from engine.providers.base import Message
from engine.providers.fake import calling
from tests.engine.drawing import error_of, ran, skipped
from tests.engine.node_world import NodeWorld
from tests.engine.team import Team, answer, spoke, steps

SHOUT = ["{{shout.data.instance}}"]


@pytest.fixture
def team(nodes: NodeWorld) -> Team:
    return Team(nodes)


def heard(team: Team, call: int) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in team.model.calls[call].messages]


async def test_agents_in_a_row_hear_those_before_them_as_people_who_speak_to_them(team: Team) -> None:
    team.inputs["second"] = {"systemMessagePrompt": "Be brief."}
    team.model.script("one", "two")

    events = await team.run("start -> first -> second -> end", "count")

    assert ran(events) == ["start", "first", "second", "end"]
    assert answer(events) == "two"
    assert heard(team, 1) == [("system", "Be brief."), ("user", "count"), ("user", "one")]
    assert team.model.calls[1].messages[2].name == "first"


async def test_the_answer_is_not_streamed_and_every_step_is_shown_with_those_before(team: Team) -> None:
    team.model.script("one", "two")

    events = await team.run("start -> first -> second -> end")

    shown = [event for event in events if isinstance(event, AgentReasoned)]
    assert [len(event.steps) for event in shown] == [1, 2]
    assert shown[1].steps[1] == {"agentName": "second", "messages": ["two"], "nodeName": "seqAgent", "nodeId": "second"}
    assert not [event for event in events if isinstance(event, TokenEmitted)]


async def test_a_trace_tells_agents_by_what_they_are_called(team: Team) -> None:
    team.inputs |= {"first": {"agentName": "Writer"}, "second": {"agentName": "Critic"}}

    events = await team.run("start -> first -> second -> end")

    assert [event.label for event in events if isinstance(event, NodeFinished)] == ["start", "Writer", "Critic", "end"]


async def test_agents_side_by_side_do_not_hear_each_other_and_the_next_waits_for_both(team: Team) -> None:
    team.model.script("a", "b", "c", "d")

    events = await team.run("start -> a -> b -> d -> end\na -> c -> d")

    assert ran(events) == ["start", "a", "b", "c", "d", "end"]
    by_count = sorted(len(call.messages) for call in team.model.calls)
    assert by_count == [1, 2, 2, 4]
    assert answer(events) == "d"


async def test_an_agent_uses_its_tools_until_it_answers(team: Team) -> None:
    team.inputs["first"] = {"tools": SHOUT}
    team.model.script(calling("shout", {"input": "hey"}), "It is HEY.")

    events = await team.run("start -> first -> end")

    assert answer(events) == "It is HEY."
    assert steps(events)[0]["usedTools"] == [{"tool": "shout", "toolInput": {"input": "hey"}, "toolOutput": "HEY"}]


async def test_tools_of_a_branch_that_is_not_taken_are_not_built(team: Team) -> None:
    rows = [{"variable": "$flow.input", "operation": "Is", "value": "left", "output": "Left"}]
    team.inputs |= {"check": {"conditionUI": rows}, "a": {"tools": SHOUT}, "b": {}}
    picture = "start -> check\ncheck[Left] -> a -> end\ncheck[End] -> b -> end2"

    events = await team.run(picture, "right")

    assert ran(events) == ["start", "check", "b", "end2"]
    assert skipped(events) == ["a", "end"]
    assert team.built == []


async def test_a_part_that_several_agents_use_is_built_once(team: Team) -> None:
    team.inputs |= {"a": {"tools": SHOUT}, "b": {"tools": SHOUT}}

    await team.run("start -> a -> b -> end")

    assert team.built == ["shout"]


async def test_a_loop_goes_back_to_a_name_in_any_spelling_until_a_condition_ends_it(team: Team) -> None:
    rows = [
        {
            "variable": "$flow.state.messages.length",
            "operation": "Less Than or Equal To",
            "value": "4",
            "output": "Grading",
        }
    ]
    team.types |= {"writer": "seqLLMNode", "teacher": "seqLLMNode"}
    team.inputs |= {
        "writer": {"llmNodeName": "Essay Writer"},
        "check": {"conditionName": "Good enough?", "conditionUI": orjson.dumps(rows).decode()},
        "loop": {"loopToName": "essay writer"},
    }
    team.model.script("draft 1", "too long", "draft 2", "too short", "draft 3")

    events = await team.run("start -> writer -> check\ncheck[Grading] -> teacher -> loop\ncheck[End] -> end", "rain")

    assert answer(events) == "draft 3"
    assert spoke(events) == ["Essay Writer", "Good enough?", "teacher"] * 2 + ["Essay Writer"]
    assert steps(events)[1]["messages"] == ["teacher"]
    assert heard(team, 2) == [("user", "rain"), ("assistant", "draft 1"), ("assistant", "too long")]


async def test_a_loop_that_never_ends_is_ended(team: Team) -> None:
    team.inputs["loop"] = {"loopToName": "first"}

    events = await team.run("start -> first -> loop")

    assert error_of(events).code == "run_limit"
    assert "may execute 100 nodes" in error_of(events).error


def test_a_loop_to_nowhere_is_refused_before_anything_runs(team: Team) -> None:
    team.inputs["loop"] = {"loopToName": "second"}

    with pytest.raises(FlowError, match=r"goes back to 'second', which no node is called; known: first"):
        plan_for(team.flow("start -> first -> loop"), team.registry())


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        ("first -> end", "Start node not found"),
        ("start1 -> first -> end\nstart2 -> first", "only one start node"),
        ("start -> first", "at least one End or Loop node"),
        ("start -> first -> second -> first\nsecond -> end", "runs in a circle"),
    ],
)
def test_a_graph_without_what_a_run_needs_is_refused(team: Team, picture: str, told: str) -> None:
    with pytest.raises(FlowError, match=told):
        plan_for(team.flow(picture), team.registry())


def test_agents_that_are_not_installed_are_named(team: Team) -> None:
    team.types["first"] = "seqHumanInTheLoop"

    with pytest.raises(MissingTypes, match="seqHumanInTheLoop"):
        plan_for(team.flow("start -> first -> end"), team.registry())


@pytest.mark.parametrize(
    ("selection", "seen"),
    [
        ("all_messages", ["hi", "one"]),
        ("last_message", ["one"]),
        ("user_question", ["hi"]),
        ("empty", []),
    ],
)
async def test_an_agent_sees_as_much_of_the_conversation_as_is_chosen(
    team: Team, selection: str, seen: list[str]
) -> None:
    team.inputs["second"] = {"conversationHistorySelection": selection, "systemMessagePrompt": "Be brief."}
    team.model.script("one", "two")

    await team.run("start -> first -> second -> end")

    assert [content for _, content in heard(team, 1)[1:]] == seen


async def test_prompt_values_hold_the_question_the_state_and_what_another_node_said(team: Team) -> None:
    given = (
        '{"asked": "{{question}}", "mood": "$flow.state.mood", "said": "{{first.data.instance}}", '
        '"none": "$flow.state.x"}'
    )
    team.inputs |= {
        "state": {"stateMemoryUI": [{"key": "mood", "type": "Replace", "defaultValue": "calm"}]},
        "second": {"systemMessagePrompt": "{asked}|{mood}|{said}|{none}|{{kept}}", "promptValues": given},
    }
    team.model.script('say "one"', "two")

    await team.run("start -> first -> second -> end", 'say "hi"')

    assert heard(team, 1)[0] == ("system", 'say "hi"|calm|say "one"||{kept}')


async def test_a_prompt_variable_without_a_value_is_named(team: Team) -> None:
    team.inputs["first"] = {"systemMessagePrompt": "Dear {name}"}

    events = await team.run("start -> first -> end")

    assert error_of(events).error.startswith("Error in first: The prompt has no values for name")


async def test_state_is_replaced_or_grows_as_it_was_declared(team: Team) -> None:
    declared = [
        {"key": "mood", "type": "Replace", "defaultValue": "calm"},
        {"key": "said", "type": "Append", "defaultValue": '["none"]'},
    ]
    rows = [{"key": "mood", "value": "$flow.output.content"}, {"key": "said", "value": "$flow.output.content"}]
    team.inputs |= {"state": {"stateMemoryUI": declared}, "a": {"updateStateMemoryUI": rows}}
    team.inputs |= {"b": team.inputs["a"], "c": team.inputs["a"]}
    team.model.script("one", "two", "three")

    events = await team.run("start -> a -> b -> end\na -> c -> end")

    ending = events[-1]
    assert isinstance(ending, RunFinished)
    assert ending.state is not None
    assert ending.state["said"][:2] == ["none", "one"]
    assert sorted(ending.state["said"][2:]) == ["three", "two"]
    assert ending.state["mood"] == ending.state["said"][-1]
    assert steps(events)[0]["state"] == {"mood": "one", "said": ["one"]}


async def test_an_update_to_nothing_leaves_the_state_as_it_is(team: Team) -> None:
    team.inputs |= {
        "state": {"stateMemoryUI": [{"key": "mood", "type": "Replace", "defaultValue": "calm"}]},
        "a": {"updateStateMemoryUI": [{"key": "mood", "value": "$flow.output.usedTools[0].toolOutput"}]},
    }

    events = await team.run("start -> a -> end")

    ending = events[-1]
    assert isinstance(ending, RunFinished)
    assert ending.state == {"mood": "calm"}


async def test_an_answer_with_a_structure_can_be_kept_in_the_state(team: Team) -> None:
    team.types["first"] = "seqLLMNode"
    team.inputs |= {
        "state": {"stateMemoryUI": [{"key": "next", "type": "Replace", "defaultValue": ""}]},
        "first": {
            "llmStructuredOutput": [
                {"key": "next", "type": "Enum", "enumValues": "coder, tester"},
                {"key": "reasons", "type": "String Array"},
            ],
            "updateStateMemoryUI": [{"key": "next", "value": "$flow.output.next"}],
        },
        "check": {
            "conditionUI": [{"variable": "$flow.state.next", "operation": "Is", "value": "tester", "output": "Test It"}]
        },
    }
    team.model.script('{"next": "tester", "reasons": ["bugs"]}', "tested")

    events = await team.run("start -> first -> check\ncheck[testIt] -> tester -> end\ncheck[End] -> end2")

    assert answer(events) == "tested"
    schema = team.model.calls[0].schema
    assert schema is not None
    assert schema["properties"]["next"]["enum"] == ["coder", "tester"]
    assert schema["properties"]["reasons"]["type"] == "array"


async def test_a_condition_agent_routes_by_what_its_model_answers_and_says_nothing_to_the_others(team: Team) -> None:
    team.types["check"] = "seqConditionAgent"
    team.inputs["check"] = {
        "systemMessagePrompt": "Route {what}.",
        "promptValues": {"what": "{{question}}"},
        "conditionAgentStructuredOutput": [{"key": "route", "type": "Enum", "enumValues": "BILLING, OTHER"}],
        "conditionUI": [{"variable": "$flow.output.route", "operation": "Is", "value": "BILLING", "output": "Billing"}],
    }
    team.model.script("hold on", '{"route": "BILLING"}', "refunded")

    events = await team.run("start -> front -> check\ncheck[Billing] -> billing -> end\ncheck[End] -> end2", "money")

    assert answer(events) == "refunded"
    assert spoke(events) == ["front", "check", "billing"]
    assert heard(team, 1)[0] == ("system", "Route money.")
    assert heard(team, 2) == [("user", "money"), ("user", "hold on")]


async def test_a_condition_that_holds_for_nothing_ends_with_what_was_said_last(team: Team) -> None:
    team.inputs["check"] = {"conditionUI": []}

    events = await team.run("start -> first -> check\ncheck[Again] -> second -> end\ncheck[End] -> end2")

    assert ran(events) == ["start", "first", "check", "end2"]
    assert answer(events) == "You said: hi"
    assert spoke(events) == ["first"]


async def test_a_condition_that_chooses_a_way_nobody_drew_says_so(team: Team) -> None:
    rows = [{"variable": "$first", "operation": "Contains", "value": "said", "output": "Left"}]
    team.inputs["check"] = {"conditionUI": rows}

    events = await team.run("start -> first -> check\ncheck[Right] -> second -> end")

    assert error_of(events).error == "Error in check: It chose 'Left', which leads nowhere; connected are: right."


async def test_an_llm_nodes_calls_run_in_the_tool_node_behind_it(team: Team) -> None:
    team.types |= {"asker": "seqLLMNode", "tools": "seqToolNode", "reader": "seqLLMNode"}
    team.inputs |= {
        "state": {"stateMemoryUI": [{"key": "found", "type": "Replace", "defaultValue": ""}]},
        "tools": {"tools": SHOUT, "updateStateMemoryUI": [{"key": "found", "value": "$flow.output[0].toolOutput"}]},
    }
    team.model.script(calling("shout", {"input": "hey"}), "read")

    events = await team.run("start -> asker -> tools -> reader -> end")

    assert answer(events) == "read"
    assert team.shouted == ["hey"]
    assert [tool.name for tool in team.model.calls[0].tools] == ["shout"]
    assert heard(team, 1) == [("user", "hi"), ("assistant", ""), ("tool", "HEY")]
    ending = events[-1]
    assert isinstance(ending, RunFinished)
    assert ending.state == {"found": "HEY"}


async def test_calls_of_a_later_round_run_even_if_their_ids_are_the_same(team: Team) -> None:
    team.types |= {"asker": "seqLLMNode", "tools": "seqToolNode"}
    rows = [{"variable": "$flow.state.messages.length", "operation": "Less Than", "value": "4", "output": "Again"}]
    team.inputs |= {
        "tools": {"tools": SHOUT},
        "check": {"conditionUI": rows},
        "loop": {"loopToName": "asker"},
    }
    team.model.script(calling("shout", {"input": "hey"}), calling("shout", {"input": "ho"}))

    events = await team.run("start -> asker -> tools -> check\ncheck[Again] -> loop\ncheck[End] -> end")

    assert answer(events) == "HO"
    assert team.shouted == ["hey", "ho"]


async def test_an_llm_node_that_calls_nothing_ends_the_path_to_its_tools(team: Team) -> None:
    team.types |= {"asker": "seqLLMNode", "tools": "seqToolNode"}
    team.inputs["tools"] = {"tools": SHOUT}
    team.model.script("I know it already.")

    events = await team.run("start -> asker -> tools -> end")

    assert answer(events) == "I know it already."
    assert skipped(events) == ["tools", "end"]


def test_a_tool_node_behind_anything_but_an_llm_node_is_refused(team: Team) -> None:
    team.types["tools"] = "seqToolNode"
    team.inputs["tools"] = {"tools": SHOUT}

    with pytest.raises(FlowError, match="runs what an LLM Node calls"):
        plan_for(team.flow("start -> first -> tools -> end"), team.registry())


async def test_with_a_memory_agents_go_on_where_the_session_ended(team: Team) -> None:
    team.inputs |= {
        "start": {"agentMemory": "{{memory.data.instance}}"},
        "state": {"stateMemoryUI": [{"key": "who", "type": "Replace", "defaultValue": ""}]},
        "first": {"systemMessagePrompt": "{who}", "promptValues": {"who": "$flow.state.who"}},
    }
    team.nodes.history.sessions["s1"] = [Message("user", "I am Ann"), Message("assistant", "Hi Ann")]
    team.previous = PreviousRun(state={"who": "Ann"})

    events = await team.run("start -> first -> end", "Who am I?")

    assert heard(team, 0) == [
        ("system", "Ann"),
        ("user", "I am Ann"),
        ("assistant", "Hi Ann"),
        ("user", "Who am I?"),
    ]
    ending = events[-1]
    assert isinstance(ending, RunFinished)
    assert ending.memory_type == "memory"


async def test_without_a_memory_agents_remember_only_what_the_caller_brings(team: Team) -> None:
    team.nodes.history.sessions["s1"] = [Message("user", "I am Ann")]
    team.previous = PreviousRun(state={"who": "Ann"})

    await team.run("start -> first -> end", "Who am I?", history=(Message("user", "Hello"),))

    assert heard(team, 0) == [("user", "Hello"), ("user", "Who am I?")]


async def test_a_question_that_is_refused_reaches_no_agent(team: Team) -> None:
    team.inputs["start"] = {"inputModeration": ["{{guard.data.instance}}"]}

    refused = await team.run("start -> first -> end", "How to build a bomb?")
    passed = await team.run("start -> first -> end", "How to build a boat?")

    assert answer(refused) == "No."
    assert ran(refused) == ["start"]
    assert answer(passed) == "You said: How to build a boat?"
    assert len(team.model.calls) == 1


async def test_a_model_that_fails_ends_the_run_and_says_who_asked(team: Team) -> None:
    team.inputs["first"] = {"tools": "not a tool"}

    events = await team.run("start -> first -> end")

    assert isinstance(events[-1], RunFailed)
    assert events[-1].node_id == "first"
    assert events[-1].error == "Error in first: What is connected as a tool is none."
