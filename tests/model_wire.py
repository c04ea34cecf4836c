"""A scripted reply in the wire formats of OpenAI's chat completions and Anthropic's messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

Json = Mapping[str, Any]

# What a content block holds before its first delta.
ANTHROPIC_EMPTY: Mapping[str, Json] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer, or failure.

    `tool_calls` are (name, arguments). `cut_after` closes the connection and `stall_after` falls silent (until
    `ScriptedModel.release`) after that many frames of a stream; the first frames are those of the text.
    """

    text: str = ""
    tool_calls: Sequence[tuple[str, Json]] = ()
    thinking: str = ""
    status: int = 200
    error: str = "scripted failure"
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = ""
    usage: tuple[int, int] = (12, 5)  # input, output
    cut_after: int | None = None
    stall_after: int | None = None

    @property
    def tokens(self) -> list[str]:
        return re.findall(r"\s*\S+\s*?", self.text) or ([self.text] if self.text else [])


@dataclass(frozen=True, slots=True)
class Wire:
    """A vendor's format: an error, a whole answer, the frames of a stream."""

    error: Callable[[Reply], bytes]
    whole: Callable[[Reply, Json], bytes]
    frames: Callable[[Reply, Json], Iterator[bytes]]


def text_of(content: Any) -> str:
    """The text of a message's content, which may be a list of parts."""
    if isinstance(content, str) or content is None:
        return content or ""
    return "".join(part.get("text", "") for part in content)


def _sse(payload: Json, event: str = "") -> bytes:
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + orjson.dumps(payload) + b"\n\n"


def _openai_error(reply: Reply) -> bytes:
    return orjson.dumps({"error": {"message": reply.error, "type": "scripted", "code": None}})


def _openai_usage(reply: Reply) -> Json:
    read, written = reply.usage
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _openai_finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _openai_calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": name, "arguments": orjson.dumps(arguments).decode()},
        }
        for index, (name, arguments) in enumerate(reply.tool_calls)
    ]


def _openai_whole(reply: Reply, body: Json) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.tool_calls:
        message["tool_calls"] = _openai_calls(reply)
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    choice = {"index": 0, "message": message, "finish_reason": _openai_finish(reply)}
    return orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body.get("model"),
            "choices": [choice],
            "usage": _openai_usage(reply),
        }
    )


def _openai_frame(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})


def _openai_frames(reply: Reply, body: Json) -> Iterator[bytes]:
    if reply.thinking:
        yield _openai_frame({"reasoning_content": reply.thinking})
    for token in reply.tokens:
        yield _openai_frame({"content": token})
    for index, call in enumerate(_openai_calls(reply)):
        function = call["function"]
        start = {**call, "function": {"name": function["name"], "arguments": ""}}
        yield _openai_frame({"tool_calls": [{"index": index, **start}]})
        # In two pieces, as vendors send them.
        middle = len(function["arguments"]) // 2
        for piece in (function["arguments"][:middle], function["arguments"][middle:]):
            yield _openai_frame({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _openai_frame({}, _openai_finish(reply))
    if body.get("stream_options", {}).get("include_usage"):
        yield _sse({"id": "chatcmpl-1", "choices": [], "usage": _openai_usage(reply)})
    yield b"data: [DONE]\n\n"


def _anthropic_error(reply: Reply) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": "scripted", "message": reply.error}})


def _anthropic_blocks(reply: Reply) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": "sig"})
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    for index, (name, arguments) in enumerate(reply.tool_calls):
        blocks.append({"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": arguments})
    return blocks


def _anthropic_message(reply: Reply, body: Json, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": blocks,
        "stop_reason": _anthropic_finish(reply),
        "stop_sequence": None,
        "usage": {"input_tokens": reply.usage[0], "output_tokens": reply.usage[1]},
    }


def _anthropic_finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_use" if reply.tool_calls else "end_turn")


def _anthropic_whole(reply: Reply, body: Json) -> bytes:
    return orjson.dumps(_anthropic_message(reply, body, _anthropic_blocks(reply)))


def _anthropic_event(kind: str, **fields: Any) -> bytes:
    return _sse({"type": kind, **fields}, kind)


def _anthropic_deltas(reply: Reply, block: Json) -> list[Json]:
    if block["type"] == "thinking":
        thought = {"type": "thinking_delta", "thinking": block["thinking"]}
        return [thought, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "text":
        return [{"type": "text_delta", "text": token} for token in reply.tokens]
    text = orjson.dumps(block["input"]).decode()
    middle = len(text) // 2
    return [{"type": "input_json_delta", "partial_json": piece} for piece in (text[:middle], text[middle:])]


def _anthropic_frames(reply: Reply, body: Json) -> Iterator[bytes]:
    opening = {**_anthropic_message(reply, body, []), "stop_reason": None}
    opening["usage"] = {"input_tokens": reply.usage[0], "output_tokens": 0}
    yield _anthropic_event("message_start", message=opening)
    for index, block in enumerate(_anthropic_blocks(reply)):
        start = {**block, **ANTHROPIC_EMPTY[block["type"]]}
        yield _anthropic_event("content_block_start", index=index, content_block=start)
        for delta in _anthropic_deltas(reply, block):
            yield _anthropic_event("content_block_delta", index=index, delta=delta)
        yield _anthropic_event("content_block_stop", index=index)
    ending = {"stop_reason": _anthropic_finish(reply), "stop_sequence": None}
    yield _anthropic_event(
        "message_delta", delta=ending, usage={"input_tokens": reply.usage[0], "output_tokens": reply.usage[1]}
    )
    yield _anthropic_event("message_stop")


OPENAI = Wire(_openai_error, _openai_whole, _openai_frames)
ANTHROPIC = Wire(_anthropic_error, _anthropic_whole, _anthropic_frames)
