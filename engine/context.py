"""The whole world of a node: everything it may use comes through its context, so a test or a replay can give it all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from engine.budget import Account
from engine.databases import Databases
from engine.document_stores import DocumentStores, NoDocumentStores
from engine.errors import NodeInputError
from engine.kept import Kept
from engine.providers.base import Message, Usage, VectorIndex
from engine.records import Records
from engine.spec import Wait
from engine.vectors import Shelf

if TYPE_CHECKING:
    from engine.flow import Flow, Node
    from engine.http import HttpClient
    from engine.spec import NodeResult
    from engine.tool_templates import ToolTemplate


class History(Protocol):
    """The stored conversation of one (flow, session)."""

    async def load(self, *, last: int | None = None, session_id: str | None = None) -> Sequence[Message]:
        """Oldest first; `last` keeps that many of the newest. `session_id` overrides the run's own."""
        ...


class Credentials(Protocol):
    """The secrets of the flow's workspace."""

    async def resolve(self, credential_id: str) -> Mapping[str, str]:
        """Its fields in clear, a `Secret` if it names hosts; NodeInputError if the workspace has no such credential."""
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What the session's last run of this flow ended with: its state, and the form that it knew."""

    state: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)


async def no_previous_run() -> PreviousRun | None:
    """Where nothing ran before."""
    return None


@dataclass(frozen=True, slots=True)
class CalledFlow:
    """A saved flow that another one runs. `world` is its own: it has another conversation with this session."""

    id: str
    name: str
    version: str  # differs whenever the graph does
    flow: Flow
    world: World


@dataclass(frozen=True, slots=True)
class Returned:
    """What a user's function gave: a JSON value, and the lines that it wrote to its console."""

    value: Any
    console: tuple[str, ...] = ()


class Sandbox(Protocol):
    """Where users' JavaScript runs, apart from everything else."""

    async def run(self, code: str, *, variables: Mapping[str, Any], http: HttpClient) -> Returned:
        """Run the body of an async function; each variable is a global of it, and its requests go through `http`.

        Raises NodeInputError for what is no JavaScript, NodeTimeout, NodeError for what it throws or overruns.
        """
        ...


class NoSandbox:
    """Where functions cannot run."""

    async def run(self, code: str, *, variables: Mapping[str, Any], http: HttpClient) -> Returned:
        """See `Sandbox.run`."""
        raise NodeInputError("JavaScript cannot run here: this server has no sandbox for it.")


class FlowSource(Protocol):
    """The other flows of the flow's workspace."""

    async def load(self, flow_id: str) -> CalledFlow:
        """Raises NodeInputError if there is no such flow in the workspace, FlowError if it cannot be read."""
        ...


class NoFlows:
    """Where a flow stands alone."""

    async def load(self, flow_id: str) -> CalledFlow:
        """See `FlowSource.load`."""
        raise NodeInputError(f"Flow {flow_id!r} cannot be called from here: save both flows in one workspace.")


class ToolSource(Protocol):
    """The tools that the flow's workspace keeps."""

    async def load(self, tool_id: str) -> ToolTemplate:
        """Raises NodeInputError if there is no such tool in the workspace, or its schema is none."""
        ...


class NoTools:
    """Where a flow stands alone."""

    async def load(self, tool_id: str) -> ToolTemplate:
        """See `ToolSource.load`."""
        raise NodeInputError(
            f"The tool {tool_id!r} is not here: run the flow in a workspace that keeps it, or put its function into "
            "'customToolFunc'."
        )


