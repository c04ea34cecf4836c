import asyncio
import sys
from functools import partial
from typing import Any, Protocol

import pytest

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.http import HttpClient
from engine.nodes.anthropic import run_chat
from engine.providers.base import Completion, Message, TextDelta, ThinkingDelta, ToolCall, ToolSpec, Usage
from engine.providers.langchain import LangChainChatModel
from tests.engine.anthropic_chat import KEY, anthropic_chat
from tests.engine.node_world import NodeWorld
from tests.engine.test_http import Names
from tests.model_server import Request, ScriptedModel
from tests.model_wire import Reply

HELLO = [Message("user", "hello")]
WEATHER = ToolSpec("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TITLED = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}


class Build(Protocol):
    async def __call__(self, **inputs: Any) -> LangChainChatModel: ...


@pytest.fixture
def build(nodes: NodeWorld, model: ScriptedModel) -> Build:
    return partial(anthropic_chat, nodes, model)


def key_of(request: Request) -> str:
    """Which of the two headers carries it is the package's affair."""
    return request.headers.get("x-api-key", "") + request.headers.get("authorization", "")


async def test_exported_values_become_what_the_vendor_wants(build: Build, model: ScriptedModel) -> None:
    chat = await build(
        temperature="0.5", maxTokensToSample="99", topP="", topK="5", extendedThinking="", streaming=False
    )

    await chat.complete([Message("developer", "Be kind."), *HELLO, Message("system", "Be brief.")], stop=["END"])

    (request,) = model.requests
    assert request.body == {
        "model": "claude-test",
        "temperature": 0.5,
        "max_tokens": 99,
        "top_k": 5,
        "stop_sequences": ["END"],
        "system": "Be kind.\n\nBe brief.",
        "messages": [{"role": "user", "content": "hello"}],
    }
    assert KEY in key_of(request)
    assert (chat.model_name, chat.streaming) == ("claude-test", False)


async def test_a_model_that_thinks_takes_no_temperature_and_room_to_answer(build: Build, model: ScriptedModel) -> None:
    model.script(Reply("42", thinking="Let me see"), Reply("42", thinking="Let me see"))
    chat = await build(temperature=0.9, topK=3, extendedThinking=True, budgetTokens="2000")

    chunks = [chunk async for chunk in chat.stream(HELLO)]
    whole = await chat.complete(HELLO)

    body = model.requests[0].body
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert body["max_tokens"] == 6096
    assert "temperature" not in body
    assert chunks[:2] == [ThinkingDelta("Let me see"), TextDelta("42")]
    assert whole.thinking == "Let me see"


async def test_thoughts_go_back_with_the_result_of_a_tool(build: Build, model: ScriptedModel) -> None:
    """The vendor refuses a tool's result without the signed thoughts of the call."""
    model.script(Reply("So:", thinking="Let me see", tool_calls=[("weather", {"city": "Bern"})]), "Sunny")
    chat = await build(extendedThinking=True)

    *_, asked = [chunk async for chunk in chat.stream(HELLO, tools=[WEATHER])]
    assert isinstance(asked, Completion)
    turn = Message("assistant", asked.text, tool_calls=asked.tool_calls, original=asked.original)
    answer = await chat.complete([*HELLO, turn, Message("tool", "sun", tool_call_id="toolu_0")], tools=[WEATHER])

    said, result = model.requests[1].messages[1:]
    assert said["content"][0] == {"type": "thinking", "thinking": "Let me see", "signature": "sig"}
    assert said["content"][2] == {"type": "tool_use", "id": "toolu_0", "name": "weather", "input": {"city": "Bern"}}
    assert (result["content"][0]["tool_use_id"], result["content"][0]["content"]) == ("toolu_0", "sun")
    assert answer.text == "Sunny"


async def test_a_call_of_another_run_is_told_without_the_vendors_own_form(build: Build, model: ScriptedModel) -> None:
    chat = await build()
    turn = Message("assistant", "", tool_calls=(ToolCall("c1", "weather", {"city": "Bern"}),))

    await chat.complete([*HELLO, turn, Message("tool", "sun", tool_call_id="c1")], tools=[WEATHER])

    call = model.requests[0].messages[1]["content"][0]
    assert (call["type"], call["name"], call["input"]) == ("tool_use", "weather", {"city": "Bern"})


async def test_a_schema_becomes_a_tool_that_must_be_used(build: Build, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[("answer", {"title": "Heat"})]))
    chat = await build()

    completion = await chat.complete(HELLO, schema=TITLED)

    assert model.requests[0].body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert (completion.text, completion.tool_calls, completion.usage) == ('{"title":"Heat"}', (), Usage(12, 5))


