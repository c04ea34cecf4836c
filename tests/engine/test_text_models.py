"""Models that continue a text: OpenAI's older ones, and those at Replicate."""

import asyncio
import json
from typing import Any

import pytest

from engine.errors import NodeInputError, ProviderError
from engine.nodes.model_variants import VARIANTS
from engine.nodes.models import run_vendor
from engine.nodes.replicate import run_replicate
from engine.providers.base import ChatModel, Completion, Message, TextDelta, ToolSpec, Usage
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import web_server

[OPENAI] = [vendor for vendor in VARIANTS if vendor.name == "openAI"]
TOOL = ToolSpec("shout", "Shouts.", {})
SAID = {"choices": [{"text": " Blue.", "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


async def text_model(nodes: NodeWorld, url: str, **inputs: Any) -> ChatModel:
    model: ChatModel = (await run_vendor(OPENAI)(nodes.context(), {"basepath": url, **inputs})).value
    return model


async def replicate(nodes: NodeWorld, url: str, **inputs: Any) -> ChatModel:
    nodes.credentials = MemoryCredentials({"c1": {"replicateApiKey": "r8-key-of-theirs"}})
    given = {"model": "meta/llama", "baseUrl": url, **inputs}
    model: ChatModel = (await run_replicate(nodes.context(credential="c1"), given)).value
    return model


async def test_a_text_is_continued(nodes: NodeWorld) -> None:
    async with web_server((200, json.dumps(SAID))) as server:
        answer = await (await text_model(nodes, server.url, maxTokens="5")).complete([Message("user", "The sky is")])

    assert answer == Completion("Blue.", usage=Usage(3, 2), finish_reason="stop")
    [asked] = server.received
    assert asked.path == "/completions"
    assert asked.body == {"model": "gpt-3.5-turbo-instruct", "max_tokens": 5, "prompt": "The sky is"}


async def test_a_conversation_becomes_a_text_with_its_speakers(nodes: NodeWorld) -> None:
    messages = [
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Yes?"),
        Message("user", "Sky?"),
    ]
    async with web_server((200, json.dumps(SAID))) as server:
        await (await text_model(nodes, server.url)).complete(messages)

    assert server.received[0].body["prompt"] == "Be brief.\n\nHuman: Hi\n\nAI: Yes?\n\nHuman: Sky?\n\nAI:"


async def test_a_text_models_stream_is_one_piece(nodes: NodeWorld) -> None:
    async with web_server((200, json.dumps(SAID))) as server:
        model = await text_model(nodes, server.url)
        chunks = [chunk async for chunk in model.stream([Message("user", "The sky is")])]

    assert chunks == [TextDelta("Blue."), Completion("Blue.", usage=Usage(3, 2), finish_reason="stop")]


async def test_a_text_model_takes_no_tools(nodes: NodeWorld) -> None:
    model = await text_model(nodes, "http://127.0.0.1:1")

    with pytest.raises(NodeInputError, match="neither call tools"):
        await model.complete([Message("user", "hi")], tools=[TOOL])


async def test_a_passing_refusal_is_tried_again(nodes: NodeWorld) -> None:
    async with web_server((503, "busy"), (200, json.dumps(SAID))) as server:
        answer = await (await text_model(nodes, server.url)).complete([Message("user", "The sky is")])

    assert (answer.text, len(server.received)) == ("Blue.", 2)


async def test_replicate_is_asked_until_it_is_done(nodes: NodeWorld) -> None:
    going, done = {"id": "p1", "status": "processing"}, {"id": "p1", "status": "succeeded", "output": ["Bl", "ue."]}
    async with web_server((201, json.dumps(going)), (200, json.dumps(done))) as server:
        model = await replicate(nodes, server.url, additionalInputs='{"seed": 1}')
        answer = await model.complete([Message("user", "The sky is")])

    assert answer.text == "Blue."
    started, asked = server.received
    assert (started.path, asked.path) == ("/models/meta/llama/predictions", "/predictions/p1")
    assert started.headers["authorization"] == "Bearer r8-key-of-theirs"
    assert started.body == {"input": {"seed": 1, "prompt": "The sky is"}}


async def test_a_version_at_replicate_is_started_by_its_number(nodes: NodeWorld) -> None:
    async with web_server((201, json.dumps({"id": "p1", "status": "succeeded", "output": "Blue."}))) as server:
        await (await replicate(nodes, server.url, model="meta/llama:ab12")).complete([Message("user", "Sky?")])

    assert (server.received[0].path, server.received[0].body["version"]) == ("/predictions", "ab12")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (201, {"id": "p1", "status": "failed", "error": "out of memory"}, "failed: out of memory"),
        (201, {"id": "p1", "status": "failed", "error": "no r8-key-of-theirs"}, r"failed: no \[key\]"),
        (201, {"detail": "?"}, "sent no prediction"),
        (422, {"detail": "version is wrong"}, "answered 422: version is wrong"),
    ],
)
async def test_what_replicate_fails_with_is_told(nodes: NodeWorld, status: int, body: Any, told: str) -> None:
    async with web_server(*[(status, json.dumps(body))] * 3) as server:
        with pytest.raises(ProviderError, match=told):
            await (await replicate(nodes, server.url)).complete([Message("user", "hi")])


async def test_a_passing_failure_while_replicate_is_waited_for_is_tried_again(nodes: NodeWorld) -> None:
    going, done = {"id": "p1", "status": "processing"}, {"id": "p1", "status": "succeeded", "output": "Blue."}
    async with web_server((201, json.dumps(going)), (503, "busy"), (200, json.dumps(done))) as server:
        answer = await (await replicate(nodes, server.url)).complete([Message("user", "Sky?")])

    assert answer.text == "Blue."
    assert [asked.path for asked in server.received] == ["/models/meta/llama/predictions", *["/predictions/p1"] * 2]


async def test_what_replicate_takes_too_long_for_is_ended_there(nodes: NodeWorld) -> None:
    going = json.dumps({"id": "p1", "status": "processing"})
    async with web_server(*[(200, going)] * 400) as server:
        with pytest.raises(ProviderError, match="did not answer within 300 seconds"):
            await (await replicate(nodes, server.url)).complete([Message("user", "Sky?")])

    assert (server.received[-1].method, server.received[-1].path) == ("POST", "/predictions/p1/cancel")


async def test_a_stopped_run_ends_what_it_started_at_replicate(
    nodes: NodeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_waiting = asyncio.Event()

    async def waits(seconds: float) -> None:
        is_waiting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(nodes.clock, "sleep", waits)
    going, ended = {"id": "p1", "status": "processing"}, {"id": "p1", "status": "canceled"}
    async with web_server((201, json.dumps(going)), (200, json.dumps(ended))) as server:
        task = asyncio.create_task((await replicate(nodes, server.url)).complete([Message("user", "Sky?")]))
        await is_waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert server.received[-1].path == "/predictions/p1/cancel"


@pytest.mark.parametrize("model", ["", "llama"])
async def test_replicate_needs_an_owner_and_a_name(nodes: NodeWorld, model: str) -> None:
    with pytest.raises(NodeInputError, match="needs a model such as"):
        await replicate(nodes, "http://127.0.0.1:1", model=model)