class VectorTables(Protocol):
    """Where the host itself keeps embedded documents, those of the flow's workspace alone."""

    def table(self, collection: str) -> VectorIndex:
        """The collection of this name; it comes into being with its first row."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What the host lends to one run."""

    http: HttpClient
    history: History
    credentials: Credentials
    clock: Clock
    random: Random
    variables: Mapping[str, str] = field(default_factory=dict)
    flows: FlowSource = field(default_factory=NoFlows)
    tools: ToolSource = field(default_factory=NoTools)
    documents: DocumentStores = field(default_factory=NoDocumentStores)
    sandbox: Sandbox = field(default_factory=NoSandbox)
    previous: Callable[[], Awaitable[PreviousRun | None]] = no_previous_run  # asked by few flows, and only when needed
    vectors: VectorTables | None = None  # None: this host keeps none
    records: Records | None = None  # likewise
    shelf: Shelf = field(default_factory=Shelf)  # one a process: what in-memory stores hold from run to run
    kept: Kept = field(default_factory=Kept)  # likewise: what models said before
    databases: Databases | None = None  # None: this host lends none to flows
    account: Account | None = None  # None: nobody counts what models cost


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the caller asked for. `history` comes with the request and is put before the stored messages."""

    question: str
    chat_id: str
    session_id: str
    chatflow_id: str = ""
    form: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)  # what the run's state holds before its first node
    history: tuple[Message, ...] = ()
    images: tuple[str, ...] = ()
    is_streaming: bool = False  # False: nobody watches tokens, so models are called without streaming
    attachment: str = ""  # text of fully uploaded files: {{ file_attachment }}
    webhook: Mapping[str, Any] = field(default_factory=dict)  # body, headers and query of the trigger: {{ $webhook }}
    iteration: Mapping[str, Any] | None = None  # in a block: value, index, isFirst, isLast: {{ $iteration }}
    callers: tuple[str, ...] = ()  # ids of the flows that called this one, the outermost first


@dataclass(frozen=True, slots=True)
class InnerPause:
    """An inner run waits; `snapshot` lets it go on."""

    text: str
    action: Mapping[str, Any]
    snapshot: Mapping[str, Any]
    wait: Wait


@dataclass(frozen=True, slots=True)
class InnerRun:
    """How a run inside a run ended."""

    text: str
    json: Any = None  # instead of a text, from classic flows that end in an output parser
    error: str = ""  # why it failed; empty if it did not
    pause: InnerPause | None = None
    output: Mapping[str, Any] = field(default_factory=dict)  # of the node that ran last
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of all its nodes, the latest of each
    state: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    warnings: tuple[str, ...] = ()  # what was not taken of an override, and why


class InnerRuns(Protocol):
    """Runs that a node starts inside its own. They count against the limits of the outermost run."""

    async def block(self, iteration: Mapping[str, Any], state: Mapping[str, Any]) -> InnerRun:
        """Run the nodes that stand inside this one, once, with an item and a state.

        Of several at once those that were started earlier are heard first. Raises NodeInputError if nothing stands
        inside this node, RunLimitExceeded.
        """
        ...

    async def flow(
        self,
        called: CalledFlow,
        request: RunRequest,
        *,
        override: Mapping[str, Any],
        snapshot: Mapping[str, Any] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> InnerRun:
        """Run another flow, of which nothing is heard; with a `snapshot` it goes on from there, with the answer.

        `override` is held against the flow as that of a request is (`engine.overrides`), with everything enabled.
        Raises FlowError if it cannot run, ValueError for a snapshot that is not of it, RunLimitExceeded.
        """
        ...


@dataclass(slots=True)
class NodeContext:
    """One node's view of its run. The runner makes one for each execution of a node."""

    node: Node
    request: RunRequest
    world: World
    is_last: bool  # the node has no successors: what it says is the answer, so its tokens are streamed
    state: Mapping[str, Any]  # a copy: change it through NodeResult.state
    messages: Sequence[Message]  # the run's messages so far, oldest first
    past: Sequence[Message]  # stored messages of the session, oldest first (AgentFlow v2)
    emit_token: Callable[[str], None]
    emit_thinking: Callable[[str, float | None], None]
    emit_tools_called: Callable[[Sequence[Mapping[str, Any]]], None]
    emit_tools_used: Callable[[Sequence[Mapping[str, Any]]], None]
    build: Callable[[str, Mapping[str, Any]], Awaitable[NodeResult]]  # a component by name: a v2 node's model, tool ...
    resolve: Callable[[Any], Any]  # {{ references }} in a value, with this node's scope
    inner: InnerRuns
    runs: int = 0  # how often this node has already run in this run
    answer: Mapping[str, Any] | None = None  # a human's, if the run was paused at this node
    is_repeatable: bool = True  # False: it has said or done what must not be said or done twice
    kept: Any = None  # what the node kept of itself when it paused: see `Pause.kept`

    @property
    def streams(self) -> bool:
        """Whether tokens of this node reach somebody as they come."""
        return self.is_last and self.request.is_streaming
