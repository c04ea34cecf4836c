from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from engine.errors import NodeInputError, ProviderError
from engine.providers.base import Completion, Message, TextDelta, ThinkingDelta, ToolSpec, Usage
from engine.providers.langchain import LangChainChatModel
from engine.providers.retrying import Retrying
from tests.engine.node_world import StillClock

HELLO = [Message("user", "hello")]
TOOL = ToolSpec("weather", "Tells the weather.", {"type": "object", "properties": {}})


class Scripted(BaseChatModel):
    """Streams what it is given; the adapter sees nothing but LangChain's own interface."""

    chunks: list[Any]

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise AssertionError("it streams")

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield ChatGenerationChunk(message=chunk)


def adapted(model: BaseChatModel) -> LangChainChatModel:
    retrying = Retrying(StillClock(), Random(1))
    return LangChainChatModel(model, model_name="m", host="example.org", retrying=retrying, secrets=("hush-hush-key",))


async def heard(chat: LangChainChatModel, **call: Any) -> list[Any]:
    return [chunk async for chunk in chat.stream(HELLO, **call)]


async def test_a_model_of_any_package_answers() -> None:
    chat = adapted(GenericFakeChatModel(messages=iter([AIMessage("Hi there"), AIMessage("Hi there")])))

    whole = await chat.complete(HELLO)
    *deltas, last = await heard(chat)

    assert whole.text == "Hi there"
    assert "".join(delta.text for delta in deltas) == last.text == "Hi there"


async def test_thoughts_are_heard_in_either_of_the_forms_that_packages_use() -> None:
    chat = adapted(
        Scripted(
            chunks=[
                AIMessageChunk(content="", additional_kwargs={"reasoning_content": "First, "}),
                AIMessageChunk(content=[{"type": "reasoning", "reasoning": "then", "index": 0}]),
                AIMessageChunk(content=[{"type": "text", "text": "42", "index": 1}]),
                AIMessageChunk(
                    content="",
                    usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
                    response_metadata={"finish_reason": "stop"},
                ),
            ]
        )
    )

    *deltas, last = await heard(chat)

    assert deltas == [ThinkingDelta("First, "), ThinkingDelta("then"), TextDelta("42")]
    assert isinstance(last, Completion)
    assert (last.text, last.usage, last.finish_reason) == ("42", Usage(3, 2), "stop")


async def test_a_call_with_broken_arguments_is_an_error() -> None:
    piece = tool_call_chunk(name="weather", args="city=Bern", id="c1", index=0)
    chat = adapted(Scripted(chunks=[AIMessageChunk(content="", tool_call_chunks=[piece])]))

    with pytest.raises(ProviderError, match="'weather' with arguments that are no JSON object"):
        await heard(chat)


async def test_a_model_that_cannot_call_tools_says_so() -> None:
    with pytest.raises(NodeInputError, match="function calling capable"):
        await heard(adapted(Scripted(chunks=[])), tools=[TOOL])


async def test_a_model_that_cannot_call_tools_is_told_of_a_shape_in_words() -> None:
    chat = adapted(GenericFakeChatModel(messages=iter([AIMessage('{"town": "Bern"}')])))

    answer = await chat.complete(HELLO, schema={"type": "object", "properties": {"town": {"type": "string"}}})

    assert answer.text == '{"town": "Bern"}'


@pytest.mark.parametrize(
    ("error", "told", "retryable"),
    [
        (ValueError("bad option for hush-hush-key"), "could not be asked: bad option for [key]", False),
        (ConnectionResetError("gone"), "The connection to example.org failed or broke off.", True),
        (TimeoutError(), "The connection to example.org failed or broke off.", True),
    ],
)
async def test_errors_of_any_class_are_classified(error: Exception, told: str, retryable: bool) -> None:
    chat = adapted(Scripted(chunks=[AIMessageChunk(content="Hi"), error]))

    with pytest.raises(ProviderError) as failed:
        await heard(chat)

    assert told in failed.value.message
    assert failed.value.retryable is retryable
