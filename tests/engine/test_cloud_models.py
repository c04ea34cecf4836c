"""Models of clouds with a sign-in of their own: Google's Vertex AI and AWS Bedrock."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import jwt

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.nodes import bedrock, vertex
from engine.providers.base import ChatModel, Embedder, Message
from engine.spec import NodeRun
from tests.engine.node_world import MemoryCredentials, NodeWorld
from tests.engine.web_server import web_server
from tests.model_server import ScriptedModel

HELLO = [Message("user", "hello")]
TOKEN = json.dumps({"access_token": "token-1", "expires_in": 3600})


@pytest.fixture(scope="module")
def key_file() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps({"client_email": "robot@project.iam", "private_key": pem, "private_key_id": "1"})


async def vertex_model(nodes: NodeWorld, key_file: str, **inputs: Any) -> ChatModel:
    nodes.credentials = MemoryCredentials({"c1": {"googleApplicationCredential": key_file, "projectID": "my-project"}})
    model: ChatModel = (await vertex.run_chat(nodes.context(credential="c1"), inputs)).value
    return model


async def test_vertex_signs_in_once_an_hour(nodes: NodeWorld, model: ScriptedModel, key_file: str) -> None:
    async with web_server((200, TOKEN), (200, TOKEN)) as sign_in:
        chat = await vertex_model(nodes, key_file, baseUrl=model.root, tokenUrl=sign_in.url, maxOutputTokens="7")
        answer = await chat.complete(HELLO)
        await chat.complete(HELLO)
        once = len(sign_in.received)
        nodes.clock.seconds += 3600
        await chat.complete(HELLO)

    assert answer.text == "You said: hello"
    assert (once, len(sign_in.received)) == (1, 2)
    asked = model.requests[0]
    assert asked.path == "/v1/projects/my-project/locations/us-central1/endpoints/openapi/chat/completions"
    assert asked.headers["authorization"] == "Bearer token-1"
    assert (asked.body["model"], asked.body["max_tokens"]) == ("google/gemini-2.0-flash", 7)


async def test_a_later_run_uses_the_token_of_an_earlier_one(
    nodes: NodeWorld, model: ScriptedModel, key_file: str
) -> None:
    async with web_server((200, TOKEN)) as sign_in:
        for _ in range(2):
            await (await vertex_model(nodes, key_file, baseUrl=model.root, tokenUrl=sign_in.url)).complete(HELLO)

    assert len(sign_in.received) == 1
    assert [asked.headers["authorization"] for asked in model.requests] == ["Bearer token-1"] * 2


async def test_the_key_file_says_which_project(nodes: NodeWorld, model: ScriptedModel, key_file: str) -> None:
    key_file = json.dumps({**json.loads(key_file), "project_id": "its-own"})
    nodes.credentials = MemoryCredentials({"c1": {"googleApplicationCredential": key_file}})
    async with web_server((200, TOKEN)) as sign_in:
        inputs = {"baseUrl": model.root, "tokenUrl": sign_in.url}
        await (await vertex.run_chat(nodes.context(credential="c1"), inputs)).value.complete(HELLO)

    assert model.requests[0].path.startswith("/v1/projects/its-own/")


async def test_vertex_proves_who_asks(nodes: NodeWorld, model: ScriptedModel, key_file: str) -> None:
    async with web_server((200, TOKEN)) as sign_in:
        await (await vertex_model(nodes, key_file, baseUrl=model.root, tokenUrl=sign_in.url)).complete(HELLO)

    claims = jwt.decode(sign_in.received[0].body["assertion"], verify=False)
    assert (claims["iss"], claims["aud"]) == ("robot@project.iam", sign_in.url)
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.parametrize("answer", ["[]", "{}", '{"access_token": "x", "expires_in": "soon"}'])
async def test_a_sign_in_without_a_token_is_told(nodes: NodeWorld, key_file: str, answer: str) -> None:
    async with web_server((200, answer)) as sign_in:
        with pytest.raises(ProviderError, match="sent no token"):
            await (await vertex_model(nodes, key_file, tokenUrl=sign_in.url)).complete(HELLO)


async def test_a_sign_in_that_fails_in_passing_is_tried_again(
    nodes: NodeWorld, model: ScriptedModel, key_file: str
) -> None:
    async with web_server((503, "busy"), (200, TOKEN)) as sign_in:
        chat = await vertex_model(nodes, key_file, baseUrl=model.root, tokenUrl=sign_in.url)
        answer = await chat.complete(HELLO)

    assert (answer.text, len(sign_in.received)) == ("You said: hello", 2)


async def vertex_embedder(nodes: NodeWorld, key_file: str, **inputs: Any) -> Embedder:
    nodes.credentials = MemoryCredentials({"c1": {"googleApplicationCredential": key_file, "projectID": "my-project"}})
    embedder: Embedder = (await vertex.run_embeddings(nodes.context(credential="c1"), inputs)).value
    return embedder


async def test_vertex_embeds_five_texts_a_call(nodes: NodeWorld, key_file: str) -> None:
    def answer(*numbers: int) -> tuple[int, str]:
        return 200, json.dumps({"predictions": [{"embeddings": {"values": [n, 0.5]}} for n in numbers]})

    async with web_server((200, TOKEN)) as sign_in, web_server(answer(*range(5)), answer(*range(5, 10))) as server:
        embedder = await vertex_embedder(nodes, key_file, baseUrl=server.url, tokenUrl=sign_in.url)
        vectors = await embedder.embed(list("abcdefghij"))
        nothing = await embedder.embed([])

    # The calls run side by side: which of them got which answer is open.
    assert (sorted(vectors), nothing) == ([(float(n), 0.5) for n in range(10)], [])
    places = "/v1/projects/my-project/locations/us-central1/publishers/google/models"
    assert {asked.path for asked in server.received} == {f"{places}/textembedding-gecko@001:predict"}
    assert {asked.headers["authorization"] for asked in server.received} == {"Bearer token-1"}
    assert sorted(len(asked.body["instances"]) for asked in server.received) == [5, 5]


async def test_a_model_cannot_become_another_path(nodes: NodeWorld, key_file: str) -> None:
    with pytest.raises(NodeInputError, match="is no model of Google's"):
        await vertex_embedder(nodes, key_file, modelName="../../x")


async def test_a_refused_sign_in_is_told(nodes: NodeWorld, key_file: str) -> None:
    async with web_server((400, '{"error": "invalid_grant"}')) as sign_in:
        with pytest.raises(ProviderError, match="answered 400: invalid_grant"):
            await (await vertex_model(nodes, key_file, tokenUrl=sign_in.url)).complete(HELLO)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("no json", "is no JSON"),
        ("{}", "no key file"),
        ('{"client_email": "x", "private_key": "y"}', "private key in the Google credential cannot be read"),
    ],
)
async def test_a_key_file_that_is_none_is_refused(nodes: NodeWorld, key: str, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        await (await vertex_model(nodes, key)).complete(HELLO)


EVERY_NODE = pytest.mark.parametrize(
    ("run", "kind"),
    [
        (vertex.run_chat, "googleVertexAuth"),
        (vertex.run_embeddings, "googleVertexAuth"),
        (bedrock.run_chat, "awsApi"),
        (bedrock.run_embeddings, "awsApi"),
    ],
)


@EVERY_NODE
async def test_a_region_cannot_become_another_host(nodes: NodeWorld, key_file: str, run: NodeRun, kind: str) -> None:
    keys = {"googleApplicationCredential": key_file, "projectID": "p", "awsKey": "k", "awsSecret": "s"}
    nodes.credentials = MemoryCredentials({"c1": keys})

    with pytest.raises(NodeInputError, match="is no region"):
        await run(nodes.context(credential="c1"), {"region": "evil.example/"})


@EVERY_NODE
async def test_the_servers_own_account_never_serves_flows(nodes: NodeWorld, run: NodeRun, kind: str) -> None:
    with pytest.raises(NodeInputError, match=kind):
        await run(nodes.context(), {})


@pytest.mark.parametrize("run", [bedrock.run_chat, bedrock.run_embeddings])
async def test_bedrock_names_the_package_that_it_lacks(nodes: NodeWorld, run: NodeRun) -> None:
    nodes.credentials = MemoryCredentials({"c1": {"awsKey": "k", "awsSecret": "s"}})

    with pytest.raises(NodeError, match=r"pip install 'forjinn\[bedrock\]'"):
        await run(nodes.context(credential="c1"), {})
