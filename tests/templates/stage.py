"""A template on the platform: saved, deployed and asked over HTTP, as whoever imported it would."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any
from uuid import uuid4

import orjson

from chatflows.flowdata import kind_of, read_graph
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import stores
from tests.predictions.calls import Caller, Frame, read_frames
from tests.templates.case import VENDORS, Case, Turn
from tests.templates.vendors import Vendors

OF_NODES = frozenset({"nextAgentFlow", "agentFlowExecutedData", "agentReasoning", "nextAgent"})
# What follows what, as the wire promises it to clients: by the kind of flow, over the frames' names.
CLASSIC = re.compile(r"start( token)+( usedTools| sourceDocuments| artifacts)* metadata end")
AGENTS = re.compile(
    r"start( agentReasoning| nextAgent)+( token)+( usedTools)?( sourceDocuments)?( artifacts)?( action)? metadata end"
)
AGENTFLOW = re.compile(
    r"agentFlowEvent"
    r"( nextAgentFlow( token| thinking| calledTools| usedTools| usageMetadata| sourceDocuments)*"
    r" nextAgentFlow agentFlowExecutedData)+"
    r" agentFlowEvent( action agentFlowEvent)? metadata( error)? end"
)
ORDERS: Mapping[str, re.Pattern[str]] = {"CHATFLOW": CLASSIC, "MULTIAGENT": AGENTS, "AGENTFLOW": AGENTFLOW}


@dataclass(frozen=True, slots=True)
class Told:
    """All that one message to a flow led to."""

    frames: Sequence[Frame]
    visited: Sequence[str]
    messages: Sequence[tuple[str, str]]  # role and content, of the whole conversation
    body: Mapping[str, Any]  # the answer itself, or a stream's metadata
    reasoning: Sequence[Any]  # of agents, as it is kept with the answer

    @property
    def names(self) -> list[str]:
        return [frame.event for frame in self.frames]

    @property
    def besides(self) -> str:
        """What the stream told, except of nodes; names that follow each other are one."""
        return " ".join(name for name, _ in groupby(name for name in self.names if name not in OF_NODES))

    @property
    def answer(self) -> str:
        if not self.frames:
            return str(self.body["text"]) if "text" in self.body else orjson.dumps(self.body["json"]).decode()
        return "".join(frame.data for frame in self.frames if frame.event == "token")

    @property
    def error(self) -> str:
        """Why there is no answer; empty if there is one."""
        return "".join(frame.data for frame in self.frames if frame.event == "error")

    def of(self, event: str) -> Any:
        """What the last frame of this name carries."""
        return [frame.data for frame in self.frames if frame.event == event][-1]


@dataclass(frozen=True, slots=True)
class Stage:
    """The platform as the holder of a key reaches it, with a scripted model and scripted vendors."""

    holder: Caller
    model: ScriptedModel
    vendors: Vendors
    places: Mapping[str, str]

    @property
    def heard(self) -> str:
        """What the model was told last, and the vendors since the last message."""
        told = [request.messages for request in self.model.requests[-1:]]
        return f"{told} {[call.body for call in self.vendors.calls]}"

    def deploy(self, case: Case) -> str:
        """Save the template and put it to work; returns the flow's id."""
        tool_ids = {node_id: self.keep(tool) for node_id, tool in case.tools.items()}
        store_ids = {
            node_id: {path: self.fill(text) for path, text in texts.items()} for node_id, texts in case.stores.items()
        }
        return self.save(case.file, case.flow_data(self.places, tool_ids, store_ids))

    def fill(self, text: str) -> str:
        """Make a document store of a text; returns it as flows name it."""
        return f"{stores.filled_store(self.holder, self.model.url, text, 'AI-Paper')}:AI-Paper"

    def keep(self, tool: Mapping[str, str]) -> str:
        """Keep a tool in the workspace; returns its id."""
        func = tool["func"].replace(VENDORS, self.vendors.url)
        kept = self.holder.http.post("/tools", json={**tool, "func": func})
        assert kept.status_code == 200, kept.text
        return str(kept.json()["id"])

    def save(self, name: str, flow_data: str) -> str:
        kind = kind_of(read_graph(flow_data))
        saved = self.holder.http.post("/chatflows", json={"name": name, "type": kind, "flowData": flow_data})
        assert saved.status_code in (200, 201), saved.text
        flow_id = str(saved.json()["id"])
        assert self.holder.http.put(f"/chatflows/{flow_id}", json={"deployed": True}).status_code == 200
        return flow_id

    def say(self, flow_id: str, turn: Turn, chat_id: str, **more: Any) -> Told:
        """One message, heard to the end of its stream."""
        self.model.script(*map(self._placed, turn.replies))
        self.vendors.calls.clear()
        asked: dict[str, Any] = {"form": dict(turn.form)} if turn.form else {"question": turn.question}
        response = self.holder.predict(flow_id, chatId=chat_id, streaming=True, **asked, **turn.by, **more)
        assert response.status_code == 200, response.text
        if response.headers["Content-Type"] == "text/event-stream":
            frames = read_frames(response.content)
            body = next(frame.data for frame in frames if frame.event == "metadata")
        else:
            frames, body = [], response.json()
        execution = self.holder.http.get(f"/executions/{body['executionId']}").json()
        kept = self.holder.http.get(f"/chatmessage/{flow_id}", params={"chatId": chat_id}).json()
        return Told(
            frames,
            [entry["nodeId"] for entry in json.loads(execution["executionData"])],
            [(message["role"], message["content"]) for message in kept],
            body,
            kept[-1].get("agentReasoning") or (),
        )

    def _placed(self, reply: Reply | str) -> Reply | str:
        """A model may name a vendor's address."""
        if isinstance(reply, str):
            return reply
        return replace(reply, tool_calls=[(name, self._found(given)) for name, given in reply.tool_calls])

    def _found(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {name: str(value).replace(VENDORS, self.vendors.url) for name, value in given.items()}


def new_chat() -> str:
    return uuid4().hex


def check_order(kind: str, told: Told) -> None:
    """Hold the frames against what clients are promised of this kind of flow."""
    if not told.frames:  # flows of such a shape answer in one piece, whatever they are asked for
        return
    names = " ".join(told.names)
    assert ORDERS[kind].fullmatch(names), names
    if kind == "AGENTFLOW":
        _check_nodes(told)
    if kind == "MULTIAGENT":
        _check_steps(told)


def _check_nodes(told: Told) -> None:
    """Each node begins and ends, one after the other, and the trace grows by it."""
    steps = [frame.data for frame in told.frames if frame.event == "nextAgentFlow"]
    begun, ended = steps[::2], steps[1::2]
    assert {step["status"] for step in begun} == {"INPROGRESS"}
    assert [step["nodeId"] for step in begun] == [step["nodeId"] for step in ended]
    traces = [frame.data for frame in told.frames if frame.event == "agentFlowExecutedData"]
    assert [trace[-1]["nodeId"] for trace in traces] == [step["nodeId"] for step in ended]
    assert [trace[-1]["status"] for trace in traces] == [step["status"] for step in ended]
    assert all(later[:-1] == earlier for earlier, later in pairwise(traces))
    assert [entry["nodeId"] for entry in traces[-1]] == told.visited
    flow_states = [frame.data for frame in told.frames if frame.event == "agentFlowEvent"]
    assert flow_states[0] == "INPROGRESS"
    assert set(flow_states[1:]) == {ended[-1]["status"]}


def _check_steps(told: Told) -> None:
    """The reasoning grows by whole steps, and is kept with the answer."""
    steps = [frame.data for frame in told.frames if frame.event in ("start", "agentReasoning")]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(steps))
    assert steps[-1] == told.reasoning
