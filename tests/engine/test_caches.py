from typing import Any

import pytest

from engine.caching import cached
from engine.context import NodeContext
from engine.errors import NodeInputError, ProviderError
from engine.events import RunFinished, TokenEmitted
from engine.flow import parse_flow
from engine.kept import Kept
from engine.nodes.caches import run_answers, run_vectors
from engine.providers.base import ChatModel, Completion, Message, TextDelta, ToolSpec, Usage
from engine.providers.fake import FakeChatModel, FakeEmbedder, calling
from engine.registry import load_registry
from engine.runner import run_flow
from engine.spec import Inputs, NodeResult
from tests.engine.node_world import NodeWorld
from tests.engine.wired import wired
from tests.model_server import ScriptedModel

ASKED = [Message("user", "What is snow?")]


async def cached_model(nodes: NodeWorld, model: FakeChatModel, *, ttl: Any = "", **inputs: Any) -> ChatModel:
    """A model whose node has a cache of its own flow."""

    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(value=model)

    cache = (await run_answers(nodes.context(), {"ttl": ttl})).value
    built: ChatModel = (await cached(run)(nodes.context(), {"cache": cache, **inputs})).value
    return built


async def test_the_same_question_is_asked_once(nodes: NodeWorld) -> None:
    model = FakeChatModel(["White.", "Cold."])
    known = await cached_model(nodes, model)

    first, again = await known.complete(ASKED), await known.complete(ASKED)

    assert (first.text, again.text) == ("White.", "White.")
    assert (first.usage.total_tokens > 0, again.usage) == (True, Usage())
    assert len(model.calls) == 1


async def test_another_run_of_the_flow_knows_it_too(nodes: NodeWorld) -> None:
    model = FakeChatModel(["White.", "Cold."])

    await (await cached_model(nodes, model)).complete(ASKED)
    again = await (await cached_model(nodes, model)).complete(ASKED)

    assert again.text == "White."


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [Message("system", "Be brief."), *ASKED]},
        {"tools": [ToolSpec("look", "Looks.", {})]},
        {"schema": {"type": "object"}},
        {"stop": ["\n"]},
    ],
    ids=lambda more: next(iter(more)),
)
async def test_another_question_is_asked(nodes: NodeWorld, more: dict[str, Any]) -> None:
    model = FakeChatModel(["White.", "Cold."])
    known = await cached_model(nodes, model)
    await known.complete(ASKED)

    other = await known.complete(**{"messages": ASKED, **more})

    assert other.text == "Cold."


async def test_a_model_that_is_configured_otherwise_is_asked(nodes: NodeWorld) -> None:
    model = FakeChatModel(["White.", "Cold."])

    await (await cached_model(nodes, model, temperature=0)).complete(ASKED)
    other = await (await cached_model(nodes, model, temperature=1)).complete(ASKED)

    assert other.text == "Cold."


async def test_a_known_answer_is_streamed_in_one_piece(nodes: NodeWorld) -> None:
    model = FakeChatModel(["It is white."])
    known = await cached_model(nodes, model)

    first = [chunk async for chunk in known.stream(ASKED)]
    again = [chunk async for chunk in known.stream(ASKED)]

    assert len(first) == 4
    assert again == [TextDelta("It is white."), Completion("It is white.", finish_reason="stop")]
    assert len(model.calls) == 1


async def test_calls_of_tools_are_known_as_well(nodes: NodeWorld) -> None:
    known = await cached_model(nodes, FakeChatModel([calling("look", {"at": "sky"})]))

    await known.complete(ASKED)
    again = await known.complete(ASKED)

    assert again.tool_calls[0].arguments == {"at": "sky"}


async def test_a_failure_is_not_kept(nodes: NodeWorld) -> None:
    known = await cached_model(nodes, FakeChatModel([ProviderError("down", retryable=False), "White."]))
    with pytest.raises(ProviderError):
        await known.complete(ASKED)

    assert (await known.complete(ASKED)).text == "White."


