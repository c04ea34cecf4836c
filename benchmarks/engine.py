"""The engine alone: what it costs to run a node that itself costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from random import Random
from statistics import median
from typing import Any

import orjson

from engine.context import NodeContext, RunRequest, World
from engine.flow import Flow, parse_flow
from engine.http import HttpClient
from engine.providers.base import Message
from engine.providers.fake import FakeChatModel
from engine.registry import Registry, load_registry
from engine.runner import run_flow
from engine.sandbox.pool import JavaScriptSandbox
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType

RUNS = 2000
ROUNDS = 5
MODEL = NodeSpec("benchModel", "Model", 1, "Chat Models", role="component")
TALKER = NodeSpec("benchTalker", "Talker", 1, "Chat Models", role="component")
NOTHING = NodeSpec("benchAgentflow", "Nothing", 1, "Agent Flows")
TOKENS = 2000
SIZES = (10, 100, 1000)


class NoHistory:
    async def load(self, *, last: int | None = None, session_id: str | None = None) -> list[Message]:
        return []


class NoCredentials:
    async def resolve(self, credential_id: str) -> dict[str, str]:
        return {}


class Clock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def run_model(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    return NodeResult(value=FakeChatModel(["I am fine, thank you."]))


async def run_talker(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    return NodeResult(value=FakeChatModel([" ".join(["token"] * TOKENS)]))


async def run_nothing(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    return NodeResult(output={"content": "nothing"})


def node(node_id: str, name: str, category: str, **inputs: Any) -> dict[str, Any]:
    data = {"id": node_id, "label": node_id, "name": name, "category": category, "inputs": inputs}
    return {"id": node_id, "type": "customNode", "data": data}


def edge(source: str, target: str, to: str = "", output: str = "x") -> dict[str, Any]:
    handle = f"{target}-input-{to}-Any" if to else target
    return {"source": source, "target": target, "sourceHandle": f"{source}-output-{output}", "targetHandle": handle}


def flow_of(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> Flow:
    return parse_flow(orjson.dumps({"nodes": nodes, "edges": edges}))


def classic_chain(model: str = "benchModel") -> Flow:
    nodes = [
        node("model", model, "Chat Models"),
        node("memory", "bufferMemory", "Memory", sessionId="", memoryKey="chat_history"),
        node("chain", "conversationChain", "Chains", systemMessagePrompt="You are a friendly assistant."),
    ]
    return flow_of(nodes, [edge("model", "chain", "model"), edge("memory", "chain", "memory")])


def agentflow_chain() -> Flow:
    first = node("startAgentflow_0", "startAgentflow", "Agent Flows", startInputType="chatInput")
    replies = [
        node(
            f"reply_{n}",
            "directReplyAgentflow",
            "Agent Flows",
            directReplyMessage="<p>{{ question }} {{ reply_0 }}</p>",
        )
        for n in range(9)
    ]
    ids = ["startAgentflow_0", *(f"reply_{n}" for n in range(9))]
    return flow_of([first, *replies], [edge(a, b) for a, b in pairwise(ids)])


def agentflow_branches() -> Flow:
    condition = {"type": "string", "value1": "{{ question }}", "operation": "contains", "value2": "?"}
    nodes = [
        node("startAgentflow_0", "startAgentflow", "Agent Flows", startInputType="chatInput"),
        node("check", "conditionAgentflow", "Agent Flows", conditions=[condition]),
        node("yes", "directReplyAgentflow", "Agent Flows", directReplyMessage="yes"),
        node("no", "directReplyAgentflow", "Agent Flows", directReplyMessage="no"),
    ]
    edges = [edge("startAgentflow_0", "check"), edge("check", "yes", output="0"), edge("check", "no", output="1")]
    return flow_of(nodes, edges)


def chain_of_nothing(count: int) -> Flow:
    first = node("startAgentflow_0", "startAgentflow", "Agent Flows", startInputType="chatInput")
    rest = [node(f"nothing_{n}", "benchAgentflow", "Agent Flows") for n in range(1, count)]
    ids = [first["id"], *(other["id"] for other in rest)]
    return flow_of([first, *rest], [edge(a, b) for a, b in pairwise(ids)])


async def measure(
    flow: Flow, world: World, registry: Registry, *, is_streaming: bool = False, runs: int = RUNS
) -> float:
    """Microseconds of CPU a run, the median of some rounds."""
    request = RunRequest("How are you today?", chat_id="c", session_id="s", is_streaming=is_streaming)
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(runs // ROUNDS):
            async for _ in run_flow(flow, request, world, registry=registry):
                pass
        rounds.append((time.process_time() - start) * 1e6 / (runs // ROUNDS))
    return median(rounds)


async def measure_sandbox(calls: int = 200) -> tuple[float, float]:
    """Milliseconds of a function's first call, in a process that has to start, and of a later one."""
    async with JavaScriptSandbox() as sandbox, HttpClient() as http:
        took = []
        for _ in range(calls):
            start = time.perf_counter()
            await sandbox.run("return $n.map((x) => x + 1)", variables={"$n": [1, 2, 3]}, http=http)
            took.append((time.perf_counter() - start) * 1e3)
    return took[0], median(took[1:])


FLOWS: tuple[tuple[str, Callable[[], Flow], int, bool], ...] = (
    ("classic chain of 3 nodes", classic_chain, 3, False),
    ("classic chain of 3 nodes, streamed", classic_chain, 3, True),
    ("agentflow chain of 10 nodes", agentflow_chain, 10, False),
    ("agentflow with a condition, 3 of 4 nodes", agentflow_branches, 3, False),
)


async def main() -> None:
    own = (NodeType(MODEL, run_model), NodeType(TALKER, run_talker), NodeType(NOTHING, run_nothing))
    registry = Registry([*load_registry(), *own])
    world = World(HttpClient(), NoHistory(), NoCredentials(), Clock(), Random(1))
    for name, draw, count, is_streaming in FLOWS:
        cost = await measure(draw(), world, registry, is_streaming=is_streaming)
        print(f"engine, {name}, a run: {cost:.0f} µs")
        print(f"engine, {name}, per node: {cost / count:.0f} µs")
    for count in SIZES:
        cost = await measure(chain_of_nothing(count), world, registry, runs=RUNS * SIZES[0] // count)
        print(f"engine, {count} nodes that do nothing, per node: {cost / count:.1f} µs")
    cost = await measure(classic_chain("benchTalker"), world, registry, is_streaming=True, runs=10 * ROUNDS)
    print(f"engine, a streamed token, from provider to event: {cost / TOKENS:.1f} µs")
    first, later = await measure_sandbox()
    print(f"sandbox, a function's first call: {first:.0f} ms")
    print(f"sandbox, a function's next call: {later:.1f} ms")


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
