"""Long runs and many viewers: what an unread trace costs, what a token costs Redis, what an idle viewer holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from benchmarks import load
from benchmarks.platform import Measured
from forjinn.embedded.state import read_children

Line = tuple[str, str, str, bool | None]

NODES = 100
VIEWERS = 2000
RUNS_WATCHED = 20
OPENING = 50
SETTLE_S = 3.0  # until connections have been taken and buffers given back


async def long_runs(platform: Measured) -> AsyncIterator[Line]:
    """A run of 100 nodes: bytes of its stream with and without the trace, time, Redis writes."""
    flow = _deployed(platform, "bench-long", "bench", NODES)
    sizes: dict[str, int] = {}
    for name, headers in (("with the trace", {}), ("without the trace", {"Prefer": "return=minimal"})):
        start = time.perf_counter()
        sizes[name] = await _stream_size(platform, flow, headers)
        yield (
            f"{NODES} nodes, stream {name}",
            f"{sizes[name] / 1e6:.2f} MB in {time.perf_counter() - start:.2f} s",
            "",
            None,
        )
    half = await _stream_size(platform, _deployed(platform, "bench-half", "bench", NODES // 2), headers)
    growth = sizes["without the trace"] / half
    yield f"stream without the trace, {NODES} nodes to {NODES // 2}", f"{growth:.2f}", "<= 2.2", growth <= 2.2


async def token_writes(platform: Measured) -> AsyncIterator[Line]:
    """Redis writes of 64 streams of 200 tokens at once."""
    flow = platform.flow("bench-writes", "s200x5f20")
    body = json.dumps({"question": "How are you today?", "streaming": True}).encode()
    request = load.stream(f"/api/v1/prediction/{flow}", body, token=b'"event":"token"', wanted=200)
    before = await _appends(platform)
    result = await load.run(platform.url, request, callers=64, each=2)
    appended = await _appends(platform) - before
    each = appended / max(1, result.tokens)
    yield "64 streams, stream entries a token", f"{each:.2f}", "< 1", each < 1


async def viewers(platform: Measured) -> AsyncIterator[Line]:
    """2,000 idle viewers on one web process: memory a viewer, and how soon an event reaches the last of a run's."""
    flow = platform.flow("bench-viewers", "d60000")
    ids = [_accepted(platform, flow, f"watched-{number}") for number in range(RUNS_WATCHED)]
    before = platform.memory_mb()["web"]
    async with contextlib.AsyncExitStack() as stack:
        # Some at a time: to look a run up each takes a turn at the database, and who waits too long for it is refused.
        doors = asyncio.Semaphore(OPENING)
        opening = (_opened(platform, ids[n % RUNS_WATCHED], stack, doors) for n in range(VIEWERS))
        watching = [asyncio.create_task(_ended_at(reader)) for reader in await asyncio.gather(*opening)]
        await asyncio.sleep(SETTLE_S)
        held = platform.memory_mb()["web"] - before
        cpu = platform.cpu_s()["web"]
        await asyncio.sleep(SETTLE_S)
        idle = (platform.cpu_s()["web"] - cpu) / SETTLE_S
        told = time.perf_counter()
        await asyncio.to_thread(platform.call, "POST", f"/api/v1/executions/{ids[0]}/cancel", {})
        arrivals = sorted([(await one) - told for one in watching[::RUNS_WATCHED]])
        for number, run in enumerate(ids[1:], 1):
            await asyncio.to_thread(platform.call, "POST", f"/api/v1/executions/{run}/cancel", {})
            await asyncio.gather(*watching[number::RUNS_WATCHED])
    yield f"{VIEWERS} idle viewers, memory each", f"{held * 1000 / VIEWERS:.0f} KB", "", None
    yield f"{VIEWERS} idle viewers, CPU of the web process", f"{idle * 100:.0f} %", "", None
    yield (
        f"an end to {len(arrivals)} viewers of one run, first / last",
        f"{arrivals[0] * 1000:.0f} / {arrivals[-1] * 1000:.0f} ms",
        "",
        None,
    )


async def _appends(platform: Measured) -> int:
    async with Redis.from_url(valkey_url(platform)) as redis:
        stats: dict[str, Any] = await redis.info("commandstats")
    return int(stats.get("cmdstat_xadd", {}).get("calls", 0))


def valkey_url(platform: Measured) -> str:
    return read_children(Path(platform.environment["FORJINN_VAR"]))["valkey"].url


def _deployed(platform: Measured, name: str, model: str, count: int) -> str:
    body = {"name": name, "flowData": json.dumps(_chain_of(model, platform.model_url, count)), "type": "AGENTFLOW"}
    flow = platform.call("POST", "/api/v1/chatflows", {**body, "isPublic": True})
    platform.call("PUT", f"/api/v1/chatflows/{flow['id']}", {"deployed": True})
    return str(flow["id"])


def _chain_of(model: str, model_url: str, count: int) -> dict[str, Any]:
    """A start and `count` - 1 models, one after the other, that remember nothing."""
    config = {"llmModel": "chatOpenAI", "modelName": model, "basepath": model_url}
    inputs = {
        "llmModel": "chatOpenAI",
        "llmModelConfig": config,
        "llmMessages": [{"role": "user", "content": "{{ question }}"}],
        "llmEnableMemory": False,
    }
    drawn = [("start", "startAgentflow", {"startInputType": "chatInput"})]
    drawn += [(f"llm_{number}", "llmAgentflow", inputs) for number in range(1, count)]
    nodes = [
        {
            "id": node_id,
            "type": "agentFlow",
            "position": {"x": 0, "y": 0},
            "data": {"id": node_id, "label": node_id, "name": name, "version": 1, "inputs": given},
        }
        for node_id, name, given in drawn
    ]
    edges = [
        {
            "id": f"{source}-{target}",
            "source": source,
            "target": target,
            "sourceHandle": f"{source}-output-{source}",
            "targetHandle": target,
        }
        for (source, _, _), (target, _, _) in pairwise(drawn)
    ]
    return {"nodes": nodes, "edges": edges}


async def _stream_size(platform: Measured, flow: str, headers: dict[str, str]) -> int:
    body = json.dumps({"question": "How are you today?", "streaming": True}).encode()
    caller = load.Caller(platform.url, {"Content-Type": "application/json", **headers})
    try:
        status, answered = await caller.send("POST", f"/api/v1/prediction/{flow}", body)
        whole = await caller.body(answered)
        assert status == 200, whole
        return len(whole)
    finally:
        caller.close()


def _accepted(platform: Measured, flow: str, chat_id: str) -> str:
    body = {"question": "How are you today?", "streaming": True, "chatId": chat_id}
    return str(platform.call("POST", f"/api/v1/prediction/{flow}?async=true", body)["executionId"])


async def _opened(
    platform: Measured, execution_id: str, stack: contextlib.AsyncExitStack, doors: asyncio.Semaphore
) -> asyncio.StreamReader:
    """A viewer's stream, behind its head."""
    address = urlsplit(platform.url)
    head = (
        f"GET /api/v1/executions/{execution_id}/stream HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
        f"Authorization: Bearer {platform.api_key}\r\n\r\n"
    )
    async with doors:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        stack.callback(writer.close)
        writer.write(head.encode())
        answered = await reader.readuntil(b"\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 200"), answered
    return reader


async def _ended_at(reader: asyncio.StreamReader) -> float:
    """When this viewer was told of the run's end."""
    while line := await reader.readline():
        if b'"event":"end"' in line:
            return time.perf_counter()
    raise AssertionError("the stream broke off")
