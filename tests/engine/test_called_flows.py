"""Flows that call flows: in process, in the same conversation, and never in a circle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from engine.context import CalledFlow, NodeContext
from engine.errors import FlowError, NodeError, NodeInputError
from engine.events import NodeFinished, RunFinished, RunPaused
from engine.flow import Flow
from engine.nodes.called_flows import run_execute_flow, run_flow_tool
from engine.providers.base import Message, Usage
from engine.runner import Limits, Resume
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, Does, echoes, entry_of, error_of, gives, ran, says, tokens
from tests.engine.node_world import MemoryFlows, NodeWorld


@pytest.fixture
def board(board: Board) -> Board:
    board.types["call"] = "executeFlowAgentflow"
    board.inputs["call"] = {"executeFlowSelectedFlow": "child", "executeFlowInput": "for {{ question }}"}
    return board


def offer(board: Board, nodes: NodeWorld, **flows: Flow) -> None:
    """Save flows beside the one that runs, by their ids."""
    nodes.flows = MemoryFlows()
    board.world = nodes.world
    nodes.flows.kept = {name: CalledFlow(name, name.title(), "1", flow, board.world) for name, flow in flows.items()}


async def test_the_answer_of_the_called_flow_is_the_nodes(board: Board, nodes: NodeWorld) -> None:
    board.does["echo"] = echoes
    board.inputs["echo"] = {"text": "child says {{ question }}"}
    offer(board, nodes, child=board.agentflow("begin -> echo"))

    events = await board.run("start -> call", "tea", is_streaming=True)

    assert isinstance(events[-1], RunFinished)
    assert events[-1].text == "child says for tea"
    assert tokens(events) == ["child says for tea"]


async def test_nothing_of_the_called_flow_is_heard(board: Board, nodes: NodeWorld) -> None:
    async def speak(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        assert not ctx.streams
        ctx.emit_token("hush")
        return NodeResult(output={"content": "x"})

    board.does["talker"] = speak
    offer(board, nodes, child=board.agentflow("begin -> talker"))

    events = await board.run("start -> call -> end", is_streaming=True)

    assert tokens(events) == []
    assert [e.node_id for e in events if isinstance(e, NodeFinished)] == ["start", "call", "end"]


async def test_the_called_flow_is_in_the_same_conversation(board: Board, nodes: NodeWorld) -> None:
    seen: list[Any] = []

    async def look(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        request = ctx.request
        seen.append((request.chat_id, request.session_id, request.chatflow_id, request.callers, ctx.messages))
        return NodeResult(output={"content": "x"})

    board.does["look"] = look
    offer(board, nodes, child=board.agentflow("begin -> look"))

    await board.run("start -> call")

    assert seen == [("c1", "s1", "child", ("f1",), ())]


async def test_what_it_cost_counts(board: Board, nodes: NodeWorld) -> None:
    board.does["work"] = gives(output={"content": "x"}, usage=Usage(2, 3))
    offer(board, nodes, child=board.agentflow("begin -> work"))

    events = await board.run("start -> call")

    assert isinstance(events[-1], RunFinished)
    assert (events[-1].input_tokens, events[-1].output_tokens) == (2, 3)


async def test_its_nodes_count_against_the_limit(board: Board, nodes: NodeWorld) -> None:
    offer(board, nodes, child=board.agentflow("begin -> a -> b -> c"))

    events = await board.run("start -> call", limits=Limits(executions=4))

    assert error_of(events).code == "run_limit"


async def test_question_and_answer_join_the_run(board: Board, nodes: NodeWorld) -> None:
    board.inputs["call"] = {**board.inputs["call"], "executeFlowReturnResponseAs": "assistantMessage"}
    board.inputs["end"] = {"text": "{{ chat_history }}"}
    board.does |= {"work": says("done"), "end": echoes}
    offer(board, nodes, child=board.agentflow("begin -> work"))

    events = await board.run("start -> call -> end", "tea")

    assert entry_of(events, "end")["data"]["output"]["content"] == "Human: tea\nAssistant: done"


async def test_a_classic_flow_can_be_called(board: Board, nodes: NodeWorld) -> None:
    board.does["last"] = gives(value={"text": "classic"}, output={"content": "classic"})
    offer(board, nodes, child=board.classic("part -> last"))

    events = await board.run("start -> call")

    assert entry_of(events, "call")["data"]["output"]["content"] == "classic"


async def test_a_json_answer_is_fenced(board: Board, nodes: NodeWorld) -> None:
    board.does["last"] = gives(value={"a": 1}, output={"content": "", "json": {"a": 1}})
    offer(board, nodes, child=board.classic("part -> last"))

    events = await board.run("start -> call")

    assert entry_of(events, "call")["data"]["output"]["content"] == '```json\n{\n  "a": 1\n}\n```'


async def test_what_was_used_is_taken_over(board: Board, nodes: NodeWorld) -> None:
    board.does["work"] = gives(output={"content": "x", "usedTools": [{"tool": "t"}], "other": 1})
    offer(board, nodes, child=board.agentflow("begin -> work"))

    events = await board.run("start -> call")

    output = entry_of(events, "call")["data"]["output"]
    assert output == {"content": "x", "usedTools": [{"tool": "t"}]}


@pytest.mark.parametrize("written", [{"text": "new"}, '{"text": "new"}', "{text: 'new'}", {"text": {"echo": "new"}}])
async def test_inputs_of_the_called_flow_can_be_overridden(board: Board, nodes: NodeWorld, written: Any) -> None:
    board.does["echo"] = echoes
    board.inputs |= {"echo": {"text": "old"}, "call": {**board.inputs["call"], "executeFlowOverrideConfig": written}}
    offer(board, nodes, child=board.agentflow("begin -> echo"))

    events = await board.run("start -> call")

    assert entry_of(events, "call")["data"]["output"]["content"] == "new"


async def test_secrets_of_the_called_flow_cannot(board: Board, nodes: NodeWorld) -> None:
    seen: list[Any] = []

    async def look(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        seen.append(inputs.get("secret"))
        return NodeResult(output={"content": "x"})

    board.does["look"] = look
    board.inputs |= {
        "look": {"secret": "old"},
        "call": {**board.inputs["call"], "executeFlowOverrideConfig": {"secret": "new"}},
    }
    offer(board, nodes, child=board.agentflow("begin -> look"))

    events = await board.run("start -> call")

    assert seen == ["old"]
    assert "secret" in entry_of(events, "call")["data"]["output"]["warnings"][0]


async def test_a_session_can_be_chosen(board: Board, nodes: NodeWorld) -> None:
    board.does["echo"] = echoes
    board.inputs |= {
        "echo": {"text": "{{ $flow.sessionId }}"},
        "call": {**board.inputs["call"], "executeFlowOverrideConfig": {"sessionId": "other"}},
    }
    offer(board, nodes, child=board.agentflow("begin -> echo"))

    events = await board.run("start -> call")

    assert entry_of(events, "call")["data"]["output"]["content"] == "other"


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"executeFlowSelectedFlow": "f1"}, "Cannot call the same agentflow!"),
        ({"executeFlowSelectedFlow": ""}, "No flow is selected"),
        ({"executeFlowSelectedFlow": "gone"}, "There is no flow 'gone' in this workspace"),
        ({"executeFlowBaseURL": "https://other.example/api"}, "server 'other.example': only flows of this workspace"),
        ({"executeFlowOverrideConfig": "{oops"}, "executeFlowOverrideConfig must be JSON"),
    ],
)
async def test_a_flow_that_cannot_be_called_is_refused(
    board: Board, nodes: NodeWorld, inputs: Mapping[str, Any], told: str
) -> None:
    offer(board, nodes, child=board.agentflow("begin -> x"))
    board.inputs["call"] = {**board.inputs["call"], **inputs}

    events = await board.run("start -> call")

    assert told in error_of(events).error


async def test_a_circle_of_flows_is_refused_by_its_names(board: Board, nodes: NodeWorld) -> None:
    board.types["back"] = "executeFlowAgentflow"
    board.inputs["back"] = {"executeFlowSelectedFlow": "f1"}
    offer(board, nodes, child=board.agentflow("begin -> back"))

    events = await board.run("start -> call")

    assert "in a circle: f1 -> child -> f1" in error_of(events).error


async def test_a_circle_is_seen_however_the_flow_is_named(board: Board, nodes: NodeWorld) -> None:
    child = board.agentflow("begin -> x")
    offer(board, nodes, child=child)
    nodes.flows.kept = {"F1": CalledFlow("f1", "Itself", "1", child, board.world)}
    board.inputs["call"] = {"executeFlowSelectedFlow": "F1"}

    events = await board.run("start -> call")

    assert "Cannot call the same agentflow!" in error_of(events).error


async def test_calls_go_five_deep(board: Board, nodes: NodeWorld) -> None:
    flows: dict[str, Flow] = {}
    for number in range(1, 7):
        board.types[f"call{number}"] = "executeFlowAgentflow"
        board.inputs[f"call{number}"] = {"executeFlowSelectedFlow": f"flow{number + 1}"}
        flows[f"flow{number}"] = board.agentflow(f"begin{number} -> call{number}")
    offer(board, nodes, **flows)
    board.inputs["call"] = {"executeFlowSelectedFlow": "flow1"}

    events = await board.run("start -> call")

    assert "5 deep and no deeper" in error_of(events).error


async def test_a_called_flow_that_fails_fails_the_node_by_its_name(board: Board, nodes: NodeWorld) -> None:
    async def fail(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        raise NodeError("no luck")

    board.does["work"] = fail
    offer(board, nodes, child=board.agentflow("begin -> work"))

    events = await board.run("start -> call")

    assert error_of(events).error == "The called flow 'Child' failed: no luck"


async def test_a_called_flow_that_cannot_run_says_why(board: Board, nodes: NodeWorld) -> None:
    board.types["strange"] = "nobodyKnowsAgentflow"
    offer(board, nodes, child=board.agentflow("begin -> strange"))
    del board.types["strange"]

    events = await board.run("start -> call")

    assert "'Child' cannot run: This flow needs node types" in error_of(events).error


ASKING = "begin -> ask\nask[proceed] -> yes\nask[reject] -> no"


async def paused_in(board: Board, nodes: NodeWorld) -> tuple[Flow, RunPaused]:
    board.types["ask"] = "humanInputAgentflow"
    board.inputs["ask"] = {"humanInputDescription": "Really?"}
    offer(board, nodes, child=board.agentflow(ASKING))
    flow = board.agentflow("start -> call -> end")
    events = await board.run(flow, is_streaming=True)
    assert isinstance(events[-1], RunPaused)
    assert tokens(events) == ["Really?"]
    return flow, events[-1]


async def test_a_called_flow_that_asks_a_person_stops_the_caller(board: Board, nodes: NodeWorld) -> None:
    _, paused = await paused_in(board, nodes)

    assert paused.text == "Really?"
    assert paused.action["data"]["nodeId"] == "call"


@pytest.mark.parametrize(("kind", "answer"), [("proceed", "yes"), ("reject", "no")])
async def test_the_answer_reaches_the_called_flow(board: Board, nodes: NodeWorld, kind: str, answer: str) -> None:
    flow, paused = await paused_in(board, nodes)
    snapshot = orjson.loads(orjson.dumps(paused.snapshot))

    board.agentflow(ASKING)  # the board knows the handles of what it drew last
    events = await board.run(flow, resume=Resume(snapshot, {"type": kind}))

    assert ran(events) == ["call", "end"]
    assert entry_of(events, "call")["data"]["output"]["content"] == answer


async def test_a_called_flow_that_was_changed_meanwhile_cannot_go_on(board: Board, nodes: NodeWorld) -> None:
    flow, paused = await paused_in(board, nodes)
    called = nodes.flows.kept["child"]
    nodes.flows.kept = {"child": replace(called, version="2")}

    events = await board.run(flow, resume=Resume(paused.snapshot, {"type": "proceed"}))

    assert "'Child' was changed while it waited" in error_of(events).error


def tool(**more: Any) -> dict[str, Any]:
    return {"selectedChatflow": "child", "name": "Ask the child", "description": "Knows tea", **more}


@pytest.fixture
def called(nodes: NodeWorld) -> NodeWorld:
    flow: Any = None  # the inner run is scripted
    nodes.flows = MemoryFlows({"child": CalledFlow("child", "Child", "1", flow, nodes.world)})
    return nodes


async def test_a_flow_can_be_a_tool(called: NodeWorld) -> None:
    built = (await run_flow_tool(called.context("hi"), tool(overrideConfig='{"a": 1}', returnDirect=True))).value

    assert await built.call({"input": "green tea?"}) == "inner"
    assert (built.spec.name, built.spec.description, built.return_direct) == ("Ask_the_child", "Knows tea", True)
    ((flow_id, request, override, snapshot, answer),) = called.inner.asked
    assert (flow_id, request.question, request.session_id, override) == ("child", "green tea?", "s1", {"a": 1})
    assert (snapshot, answer) == (None, None)


@pytest.mark.parametrize(
    ("more", "question"), [({"useQuestionFromChat": True}, "hi"), ({"customInput": "always this"}, "always this")]
)
async def test_what_the_tool_asks_can_be_fixed(called: NodeWorld, more: dict[str, Any], question: str) -> None:
    built = (await run_flow_tool(called.context("hi"), tool(**more))).value

    await built.call({"input": "green tea?"})

    assert called.inner.asked[0][1].question == question


async def test_a_tool_can_ask_in_a_new_session_each_time(called: NodeWorld) -> None:
    built = (await run_flow_tool(called.context("hi"), tool(startNewSessionPerMessage=True))).value

    await built.call({"input": "a"})
    await built.call({"input": "b"})

    assert len({"s1", *(asked[1].session_id for asked in called.inner.asked)}) == 3


async def test_a_tool_of_another_server_is_refused(called: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match=r"only flows of this workspace"):
        await run_flow_tool(called.context("hi"), tool(baseURL="http://localhost:3000"))


async def test_a_tool_whose_flow_cannot_be_read_fails(called: NodeWorld) -> None:
    class Broken(MemoryFlows):
        async def load(self, flow_id: str) -> CalledFlow:
            raise FlowError("It is not JSON.")

    called.flows = Broken()
    built = (await run_flow_tool(called.context("hi"), tool())).value

    with pytest.raises(NodeError, match="cannot run: It is not JSON"):
        await built.call({"input": "x"})


async def test_a_tool_whose_flow_waits_for_a_person_says_so(board: Board, nodes: NodeWorld) -> None:
    board.types["ask"] = "humanInputAgentflow"
    offer(board, nodes, child=board.agentflow(ASKING))

    async def use(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        built = (await run_flow_tool(ctx, tool())).value
        return NodeResult(output={"content": await built.call({"input": "x"})})

    user: Does = use
    board.does["use"] = user

    events = await board.run("start -> use")

    assert "'Child' waits for a person, which a tool cannot do" in error_of(events).error


async def test_what_was_said_before_is_the_called_flows_own(board: Board, nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "to the child")]
    board.does["echo"] = echoes
    board.inputs["echo"] = {"text": "{{ chat_history }}"}
    offer(board, nodes, child=board.agentflow("begin -> echo"))

    events = await board.run("start -> call")

    assert entry_of(events, "call")["data"]["output"]["content"] == "Human: to the child"


async def test_a_flow_alone_can_call_none(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError):
        await run_execute_flow(nodes.context(), {"executeFlowSelectedFlow": "child"})