async def test_a_model_that_thinks_is_told_of_a_schema_in_words(build: Build, model: ScriptedModel) -> None:
    model.script('{"title": "Heat"}')
    chat = await build(extendedThinking=True)

    completion = await chat.complete(HELLO, schema=TITLED)

    assert "tool_choice" not in model.requests[0].body
    assert "JSON Schema" in model.requests[0].question
    assert completion.text == '{"title": "Heat"}'


@pytest.mark.parametrize("shown", [True, False])
async def test_images_are_shown_to_models_that_may_see_them(build: Build, model: ScriptedModel, shown: bool) -> None:
    chat = await build(allowImageUploads=shown)

    await chat.complete([Message("user", "What?", images=("data:image/png;base64,AAAA",))])

    content = model.requests[0].messages[0]["content"]
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    text = {"type": "text", "text": "What?"}
    assert content == ([text, {"type": "image", "source": source}] if shown else "What?")


async def test_empty_turns_are_left_out_and_a_system_message_alone_is_asked(build: Build, model: ScriptedModel) -> None:
    chat = await build()

    await chat.complete([Message("user", " "), Message("system", "Say hello."), Message("assistant", "")])

    assert model.requests[0].messages == [{"role": "user", "content": "Say hello."}]


async def test_an_error_in_the_middle_of_a_stream_is_not_its_first_status(build: Build, model: ScriptedModel) -> None:
    model.script(Reply("one two three", cut_after=4))
    chat = await build()

    with pytest.raises(ProviderError, match="broke off") as failed:
        [chunk async for chunk in chat.stream(HELLO)]

    assert (failed.value.retryable, failed.value.status, len(model.requests)) == (True, 0, 1)


async def test_a_server_that_is_not_there_is_tried_again_and_named(
    build: Build, nodes: NodeWorld, model: ScriptedModel
) -> None:
    chat = await build()
    model.stop()

    with pytest.raises(ProviderError, match=r"Could not connect to 127\.0\.0\.1") as failed:
        await chat.complete(HELLO)

    assert failed.value.retryable
    assert len(nodes.clock.slept) == 2


async def test_a_name_that_comes_to_mean_an_internal_address_is_not_called(model: ScriptedModel) -> None:
    port = model.root.rpartition(":")[2]
    async with HttpClient(resolver=Names(["127.0.0.1"])) as http:
        given = {"baseUrl": f"http://innocent.test:{port}", "FLOWISE_CREDENTIAL_ID": "none"}
        chat = await anthropic_chat(NodeWorld(http), model, **given)

        with pytest.raises(NodeInputError, match=r"innocent\.test is not a public host"):
            await chat.complete(HELLO)
        with pytest.raises(NodeInputError, match=r"innocent\.test is not a public host"):
            [chunk async for chunk in chat.stream(HELLO)]

    assert model.requests == []


async def test_the_vendor_needs_a_key(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="connect one of kind 'anthropicApi'"):
        await run_chat(nodes.context(), {"modelName": "claude-test"})


async def test_a_server_of_ones_own_needs_none(
    build: Build, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "the-operators-own")
    chat = await build(FLOWISE_CREDENTIAL_ID="none")

    await chat.complete(HELLO)

    assert "the-operators-own" not in key_of(model.requests[0])


async def test_a_missing_package_says_how_to_install_it(nodes: NodeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)

    with pytest.raises(NodeError, match=r"pip install forjinn\[anthropic\]"):
        await run_chat(nodes.context(), {"baseUrl": "http://127.0.0.1:1"})


async def test_a_value_that_the_package_refuses_is_no_crash(build: Build) -> None:
    chat = await build(modelName="claude-fable-5", topK=5)

    with pytest.raises(ProviderError, match=r"could not be asked: .*top_k") as refused:
        await chat.complete(HELLO)

    assert not refused.value.retryable


async def test_two_calls_at_once_do_not_meet(build: Build) -> None:
    chat = await build()

    answers = await asyncio.gather(*(chat.complete([Message("user", word)]) for word in ("one", "two")))

    assert [answer.text for answer in answers] == ["You said: one", "You said: two"]
