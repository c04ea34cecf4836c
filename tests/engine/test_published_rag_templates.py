"""Templates that answer from documents run as other people drew them, but for the servers that they call."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.context import RunRequest
from engine.errors import FlowError
from engine.events import Event, RunFailed, RunFinished
from engine.files import File, data_uri
from engine.flow import parse_flow
from engine.providers.base import Message
from engine.providers.fake import words_vector
from engine.registry import load_registry
from engine.runner import run_flow
from engine.upsert import run_upsert
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.outside import Outside, outside
from tests.model_server import ScriptedModel
from tests.model_wire import Reply

FLOWS = Path(__file__).resolve().parents[1] / "flows"
KEYS = {
    "pineconeApiKey": "pc-1",
    "openAIApiKey": "sk-1",
    "azureOpenAIApiKey": "az-1",
    "azureOpenAIApiDeploymentName": "d",
}
SNOW, COAL = "Snow is white and cold.", "Coal is black and burns."


@pytest.fixture
async def servers() -> AsyncIterator[Outside]:
    async with outside() as running:
        yield running


class Published:
    """A template whose nodes call the test's servers."""

    def __init__(self, name: str, nodes: NodeWorld, model: ScriptedModel, servers: Outside) -> None:
        self._nodes = nodes
        nodes.credentials = MemoryCredentials({"c1": KEYS})
        self._graph: dict[str, Any] = json.loads((FLOWS / f"{name}.json").read_text())
        ollama = {"baseUrl": model.root}
        hosts = {"endpoint": model.url, "basepath": model.url, "basePath": model.url}
        for node in self._graph["nodes"]:
            data = node["data"]
            where = {
                "github": {"githubInstanceApi": servers.url},
                "replicate": {"baseUrl": servers.url},
                "pinecone": {"pineconeApiUrl": servers.url},
                "pineconeLlamaIndex": {"pineconeApiUrl": servers.url},
                "chatOllama": ollama,
            }.get(data["name"])
            if where is None and data.get("category") in ("Chat Models", "LLMs", "Embeddings"):
                where = hosts
            data["inputs"] |= where or {}
            if any(param["name"] == "credential" for param in data.get("inputParams", ())):
                data["credential"] = "c1"

    def set(self, node_id: str, **inputs: Any) -> None:
        [node] = [node for node in self._graph["nodes"] if node["id"] == node_id]
        node["data"]["inputs"] |= inputs

    async def events(self, question: str) -> list[Event]:
        request = RunRequest(question, chat_id="c1", session_id="s1", chatflow_id="f1", is_streaming=True)
        run = run_flow(parse_flow(json.dumps(self._graph)), request, self._nodes.world, registry=load_registry())
        return [event async for event in run]

    async def answer(self, question: str) -> RunFinished:
        ended = (await self.events(question))[-1]
        assert isinstance(ended, RunFinished), ended
        return ended

    async def upsert(self, stop_node_id: str = "") -> Any:
        request = RunRequest("", chat_id="c1", session_id="s1", chatflow_id="f1")
        flow = parse_flow(json.dumps(self._graph))
        return await run_upsert(flow, request, self._nodes.world, registry=load_registry(), stop_node_id=stop_node_id)


async def test_github_docs_are_read_once_and_answered_from(
    nodes: NodeWorld, model: ScriptedModel, servers: Outside
) -> None:
    servers.files = {"README.md": f"# Winter\n\n{SNOW}", "docs/coal.md": f"# Fuel\n\n{COAL}", "logo.png": "\0\1"}
    flow = Published("Github Docs QnA", nodes, model, servers)
    model.script("It is white.")

    first = await flow.answer("What is white and cold?")
    await flow.answer("What is black?")

    assert first.text == "It is white."
    assert {source["metadata"]["source"] for source in first.sources} == {"README.md", "docs/coal.md"}
    assert SNOW in model.requests[0].messages[0]["content"]
    assert [path for path, _ in servers.received] == ["/repos/FlowiseAI/FlowiseDocs/tarball/main"]


async def test_a_follow_up_is_made_to_stand_alone(nodes: NodeWorld, model: ScriptedModel, servers: Outside) -> None:
    servers.files = {"README.md": SNOW}
    nodes.history.sessions["s1"] = [Message("user", "What is white?"), Message("assistant", "Snow.")]
    model.script("Is snow cold?", "Yes.")

    answered = await Published("Github Docs QnA", nodes, model, servers).answer("Is it cold?")

    assert answered.text == "Yes."
    rephrasing, asking = model.requests
    assert "Human: What is white?\nAssistant: Snow." in rephrasing.question
    assert model.embedded[-1].body["input"] == ["Is snow cold?"]
    assert [message["content"] for message in asking.messages[1:]] == ["What is white?", "Snow.", "Is it cold?"]


