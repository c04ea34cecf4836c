"""Functions, branches and variables of classic flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
import pytest_asyncio

from engine.context import RunRequest
from engine.errors import FlowError, NodeError, NodeInputError
from engine.events import Event, NodeFinished, RunFailed, RunFinished, TokenEmitted
from engine.flow import parse_flow
from engine.nodes.utilities import run_custom_function, run_get_variable, run_set_variable
from engine.registry import Registry, load_registry
from engine.runner import run_flow
from engine.spec import NodeResult, NodeSpec, NodeType, Param
from tests.engine.drawing import ran, skipped
from tests.engine.javascript import JavaScript
from tests.engine.node_world import NodeWorld

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEFORE = '{"before": "{{set.data.instance}}"}'
ECHO = NodeSpec(
    "echoChain",
    "Echo",
    1,
    "Chains",
    params=(Param("text", "string", variables=True), Param("part", "Part", optional=True, is_list=True)),
    outputs=("echoChain",),
    role="ending",
)


async def run_echo(ctx: Any, inputs: Mapping[str, Any]) -> NodeResult:
    said = f"{ctx.node.id}: {inputs['text']}"
    return NodeResult(output={"content": said}, value=said)


@pytest_asyncio.fixture(loop_scope="session")
async def nodes(javascript: JavaScript) -> NodeWorld:
    return NodeWorld(javascript.http, sandbox=javascript.sandbox)


def node(node_id: str, name: str, output: str = "output", **inputs: Any) -> dict[str, Any]:
    category = "Chains" if name == "echoChain" else "Utilities"
    data = {"id": node_id, "label": node_id, "name": name, "category": category, "inputs": inputs}
    return {"id": node_id, "type": "customNode", "data": {**data, "outputs": {"output": output}}}


def edge(source: str, output: str, target: str, param: str) -> dict[str, str]:
    handles = {
        "sourceHandle": f"{source}-output-{output}-string|json",
        "targetHandle": f"{target}-input-{param}-string",
    }
    return {"source": source, "target": target, **handles}


async def run(nodes: NodeWorld, drawn: list[dict[str, Any]], edges: list[dict[str, str]], **asked: Any) -> list[Event]:
    flow = parse_flow(orjson.dumps({"nodes": drawn, "edges": edges}))
    registry = Registry([*load_registry(), NodeType(ECHO, run_echo)])
    request = RunRequest(asked.pop("question", "hi"), chat_id="c1", session_id="s1", chatflow_id="f1", **asked)
    return [event async for event in run_flow(flow, request, nodes.world, registry=registry)]


def answer(events: list[Event]) -> str:
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].text


def forked(condition: str, **more: Any) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """check[True] -> yes; check[False] -> no; both with the same helper."""
    drawn = [
        node("check", "ifElseFunction", "returnTrue", ifFunction=condition, **more),
        node("helper", "customFunction", javascriptFunction="return 'help'"),
        node("yes", "echoChain", "echoChain", text="{{check.data.instance}}", part=["{{helper.data.instance}}"]),
        node("no", "echoChain", "echoChain", text="{{check.data.instance}}", part=["{{helper.data.instance}}"]),
    ]
    edges = [
        edge("check", "returnTrue", "yes", "text"),
        edge("check", "returnFalse", "no", "text"),
        edge("helper", "output", "yes", "part"),
        edge("helper", "output", "no", "part"),
    ]
    return drawn, edges


async def test_only_the_branch_that_the_function_takes_runs(nodes: NodeWorld) -> None:
    taken = await run(nodes, *forked("return $input === 'hi' ? 'greeted' : ''", elseFunction="return 'strange'"))
    other = await run(
        nodes, *forked("return $input === 'hi' ? 'greeted' : ''", elseFunction="return 'strange'"), question="what"
    )

    assert answer(taken) == "yes: greeted"
    assert skipped(taken) == ["no"]
    assert answer(other) == "no: strange"
    assert skipped(other) == ["yes"]


async def test_what_lies_behind_the_other_branch_is_skipped_and_shared_helpers_are_not(nodes: NodeWorld) -> None:
    drawn, edges = forked("return true")
    drawn += [node("after", "echoChain", "echoChain", text="{{no.data.instance}}")]
    edges += [edge("no", "echoChain", "after", "text")]

    events = await run(nodes, drawn, edges)

    assert set(ran(events)) == {"check", "helper", "yes"}
    assert skipped(events) == ["no", "after"]


async def test_a_branch_that_leads_nowhere_is_told(nodes: NodeWorld) -> None:
    drawn, edges = forked("return false")
    edges = [entry for entry in edges if entry["target"] != "no"]

    events = await run(nodes, [entry for entry in drawn if entry["id"] != "no"], edges)

    assert isinstance(events[-1], RunFailed)
    assert "connect each output of If Else" in events[-1].error


async def test_a_condition_that_throws_fails_the_run(nodes: NodeWorld) -> None:
    events = await run(nodes, *forked("return missing.thing"))

    assert isinstance(events[-1], RunFailed)
    assert "missing is not defined" in events[-1].error
    assert events[-1].node_id == "check"


async def test_a_function_may_end_a_flow(nodes: NodeWorld) -> None:
    code = "return { asked: $input, from: $flow.sessionId, given: $given }"
    drawn = [
        node("given", "customFunction", javascriptFunction="return 'a value'"),
        node(
            "ending",
            "customFunction",
            "EndingNode",
            javascriptFunction=code,
            functionInputVariables='{"given": "{{given.data.instance}}"}',
        ),
    ]

    events = await run(nodes, drawn, [edge("given", "output", "ending", "functionInputVariables")])

    assert orjson.loads(answer(events)) == {"asked": "hi", "from": "s1", "given": "a value"}


async def test_an_ending_function_says_its_text_at_once(nodes: NodeWorld) -> None:
    ending = node("ending", "customFunction", "EndingNode", javascriptFunction="return 'said ' + $input")

    events = await run(nodes, [ending], [], is_streaming=True)

    assert [event.text for event in events if isinstance(event, TokenEmitted)] == ["said hi"]
    assert answer(events) == "said hi"


async def test_a_function_that_does_not_end_the_flow_needs_an_ending(nodes: NodeWorld) -> None:
    with pytest.raises(FlowError, match="must be either a Chain or Agent"):
        await run(nodes, [node("lost", "customFunction", javascriptFunction="return 1")], [])


def with_variable(name: str = "mood", **more: Any) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """value -> set -> first -> end; get -> end: a variable on its way past a node."""
    drawn = [
        node("get", "getVariable", variableName="mood"),
        node("value", "customFunction", javascriptFunction="return 'cheerful'"),
        node("set", "setVariable", input=["{{value.data.instance}}"], variableName=name, **more),
        node(
            "first",
            "customFunction",
            javascriptFunction="return $flow.mood + $before",
            functionInputVariables=BEFORE,
        ),
        node("end", "echoChain", "echoChain", text="{{get.data.instance}}", part=["{{first.data.instance}}"]),
    ]
    edges = [
        edge("value", "output", "set", "input"),
        edge("set", "output", "first", "functionInputVariables"),
        edge("first", "output", "end", "part"),
        edge("get", "output", "end", "text"),
    ]
    return drawn, edges


async def test_a_variable_is_read_where_no_edge_leads(nodes: NodeWorld) -> None:
    events = await run(nodes, *with_variable())

    assert answer(events) == "end: cheerful"
    first = next(event for event in events if isinstance(event, NodeFinished) and event.node_id == "first")
    assert first.entry["data"]["output"]["output"] == "cheerfulcheerful"


async def test_a_variable_is_shown_beside_the_answer_if_its_node_says_so(nodes: NodeWorld) -> None:
    shown = (await run(nodes, *with_variable(showOutput=True)))[-1]
    hidden = (await run(nodes, *with_variable()))[-1]

    assert isinstance(shown, RunFinished)
    assert isinstance(hidden, RunFinished)
    assert shown.flow_variables == {"mood": "cheerful"}
    assert hidden.flow_variables == {}


async def test_a_variable_that_is_not_set_is_named(nodes: NodeWorld) -> None:
    events = await run(nodes, *with_variable("other"))

    assert isinstance(events[-1], RunFailed)
    assert "No variable 'mood' is set when it is read; set by then: 'other'" in events[-1].error


async def test_variables_hold_json_and_nothing_else(nodes: NodeWorld) -> None:
    kept = await run_set_variable(nodes.context(), {"variableName": "x", "input": [{"a": [1, None, True]}]})
    assert kept.state == {"x": {"a": [1, None, True]}}

    with pytest.raises(NodeInputError, match="can hold texts, numbers and JSON"):
        await run_set_variable(nodes.context(), {"variableName": "x", "input": [object()]})
    for run_node in (run_set_variable, run_get_variable):
        with pytest.raises(NodeInputError, match="has no name"):
            await run_node(nodes.context(), {"variableName": " "})


async def test_a_function_without_code_says_so(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="The function is empty: write its JavaScript"):
        await run_custom_function(nodes.context(), {"javascriptFunction": "  "})


async def test_without_a_sandbox_functions_are_refused(javascript: JavaScript) -> None:
    with pytest.raises(NodeError, match="JavaScript cannot run here"):
        await run_custom_function(NodeWorld(javascript.http).context(), {"javascriptFunction": "return 1"})
