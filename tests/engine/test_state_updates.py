import pytest

from engine.context import NodeContext
from engine.providers.base import Message
from engine.spec import Inputs, NodeResult
from tests.engine.drawing import Board, Does, entry_of


def updates(content: str) -> Does:
    """A node that says this and changes the state as its params have it."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        rows = inputs.get("stepUpdateState") or []
        return NodeResult(output={"content": content}, state={row["key"]: row["value"] for row in rows})

    return run


@pytest.mark.parametrize(
    ("value", "content", "expected"),
    [
        ("{{ output }}", "the answer", "the answer"),
        ("<p>{{ output }}</p>", "the answer", "the answer"),
        ("It says: {{ output }}!", "yes", "It says: yes!"),
        ("{{ output.a.b }}", '{"a": {"b": 3}}', 3),
        ("n = {{ output.a.b }}", '{"a": {"b": [1]}}', "n = [1]"),
        ("{{ output.a }}", "no JSON", "{{ output.a }}"),
        ("{{ output.gone }}", '{"a": 1}', "{{ output.gone }}"),
        ("{{ question }} {{ output }}", "x", "{{ output }} x"),
        ("{{ question }}", "x", "{{ output }}"),
    ],
)
async def test_an_update_may_refer_to_what_the_node_has_said(
    board: Board, value: str, content: str, expected: object
) -> None:
    board.does["a"] = updates(content)
    board.inputs["a"] = {"stepUpdateState": [{"key": "k", "value": value}]}

    events = await board.run("start -> a", question="{{ output }}")

    assert entry_of(events, "a")["data"]["state"] == {"k": expected}


async def test_only_updated_keys_are_touched(board: Board) -> None:
    board.does |= {"a": updates("one"), "b": updates("two")}
    board.inputs |= {
        "a": {
            "stepUpdateState": [{"key": "kept", "value": "{{ $vars.gone }} {{ output }}"}, {"key": "k", "value": None}]
        },
        "b": {"stepUpdateState": [{"key": "new", "value": "{{ $flow.state.kept }}"}]},
    }

    events = await board.run("start -> a -> b", question="hi")

    assert entry_of(events, "b")["data"]["state"] == {
        "kept": "{{ $vars.gone }} one",
        "k": None,
        "new": "{{ $vars.gone }} one",
    }


async def test_output_outside_of_an_update_refers_to_nothing(board: Board) -> None:
    board.inputs["a"] = {"text": "{{ output }}"}

    events = await board.run("start -> a")

    assert entry_of(events, "a")["data"]["input"] == {"text": "{{ output }}"}
    assert entry_of(events, "a")["data"]["warnings"] == ["{{ output }} stands for nothing here and was left as it is."]


async def test_a_node_sees_a_copy_of_the_state(board: Board) -> None:
    async def meddle(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        ctx.state["k"] = "changed"  # type: ignore[index]
        return NodeResult(state={"other": "1"})

    board.does["a"] = meddle

    events = await board.run("start -> a")

    assert entry_of(events, "a")["data"]["state"] == {"other": "1"}


async def test_each_entry_keeps_the_state_as_it_was_then(board: Board) -> None:
    board.does |= {"a": updates("x"), "b": updates("y")}
    board.inputs |= {name: {"stepUpdateState": [{"key": "k", "value": "{{ output }}"}]} for name in ("a", "b")}

    events = await board.run("start -> a -> b")

    assert entry_of(events, "a")["data"]["state"] == {"k": "x"}
    assert entry_of(events, "b")["data"]["state"] == {"k": "y"}


async def test_messages_of_a_run_grow_from_node_to_node(board: Board) -> None:
    seen: list[list[str]] = []

    async def talk(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        seen.append([message.content for message in ctx.messages])
        return NodeResult(messages=(Message("assistant", ctx.node.id, name="me"),))

    board.does |= {"a": talk, "b": talk, "c": talk}

    events = await board.run("start -> a -> b -> c")

    assert seen == [[], ["a"], ["a", "b"]]
    assert entry_of(events, "c")["data"]["chatHistory"] == [{"role": "assistant", "content": "c", "name": "me"}]
