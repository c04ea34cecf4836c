"""A model that answers at once and always the same: real HTTP on loopback, OpenAI's format, nothing behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

MAX_ECHO = 60  # characters of the question that an answer repeats
MODEL = "stub"
DIMENSIONS = 8
LARGEST = 64 * 1024 * 1024  # bytes of a request: images come along in it


@asynccontextmanager
async def stub_model() -> AsyncIterator[str]:
    """Serve it on a free port of 127.0.0.1 while the block runs; gives its base URL."""
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/v1/chat/completions", _chat)
    app.router.add_post("/v1/embeddings", _embed)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def stub_answer(request: Mapping[str, Any]) -> str:
    """A JSON value of the shape that is asked for, or a sentence that repeats the question."""
    asked = (request.get("response_format") or {}).get("json_schema") or {}
    if schema := asked.get("schema"):
        return orjson.dumps(sample(schema)).decode()
    questions = [_text(message) for message in request.get("messages") or () if message.get("role") == "user"]
    question = " ".join((questions or [""])[-1].split())
    return f"Stub answer to: {question[:MAX_ECHO]}" + ("…" if len(question) > MAX_ECHO else "")


def sample(schema: Mapping[str, Any]) -> Any:
    """The simplest value that fits a JSON Schema, as far as models are held to such."""
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return choices[0]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return sample(options[0])
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: sample(held) for name, held in (schema.get("properties") or {}).items()}
        case "array":
            return [sample(schema.get("items") or {})]
        case "number" | "integer":
            return 1
        case "boolean":
            return True
        case "null":
            return None
    return "stub"


async def _chat(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    text = stub_answer(asked)
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    about = {"id": "stub", "created": 0, "model": MODEL}
    if not asked.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return web.json_response({**about, "object": "chat.completion", "choices": [choice], "usage": usage})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    about["object"] = "chat.completion.chunk"
    for choices, more in (
        ([{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}], {}),
        ([{"index": 0, "delta": {}, "finish_reason": "stop"}], {}),
        ([], {"usage": usage}),
    ):
        await response.write(b"data: " + orjson.dumps({**about, "choices": choices, **more}) + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    return response


async def _embed(request: web.Request) -> web.Response:
    """Vectors that differ with their texts and mean nothing."""
    asked = (await request.json()).get("input") or []
    texts = [asked] if isinstance(asked, str) else asked
    found = [{"object": "embedding", "index": n, "embedding": _vector(str(text))} for n, text in enumerate(texts)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return web.json_response({"object": "list", "model": MODEL, "data": found, "usage": usage})


def _vector(text: str) -> list[float]:
    folded = [1.0] * DIMENSIONS
    for position, character in enumerate(text):
        folded[position % DIMENSIONS] += ord(character) % 97
    return folded


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")
