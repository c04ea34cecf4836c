"""Multi-agent graphs drawn as text, on a scripted model: `start -> writer -> check`, `check[Again] -> loop`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from engine.context import NodeContext, PreviousRun, RunRequest
from engine.events import AgentReasoned, Event, RunFinished
from engine.flow import Flow, parse_flow
from engine.providers.fake import FakeChatModel
from engine.registry import Registry, load_registry
from engine.runner import run_flow
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType
from engine.tools import text_tool
from tests.engine.drawing import ids_of, read
from tests.engine.node_world import NodeWorld

CATEGORIES = {"supervisor": "Multi Agents", "worker": "Multi Agents"}
TITLES = {
    "seqAgent": "agentName",
    "seqLLMNode": "llmNodeName",
    "seqToolNode": "toolNodeName",
    "seqConditionAgent": "conditionAgentName",
    "seqCustomFunction": "functionName",
    "seqExecuteFlow": "seqExecuteFlowName",
    "supervisor": "supervisorName",
    "worker": "workerName",
}
WAYS_IN = {"seqToolNode": "llmNode", "worker": "supervisor"}


@dataclass
class Team:
    """Draws and runs multi-agent graphs. A node's type is found by its id without digits, unless `types` says."""

    nodes: NodeWorld
    model: FakeChatModel = field(default_factory=FakeChatModel)
    types: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)  # labels of the tools that were built
    shouted: list[str] = field(default_factory=list)  # what the tool was called with
    previous: PreviousRun | None = None
    world: dict[str, Any] = field(default_factory=dict)  # more of what the host lends

    def flow(self, picture: str) -> Flow:
        """Everybody has the model; `shout` in a node's tools is a tool that answers in capitals."""
        edges, _ = read(picture)
        nodes = [self._node(node_id) for node_id in ids_of(picture)]
        parts = [
            _part("model", "fakeChat", "Chat Models"),
            _part("shout", "shoutTool", "Tools"),
            _part("memory", "agentMemory", "Memory"),
            _data(
                "guard", "inputModerationSimple", "Moderation", {"denyList": "bomb", "moderationErrorMessage": "No."}
            ),
        ]
        state = [self._node("state")] if "state" in self.inputs else []
        drawn = [self._edge(source, handle, target) for (source, handle), target in edges]
        return parse_flow(orjson.dumps({"nodes": [*nodes, *parts, *state], "edges": drawn}))

    async def run(self, drawn: str | Flow, question: str = "hi", *, resume: Any = None, **more: Any) -> list[Event]:
        """All events of a run."""

        async def previous() -> PreviousRun | None:
            return self.previous

        flow = self.flow(drawn) if isinstance(drawn, str) else drawn
        request = RunRequest(question, chat_id="c1", session_id="s1", chatflow_id="f1", is_streaming=True, **more)
        world = replace(self.nodes.world, previous=previous, **self.world)
        events = run_flow(flow, request, world, registry=self.registry(), resume=resume)
        return [event async for event in events]

    def registry(self) -> Registry:
        async def model(ctx: NodeContext, inputs: Inputs) -> NodeResult:
            """The scripted model."""
            return NodeResult(value=self.model)

        async def shout(ctx: NodeContext, inputs: Inputs) -> NodeResult:
            """A tool that notes what it was called with."""
            self.built.append(ctx.node.label)
            return NodeResult(value=text_tool("shout", "Shouts.", self._shout))

        return Registry(
            [
                *load_registry(),
                NodeType(NodeSpec("fakeChat", "Fake", 1, "Chat Models", role="component"), model),
                NodeType(NodeSpec("shoutTool", "Shout", 1, "Tools", role="component"), shout),
            ]
        )

    async def _shout(self, text: str) -> str:
        self.shouted.append(text)
        return text.upper()

    def _type(self, node_id: str) -> str:
        known = {"start": "seqStart", "end": "seqEnd", "state": "seqState", "loop": "seqLoop", "check": "seqCondition"}
        name = node_id.rstrip("0123456789")
        return (
            self.types.get(node_id)
            or known.get(name)
            or {"boss": "supervisor", "worker": "worker"}.get(name, "seqAgent")
        )

    def _node(self, node_id: str) -> dict[str, Any]:
        name = self._type(node_id)
        inputs: dict[str, Any] = {TITLES[name]: node_id} if name in TITLES else {}
        if name in ("seqStart", "supervisor"):
            inputs["model"] = "{{model.data.instance}}"
            inputs |= {"state": "{{state.data.instance}}"} if "state" in self.inputs else {}
        return _data(
            node_id, name, CATEGORIES.get(name, "Sequential Agents"), inputs | dict(self.inputs.get(node_id, {}))
        )

    def _edge(self, source: str, handle: str, target: str) -> dict[str, str]:
        way_in = WAYS_IN.get(self._type(target), "sequentialNode")
        name = handle[:1].lower() + handle[1:] if handle else self._type(source)
        return {
            "source": source,
            "target": target,
            "sourceHandle": f"{source}-output-{name}-Condition",
            "targetHandle": f"{target}-input-{way_in}-Start | Agent",
        }


def _part(node_id: str, name: str, category: str) -> dict[str, Any]:
    return _data(node_id, name, category, {})


def _data(node_id: str, name: str, category: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    data = {"id": node_id, "label": node_id, "name": name, "category": category, "inputs": inputs}
    return {"id": node_id, "type": "customNode", "data": data}


def answer(events: Sequence[Event]) -> str:
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].text


def steps(events: Iterable[Event]) -> list[Mapping[str, Any]]:
    """The whole reasoning of a run."""
    reasoned = [event for event in events if isinstance(event, AgentReasoned)]
    return list(reasoned[-1].steps) if reasoned else []


def spoke(events: Iterable[Event]) -> list[str]:
    """Who took a step, in order."""
    return [step["agentName"] for step in steps(events)]
