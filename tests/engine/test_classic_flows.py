from typing import Any

import orjson
import pytest

from engine.context import NodeContext, World
from engine.errors import FlowError, MissingTypes
from engine.events import RunFinished
from engine.plan import plan_for
from engine.providers.base import Message
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from tests.engine.drawing import Board, Does, echoes, entry_of, gives, ran, tokens
from tests.engine.node_world import NodeWorld


def answer_of(events: Any) -> RunFinished:
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1]


def keeps(seen: dict[str, Any], **result: Any) -> Does:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        seen[ctx.node.id] = inputs
        return NodeResult(**result)

    return run


async def test_components_are_built_once_each_before_what_needs_them(board: Board) -> None:
    events = await board.run(
        """
        splitter -> loader -> store -> chain
        embedder -> store
        embedder -> chain
        model -> chain
        """,
        classic=True,
    )

    # From afar towards the end: what was set far away may be read here, though no edge leads here.
    assert ran(events) == ["splitter", "loader", "embedder", "store", "model", "chain"]
    assert answer_of(events).text == "chain"


async def test_an_anchor_takes_the_very_object_of_its_source(board: Board) -> None:
    model, tools = object(), [object(), object()]
    seen: dict[str, Any] = {}
    board.does |= {
        "model": gives(value=model),
        "one": gives(value=tools[0]),
        "two": gives(value=tools[1]),
        "chain": keeps(seen, value="done"),
    }
    board.inputs["chain"] = {"tools": ["{{two.data.instance}}", "{{one.data.instance}}"]}

    events = await board.run("model -> chain\none[tools] -> chain\ntwo[tools] -> chain", classic=True)

    assert seen["chain"]["model"] is model
    assert seen["chain"]["tools"] == [tools[1], tools[0]]
    assert entry_of(events, "chain")["data"]["input"] == {}


async def test_only_the_ending_node_is_last(board: Board) -> None:
    async def speak(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        if ctx.is_last:
            ctx.emit_token(ctx.node.id)
        return NodeResult(value=ctx.node.id)

    board.does |= {"prompt": speak, "first": speak, "chain": speak}

    events = await board.run("prompt -> first -> chain", classic=True)

    assert tokens(events) == ["chain"]


async def test_the_text_of_a_chain_may_become_a_part_of_another_ones_prompt(board: Board) -> None:
    seen: dict[str, Any] = {}
    board.does |= {"first": gives(value='a "quoted"\nanswer'), "prompt": keeps(seen, value="p")}
    board.inputs["prompt"] = {"json": '{"objective":"{{question}}","result":"{{first.data.instance}}"}'}

    await board.run("first[json] -> prompt -> chain", 'say "hi"', classic=True)

    assert orjson.loads(seen["prompt"]["json"]) == {"objective": 'say "hi"', "result": 'a "quoted"\nanswer'}


async def test_json_that_is_no_text_takes_values_as_they_are(board: Board) -> None:
    seen: dict[str, Any] = {}
    board.does["prompt"] = keeps(seen, value="p")
    board.inputs["prompt"] = {"json": {"said": 'He said "{{question}}"', "n": 1}}

    await board.run("prompt -> chain", 'say "hi"', classic=True)

    assert seen["prompt"]["json"] == {"said": 'He said "say "hi""', "n": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{question}}", "hi"),
        ("{{ question }} and {{$vars.tone}}", "hi and dry"),
        ("{{$flow.chatId}}/{{$flow.sessionId}}/{{$flow.chatflowId}}", "c1/s1/f1"),
        ("{{model.data.instance.name}}", "m"),
        ("Use {{model.data.instance}}", 'Use {"name":"m"}'),
        ("{{chat_history}}", "Human: before"),
        ("{{file_attachment}}", "<doc>"),
        ("{{ a prompt }} {name} {{{x}}}", "{{ a prompt }} {name} {{{x}}}"),
        ("{{$vars.gone}}", "{{$vars.gone}}"),
    ],
)
async def test_references_of_classic_graphs(board: Board, nodes: NodeWorld, text: str, expected: str) -> None:
    nodes.history.sessions["s1"] = [Message("user", "before")]
    world = nodes.world
    board.world = World(world.http, world.history, world.credentials, world.clock, world.random, {"tone": "dry"})
    board.types["memory"] = "memory"
    board.does |= {"model": gives(value={"name": "m"}), "chain": echoes}
    board.inputs["chain"] = {"text": text}

    events = await board.run("model -> chain\nmemory -> chain", classic=True, attachment="<doc>")

    assert answer_of(events).text == expected


async def test_a_param_that_accepts_no_variables_takes_the_workspaces_all_the_same(board: Board) -> None:
    seen: dict[str, Any] = {}
    board.does["chain"] = keeps(seen, value="x")
    board.inputs["chain"] = {"plain": "{{question}} {{chat_history}} {{$flow.chatId}}"}

    await board.run("model -> chain", classic=True)

    assert seen["chain"]["plain"] == "{{question}} {{chat_history}} c1"


async def test_history_without_a_memory_node_is_empty(board: Board, nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "before")]
    board.world = nodes.world
    board.does["chain"] = echoes
    board.inputs["chain"] = {"text": "[{{chat_history}}]"}

    events = await board.run("model -> chain", classic=True)

    assert answer_of(events).text == "[]"


