"""Fairness: what a quiet workspace feels of another one that has queued ten thousand runs against a slow model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from benchmarks import load
from benchmarks.platform import ROOT, Measured
from benchmarks.runs import valkey_url
from predictions.lanes import QUEUE

Line = tuple[str, str, str, bool | None]

QUEUED = 10_000
CALLERS = 16
SLOW = "d5000"  # a run of the noisy workspace holds its place for five seconds
QUICK = "d50"
SECONDS = 20.0  # four turns of the noisy workspace's places


async def fair(platform: Measured) -> AsyncIterator[Line]:
    """A quiet workspace's predictions, alone and beside 10,000 queued runs of another one."""
    quiet = platform.flow("bench-quiet", QUICK)
    ask = load.ask(f"/api/v1/prediction/{quiet}", json.dumps({"question": "How are you today?"}).encode())
    await load.run(platform.url, ask, callers=2, each=20)
    alone = await load.run(platform.url, ask, callers=2, seconds=SECONDS)

    before = sum(platform.memory_mb().values())
    workspace_id, noisy = _neighbour(platform, platform.flow("bench-noisy", SLOW))
    send = load.ask(f"/api/v1/prediction/{noisy}?async=true", b'{"question":"How are you today?"}', wanted=202)
    sent = await load.run(platform.url, send, callers=CALLERS, each=QUEUED // CALLERS)
    beside = await load.run(platform.url, ask, callers=2, seconds=SECONDS)
    async with Redis.from_url(valkey_url(platform)) as redis:
        lane = f"{QUEUE}:lane:{workspace_id}"
        waiting, held = await redis.llen(lane), await redis.memory_usage(lane, samples=0) or 0

    ratio = beside.p(95) / alone.p(95)
    yield "queued by one workspace, still waiting at the end", f"{len(sent.times_ms):,}, {waiting:,}", "", None
    yield "a quiet workspace alone, p50 / p95", f"{alone.p(50):.0f} / {alone.p(95):.0f} ms", "", None
    yield "a quiet workspace beside it, p50 / p95", f"{beside.p(50):.0f} / {beside.p(95):.0f} ms", "", None
    is_met = ratio <= 1.5 and waiting > 0 and not beside.errors
    yield "ratio of the p95", f"{ratio:.2f}", "<= 1.5", is_met
    yield "memory of what waits, Valkey", f"{held / 1e3:.0f} KB", "", None
    yield "memory more by it, web + worker", f"{sum(platform.memory_mb().values()) - before:.0f} MB", "", None


def _neighbour(platform: Measured, flow: str) -> list[str]:
    """Ids of a workspace beside the platform's own, and of its copy of the flow."""
    command = [sys.executable, "-m", "benchmarks.fill", "neighbour", "1", platform.workspace_id, flow]
    done = subprocess.run(command, cwd=ROOT, env=platform.environment, check=True, capture_output=True, text=True)
    return done.stdout.split()
