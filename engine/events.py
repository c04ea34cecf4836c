"""The engine's only output: a closed set of frozen events, numbered by `seq` from 1 within a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.spec import Wait

# One executed node, as `agentFlowExecutedData` shows it: nodeId, nodeLabel, data, previousNodeIds, status.
TraceEntry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunStarted:
    seq: int
    kind: str  # which kind of graph runs: see `engine.flow.Kind`


@dataclass(frozen=True, slots=True)
class NodeStarted:
    seq: int
    node_id: str
    label: str


@dataclass(frozen=True, slots=True)
class TokenEmitted:
    """The next piece of the answer. Only nodes whose text ends the path emit it."""

    seq: int
    node_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingEmitted:
    """Thinking of a reasoning model. An empty `text` with a duration closes the section."""

    seq: int
    node_id: str
    text: str
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class ToolsCalled:
    """Calls the model has just asked for: {tool, toolInput, toolOutput: ""} each."""

    seq: int
    node_id: str
    calls: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ToolsUsed:
    """All tools used so far: {tool, toolInput, toolOutput, error?} each."""

    seq: int
    node_id: str
    tools: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class SourcesFound:
    """What the answer of the node that ends an agent flow is drawn from: {pageContent, metadata} each."""

    seq: int
    node_id: str
    documents: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AgentReasoned:
    """All steps of a multi-agent run so far: {agentName, messages, next?, instructions?, usedTools?, state?, ...} each.

    `next_agent` is the title of the agent that a supervisor has just chosen.
    """

    seq: int
    node_id: str
    steps: Sequence[Mapping[str, Any]]
    next_agent: str = ""


@dataclass(frozen=True, slots=True)
class UsageReported:
    seq: int
    node_id: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class NodeJournalled:
    """What a node leaves, for whoever keeps a journal; it comes just before NodeFinished or NodeFailed.

    `changes` are what `engine.journal.fold` reads. `is_dear`: running the node again would cost or do something, so
    the run waits until its reader has dealt with this event.
    """

    seq: int
    node_id: str
    label: str
    entry: TraceEntry
    duration_ms: float
    changes: Mapping[str, Any]
    is_dear: bool


@dataclass(frozen=True, slots=True)
class NodeFinished:
    seq: int
    node_id: str
    label: str
    entry: TraceEntry
    duration_ms: float


@dataclass(frozen=True, slots=True)
class NodeSkipped:
    seq: int
    node_id: str
    label: str


@dataclass(frozen=True, slots=True)
class NodeFailed:
    seq: int
    node_id: str
    label: str
    error: str
    code: str
    entry: TraceEntry
    duration_ms: float


@dataclass(frozen=True, slots=True)
class RunPaused:
    """Waiting, without a process, for what `wait` says; `snapshot` restores the run (see `state.restore`)."""

    seq: int
    text: str
    action: Mapping[str, Any]
    snapshot: Mapping[str, Any]
    wait: Wait


@dataclass(frozen=True, slots=True)
class RunStopped:
    """Stopped on request; `text` is what had been said until then."""

    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The answer. `json` is set instead of `text` by flows that end in an output parser."""

    seq: int
    text: str
    json: Any = None
    memory_type: str = ""  # label of a classic flow's memory node
    used_tools: Sequence[Mapping[str, Any]] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    state: Mapping[str, Any] | None = None
    sources: Sequence[Mapping[str, Any]] = ()  # documents that the answer is drawn from: {pageContent, metadata}
    flow_variables: Mapping[str, Any] = field(default_factory=dict)  # what nodes publish beside it


@dataclass(frozen=True, slots=True)
class RunFailed:
    seq: int
    error: str
    code: str
    node_id: str = ""


Event = (
    RunStarted
    | NodeStarted
    | TokenEmitted
    | ThinkingEmitted
    | ToolsCalled
    | ToolsUsed
    | SourcesFound
    | AgentReasoned
    | UsageReported
    | NodeJournalled
    | NodeFinished
    | NodeSkipped
    | NodeFailed
    | RunPaused
    | RunStopped
    | RunFinished
    | RunFailed
)
ENDINGS = (RunPaused, RunStopped, RunFinished, RunFailed)