async def test_local_files_are_answered_from_by_local_models(
    nodes: NodeWorld, model: ScriptedModel, servers: Outside
) -> None:
    flow = Published("Local QnA", nodes, model, servers)
    flow.set("textFile_0", txtFile=data_uri(File("facts.txt", "text/plain", SNOW.encode())))

    answered = await flow.answer("What is white?")

    assert answered.text == "You said: What is white?"
    assert SNOW in model.requests[0].messages[0]["content"]
    assert not answered.sources


async def test_a_template_whose_file_was_left_out_says_so(
    nodes: NodeWorld, model: ScriptedModel, servers: Outside
) -> None:
    ended = (await Published("Local QnA", nodes, model, servers).events("What is white?"))[-1]

    assert isinstance(ended, RunFailed)
    assert ended.error == "txtFile holds no file: exported flows leave files out, so add it again."


async def test_an_agent_chooses_among_documents_and_shows_what_it_found(
    nodes: NodeWorld, model: ScriptedModel, servers: Outside
) -> None:
    await servers.put("pinecone-form10k", SNOW, vectors=[words_vector(SNOW)], source="apple")
    await servers.put("pinecone-form10k-2", COAL, vectors=[words_vector(COAL)], source="tesla")
    flow = Published("Multiple Documents QnA", nodes, model, servers)
    model.script(Reply(tool_calls=[("search_apple", {"input": "white"})]), "Apple's is white.")

    answered = await flow.answer("What is white?")

    assert answered.text == "Apple's is white."
    assert [source["pageContent"] for source in answered.sources] == [SNOW]
    assert answered.used_tools[0]["toolOutput"] == SNOW
    assert servers.received[0][1]["filter"] == {"source": "apple"}


async def test_an_upsert_needs_to_know_which_of_two_stores(
    nodes: NodeWorld, model: ScriptedModel, servers: Outside
) -> None:
    flow = Published("Multiple Documents QnA", nodes, model, servers)

    with pytest.raises(FlowError, match="There are multiple vector nodes, please provide stopNodeId"):
        await flow.upsert()


async def test_a_question_is_divided_among_engines(nodes: NodeWorld, model: ScriptedModel, servers: Outside) -> None:
    for source, text in (("apple", SNOW), ("tesla", COAL)):
        await servers.put("pinecone-form10k", text, vectors=[words_vector(text)], source=source)
    parts = [
        {"subQuestion": "What is white?", "toolName": "apple_tool"},
        {"subQuestion": "What is black?", "toolName": "tesla_tool"},
    ]
    model.script(f"```json\n{json.dumps(parts)}\n```", "Snow.", "Coal.", "Snow and coal.")

    answered = await Published("SubQuestion Query Engine", nodes, model, servers).answer("What is white, what black?")

    assert answered.text == "Snow and coal."
    last = model.requests[-1].question
    assert "Sub question: What is white?\nResponse: Snow." in last
    assert "Sub question: What is black?\nResponse: Coal." in last
    assert len(answered.sources) >= 1


async def test_a_simple_chat_engine_remembers(nodes: NodeWorld, model: ScriptedModel, servers: Outside) -> None:
    nodes.history.sessions["s1"] = [Message("user", "I am Ada."), Message("assistant", "Hello Ada.")]

    answered = await Published("Simple Chat Engine", nodes, model, servers).answer("Who am I?")

    assert answered.text == "You said: Who am I?"
    assert [message["role"] for message in model.requests[0].messages] == ["system", "user", "assistant", "user"]


async def test_a_model_of_hugging_face_fills_in_a_prompt(
    nodes: NodeWorld, model: ScriptedModel, servers: Outside
) -> None:
    answered = await Published("HuggingFace LLM Chain", nodes, model, servers).answer("What is snow?")

    assert "What is snow?" in answered.text
    assert model.requests[0].body["model"] == "tiiuae/falcon-7b-instruct"


async def test_a_model_at_replicate_fills_in_a_prompt(nodes: NodeWorld, model: ScriptedModel, servers: Outside) -> None:
    servers.said = "Snow is white."

    answered = await Published("Replicate LLM", nodes, model, servers).answer("What is snow?")

    assert answered.text == "Snow is white."
    [(path, started)] = servers.received
    assert (path, started["version"][:6]) == ("/predictions", "df7690")
    assert "What is snow?" in started["input"]["prompt"]
