import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from engine.errors import ProviderError
from engine.http import HttpClient, Patience
from engine.providers.base import ChatModel, Completion, Message, TextDelta, ThinkingDelta, ToolCall, ToolSpec, Usage
from engine.providers.openai import OpenAIChatModel
from engine.providers.openai_wire import Endpoint
from tests.engine.node_world import StillClock
from tests.model_server import ScriptedModel
from tests.model_wire import Reply

HELLO = [Message("user", "hello")]
WEATHER = ToolSpec("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def chat(model: ScriptedModel, http: HttpClient, clock: StillClock) -> OpenAIChatModel:
    return chat_at(model.url, http, clock)


def chat_at(url: str, http: HttpClient, clock: StillClock, **endpoint: Any) -> OpenAIChatModel:
    at = Endpoint(f"{url}/chat/completions", {"model": "m-1", "temperature": 0.0}, **endpoint)
    return OpenAIChatModel(at, http=http, clock=clock, random=Random(1))


async def words(chat: ChatModel, **call: Any) -> tuple[list[str], Completion]:
    chunks = [chunk async for chunk in chat.stream(HELLO, **call)]
    *deltas, last = chunks
    assert isinstance(last, Completion)
    return [delta.text for delta in deltas if isinstance(delta, TextDelta)], last


@asynccontextmanager
async def bytewise(body: bytes) -> AsyncIterator[str]:
    """The URL of a server that answers everything with `body`, a byte at a time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for byte in body:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def test_a_stream_gives_each_token_and_ends_in_the_completion(chat: OpenAIChatModel) -> None:
    tokens, completion = await words(chat)

    assert tokens == ["You", " said:", " hello"]
    assert completion == Completion("You said: hello", usage=Usage(12, 5), finish_reason="stop")


async def test_a_call_without_streaming_gives_the_same_completion(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    completion = await chat.complete(HELLO)

    assert completion == Completion("You said: hello", usage=Usage(12, 5), finish_reason="stop")
    assert "stream" not in model.requests[0].body


async def test_parameters_are_sent_as_they_are_given(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    await chat.complete([Message("system", "Be kind."), *HELLO], stop=("END",))

    assert model.requests[0].body == {
        "model": "m-1",
        "temperature": 0.0,
        "stop": ["END"],
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}],
    }


async def test_events_may_be_cut_anywhere(http: HttpClient, clock: StillClock) -> None:
    frames = 'data: {"choices":[{"delta":{"content":"Grüße"}}]}\r\n\r\n: ping\n\ndata:{"choices":[{"delta":{},'
    frames += '"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    async with bytewise(frames.encode()) as url:
        tokens, completion = await words(chat_at(url, http, clock))

    assert tokens == ["Grüße"]
    assert completion.text == "Grüße"


async def test_tool_calls_are_put_together_from_their_pieces(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    model.script(Reply(tool_calls=[("weather", {"city": "Bern"}), ("weather", {"city": "Ürümqi"})]))

    _, completion = await words(chat, tools=[WEATHER])

    assert completion.tool_calls == (
        ToolCall("call_0", "weather", {"city": "Bern"}),
        ToolCall("call_1", "weather", {"city": "Ürümqi"}),
    )
    assert completion.finish_reason == "tool_calls"
    assert model.requests[0].body["tools"][0]["function"]["name"] == "weather"


async def test_calls_that_share_an_index_are_told_apart_by_their_ids(http: HttpClient, clock: StillClock) -> None:
    call = '{"index":0,"id":"%s","function":{"name":"weather","arguments":"{\\"city\\":\\"%s\\"}"}}'
    frames = 'data: {"choices":[{"delta":{"tool_calls":[%s]}}]}\n\n' % (call % ("a", "Bern"))
    frames += 'data: {"choices":[{"delta":{"tool_calls":[%s]},"finish_reason":"stop"}]}\n\n' % (call % ("b", "Wien"))
    async with bytewise(frames.encode()) as url:
        _, completion = await words(chat_at(url, http, clock))

    assert [call.arguments["city"] for call in completion.tool_calls] == ["Bern", "Wien"]


async def test_the_results_of_tools_are_told_to_the_model(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    asked = Message("assistant", "", tool_calls=(ToolCall("c1", "weather", {"city": "Bern"}),))

    await chat.complete([*HELLO, asked, Message("tool", "sunny", tool_call_id="c1")])

    function = {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert model.requests[0].messages[1:] == [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
    ]


async def test_thinking_comes_apart_from_the_answer(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    model.script(Reply("42", thinking="Let me see"), Reply("42", thinking="Let me see"))

    chunks = [chunk async for chunk in chat.stream(HELLO)]
    whole = await chat.complete(HELLO)

    assert chunks[:2] == [ThinkingDelta("Let me see"), TextDelta("42")]
    assert whole.thinking == "Let me see"
    assert whole.text == "42"


async def test_a_schema_becomes_the_response_format(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}

    for schema in (closed, loose):
        await chat.complete(HELLO, schema=schema)

    asked = [request.body["response_format"]["json_schema"] for request in model.requests]
    assert [(a["schema"], a["strict"]) for a in asked] == [(closed, True), (loose, False)]


@pytest.mark.parametrize(("detail", "shown"), [("low", True), ("", False)])
async def test_images_are_shown_only_to_models_that_may_see_them(
    model: ScriptedModel, http: HttpClient, clock: StillClock, detail: str, shown: bool
) -> None:
    chat = chat_at(model.url, http, clock, image_detail=detail)

    await chat.complete([Message("user", "What is it?", images=("data:image/png;base64,AA",))])

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}
    content = model.requests[0].messages[0]["content"]
    assert content == ([{"type": "text", "text": "What is it?"}, image] if shown else "What is it?")


async def test_names_and_developer_messages_are_for_openai_alone(
    model: ScriptedModel, http: HttpClient, clock: StillClock
) -> None:
    messages = [Message("developer", "Be kind."), Message("user", "hello", name="llm_0")]

    await chat_at(model.url, http, clock, is_openai=True).complete(messages)
    await chat_at(model.url, http, clock).complete(messages)

    assert [request.messages for request in model.requests] == [
        [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "hello", "name": "llm_0"}],
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}],
    ]


async def test_a_connection_is_used_again_after_a_stream(model: ScriptedModel, http: HttpClient) -> None:
    chat = chat_at(model.url, http, StillClock())

    for _ in range(3):
        await words(chat)

    assert len({request.peer for request in model.requests}) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_passing_failure_is_tried_again(
    chat: OpenAIChatModel, model: ScriptedModel, clock: StillClock, status: int
) -> None:
    model.script(Reply(status=status), Reply(status=status), "fine")

    tokens, _ = await words(chat)

    assert tokens == ["fine"]
    assert len(clock.slept) == 2
    assert all(0 <= slept <= 8 for slept in clock.slept)


async def test_it_waits_as_long_as_the_vendor_asks(
    chat: OpenAIChatModel, model: ScriptedModel, clock: StillClock
) -> None:
    model.script(Reply(status=429, headers={"Retry-After": "7"}), "fine")

    await chat.complete(HELLO)

    assert clock.slept == [7.0]


async def test_it_does_not_wait_when_the_vendor_asks_for_too_long(
    chat: OpenAIChatModel, model: ScriptedModel, clock: StillClock
) -> None:
    model.script(Reply(status=429, headers={"Retry-After": "3600"}))

    with pytest.raises(ProviderError) as caught:
        await chat.complete(HELLO)

    assert caught.value.retry_after_s == 3600
    assert clock.slept == []


async def test_it_gives_up_after_three_tries(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    model.script(*[Reply(status=500, error="broken")] * 5)

    with pytest.raises(ProviderError, match="answered 500: broken") as caught:
        await chat.complete(HELLO)

    assert len(model.requests) == 3
    assert (caught.value.retryable, caught.value.status) == (True, 500)


async def test_a_refusal_is_not_tried_again(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    model.script(Reply(status=400, error="context too long"))

    with pytest.raises(ProviderError, match="answered 400: context too long") as caught:
        await words(chat)

    assert len(model.requests) == 1
    assert not caught.value.retryable


async def test_a_wrong_key_is_never_repeated(model: ScriptedModel, http: HttpClient, clock: StillClock) -> None:
    key = "sk-proj-abcdefghijklmnop"
    model.script(
        Reply(status=401, error=f"Incorrect API key provided: {key}."),
        Reply(status=400, error=f"Key {key} or sk-pr***********mnop or Bearer abc.def is for another project."),
    )
    chat = chat_at(model.url, http, clock, headers={"Authorization": f"Bearer {key}"})

    with pytest.raises(ProviderError) as unauthorized:
        await chat.complete(HELLO)
    with pytest.raises(ProviderError) as refused:
        await chat.complete(HELLO)

    assert unauthorized.value.message == (
        "401 Unauthorized – check your API key and ensure it has access to the requested model."  # noqa: RUF001
    )
    assert refused.value.message.endswith("Key [key] or [key] or Bearer [key] is for another project.")


async def test_a_stream_that_breaks_off_is_not_started_again(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    model.script(Reply("one two three", cut_after=2))
    stream = chat.stream(HELLO)

    seen = [await anext(stream), await anext(stream)]
    with pytest.raises(ProviderError, match="broke off") as caught:
        await anext(stream)

    assert seen == [TextDelta("one"), TextDelta(" two")]
    assert caught.value.retryable
    assert len(model.requests) == 1


async def test_a_connection_cut_before_the_first_token_is_tried_again(
    chat: OpenAIChatModel, model: ScriptedModel
) -> None:
    model.script(Reply("lost", cut_after=0), "found")

    tokens, _ = await words(chat)

    assert tokens == ["found"]


async def test_a_server_that_is_not_there_is_named(http: HttpClient, clock: StillClock) -> None:
    chat = chat_at("http://127.0.0.1:1/secret-path", http, clock)

    with pytest.raises(ProviderError, match=r"^Could not connect to 127\.0\.0\.1: ") as caught:
        await chat.complete(HELLO)

    assert len(clock.slept) == 2
    assert "secret" not in caught.value.message


async def test_silence_before_the_first_token_ends_the_call(
    model: ScriptedModel, http: HttpClient, clock: StillClock
) -> None:
    model.script(*[Reply("late", stall_after=0)] * 3)
    chat = chat_at(model.url, http, clock, patience=Patience(first_s=0.05, gap_s=60))

    with pytest.raises(ProviderError, match=r"fell silent: nothing arrived for 0\.05 seconds"):
        await words(chat)


async def test_silence_between_tokens_ends_the_call(model: ScriptedModel, http: HttpClient, clock: StillClock) -> None:
    model.script(Reply("one two", stall_after=1))
    chat = chat_at(model.url, http, clock, patience=Patience(first_s=60, gap_s=0.05))

    with pytest.raises(ProviderError, match="fell silent"):
        await words(chat)


async def test_cancelling_a_call_hangs_up(chat: OpenAIChatModel, model: ScriptedModel) -> None:
    model.script(Reply("one two", stall_after=1))
    call = asyncio.create_task(words(chat))
    assert await asyncio.to_thread(model.stalled.wait, 5)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(model.hung_up.wait, 5)


async def test_an_error_inside_a_stream_is_an_error(http: HttpClient, clock: StillClock) -> None:
    frames = b'data: {"error": {"message": "overloaded", "code": 400}}\n\n'
    async with bytewise(frames) as url:
        with pytest.raises(ProviderError, match="overloaded"):
            await words(chat_at(url, http, clock))


async def test_arguments_that_are_no_json_are_an_error(http: HttpClient, clock: StillClock) -> None:
    body = b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"weather","arguments":"{oops"}}]}}]}'
    async with bytewise(body) as url:
        with pytest.raises(ProviderError, match="'weather' with arguments that are no JSON object"):
            await chat_at(url, http, clock).complete(HELLO)


@pytest.mark.parametrize(
    "event", ["[1]", "{", '{"choices": [null]}', '{"choices": 1}', '{"choices": [{"delta": "x"}]}']
)
async def test_an_event_that_is_none_is_an_error(http: HttpClient, clock: StillClock, event: str) -> None:
    async with bytewise(f"data: {event}\n\n".encode()) as url:
        with pytest.raises(ProviderError, match="no part of a chat completion"):
            await words(chat_at(url, http, clock))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>welcome</html>",
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"tool_calls": [null]}}]}',
        b'{"choices": [{"message": {"content": "a"}}], "usage": [1]}',
    ],
)
async def test_an_answer_that_is_no_completion_is_an_error(http: HttpClient, clock: StillClock, body: bytes) -> None:
    async with bytewise(body) as url:
        with pytest.raises(ProviderError, match="no chat completion"):
            await chat_at(url, http, clock).complete(HELLO)