async def test_the_label_of_the_memory_node_is_told(board: Board) -> None:
    board.types["remember"] = "memory"
    board.data["remember"] = {"label": "My Memory"}

    with_ = await board.run("remember -> chain", classic=True)
    without = await board.run("model -> chain", classic=True)

    assert answer_of(with_).memory_type == "My Memory"
    assert answer_of(without).memory_type == ""


@pytest.mark.parametrize(
    ("result", "text", "json"),
    [
        ({"value": "plain"}, "plain", None),
        ({"value": {"text": "inner", "more": 1}}, "inner", None),
        ({"value": {"a": 1}, "output": {"json": {"a": 1}, "content": "```json"}}, "", {"a": 1}),
        ({"value": {"a": 1}}, '{"a":1}', None),
        ({}, "", None),
    ],
)
async def test_the_answer_is_the_value_of_the_ending_node(
    board: Board, result: dict[str, Any], text: str, json: object
) -> None:
    board.does["chain"] = gives(**result)

    events = await board.run("model -> chain", classic=True)

    assert (answer_of(events).text, answer_of(events).json) == (text, json)


async def test_tools_that_an_agent_used_are_told(board: Board) -> None:
    used = [{"tool": "calculator", "toolInput": {}, "toolOutput": "4"}]
    board.does["chain"] = gives(value="4", output={"content": "4", "usedTools": used})

    events = await board.run("model -> chain", classic=True)

    assert answer_of(events).used_tools == used


async def test_of_several_endings_the_one_of_the_longest_path_runs(board: Board) -> None:
    board.types |= {"short": "chain", "long": "chain", "unused": "part"}

    events = await board.run("model -> short\nmodel -> prompt -> long\nunused -> short", classic=True)

    assert ran(events) == ["model", "prompt", "long"]


async def test_of_endings_of_one_depth_the_last_one_runs(board: Board) -> None:
    board.types |= {"one": "chain", "two": "chain"}

    events = await board.run("model -> one\nmodel -> two", classic=True)

    assert answer_of(events).text == "two"


async def test_an_ending_that_is_none_is_ignored_beside_one_that_is(board: Board) -> None:
    board.types |= {"tool": "part", "chain": "chain"}

    events = await board.run("model -> chain\nmodel -> a -> b -> tool", classic=True)

    assert ran(events) == ["model", "chain"]


async def test_a_single_chain_is_a_flow(board: Board) -> None:
    events = await board.run("chain", classic=True)

    assert ran(events) == ["chain"]


async def test_any_node_may_be_chosen_to_end_the_flow(board: Board) -> None:
    board.types["function"] = "part"
    board.data["function"] = {"outputs": {"output": "EndingNode"}}

    events = await board.run("model -> function", classic=True)

    assert answer_of(events).text == "function"


async def test_a_flow_that_ends_in_no_chain_says_in_what_it_ends(board: Board) -> None:
    board.types["tool"] = "part"

    with pytest.raises(FlowError, match=r"Ending node must be either a Chain or Agent or Engine; .* ends in tool"):
        await board.run("model -> tool", classic=True)


async def test_nodes_without_any_edge_have_no_ending(board: Board) -> None:
    with pytest.raises(FlowError, match="Ending nodes not found: connect the nodes to a chain or an agent"):
        await board.run("one\ntwo", classic=True)


async def test_a_chain_that_ends_the_flow_cannot_only_predict(board: Board) -> None:
    board.data["chain"] = {"outputs": {"output": "outputPrediction"}}

    with pytest.raises(FlowError, match=r"Output of chain \(chain\) must be chain, can't be an Output Prediction"):
        await board.run("model -> chain", classic=True)


async def test_types_that_are_missing_are_all_named_before_anything_runs(board: Board) -> None:
    board.types |= {"model": "chatNobody", "store": "voidStore", "unused": "neverNeeded", "nothing": "part"}

    with pytest.raises(MissingTypes) as caught:
        await board.run("model -> chain\nstore -> chain\nunused -> nothing", classic=True)

    assert caught.value.names == ("chatNobody", "voidStore")


async def test_a_connection_that_a_node_needs_is_asked_for_before_anything_runs(board: Board) -> None:
    spec = NodeSpec("strict", "Strict", 1, "Chains", params=(Param("model", "BaseChatModel", "Chat Model"),))
    board.types["chain"] = "strict"
    flow = board.classic("model[other] -> chain")

    with pytest.raises(FlowError, match=r"chain \(chain\) needs Chat Model: connect a node to its 'model'"):
        plan_for(flow, board.registry(NodeType(spec, echoes)))


async def test_a_value_from_a_node_that_is_gone_is_named(board: Board) -> None:
    board.inputs["chain"] = {"needed": "{{gone_0.data.instance}}"}

    with pytest.raises(FlowError, match=r"takes 'needed' from gone_0, which is not in the flow"):
        await board.run("model -> chain", classic=True)


async def test_inputs_that_a_flow_leaves_out_have_their_defaults(board: Board) -> None:
    spec = NodeSpec(
        "modest",
        "Modest",
        1,
        "Chains",
        params=(Param("size", "number", default=4), Param("empty", "number", default=5)),
    )
    board.types["chain"] = "modest"
    board.inputs["chain"] = {"empty": ""}

    plan = plan_for(board.classic("model -> chain"), board.registry(NodeType(spec, echoes)))

    assert plan.steps["chain"].static == {"size": 4, "empty": ""}
