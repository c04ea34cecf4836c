"""The wire format of OpenAI's chat completions, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from yarl import URL

from engine.errors import ProviderError
from engine.http import Patience
from engine.providers.base import Completion, Message, TextDelta, ThinkingDelta, ToolCall, ToolSpec, Usage
from engine.providers.refusals import refusal

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served and what each call to it carries."""

    url: str  # of the chat completions themselves
    params: Mapping[str, Any]  # model, temperature ...: sent as they are
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds the key
    image_detail: str = ""  # how closely images are looked at; empty: the model is shown none
    is_openai: bool = False  # its own servers take names and the role `developer`; others stumble over them
    counts_usage: bool = True  # False: it rejects stream_options
    patience: Patience = field(default_factory=Patience)

    @property
    def host(self) -> str:
        return URL(self.url).host or self.url


def read_completion(content: bytes) -> Completion:
    """A whole answer. Raises ProviderError if it is none."""
    try:
        answer = orjson.loads(content)
        choice = answer["choices"][0]
        message = choice["message"]
        calls = enumerate(message.get("tool_calls") or ())
        return Completion(
            text=_text(message.get("content")),
            tool_calls=tuple(_whole_call(number, call) for number, call in calls),
            usage=_usage(answer.get("usage") or {}),
            finish_reason=choice.get("finish_reason") or "",
            thinking=message.get("reasoning_content") or message.get("reasoning") or "",
        )
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ProviderError("The model's answer is no chat completion.", retryable=True) from exc


def request_body(
    endpoint: Endpoint,
    messages: Sequence[Message],
    *,
    tools: Sequence[ToolSpec],
    schema: Mapping[str, Any] | None,
    stop: Sequence[str],
    stream: bool,
) -> bytes:
    body: dict[str, Any] = {**endpoint.params, "messages": [_message(m, endpoint) for m in messages]}
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
    if schema is not None:
        named = {"name": "answer", "schema": schema, "strict": _is_strict(schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if stop:
        body["stop"] = list(stop)
    if stream:
        body["stream"] = True
        if endpoint.counts_usage:
            body["stream_options"] = {"include_usage": True}
    return orjson.dumps(body, default=dict)


def _message(message: Message, endpoint: Endpoint) -> dict[str, Any]:
    role = message.role
    if role == "developer" and not endpoint.is_openai:
        role = "system"
    sent: dict[str, Any] = {"role": role, "content": message.content}
    if message.images and endpoint.image_detail:
        sent["content"] = _parts(message, endpoint.image_detail)
    if message.tool_calls:
        sent["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
    if role == "tool":
        sent["tool_call_id"] = message.tool_call_id
    elif message.name and endpoint.is_openai and NAME.match(message.name):
        sent["name"] = message.name
    return sent


def _parts(message: Message, detail: str) -> list[dict[str, Any]]:
    images = [{"type": "image_url", "image_url": {"url": url, "detail": detail}} for url in message.images]
    return [{"type": "text", "text": message.content}, *images] if message.content else images


def _tool_call(call: ToolCall) -> dict[str, Any]:
    arguments = orjson.dumps(call.arguments, default=dict).decode()
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _is_strict(schema: Any) -> bool:
    """Whether a schema may be asked for strictly: every object closed, every property required."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if schema.get("type") == "object" and (
            schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties or ())
        ):
            return False
        return all(_is_strict(value) for value in schema.values())
    if isinstance(schema, list | tuple):
        return all(_is_strict(item) for item in schema)
    return True


class Deltas:
    """Adds up the events of one stream."""

    __slots__ = ("_calls", "_latest", "_thoughts", "_usage", "_words", "finish_reason")

    def __init__(self) -> None:
        self.finish_reason = ""  # set by the last event that carries a choice
        self._words: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[_PartialCall] = []
        self._latest: dict[int, _PartialCall] = {}  # by the index that the vendor gives a call
        self._usage = Usage()

    def add(self, event: Any) -> TextDelta | ThinkingDelta | None:
        """What an event brings to the answer, if anything. Raises ProviderError if it is an error."""
        choices = event.get("choices")
        if not choices:
            self._add_rest(event)
            return None
        choice = choices[0]
        delta = choice.get("delta")
        if choice.get("finish_reason"):
            self.finish_reason = choice["finish_reason"]
            self._add_rest(event)  # some vendors count in this event, others in one of its own
        if not delta:
            return None
        if calls := delta.get("tool_calls"):
            self._add_calls(calls)
        if text := _text(delta.get("content")):
            self._words.append(text)
            return TextDelta(text)
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            self._thoughts.append(thought)
            return ThinkingDelta(thought)
        return None

    def completion(self) -> Completion:
        """The whole answer. Raises ProviderError if a tool call makes no sense."""
        return Completion(
            text="".join(self._words),
            tool_calls=tuple(call.whole(number) for number, call in enumerate(self._calls)),
            usage=self._usage,
            finish_reason=self.finish_reason,
            thinking="".join(self._thoughts),
        )

    def _add_rest(self, event: Mapping[str, Any]) -> None:
        if usage := event.get("usage"):
            self._usage = _usage(usage)
        if error := event.get("error"):
            code = error.get("code") if isinstance(error, Mapping) else None
            raise refusal("The model", code if isinstance(code, int) else 0, event)

    def _add_calls(self, pieces: Sequence[Mapping[str, Any]]) -> None:
        for piece in pieces:
            index = piece.get("index") or 0
            call = self._latest.get(index)
            # Google's endpoint numbers every call 0: there only a new id tells them apart.
            if call is None or (piece.get("id") and call.id and piece["id"] != call.id):
                call = self._latest[index] = _PartialCall()
                self._calls.append(call)
            call.add(piece)


class _PartialCall:
    """A tool call of which the arguments are still arriving."""

    __slots__ = ("_arguments", "_name", "id")

    def __init__(self) -> None:
        self.id = ""
        self._name = ""
        self._arguments: list[str] = []

    def add(self, piece: Mapping[str, Any]) -> None:
        function = piece.get("function") or {}
        self.id = self.id or piece.get("id") or ""
        self._name = self._name or function.get("name") or ""
        self._arguments.append(function.get("arguments") or "")

    def whole(self, number: int) -> ToolCall:
        return _parse_call(self.id or f"call_{number}", self._name, "".join(self._arguments))


def _whole_call(number: int, call: Mapping[str, Any]) -> ToolCall:
    partial = _PartialCall()
    partial.add(call)
    return partial.whole(number)


def _parse_call(call_id: str, name: str, arguments: str) -> ToolCall:
    try:
        parsed = orjson.loads(arguments or "{}")
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ProviderError(f"The model called {name!r} with arguments that are no JSON object.", retryable=True)
    return ToolCall(id=call_id, name=name, arguments=parsed)


def _usage(usage: Mapping[str, Any]) -> Usage:
    return Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0)


def _text(content: Any) -> str:
    """The text of a content, which some vendors send in parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content or () if isinstance(part, Mapping))
