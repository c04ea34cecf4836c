"""A world for one node: what its context gives it, all in memory except the HTTP client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from engine.context import (
    CalledFlow,
    InnerRun,
    NodeContext,
    NoSandbox,
    NoTools,
    PreviousRun,
    RunRequest,
    Sandbox,
    ToolSource,
    World,
)
from engine.databases import Databases
from engine.document_stores import Collection, Component, KnownStore
from engine.errors import NodeInputError
from engine.http import HttpClient
from engine.kept import Kept
from engine.providers.base import Document, Message, Retriever
from engine.spec import NodeResult
from engine.tool_templates import ToolTemplate
from engine.vectors import MemoryIndex, Shelf

EMBEDDING = "embedding of a document store"  # its component's name


@dataclass
class MemoryHistory:
    """Stored conversations, by session."""

    sessions: dict[str, list[Message]] = field(default_factory=dict)
    own: str = "s1"

    async def load(self, *, last: int | None = None, session_id: str | None = None) -> Sequence[Message]:
        messages = self.sessions.get(session_id or self.own, [])
        return messages if last is None else messages[-last:]


@dataclass
class MemoryCredentials:
    kept: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    async def resolve(self, credential_id: str) -> Mapping[str, str]:
        if credential_id not in self.kept:
            raise NodeInputError(f"There is no credential {credential_id!r} in this workspace.")
        return self.kept[credential_id]


@dataclass
class StillClock:
    """Stands still unless somebody sleeps, which takes no time."""

    seconds: float = 1_700_000_000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class MemoryTables:
    """Collections of vectors, by name."""

    kept: dict[str, MemoryIndex] = field(default_factory=dict)

    def table(self, collection: str) -> MemoryIndex:
        return self.kept.setdefault(collection, MemoryIndex())


@dataclass
class MemoryRecords:
    """What record managers remember: sources by id, by namespace."""

    kept: dict[str, dict[str, str]] = field(default_factory=dict)

    async def known(self, namespace: str) -> Mapping[str, str]:
        return dict(self.kept.get(namespace, {}))

    async def remember(self, namespace: str, sources: Mapping[str, str]) -> None:
        self.kept.setdefault(namespace, {}).update(sources)

    async def forget(self, namespace: str, ids: Sequence[str]) -> None:
        for record in ids:
            self.kept[namespace].pop(record, None)


@dataclass
class Seen:
    """What a node emitted."""

    tokens: list[str] = field(default_factory=list)
    thoughts: list[tuple[str, float | None]] = field(default_factory=list)
    called: list[list[dict[str, Any]]] = field(default_factory=list)
    used: list[list[dict[str, Any]]] = field(default_factory=list)


@dataclass
class MemoryFlows:
    """Flows that can be called, by id."""

    kept: Mapping[str, CalledFlow] = field(default_factory=dict)

    async def load(self, flow_id: str) -> CalledFlow:
        if flow_id not in self.kept:
            raise NodeInputError(f"There is no flow {flow_id!r} in this workspace.")
        return self.kept[flow_id]


@dataclass
class MemoryTools:
    """Tools that a workspace keeps, by id."""

    kept: Mapping[str, ToolTemplate]

    async def load(self, tool_id: str) -> ToolTemplate:
        return self.kept[tool_id]


@dataclass
class MemoryStores:
    """Document stores, by `<id>:<name>`: what finds things in them, and what their loaders have read."""

    kept: dict[str, Retriever] = field(default_factory=dict)
    read: dict[str, list[Document]] = field(default_factory=dict)

    async def find(self, reference: str) -> KnownStore:
        if reference not in self.kept:
            raise NodeInputError(f"There is no document store {reference!r} in this workspace.")
        store_id, _, name = reference.partition(":")
        return KnownStore(store_id, name, Collection(Component(reference), Component(EMBEDDING)))

    async def chunks(self, reference: str) -> Sequence[Document]:
        return self.read[reference]


@dataclass
class ScriptedInner:
    """Inner runs that end as they are told to: the given ones in order, then with the text "inner"."""

    runs: list[InnerRun] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def block(self, iteration: Mapping[str, Any], state: Mapping[str, Any]) -> InnerRun:
        return self._next(iteration, dict(state))

    async def flow(
        self,
        called: CalledFlow,
        request: RunRequest,
        *,
        override: Mapping[str, Any],
        snapshot: Mapping[str, Any] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> InnerRun:
        return self._next(called.id, request, dict(override), snapshot, answer)

    def _next(self, *asked: Any) -> InnerRun:
        self.asked.append(asked)
        return self.runs.pop(0) if self.runs else InnerRun("inner")


@dataclass
class NodeWorld:
    """Build one, change what matters, and take contexts from it."""

    http: HttpClient
    history: MemoryHistory = field(default_factory=MemoryHistory)
    credentials: MemoryCredentials = field(default_factory=MemoryCredentials)
    clock: StillClock = field(default_factory=StillClock)
    seen: Seen = field(default_factory=Seen)
    flows: MemoryFlows = field(default_factory=MemoryFlows)
    tools: ToolSource = field(default_factory=NoTools)
    inner: ScriptedInner = field(default_factory=ScriptedInner)
    documents: MemoryStores = field(default_factory=MemoryStores)
    previous: PreviousRun | None = None
    vectors: MemoryTables = field(default_factory=MemoryTables)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    shelf: Shelf = field(default_factory=Shelf)
    kept: Kept = field(default_factory=Kept)
    databases: Databases | None = None
    sandbox: Sandbox = field(default_factory=NoSandbox)
    web_url: str = "http://127.0.0.1:1"  # what nodes that call one are to call
    mcp_url: str = "http://127.0.0.1:1/mcp"
    components: dict[str, Any] = field(default_factory=dict)  # what `ctx.build` gives, by name
    built: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # what was built, with its inputs

    @property
    def world(self) -> World:
        return World(
            self.http,
            self.history,
            self.credentials,
            self.clock,
            Random(7),
            flows=self.flows,
            tools=self.tools,
            documents=self.documents,
            previous=self._previous,
            vectors=self.vectors,
            records=self.records,
            shelf=self.shelf,
            kept=self.kept,
            databases=self.databases,
            sandbox=self.sandbox,
        )

    def context(
        self,
        question: str = "hi",
        *,
        streams: bool = False,
        is_last: bool = True,
        output: str = "",
        credential: str = "",
        history: tuple[Message, ...] = (),
        images: tuple[str, ...] = (),
        form: Mapping[str, Any] | None = None,
        webhook: Mapping[str, Any] | None = None,
        label: str = "Node",
        state: Mapping[str, Any] | None = None,
        messages: Sequence[Message] = (),
        past: Sequence[Message] = (),
    ) -> NodeContext:
        request = RunRequest(
            question,
            chat_id="c1",
            session_id="s1",
            history=history,
            images=images,
            form=form or {},
            webhook=webhook or {},
            is_streaming=streams,
        )
        node = SimpleNamespace(id="node_0", label=label, name="node", credential=credential, output=output)
        return NodeContext(
            node=cast(Any, node),
            request=request,
            world=self.world,
            is_last=is_last,
            state=state or {},
            messages=messages,
            past=past,
            emit_token=self.seen.tokens.append,
            emit_thinking=lambda text, duration: self.seen.thoughts.append((text, duration)),
            emit_tools_called=lambda calls: self.seen.called.append([dict(call) for call in calls]),
            emit_tools_used=lambda tools: self.seen.used.append([dict(tool) for tool in tools]),
            build=self._build,
            resolve=lambda value: value,
            inner=self.inner,
        )

    async def _previous(self) -> PreviousRun | None:
        return self.previous

    async def _build(self, name: str, inputs: Mapping[str, Any]) -> NodeResult:
        if name == EMBEDDING or name in self.documents.kept:
            return NodeResult(value=self.documents.kept.get(name))
        if name not in self.components:
            raise NodeInputError(f"{name!r} is not installed here.")
        self.built.append((name, dict(inputs)))
        return NodeResult(value=self.components[name])
