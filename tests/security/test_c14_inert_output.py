"""C14: whatever somebody writes comes back as data: no answer lets it run in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from django.contrib import admin
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from chatflows.models import Chatflow, Tool
from predictions.hooks.models import HookAttempt, HookDelivery, HookSubscription
from predictions.models import ChatMessage, Execution, NodeRun
from predictions.triggers.models import Trigger
from tests.factories import make_api_key, make_chatflow, make_user
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller, data_of, names, text_of
from tests.predictions.conftest import NewFlow
from tests.security.drawn import Drawn
from tests.security.walk import PARAMETER, Call, World, calls, told
from workspaces.models import User, Workspace
from workspaces.services import create_credential, set_variable

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response  # the stubs' name for what the client returns

ROOT = Path(__file__).resolve().parents[2]
CALLS = calls()
PAYLOAD = "<img src=x onerror=alert(1)>"  # without a slash, so that it is one part of an address
PAYLOADS = [
    PAYLOAD,
    "</script><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "' onmouseover=alert(1) '",
    "</title></textarea><iframe srcdoc=alert(1)>",
]
# What browsers show as text or not at all, as long as they do not guess (`nosniff`).
INERT_TYPES = {
    *("application/json", "application/vnd.oai.openapi+json", "application/vnd.oai.openapi", "application/yaml"),
    *("text/plain", "text/csv", "text/event-stream"),
}


def query_names() -> set[str]:
    """What any call documents to be read of an address behind its question mark."""
    # The library has no types.
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    operations = (operation for path in document["paths"].values() for operation in path.values())
    return {p["name"] for each in operations for p in each.get("parameters", ()) if p["in"] == "query"}


QUERY = {"q": PAYLOAD, **dict.fromkeys(sorted(query_names()), PAYLOAD)}


def problems_of(answer: httpx.Response | Response, text: str) -> list[str]:
    """Why a browser could run what stands in the payload; a page may hold it as text."""
    kind = str(answer.headers.get("Content-Type", "")).partition(";")[0]
    sniffed = [] if answer.headers.get("X-Content-Type-Options") == "nosniff" else ["without nosniff"]
    if not text or kind in INERT_TYPES:
        return sniffed
    return [*sniffed, *([f"drawn as {kind}"] if PAYLOAD in text or alarms_in(text) else [])]


def alarms_in(text: str) -> list[str]:
    return [code for code in Drawn(text).code if "alert(1)" in code]


@pytest.mark.parametrize("source", [text for text in PAYLOADS if "'" not in text])
def test_a_payload_is_noticed_where_it_would_run(source: str) -> None:
    assert alarms_in(f'<title>{source}</title><input value="{source}">')


@pytest.mark.parametrize("call", [call for call in CALLS if "{" in call.path or call.method == "GET"], ids=str)
def test_what_stands_in_an_address_is_not_drawn(world: World, call: Call) -> None:
    ids = dict.fromkeys(PARAMETER.findall(call.path), PAYLOAD)

    for key in (None, world.keys["all"]):
        answer = world.call(call, key, ids=ids, body={}, query=QUERY)
        assert problems_of(answer, told(answer)) == []


@pytest.mark.parametrize("call", [call for call in CALLS if call.method == "GET" and "{" in call.path], ids=str)
def test_what_is_asked_of_a_thing_is_not_drawn_with_it(world: World, call: Call) -> None:
    answer = world.call(call, world.keys["all"], ids=world.ids_for(call), query=QUERY)

    assert problems_of(answer, told(answer)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "place", ["/api/v1/", "/api/stepflow/", "/workflows/v1/", "/api/docs/", "/", "/chat/", "/static/", "/_allauth/"]
)
def test_an_address_that_is_not_there_is_told_as_data(place: str, payload: str) -> None:
    answer = Client(raise_request_exception=False).get(f"{place}nowhere/{quote(payload)}?next={quote(payload)}")

    assert answer.status_code in (401, 404)
    assert problems_of(answer, answer.content.decode()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("payload", PAYLOADS)
def test_names_of_flows_are_words_on_the_first_page(workspace: Workspace, payload: str) -> None:
    flow = make_chatflow(workspace, name="Plain", description="Plain", is_public=True, deployed=True)
    plain = Drawn(Client().get("/").content.decode())

    Chatflow.objects.filter(pk=flow.pk).update(name=payload, description=payload)
    drawn = Drawn(Client().get("/").content.decode())

    assert drawn.elements == plain.elements
    assert drawn.text == plain.text.replace("Plain", payload)


def public_flow(new_flow: NewFlow, model: ScriptedModel, words: str) -> str:
    """A flow whose owner says these words wherever owners may say some."""
    settings = ("title", "titleBackgroundColor", "welcomeMessage", "errorMessage", "customCSS", "footer")
    prompts = {"0": {"prompt": words}, "1": {"prompt": f"{words}?"}}
    config = {**dict.fromkeys(settings, words), "starterPrompts": prompts, "allowedOriginsError": words}
    graph = drawing.conversation(model.url, systemMessagePrompt=words)
    return new_flow(graph, name=words, isPublic=True, chatbotConfig=json.dumps(config))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_an_owner_says_is_words_on_the_chat_page(
    platform: Platform, new_flow: NewFlow, model: ScriptedModel, payload: str
) -> None:
    def page(words: str) -> Drawn:
        flow_id = public_flow(new_flow, model, words)
        answer = httpx.get(f"{platform.url}/chat/{flow_id}", timeout=30)
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        return Drawn(answer.text.replace(flow_id, "ID"))

    plain, drawn = page("Plain"), page(payload)

    assert drawn.elements == plain.elements
    assert drawn.text == plain.text.replace("Plain", payload)
    assert drawn.text.count(payload) == 4  # the title, the heading, two suggestions
    assert drawn.code == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_people_and_models_say_travels_as_data(
    holder: Caller, visitor: Caller, new_flow: NewFlow, model: ScriptedModel, payload: str
) -> None:
    flow_id = public_flow(new_flow, model, payload)
    model.script(payload)

    answer = visitor.predict(flow_id, payload, chatId=payload)
    run = answer.json()["executionId"]
    shown = {
        path: holder.http.get(path)
        for path in (
            f"/chatmessage/{flow_id}",
            f"/executions/{run}",
            f"/chatflows/{flow_id}",
            f"/flow-config/{flow_id}",
        )
    }
    config = visitor.http.get(f"/public-chatbotConfig/{flow_id}")

    assert (answer.json()["text"], answer.json()["question"], answer.json()["chatId"]) == (payload,) * 3
    assert [turn["content"] for turn in shown[f"/chatmessage/{flow_id}"].json()] == [payload] * 2
    assert config.json()["welcomeMessage"] == payload
    for one in (answer, config, *shown.values()):
        assert one.headers["Content-Type"] == "application/json"
        assert one.headers["X-Content-Type-Options"] == "nosniff"


def test_no_answer_makes_up_an_event_of_its_stream(visitor: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    forged = 'x\n\nmessage:\ndata:{"event":"error","data":"forged"}\n\n\r\rid: 1\r\n\u2028data: y'
    flow_id = public_flow(new_flow, model, "Plain")
    model.script(forged)

    frames = visitor.stream(flow_id, forged)

    assert text_of(frames) == forged
    assert "error" not in names(frames)
    assert data_of(frames, "metadata")["question"] == forged


def hostile_rows(workspace: Workspace, words: str) -> list[Any]:
    """A row of each kind that the administration shows, with these words in all that others may say."""
    flow = make_chatflow(workspace, name=words[:50], description=words, category=words, chatbot_config=words)
    scoped: dict[str, Any] = {"workspace": workspace, "chatflow": flow}
    talk = {"chat_id": words, "session_id": words, "end_user": words}
    said = {"text": words, words: [words]}
    run = Execution.objects.create(
        **scoped, **talk, version=flow.versions.latest("number"), question=words, error=words, request=said, output=said
    )
    NodeRun.objects.create(
        execution=run, attempt=1, seq=1, node_id=words, label=words, status="FINISHED", entry=said, duration_ms=1
    )
    turn = ChatMessage.objects.create(
        **scoped, **talk, execution=run, role="apiMessage", content=words, error=words, extra=said, lead_email=words
    )
    url = f"https://example.com/{words}"
    hook = HookSubscription.objects.create(workspace=workspace, name=words, url=url, events=[], paused_reason=words)
    sent = HookDelivery.objects.create(workspace=workspace, subscription=hook, event="ping", payload=said, url=url)
    HookAttempt.objects.create(
        delivery=sent, number=1, began_at=run.created_at, duration_ms=1, answer=words, error=words
    )
    tool = {"description": words, "color": words, "icon_src": words, "schema": words, "func": words}
    return [
        *(workspace, flow, run, turn, hook, sent),
        Tool.objects.create(
            workspace=workspace, name=words, created_at=run.created_at, updated_at=run.created_at, **tool
        ),
        Trigger.objects.create(**scoped, node_id=words, name=words, kind="WEBHOOK", message=words, platform=words),
        make_api_key(workspace, words)[0],
        create_credential(workspace=workspace, name=words, kind="openAIApi", fields={"openAIApiKey": "x"}),
        set_variable(workspace=workspace, name="v", value=words),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_others_say_is_words_in_the_administration(workspace: Workspace, payload: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", None))
    User.objects.filter(pk=make_user().pk).update(name=payload)
    Workspace.objects.filter(pk=workspace.pk).update(name=payload)
    rows = [row for row in hostile_rows(workspace, payload) if row is not None]
    lists = [f"{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]
    paths = lists + [f"{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/" for row in rows]

    pages = {path: client.get(f"/admin/{path}") for path in paths if not path.startswith("auth/")}

    assert {path: page.status_code for path, page in pages.items() if page.status_code != 200} == {}
    sources = {path: page.content.decode() for path, page in pages.items()}
    assert {path: alarms for path, text in sources.items() if (alarms := alarms_in(text))} == {}
    assert len([path for path, text in sources.items() if "alert(1)" in Drawn(text).text]) >= 15


def test_our_pages_write_no_html_of_others_and_hold_no_script_of_their_own() -> None:
    scripts = "".join(path.read_text() for path in (ROOT / "predictions" / "static").rglob("*.js"))
    pages = "".join(path.read_text() for path in (ROOT / "predictions" / "templates").rglob("*.html"))
    writing = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "setHTML", "srcdoc", "DOMParser")
    running = ("eval(", "Function(", "javascript:", "createContextualFragment", ".href", ".src")

    assert "textContent" in scripts
    assert [way for way in (*writing, *running) if way in scripts] == []
    assert re.findall(r"\|\s*safe|autoescape|<script(?![^>]*\ssrc=)|\son\w+\s*=|<style|\sstyle\s*=", pages) == []


@pytest.mark.django_db
def test_pages_may_run_our_own_scripts_alone(workspace: Workspace) -> None:
    policy = policy_of(Client().get("/"))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)


@pytest.mark.parametrize("path", ["node-icon/llmAgentflow", "components-credentials-icon/openAIApi"])
def test_pictures_run_nothing(path: str) -> None:
    answer = Client().get(f"/api/v1/{path}")

    assert answer.headers["Content-Type"] == "image/svg+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert policy_of(answer)["default-src"] == "'none'"
    assert "sandbox" in policy_of(answer)


def policy_of(answer: Response) -> dict[str, str]:
    """By directive."""
    parts = (part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}
