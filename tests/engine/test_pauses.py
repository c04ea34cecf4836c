from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context import NodeContext
from engine.events import NodeFinished, RunFinished, RunPaused
from engine.providers.base import Message, ToolCall, Usage
from engine.runner import Commands, Resume
from engine.spec import Inputs, NodeResult, Pause, Wait
from engine.state import RunState, restore, snapshot
from tests.engine.drawing import Board, echoes, entry_of, gives, ran
from tests.engine.node_world import NodeWorld

ACTION = {"id": "1", "mapping": {"approve": "Proceed", "reject": "Reject"}}


async def asks(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Waits for a human, then goes the way that they say."""
    if ctx.answer is None:
        return NodeResult(
            output={"content": "Go on?"},
            messages=(Message("assistant", "Go on?"),),
            pause=Pause("Go on?", ACTION),
        )
    return NodeResult(
        output={"content": str(ctx.answer["type"])}, taken=frozenset({int(ctx.answer["type"] == "reject")})
    )


def saved(event: Any) -> Mapping[str, Any]:
    """A snapshot as it comes back from a database."""
    assert isinstance(event, RunPaused)
    return orjson.loads(orjson.dumps(event.snapshot))  # type: ignore[no-any-return]


async def test_a_node_that_asks_a_human_pauses_the_run(board: Board) -> None:
    board.does["ask"] = asks

    events = await board.run("""
        start -> ask
        ask[proceed] -> yes
        ask[reject] -> no
    """)

    assert ran(events) == ["start", "ask"]
    assert entry_of(events, "ask")["status"] == "STOPPED"
    paused = events[-1]
    assert isinstance(paused, RunPaused)
    assert (paused.text, paused.action) == ("Go on?", ACTION)


@pytest.mark.parametrize(("answer", "branch"), [("proceed", "yes"), ("reject", "no")])
async def test_the_answer_decides_how_the_run_goes_on(board: Board, answer: str, branch: str) -> None:
    board.does["ask"] = asks
    flow = board.agentflow("""
        start -> ask
        ask[proceed] -> yes
        ask[reject] -> no
    """)
    paused = await board.run(flow)

    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": answer}))

    assert ran(events) == ["ask", branch]
    assert isinstance(events[-1], RunFinished)


async def test_an_answer_is_for_the_node_that_asked_and_for_no_other(board: Board) -> None:
    board.does |= {"ask": asks, "again": asks}
    flow = board.agentflow("""
        start -> ask
        ask[proceed] -> again
        again[proceed] -> end
    """)
    paused = await board.run(flow)

    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": "proceed"}))

    assert ran(events) == ["ask", "again"]
    assert isinstance(events[-1], RunPaused)


async def test_a_node_that_is_reached_again_asks_again(board: Board) -> None:
    board.does |= {"ask": asks, "loop": gives(jump_to="ask")}
    flow = board.agentflow("start -> ask\nask[proceed] -> loop")
    paused = await board.run(flow)

    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": "proceed"}))

    assert ran(events) == ["ask", "loop", "ask"]
    assert isinstance(events[-1], RunPaused)


async def test_what_was_ready_or_waiting_at_a_pause_is_not_lost(board: Board) -> None:
    board.does["ask"] = asks
    flow = board.agentflow("""
        start -> early -> join
        start -> ask
        start -> late -> join
        ask[proceed] -> join
    """)
    paused = await board.run(flow)

    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": "proceed"}))

    assert ran(paused) == ["start", "early", "ask"]
    assert ran(events) == ["ask", "late", "join"]


async def test_a_run_goes_on_with_its_state_outputs_messages_form_and_loops(board: Board) -> None:
    async def loop(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(output={"content": f"run {ctx.runs}"}, jump_to="work" if ctx.runs < 1 else None)

    seen = []

    async def look(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        seen.append((dict(ctx.state), [m.content for m in ctx.messages]))
        return await echoes(ctx, inputs)

    board.does |= {
        "work": gives(
            output={"content": "w"}, state={"k": "v"}, messages=(Message("user", "hello"),), usage=Usage(1, 2)
        ),
        "loop": loop,
        "ask": asks,
        "end": look,
    }
    board.inputs["end"] = {"text": "{{ work }} {{ $flow.state.k }} {{ $form.f }} {{ loop_count }}"}
    flow = board.agentflow("""
        start -> work -> loop
        start -> ask
        ask[proceed] -> end
    """)
    paused = await board.run(flow, form={"f": "form"})

    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": "proceed"}))

    assert seen == [({"k": "v"}, ["hello", "Go on?"])]
    assert entry_of(events, "end")["data"]["output"]["content"] == "w v form 1"
    assert [e.node_id for e in events if isinstance(e, NodeFinished)] == ["ask", "loop", "end", "work", "loop"]
    assert isinstance(events[-1], RunFinished)
    assert (events[-1].input_tokens, events[-1].output_tokens) == (2, 4)


async def test_a_snapshot_of_another_flow_is_refused(board: Board) -> None:
    board.does["ask"] = asks
    paused = await board.run("start -> ask\nask[proceed] -> end")

    with pytest.raises(ValueError, match="of another version of the flow: it waits for ask"):
        await board.run("start -> end", resume=Resume(saved(paused[-1]), {"type": "proceed"}))


async def test_a_run_that_forgot_the_past_does_not_remember_it_when_it_goes_on(board: Board, nodes: NodeWorld) -> None:
    nodes.history.sessions["s1"] = [Message("user", "before")]
    board.world = nodes.world
    board.does |= {"start": gives(output={"ephemeralMemory": True}), "ask": asks, "end": echoes}
    board.inputs["end"] = {"text": "[{{ chat_history }}]"}
    flow = board.agentflow("start -> other -> ask\nask[proceed] -> end")
    paused = await board.run(flow)

    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": "proceed"}))

    assert entry_of(events, "end")["data"]["output"]["content"] == "[Assistant: Go on?]"


def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="reads snapshots of version 1, not 2"):
        restore({"version": 2})


words = st.text(max_size=5)
plain = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | words, lambda inner: st.lists(inner, max_size=2))
messages = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool"]),
    words,
    name=words,
    tool_calls=st.lists(st.builds(ToolCall, words, words, st.dictionaries(words, plain, max_size=2)), max_size=2).map(
        tuple
    ),
    tool_call_id=words,
    images=st.lists(words, max_size=2).map(tuple),
)
states = st.builds(
    RunState,
    queue=st.lists(words, max_size=3).map(deque),
    decisions=st.dictionaries(st.integers(0, 9), st.booleans(), max_size=3),
    values=st.dictionaries(words, plain, max_size=3),
    form=st.dictionaries(words, plain, max_size=3),
    outputs=st.dictionaries(words, st.dictionaries(words, plain, max_size=2), max_size=3),
    last_output=st.dictionaries(words, plain, max_size=3),
    messages=st.lists(messages, max_size=3),
    runs=st.dictionaries(words, st.integers(0, 9), max_size=3),
    jumps=st.dictionaries(words, st.integers(0, 9), max_size=3),
    last_loop=words,
    is_forgetful=st.booleans(),
    usage=st.builds(Usage, st.integers(0, 9), st.integers(0, 9)),
    paused_at=words,
)


@given(states)
def test_a_state_survives_its_snapshot_and_json(state: RunState) -> None:
    assert restore(orjson.loads(orjson.dumps(snapshot(state)))) == state


async def test_a_run_that_is_told_to_pause_stops_before_its_next_node_and_goes_on_there(board: Board) -> None:
    commands = Commands()

    async def is_told(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        commands.pause()
        return NodeResult(output={"content": "done"})

    board.does["work"] = is_told
    flow = board.agentflow("start -> work -> next -> end")

    paused = await board.run(flow, commands=commands, is_journalled=True)
    events = await board.run(flow, resume=Resume(saved(paused[-1]), {"type": "order"}), is_journalled=True)

    assert ran(paused) == ["start", "work"]
    assert isinstance(paused[-1], RunPaused)
    assert (paused[-1].wait, paused[-1].text, paused[-1].action) == (Wait("order"), "", {})
    assert ran(events) == ["next", "end"]


async def test_a_classic_flow_that_is_told_to_pause_runs_to_its_end(board: Board) -> None:
    commands = Commands()
    commands.pause()

    events = await board.run("part -> chain", classic=True, commands=commands, is_journalled=True)

    assert isinstance(events[-1], RunFinished)
