"""Runs a flow out of a file once, here and now: nothing is recorded, and nothing was said before."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import orjson
from asgiref.sync import sync_to_async

from chatflows.flowdata import read_graph
from chatflows.models import Chatflow
from chatflows.tools import StoredTools
from engine.context import CalledFlow, RunRequest, World
from engine.errors import NodeInputError
from engine.events import Event
from engine.flow import parse_flow
from engine.providers.base import Message
from engine.registry import load_registry
from engine.runner import run_flow
from engine.sandbox.pool import JavaScriptSandbox
from forjinn.core.errors import AppError
from workspaces.databases import ReadOnlyDatabases
from workspaces.services import variable_values
from workspaces.world import SystemClock, WorkspaceCredentials, open_http

CHAT_MODELS = "Chat Models"
EMBEDDINGS = "Embeddings"
# The types that ask any server which speaks OpenAI's format, by the category of those that they stand in for.
STAND_INS: Mapping[str, str] = {CHAT_MODELS: "chatOpenAI", EMBEDDINGS: "openAIEmbeddings"}
MODEL_PARAM = "Model"  # how the params of AgentFlow v2 end that choose a model
EMBEDDING_PARAM = "embeddingModel"


class NoHistory:
    """The conversation of a run that has none."""

    async def load(self, *, last: int | None = None, session_id: str | None = None) -> Sequence[Message]:
        return ()


class SavedFlows:
    """The flows of a workspace, for one out of a file that calls them; implements `FlowSource`."""

    def __init__(self, workspace_id: UUID, world: World) -> None:
        self._workspace_id = workspace_id
        self._world = world

    async def load(self, flow_id: str) -> CalledFlow:
        """See `FlowSource.load`."""
        try:
            flow = await sync_to_async(Chatflow.objects.select_related("version").get_for)(
                self._workspace_id, pk=flow_id
            )
        except AppError as exc:
            raise NodeInputError(f"There is no flow {flow_id!r} in this workspace: choose another one.") from exc
        if flow.version is None:
            raise NodeInputError(f"The flow {flow.name!r} has nothing in it yet: save it first.")
        parsed = parse_flow(flow.version.flow_data)
        return CalledFlow(str(flow.pk), flow.name, str(flow.version.pk), parsed, replace(self._world, flows=self))


async def try_flow(
    flow_data: str, *, question: str, form: Mapping[str, Any], workspace_id: UUID | None, model_url: str = ""
) -> AsyncIterator[Event]:
    """The events of one run. Credentials and variables are those of the workspace, if there is one.

    The server at `model_url` may be called wherever it is. Raises FlowError if the graph cannot run.
    """
    chat_id = str(uuid4())
    async with open_http(model_url) as http, JavaScriptSandbox() as sandbox:
        world = World(
            http=http,
            history=NoHistory(),
            credentials=WorkspaceCredentials(workspace_id or uuid4()),
            clock=SystemClock(),
            databases=ReadOnlyDatabases(http.egress),
            sandbox=sandbox,
            random=random.Random(),  # noqa: S311 -- jitter and sampling, no secrets
            variables=await sync_to_async(variable_values)(workspace_id) if workspace_id else {},
        )
        if workspace_id:
            world = replace(world, tools=StoredTools(workspace_id))
            world = replace(world, flows=SavedFlows(workspace_id, world))
        request = RunRequest(question, chat_id=chat_id, session_id=chat_id, form=form, is_streaming=True)
        async for event in run_flow(parse_flow(flow_data), request, world, registry=load_registry()):
            yield event


def with_models_at(model_url: str, flow_data: str, *, embeddings: bool = False) -> str:
    """The flow with every chat model replaced by one server that speaks OpenAI's format and needs no key.

    `embeddings`: the embedding models, too; not every such server has any.
    """
    replaced = {name: stands_in for name, stands_in in STAND_INS.items() if embeddings or name != EMBEDDINGS}
    graph = read_graph(flow_data)
    for node in graph["nodes"]:
        data = node.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("inputs"), dict):
            continue
        if name := replaced.get(str(data.get("category"))):
            data |= {"name": name, "credential": ""}
            _point(data["inputs"], model_url)
        for inputs, param, category in _chosen_models(data["inputs"]):
            if name := replaced.get(category):
                inputs[param] = name
                _point(inputs[f"{param}Config"], model_url)
        policy = data.get("policy")
        if isinstance(policy, dict) and isinstance(fallback := policy.get("fallbackModel"), dict):
            fallback["name"], fallback["config"] = replaced[CHAT_MODELS], {"basepath": model_url}
    return orjson.dumps(graph).decode()


def _point(settings: dict[str, Any], model_url: str) -> None:
    settings["basepath"] = model_url
    for name in ("FLOWISE_CREDENTIAL_ID", "credential"):
        settings.pop(name, None)


def _chosen_models(value: Any) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every place where a v2 node chooses a model, and of which category: its settings stand beside the choice."""
    if isinstance(value, list):
        for item in value:
            yield from _chosen_models(item)
    if isinstance(value, dict):
        for name, held in list(value.items()):
            if name.endswith(MODEL_PARAM) and isinstance(held, str) and isinstance(value.get(f"{name}Config"), dict):
                yield value, name, EMBEDDINGS if name == EMBEDDING_PARAM else CHAT_MODELS
            yield from _chosen_models(held)
