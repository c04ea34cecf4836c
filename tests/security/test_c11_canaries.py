"""C11: secrets that are planted in a platform come out of it nowhere, not even where a server repeats them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
from redis import Redis

from forjinn.embedded.state import read_children
from tests.model_server import Request, ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.conftest import Inside

MODEL_KEY = "canary-6f1d2c9a0b7e4d53-model"
TOKEN = "canary-1b9e77c04a6f4e21-token"
PASSWORD = "canary-c40f5a3d9e8b4712-password"
WEBHOOK_SECRET = "canary-8d2e6b10f7a94c35-webhook"
BASIC = b64encode(f"ann:{PASSWORD}".encode()).decode()

PLANT = """
from tests.factories import make_api_key
from workspaces.models import Workspace
from workspaces.services import create_credential
own = Workspace.objects.get(pk={workspace!r})
kinds = {kinds!r}
made = {{
    kind: str(create_credential(
        workspace=own, name=kind, kind=kind, fields=fields, allowed_hosts=["127.0.0.1"]).pk)
    for kind, fields in kinds.items()
}}
print(json.dumps([made, make_api_key(own, "canary")[1]]))
"""
KINDS = {
    "openAIApi": {"openAIApiKey": MODEL_KEY},
    "httpBearerToken": {"token": TOKEN},
    "httpBasicAuth": {"basicAuthUsername": "ann", "basicAuthPassword": PASSWORD},
}


def repeat(request: Request) -> Reply:
    """What a careless server answers: all that it was sent."""
    told = f"You sent {request.headers.get('authorization', 'nothing')} with this"
    if request.question == "Refuse":
        return Reply(status=400, error=told)
    return Reply(status=500, error=told) if request.question == "Break" else Reply(told)


@dataclass
class Scene:
    """A platform in which canaries are planted, and everything that it has said."""

    platform: Platform
    key: str
    credentials: Mapping[str, str]
    model: ScriptedModel
    said: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """With the canary key, unless headers say otherwise."""
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        answer = httpx.request(method, f"{self.platform.url}/api/v1{path}", json=body, headers=sent, timeout=60)
        self.said[f"{method} {path} {body}"] = f"{answer.headers} {answer.text}"
        return answer

    def save(self, kind: str, flow_data: str) -> str:
        made = self.call("POST", "/chatflows", {"name": kind, "type": kind, "flowData": flow_data})
        assert made.is_success, made.text
        self.call("PUT", f"/chatflows/{made.json()['id']}", {"deployed": True})
        return str(made.json()["id"])

    def ask(self, flow_id: str, question: str) -> None:
        """Whole and as a stream."""
        for more in ({}, {"streaming": True}):
            self.call("POST", f"/prediction/{flow_id}", {"question": question, **more})


@pytest.fixture(scope="module")
def scene(platform: Platform) -> Iterator[Scene]:
    planted, key = Inside(platform)(PLANT.format(workspace=platform.workspace_id, kinds=KINDS))
    with ScriptedModel(answer=repeat) as model:
        yield act(Scene(platform, key, planted, model))


def act(scene: Scene) -> Scene:
    """Use every secret in every way that a caller has."""
    chat = scene.save(
        "CHATFLOW", drawing.conversation(scene.model.url, credential=scene.credentials["openAIApi"], maxRetries=0)
    )
    agent = scene.save("AGENTFLOW", calling(scene))
    for question in ("Hello", "Refuse", "Break"):
        scene.ask(chat, question)
    scene.ask(agent, "Hello")
    trigger = {"name": "Canary", "type": "webhook", "chatflowId": agent, "webhookSecret": WEBHOOK_SECRET}
    made = scene.call("POST", "/triggers", trigger)
    assert made.is_success, made.text
    scene.call("GET", f"/triggers/{made.json()['id']}")
    look_around(scene, [chat, agent])
    return scene


def calling(scene: Scene) -> str:
    """An agent flow that calls servers under two credentials, and hands what they said to a model."""
    url = f"{scene.model.url}/chat/completions"
    body = '{"model": "m", "messages": [{"role": "user", "content": "Hello"}]}'
    request = {"method": "POST", "url": url, "bodyType": "json", "body": body}
    bearer, basic = scene.credentials["httpBearerToken"], scene.credentials["httpBasicAuth"]
    nodes = [
        drawing.start(),
        drawing.step("httpAgentflow_0", "Bearer", request, credential=bearer),
        drawing.step("httpAgentflow_1", "Basic", request, credential=basic),
        drawing.llm_step(scene.model.url, llmModelConfig={"credential": scene.credentials["openAIApi"]}),
        drawing.reply(0, "{{ httpAgentflow_0.output.http.data }} {{ httpAgentflow_1.output.http.data }}"),
    ]
    return drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes)))


def look_around(scene: Scene, flows: list[str]) -> None:
    """Ask for everything that shows what was saved and run, and be refused."""
    runs = scene.call("GET", "/executions?limit=20").json()
    paths = [f"/executions/{run['id']}" for run in runs]
    paths += [f"/executions/{run['id']}/stream" for run in runs]
    paths += [f"{path}/{flow}" for flow in flows for path in ("/chatflows", "/chatmessage", "/public-chatbotConfig")]
    paths += ["/audit?limit=1000", "/audit/export", "/audit/export?format=csv", "/openapi.json", "/triggers", "/apikey"]
    paths += [f"/flow-config/{flow}" for flow in flows]
    for path in paths:
        scene.call("GET", path)
    for refused in (f"Bearer {scene.key}x", f"Basic {scene.key}", scene.key):
        scene.call("GET", f"/chatflows/{refused}?apiKey={scene.key}", Authorization=refused)
    scene.call("POST", "/chatflows", {"name": 7, "flowData": MODEL_KEY})


def found(texts: Mapping[str, str], canaries: Mapping[str, str]) -> dict[str, list[str]]:
    """Where which of them is."""
    return {
        name: places
        for name, canary in canaries.items()
        if (places := [place for place, text in texts.items() if canary in text])
    }


@pytest.fixture(scope="module")
def canaries(scene: Scene) -> dict[str, str]:
    return {
        "model key": MODEL_KEY,
        "token": TOKEN,
        "password": PASSWORD,
        "basic": BASIC,
        "webhook": WEBHOOK_SECRET,
        "API key": scene.key,
    }


def test_the_servers_were_sent_the_secrets_and_repeated_them(scene: Scene) -> None:
    sent = {request.headers["authorization"] for request in scene.model.requests}
    answers = [text for place, text in scene.said.items() if place.startswith("POST /prediction")]

    assert sent == {f"Bearer {MODEL_KEY}", f"Bearer {TOKEN}", f"Basic {BASIC}"}
    assert len([text for text in answers if "[secret]" in text]) == 4


def test_no_answer_and_no_stream_has_one(scene: Scene, canaries: dict[str, str]) -> None:
    assert found(scene.said, canaries) == {}


def test_no_log_has_one(scene: Scene, canaries: dict[str, str]) -> None:
    logs = {path.name: path.read_text(errors="replace") for path in (scene.platform.var / "log").iterdir()}

    assert {"web.log", "worker.log", "beat.log"} <= set(logs)
    assert found({**logs, "supervisor": scene.platform.output}, canaries) == {}


def test_no_row_of_the_database_has_one(scene: Scene, canaries: dict[str, str]) -> None:
    tables = "SELECT quote_ident(relname) FROM pg_stat_user_tables WHERE schemaname = 'public'"
    rows = {}
    with psycopg.connect(read_children(scene.platform.var)["postgres"].url) as connection:
        for (table,) in connection.execute(tables).fetchall():
            # Of names of constants: our own tables.
            text = connection.execute(f"SELECT coalesce(string_agg(row::text, ' '), '') FROM {table} AS row").fetchone()
            rows[table] = text[0] if text else ""

    assert "You sent" in rows["predictions_noderun"]
    assert found(rows, canaries) == {}


def test_nothing_in_redis_has_one(scene: Scene, canaries: dict[str, str]) -> None:
    kept = {}
    with Redis.from_url(read_children(scene.platform.var)["valkey"].url) as redis:
        for key in redis.scan_iter("run:*"):
            kept[key.decode()] = str(redis.xrange(key))

    assert any("You sent" in entries for entries in kept.values())
    assert found(kept, canaries) == {}
