"""Any chat model of LangChain's partner packages as a ChatModel: one adapter for every vendor without its own.

Importing this takes `langchain-core`, which comes with the package of the first such vendor.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks
from langchain_core.messages.utils import message_chunk_to_message

from engine.errors import NodeInputError, ProviderError
from engine.parsers import json_parser
from engine.providers.base import (
    Completion,
    Message,
    ModelChunk,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolSpec,
    Usage,
)
from engine.providers.langchain_failures import explained
from engine.providers.retrying import Retrying


class LangChainChatModel:
    """Implements `ChatModel`. `host` and `secrets` are for error messages: what to name, and what never to repeat.

    A model that cannot be made to use a tool, as some cannot while they think, is told of a schema in words, as is one
    whose package knows no tools. The model must not retry by itself: it would do so in the middle of an answer, and not
    listen to cancellation.
    """

    def __init__(
        self,
        model: BaseChatModel,
        *,
        model_name: str,
        host: str,
        retrying: Retrying,
        streaming: bool = True,
        sees_images: bool = True,
        takes_forced_tools: bool = True,
        secrets: Sequence[str] = (),
    ) -> None:
        self.model_name = model_name
        self.streaming = streaming
        self._model = model
        self._host = host
        self._retrying = retrying
        self._sees_images = sees_images
        self._takes_tools = type(model).bind_tools is not BaseChatModel.bind_tools
        self._takes_forced_tools = takes_forced_tools and self._takes_tools
        self._secrets = secrets

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        """See `ChatModel.complete`. A schema goes without tools: vendors are held to it by a tool of its own."""
        sent = self._sent(messages)

        async def ask() -> Completion:
            with explained(self._host, self._secrets):
                if schema is not None:
                    return await self._ask_shaped(sent, schema)
                return _completion(await self._with_tools(tools).ainvoke(sent, stop=list(stop) or None))

        return await self._retrying.answer(ask)

    def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        """See `ChatModel.stream`."""
        sent = self._sent(messages)
        return self._retrying.pieces(lambda: self._listen(sent, tools, stop))

    async def _listen(
        self, sent: list[BaseMessage], tools: Sequence[ToolSpec], stop: Sequence[str]
    ) -> AsyncIterator[ModelChunk]:
        chunks: list[AIMessageChunk] = []
        with explained(self._host, self._secrets):
            async for chunk in self._with_tools(tools).astream(sent, stop=list(stop) or None):
                chunks.append(chunk)
                if thought := _thinking(chunk):
                    yield ThinkingDelta(thought)
                if text := _text(chunk.content):
                    yield TextDelta(text)
            if not chunks:
                raise ProviderError(f"{self._host} ended its answer before it had begun.", retryable=True)
            whole = add_ai_message_chunks(chunks[0], *chunks[1:])
            yield _completion(message_chunk_to_message(whole))

    async def _ask_shaped(self, sent: list[BaseMessage], schema: Mapping[str, Any]) -> Completion:
        if not self._takes_forced_tools:
            instructions = json_parser(schema, autofix=False).instructions
            return _completion(await self._model.ainvoke([*sent, HumanMessage(instructions)]))
        # A schema without a title and a description cannot become the tool that most vendors are held to it by.
        named = {"title": "answer", "description": "Your answer.", **schema}
        shaped = self._model.with_structured_output(named, include_raw=True)
        answer: Any = await shaped.ainvoke(sent)
        completion = _completion(answer["raw"])
        if answer["parsed"] is None:
            return completion
        return Completion(
            orjson.dumps(answer["parsed"]).decode(),
            usage=completion.usage,
            finish_reason=completion.finish_reason,
            thinking=completion.thinking,
        )

    def _with_tools(self, tools: Sequence[ToolSpec]) -> Any:
        if not tools:
            return self._model
        if not self._takes_tools:
            raise NodeInputError("Agent needs to have a function calling capable models.")
        return self._model.bind_tools([_tool(tool) for tool in tools])

    def _sent(self, messages: Sequence[Message]) -> list[BaseMessage]:
        """The messages as LangChain has them: one system message at most, and no empty ones, which vendors refuse."""
        systems = [m.content for m in messages if m.role in ("system", "developer") and m.content]
        rest = [MAKERS[m.role](m, self._sees_images) for m in messages if m.role in MAKERS and not _is_empty(m)]
        system = "\n\n".join(systems)
        if not rest:
            return [HumanMessage(system)]
        return [SystemMessage(system), *rest] if system else rest


def _is_empty(message: Message) -> bool:
    return message.role != "tool" and not (message.content.strip() or message.tool_calls or message.images)


def _human(message: Message, sees_images: bool) -> BaseMessage:
    if not message.images or not sees_images:
        return HumanMessage(message.content)
    text = [{"type": "text", "text": message.content}] if message.content else []
    images = [{"type": "image_url", "image_url": {"url": url}} for url in message.images]
    return HumanMessage([*text, *images])


def _assistant(message: Message, _: bool) -> BaseMessage:
    if isinstance(message.original, AIMessage):
        return message.original
    calls = [{"id": call.id, "name": call.name, "args": dict(call.arguments)} for call in message.tool_calls]
    return AIMessage(message.content, tool_calls=calls)


def _tool_result(message: Message, _: bool) -> BaseMessage:
    return ToolMessage(message.content, tool_call_id=message.tool_call_id)


MAKERS: Mapping[str, Callable[[Message, bool], BaseMessage]] = {
    "user": _human,
    "assistant": _assistant,
    "tool": _tool_result,
}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _completion(message: Any) -> Completion:
    if getattr(message, "invalid_tool_calls", None):
        name = message.invalid_tool_calls[0].get("name")
        raise ProviderError(f"The model called {name!r} with arguments that are no JSON object.", retryable=True)
    usage = message.usage_metadata or {}
    told = message.response_metadata
    return Completion(
        text=_text(message.content),
        tool_calls=tuple(
            ToolCall(call["id"] or f"call_{number}", call["name"], call["args"])
            for number, call in enumerate(message.tool_calls)
        ),
        usage=Usage(usage.get("input_tokens", 0), usage.get("output_tokens", 0)),
        finish_reason=told.get("stop_reason") or told.get("finish_reason") or "",
        thinking=_thinking(message),
        original=message,
    )


def _text(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else _of_kind(part, "text") for part in content)


def _thinking(message: Any) -> str:
    if isinstance(message.content, list):
        blocks = [part for part in message.content if isinstance(part, Mapping)]
        if thought := "".join(_of_kind(b, "thinking") or _of_kind(b, "reasoning") for b in blocks):
            return thought
    return str(message.additional_kwargs.get("reasoning_content") or "")


def _of_kind(block: Mapping[str, Any], kind: str) -> str:
    return str(block.get(kind) or "") if block.get("type") == kind else ""