@pytest.mark.parametrize(("waited_s", "said"), [(4.9, "White."), (5.0, "Cold.")])
async def test_an_answer_is_kept_as_long_as_was_said(nodes: NodeWorld, waited_s: float, said: str) -> None:
    known = await cached_model(nodes, FakeChatModel(["White.", "Cold."]), ttl="5000")
    await known.complete(ASKED)

    await nodes.clock.sleep(waited_s)

    assert (await known.complete(ASKED)).text == said


@pytest.mark.parametrize("ttl", ["0", -1, "soon"])
async def test_a_time_that_is_none_is_refused(nodes: NodeWorld, ttl: Any) -> None:
    with pytest.raises(NodeInputError, match=r"more than nothing|must be a number"):
        await run_answers(nodes.context(), {"ttl": ttl})


async def test_what_is_no_cache_is_refused(nodes: NodeWorld) -> None:
    async def run(ctx: NodeContext, inputs: Inputs) -> NodeResult:
        return NodeResult(value=FakeChatModel())

    with pytest.raises(NodeInputError, match="cache is none"):
        await cached(run)(nodes.context(), {"cache": "text"})


async def test_a_text_is_embedded_once(nodes: NodeWorld) -> None:
    embedder = FakeEmbedder()
    known = (await run_vectors(nodes.context(), {"embeddings": embedder})).value

    first = await known.embed(["snow", "rain"])
    again = await known.embed(["rain", "sun", "rain"])

    assert embedder.texts == ["snow", "rain", "sun"]
    assert again[0] == again[2] == first[1]


async def test_another_namespace_knows_nothing(nodes: NodeWorld) -> None:
    embedder = FakeEmbedder()
    for namespace in ("one", "two"):
        known = (await run_vectors(nodes.context(), {"embeddings": embedder, "namespace": namespace})).value

        await known.embed(["snow"])

    assert embedder.texts == ["snow", "snow"]


async def test_a_cache_needs_embeddings(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="needs embeddings"):
        await run_vectors(nodes.context(), {})


def test_what_is_longest_unused_goes_first() -> None:
    kept = Kept(most_bytes=16 * 1024)
    for key in (b"a", b"b"):
        kept.put(key, key, now=0, until=9, size_bytes=500)

    kept.find(b"a", now=1)
    for number in range(15):
        kept.put(bytes([number]), number, now=1, until=9, size_bytes=500)

    assert kept.find(b"a", now=1) == b"a"
    assert kept.find(b"b", now=1) is None
    assert len(kept) == 16


def test_what_is_too_large_is_not_kept() -> None:
    kept = Kept(most_bytes=16 * 1024)

    kept.put(b"a", "long", now=0, until=9, size_bytes=2000)

    assert kept.find(b"a", now=0) is None


async def test_a_flow_that_was_asked_before_asks_nobody(nodes: NodeWorld, model: ScriptedModel) -> None:
    flow = parse_flow(
        wired(
            ("chatOpenAI_0", "llmChain_0", "model"),
            ("promptTemplate_0", "llmChain_0", "prompt"),
            ("inMemoryCache_0", "chatOpenAI_0", "cache"),
            inMemoryCache_0={},
            chatOpenAI_0={"basepath": model.url, "modelName": "m", "cache": "{{inMemoryCache_0.data.instance}}"},
            promptTemplate_0={"template": "{question}"},
            llmChain_0={"model": "{{chatOpenAI_0.data.instance}}", "prompt": "{{promptTemplate_0.data.instance}}"},
        )
    )
    request = nodes.context("What is snow?", streams=True).request

    runs = [[event async for event in run_flow(flow, request, nodes.world, registry=load_registry())] for _ in range(2)]

    first, again = (events[-1] for events in runs)
    assert isinstance(first, RunFinished)
    assert isinstance(again, RunFinished)
    assert first.text == again.text == "You said: What is snow?"
    assert [event.text for event in runs[1] if isinstance(event, TokenEmitted)] == [again.text]
    assert (first.output_tokens > 0, again.output_tokens) == (True, 0)
    assert len(model.requests) == 1
