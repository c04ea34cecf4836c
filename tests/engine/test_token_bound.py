from typing import Any

import pytest

from engine.events import RunFinished, RunPaused
from engine.providers.base import Completion, ToolCall, ToolSpec, Usage
from engine.providers.fake import FakeChatModel
from engine.runner import Limits, Resume
from tests.engine.drawing import Board, error_of, ran


def said(text: str, tokens: int, *calls: ToolCall) -> Completion:
    return Completion(text, calls, Usage(tokens - 1, 1))


def model(board: Board, *replies: Any) -> FakeChatModel:
    board.components["theModel"] = made = FakeChatModel(replies)
    return made


def asks(board: Board, *nodes: str, kind: str = "llm", **inputs: Any) -> None:
    for node in nodes:
        board.types[node] = f"{kind}Agentflow"
        board.inputs[node] = {f"{kind}Model": "theModel", f"{kind}ModelConfig": {}, **inputs}


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_run_may_use_its_tokens_up(board: Board, is_streaming: bool) -> None:
    model(board, said("one", 40), said("two", 60))
    asks(board, "a", "b")

    events = await board.run("start -> a -> b", limits=Limits(tokens=100), is_streaming=is_streaming)

    assert isinstance(events[-1], RunFinished)


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_a_run_that_uses_more_tokens_than_it_may_is_ended(board: Board, is_streaming: bool) -> None:
    model(board, said("one", 40), said("two", 61))
    asks(board, "a", "b")

    events = await board.run("start -> a -> b", limits=Limits(tokens=100), is_streaming=is_streaming)

    assert ran(events) == ["start", "a"]
    assert error_of(events).code == "run_limit"
    assert "used 101 tokens of the 100 that a run may use" in error_of(events).error


async def test_no_model_is_asked_when_the_tokens_are_used_up(board: Board) -> None:
    asked = model(board, said("one", 100), said("two", 1))
    asks(board, "a", "b")
    board.policies["b"] = {"onError": "continue", "retry": {"max": 3}}

    events = await board.run("start -> a -> b", limits=Limits(tokens=100))

    assert error_of(events).code == "run_limit"
    assert len(asked.calls) == 1


class Again:
    spec = ToolSpec("again", "Again.", {"type": "object", "properties": {}})
    return_direct = False

    async def call(self, arguments: Any) -> str:
        return "once more"


async def test_an_agent_cannot_go_on_asking(board: Board) -> None:
    asked = model(board, *(said("", 30, ToolCall(str(i), "again", {})) for i in range(9)))
    board.components["again"] = Again()
    row = {"agentSelectedTool": "again", "agentSelectedToolConfig": {}}
    asks(board, "a", kind="agent", agentTools=[row])

    events = await board.run("start -> a", limits=Limits(tokens=90))

    assert error_of(events).code == "run_limit"
    assert len(asked.calls) == 3


async def test_models_inside_an_iteration_count_once(board: Board) -> None:
    model(board, said("one", 50), said("two", 50), said("three", 1))
    asks(board, "inside")
    board.types["each"] = "iterationAgentflow"
    board.inputs["each"] = {"iterationInput": '["x", "y"]'}
    board.parents["inside"] = "each"

    within = await board.run("start -> each\ninside", limits=Limits(tokens=100))
    model(board, said("one", 50), said("two", 51))
    beyond = await board.run("start -> each\ninside", limits=Limits(tokens=100))

    assert isinstance(within[-1], RunFinished)
    assert error_of(beyond).code == "run_limit"


async def test_the_model_of_a_classic_chain_counts(board: Board) -> None:
    board.components["theModel"] = FakeChatModel([said("one", 101)])
    board.types |= {"model": "theModel", "prompt": "promptTemplate", "chain": "llmChain"}
    board.inputs["prompt"] = {"template": "Say {question}"}

    events = await board.run("model[model] -> chain\nprompt[prompt] -> chain", classic=True, limits=Limits(tokens=100))

    assert error_of(events).code == "run_limit"


@pytest.mark.parametrize(("limit", "fits"), [(100, True), (99, False)])
async def test_a_run_that_waited_goes_on_with_what_it_had_spent(board: Board, limit: int, fits: bool) -> None:
    model(board, said("one", 60), said("two", 40))
    asks(board, "a", "b")
    board.types["ask"] = "humanInputAgentflow"
    board.inputs["ask"] = {"humanInputDescriptionType": "fixed", "humanInputDescription": "Go on?"}
    drawn = "start -> a -> ask\nask[yes] -> b\nask[no] -> c"

    paused = (await board.run(drawn, limits=Limits(tokens=limit)))[-1]
    assert isinstance(paused, RunPaused)
    resume = Resume(paused.snapshot, {"type": "proceed", "startNodeId": "ask"})
    events = await board.run(drawn, limits=Limits(tokens=limit), resume=resume)

    assert isinstance(events[-1], RunFinished) is fits


async def test_a_vendor_that_reports_no_usage_costs_nothing(board: Board) -> None:
    model(board, Completion("one"), Completion("two"))
    asks(board, "a", "b")

    events = await board.run("start -> a -> b", limits=Limits(tokens=1))

    assert isinstance(events[-1], RunFinished)
