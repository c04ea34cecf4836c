"""What every node type must keep to. A type that is added is tested here without a line of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import orjson
import pytest

from engine.context import CalledFlow
from engine.errors import NodeError
from engine.providers.base import Completion, Document, Message, ModelChunk, ToolSpec
from engine.providers.fake import FakeChatModel, FakeEmbedder
from engine.registry import load_registry
from engine.retrieval import StoreRetriever
from engine.sandbox.pool import JavaScriptSandbox
from engine.spec import NodeResult, NodeSpec, NodeType, Param
from engine.vectors import EmbeddedStore, MemoryIndex
from tests.conformance.samples import CREDENTIAL, STATE, sample_inputs
from tests.engine.mcp_server import mcp_server
from tests.engine.node_world import MemoryCredentials, MemoryFlows, MemoryStores, NodeWorld
from tests.engine.scripted_database import ScriptedDatabase
from tests.engine.web_server import web_server

TYPES = sorted(load_registry(), key=lambda node_type: node_type.spec.name)
SECRET = "s3cr3t-of-the-workspace"
NONSENSE: Mapping[str, Any] = {"text": "{oops", "number": -1, "list": [{"x": [1]}], "object": {"y": {}}, "none": None}
every_type = pytest.mark.parametrize("node_type", TYPES, ids=lambda node_type: node_type.spec.name)


class SilentModel:
    """Never answers, and notes that it was asked."""

    model_name = "silent"
    streaming = True

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolSpec] = (),
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Completion:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody cancelled it")

    async def stream(
        self, messages: Sequence[Message], *, tools: Sequence[ToolSpec] = (), stop: Sequence[str] = ()
    ) -> AsyncIterator[ModelChunk]:
        yield await self.complete(messages)


class AnySecret(dict[str, str]):
    """A credential with every field there is."""

    def get(self, key: str, default: Any = None) -> Any:
        return SECRET

    def __getitem__(self, key: str) -> str:
        return SECRET


@pytest.fixture
async def fake(nodes: NodeWorld) -> AsyncIterator[FakeChatModel]:
    nodes.components["fakeChat"] = model = FakeChatModel()
    papers = StoreRetriever(EmbeddedStore(MemoryIndex(), FakeEmbedder()))
    nodes.documents = MemoryStores({"1:Papers": papers}, {"1:Papers": [Document("A paper.")]})
    nodes.flows = MemoryFlows({"f2": CalledFlow("f2", "Other", "1", cast(Any, None), nodes.world)})
    nodes.databases = ScriptedDatabase()
    nodes.components["chatOpenAI"] = model
    nodes.components["executeFlowAgentflow"] = "what the flow answers"
    async with web_server() as server, mcp_server() as mcp, JavaScriptSandbox() as nodes.sandbox:
        nodes.web_url, nodes.mcp_url = server.url, mcp.url
        yield model


def all_params(params: Sequence[Param]) -> list[Param]:
    return [found for param in params for found in (param, *all_params(param.fields))]


@every_type
def test_a_spec_says_what_its_type_is(node_type: NodeType) -> None:
    spec = node_type.spec

    assert all((spec.name, spec.label, spec.category, spec.help, spec.base_classes))
    assert spec.version >= 1
    assert spec.help.endswith(".")
    assert (spec.category == "Agent Flows") == (spec.role in ("step", "start") or spec.name.endswith("Agentflow"))
    assert bool(spec.credentials) == (spec.param("credential") is not None)
    assert node_type.run.__doc__


@every_type
def test_params_can_be_told_apart_and_drawn(node_type: NodeType) -> None:
    for siblings in (node_type.spec.params, *(p.fields for p in all_params(node_type.spec.params) if p.fields)):
        names = [param.name for param in siblings]

        assert len(names) == len(set(names))
    for param in all_params(node_type.spec.params):
        assert param.label, f"{param.name} has no label"
        assert param.help or param.kind in ("credential", "BaseCache"), f"{param.name} has no help"
        assert not param.options or param.default is None or param.default in param.options
        assert bool(param.fields) <= (param.kind in ("array", "datagrid"))


@every_type
async def test_a_type_runs_on_a_sample_and_its_output_is_json(
    node_type: NodeType, nodes: NodeWorld, fake: FakeChatModel
) -> None:
    nodes.credentials = MemoryCredentials({CREDENTIAL: AnySecret()})
    inputs = sample_inputs(node_type.spec, nodes, fake)

    if (result := await run_sample(node_type, nodes, inputs)) is None:
        return

    assert isinstance(result, NodeResult)
    assert orjson.dumps(result.output)
    assert (result.value is not None) or node_type.spec.role not in ("component", "ending")
    is_decided = result.taken is not None or bool(result.taken_output)
    assert is_decided == (node_type.spec.is_decision and result.pause is None)
    if node_type.spec.role == "ending":
        assert isinstance(result.output["content"], str)


async def run_sample(node_type: NodeType, nodes: NodeWorld, inputs: Mapping[str, Any]) -> NodeResult | None:
    """None: it needs a package that is not installed here, and has said which."""
    extra, ctx = node_type.spec.extra, nodes.context("hello", credential=CREDENTIAL, state=STATE)
    if extra is None or extra.is_installed:
        return await node_type.run(ctx, inputs)
    try:
        return await node_type.run(ctx, inputs)
    except NodeError as refused:
        told = refused.message
    assert f"forjinn[{extra.name}]" in told
    return None


@every_type
async def test_nothing_of_a_credential_is_put_out(node_type: NodeType, nodes: NodeWorld, fake: FakeChatModel) -> None:
    nodes.credentials = MemoryCredentials({CREDENTIAL: AnySecret()})
    inputs = sample_inputs(node_type.spec, nodes, fake)

    if (result := await run_sample(node_type, nodes, inputs)) is None:
        return

    assert SECRET not in repr(replace(result, value=None))
    assert SECRET not in repr(result.value)


@every_type
async def test_a_type_without_inputs_says_what_is_missing(
    node_type: NodeType, nodes: NodeWorld, fake: FakeChatModel
) -> None:
    told = await outcome(node_type, nodes, {})

    assert told


@every_type
@pytest.mark.parametrize("given", NONSENSE)
async def test_a_type_given_nonsense_does_not_break(
    node_type: NodeType, given: str, nodes: NodeWorld, fake: FakeChatModel
) -> None:
    sample = sample_inputs(node_type.spec, nodes, fake)
    fields = [param.name for param in node_type.spec.params if not param.is_anchor and param.kind != "credential"]

    told = await outcome(node_type, nodes, {**sample, **dict.fromkeys(fields, NONSENSE[given])})

    assert told


@every_type
async def test_a_type_that_waits_can_be_cancelled(node_type: NodeType, nodes: NodeWorld) -> None:
    nodes.components["fakeChat"] = model = SilentModel()
    inputs = sample_inputs(node_type.spec, nodes, model)
    ctx = nodes.context("hello", streams=True)

    task = asyncio.ensure_future(node_type.run(ctx, inputs))
    asked = asyncio.ensure_future(model.asked.wait())
    await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
    waits = not task.done()
    task.cancel()
    asked.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)

    assert isinstance(ended, asyncio.CancelledError) if waits else isinstance(ended, NodeResult | NodeError)


async def outcome(node_type: NodeType, nodes: NodeWorld, inputs: Mapping[str, Any]) -> str:
    """What came of running it: a refusal in words, or the fact that it ran. Anything else is raised."""
    try:
        await node_type.run(nodes.context("hello"), inputs)
    except NodeError as refused:
        return refused.message
    return "it ran"


def test_types_have_names_of_their_own() -> None:
    names = [node_type.spec.name for node_type in TYPES]

    assert len(names) == len(set(names))
    assert all(isinstance(node_type.spec, NodeSpec) for node_type in TYPES)
