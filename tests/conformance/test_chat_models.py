"""What every chat model must keep to, whatever stands behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from engine.errors import ProviderError
from engine.providers.base import ChatModel, Completion, Message, TextDelta, ThinkingDelta, ToolCall, ToolSpec, Usage
from engine.providers.fake import FakeChatModel
from engine.providers.openai import OpenAIChatModel
from engine.providers.openai_wire import Endpoint
from engine.providers.refusals import UNAUTHORIZED
from tests.engine.anthropic_chat import KEY, anthropic_chat
from tests.engine.node_world import NodeWorld
from tests.model_server import ScriptedModel
from tests.model_wire import Reply

HELLO = [Message("system", "Be kind."), Message("user", "hello")]
WEATHER = ToolSpec("weather", "Tells the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
TITLED = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


@dataclass
class Rig:
    """A chat model, and how to tell it what to say."""

    chat: ChatModel
    script: Callable[..., None]  # of Replies


Rigged = Callable[[NodeWorld, ScriptedModel], AbstractAsyncContextManager[Rig]]


@asynccontextmanager
async def openai(nodes: NodeWorld, model: ScriptedModel) -> AsyncIterator[Rig]:
    at = Endpoint(f"{model.url}/chat/completions", {"model": "m-1"}, headers={"Authorization": f"Bearer {KEY}"})
    yield Rig(OpenAIChatModel(at, http=nodes.http, clock=nodes.clock, random=Random(1)), model.script)


@asynccontextmanager
async def anthropic(nodes: NodeWorld, model: ScriptedModel) -> AsyncIterator[Rig]:
    yield Rig(await anthropic_chat(nodes, model), model.script)


@asynccontextmanager
async def fake(nodes: NodeWorld, model: ScriptedModel) -> AsyncIterator[Rig]:
    chat = FakeChatModel()

    def script(*replies: Reply) -> None:
        chat.script(*map(scripted, replies))

    yield Rig(chat, script)


def scripted(reply: Reply) -> Completion | ProviderError:
    """A reply as the fake provider takes it."""
    if reply.status != 200:
        return ProviderError(reply.error, retryable=reply.status in (429, 529), status=reply.status)
    calls = tuple(ToolCall(f"call_{n}", name, arguments) for n, (name, arguments) in enumerate(reply.tool_calls))
    finish = "tool_calls" if calls else "stop"
    return Completion(reply.text, calls, Usage(*reply.usage), finish_reason=finish, thinking=reply.thinking)


REMOTE = (openai, anthropic)
every_model = pytest.mark.parametrize("rigged", [fake, *REMOTE], ids=lambda rigged: rigged.__name__)
every_remote_model = pytest.mark.parametrize("rigged", REMOTE, ids=lambda rigged: rigged.__name__)


@pytest.fixture
async def rig(rigged: Rigged, nodes: NodeWorld, model: ScriptedModel) -> AsyncIterator[Rig]:
    async with rigged(nodes, model) as running:
        yield running


async def heard(chat: ChatModel, **call: Any) -> list[Any]:
    return [chunk async for chunk in chat.stream(HELLO, **call)]


@every_model
async def test_it_implements_the_protocol(rig: Rig) -> None:
    assert isinstance(rig.chat, ChatModel)
    assert rig.chat.model_name
    assert rig.chat.streaming is True


@every_model
async def test_a_stream_ends_in_the_completion_that_it_adds_up_to(rig: Rig) -> None:
    rig.script(Reply("The answer is 42"), Reply("The answer is 42"))

    *deltas, last = await heard(rig.chat)
    whole = await rig.chat.complete(HELLO)

    assert len(deltas) > 1
    assert all(isinstance(delta, TextDelta) for delta in deltas)
    assert "".join(delta.text for delta in deltas) == last.text == whole.text == "The answer is 42"
    assert last == whole
    assert (whole.usage, whole.tool_calls) == (Usage(12, 5), ())
    assert whole.finish_reason


@every_model
async def test_calls_are_asked_for_whole_in_their_order(rig: Rig) -> None:
    wanted = [("weather", {"city": "Bern"}), ("weather", {"city": "Ürümqi"})]
    rig.script(Reply(tool_calls=wanted), Reply("Both:", tool_calls=wanted))

    *_, streamed = await heard(rig.chat, tools=[WEATHER])
    whole = await rig.chat.complete(HELLO, tools=[WEATHER])

    for completion in (streamed, whole):
        assert [(call.name, call.arguments) for call in completion.tool_calls] == wanted
        assert len({call.id for call in completion.tool_calls}) == 2
    assert (streamed.text, whole.text) == ("", "Both:")


@every_model
async def test_the_results_of_calls_are_answered(rig: Rig) -> None:
    rig.script(Reply(tool_calls=[("weather", {"city": "Bern"})]), Reply("Sunny"))

    asked = await rig.chat.complete(HELLO, tools=[WEATHER])
    turn = Message("assistant", asked.text, tool_calls=asked.tool_calls, original=asked.original)
    results = [Message("tool", "sun", name=call.name, tool_call_id=call.id) for call in asked.tool_calls]
    answered = await rig.chat.complete([*HELLO, turn, *results], tools=[WEATHER])

    assert answered.text == "Sunny"


@every_model
async def test_thoughts_come_before_the_words_and_apart_from_them(rig: Rig) -> None:
    rig.script(Reply("It is 42", thinking="Let me see"))

    first, *deltas, last = await heard(rig.chat)

    assert first == ThinkingDelta("Let me see")
    assert "".join(delta.text for delta in deltas) == last.text == "It is 42"
    assert last.thinking == "Let me see"


@every_model
@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_a_lasting_refusal_is_final(rig: Rig, status: int) -> None:
    rig.script(Reply(status=status), Reply("too late"))

    with pytest.raises(ProviderError) as refused:
        await rig.chat.complete(HELLO)

    assert (refused.value.retryable, refused.value.status) == (False, status)


@every_model
async def test_a_stream_may_be_refused_before_it_begins(rig: Rig) -> None:
    rig.script(Reply(status=403))

    with pytest.raises(ProviderError) as refused:
        await heard(rig.chat)

    assert refused.value.status == 403


@every_model
async def test_a_model_answers_several_callers_at_once(rig: Rig) -> None:
    answers = await asyncio.gather(*(rig.chat.complete([Message("user", word)]) for word in ("one", "two")))

    assert [answer.text for answer in answers] == ["You said: one", "You said: two"]


@every_model
async def test_a_stream_that_is_left_early_does_no_harm(rig: Rig) -> None:
    rig.script(Reply("one two three"), Reply("again"))

    stream = rig.chat.stream(HELLO)
    first = await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # the protocol promises no more than an iterator
    again = await rig.chat.complete(HELLO)

    assert (first, again.text) == (TextDelta("one"), "again")


@every_remote_model
async def test_a_shape_can_be_asked_for(rig: Rig, model: ScriptedModel, rigged: Rigged) -> None:
    by_tool = Reply(tool_calls=[("answer", {"title": "Heat"})])
    rig.script(by_tool if rigged is anthropic else Reply('{"title":"Heat"}'))

    completion = await rig.chat.complete(HELLO, schema=TITLED)

    assert (completion.text, completion.tool_calls) == ('{"title":"Heat"}', ())
    assert "title" in repr(model.requests[0].body)


@every_remote_model
async def test_a_wrong_key_is_named_without_being_shown(rig: Rig, model: ScriptedModel) -> None:
    rig.script(Reply(status=401, error=f"Incorrect API key provided: {KEY}"))

    with pytest.raises(ProviderError) as refused:
        await rig.chat.complete(HELLO)

    assert refused.value.message == UNAUTHORIZED
    assert (refused.value.status, len(model.requests)) == (401, 1)


@every_remote_model
@pytest.mark.parametrize("status", [400, 429])
async def test_a_vendor_that_repeats_the_key_is_not_repeated(rig: Rig, status: int) -> None:
    rig.script(*[Reply(status=status, error=f"no luck with {KEY} today")] * 3)

    with pytest.raises(ProviderError, match="no luck with") as refused:
        await rig.chat.complete(HELLO)

    assert KEY not in repr(refused.value) + refused.value.message


@every_remote_model
@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_a_passing_refusal_is_tried_again(rig: Rig, model: ScriptedModel, nodes: NodeWorld, status: int) -> None:
    rig.script(Reply(status=status), Reply(status=status, headers={"Retry-After": "7"}), Reply("fine"))

    completion = await rig.chat.complete(HELLO)

    assert completion.text == "fine"
    assert len(model.requests) == 3
    assert nodes.clock.slept[1] == 7


@every_remote_model
async def test_a_refusal_that_does_not_pass_says_that_it_may(rig: Rig, model: ScriptedModel) -> None:
    rig.script(*[Reply(status=529)] * 5)

    with pytest.raises(ProviderError) as refused:
        await heard(rig.chat)

    assert (refused.value.retryable, refused.value.status, len(model.requests)) == (True, 529, 3)


@every_remote_model
async def test_an_answer_that_breaks_off_is_not_begun_again(rig: Rig, model: ScriptedModel) -> None:
    rig.script(Reply("one two three four", cut_after=4), Reply("again"))

    with pytest.raises(ProviderError) as broken:
        await heard(rig.chat)

    assert broken.value.retryable
    assert len(model.requests) == 1


@every_remote_model
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_caller_who_leaves_takes_the_connection_along(rig: Rig, model: ScriptedModel, streamed: bool) -> None:
    rig.script(Reply("one two three", stall_after=3 if streamed else 0))

    call = asyncio.ensure_future(heard(rig.chat) if streamed else rig.chat.complete(HELLO))
    await asyncio.to_thread(model.stalled.wait)
    call.cancel()
    (ended,) = await asyncio.gather(call, return_exceptions=True)

    assert isinstance(ended, asyncio.CancelledError)
    assert await asyncio.to_thread(model.hung_up.wait, 5)
