"""Files that come with a question."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow
from tests.sessions import headers_of

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "file", "name": "cat.png", "mime": "image/png", "data": PNG}


@pytest.fixture
def seeing(new_flow: NewFlow, model: ScriptedModel) -> str:
    """A conversation whose model may see images."""
    return new_flow(drawing.conversation(model.url, allowImageUploads=True))


def images_shown(model: ScriptedModel) -> list[str]:
    parts = model.requests[-1].messages[-1]["content"]
    assert isinstance(parts, list), parts
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


@pytest.mark.parametrize(
    ("upload", "shown"),
    [
        (IMAGE, PNG),
        ({**IMAGE, "name": "cat.jpg", "mime": "image/jpg", "data": "data:image/jpeg;base64,/9j/"}, None),
        ({**IMAGE, "mime": ""}, PNG),
        ({"type": "url", "name": "cat", "mime": None, "data": "https://x.example/c.png"}, "https://x.example/c.png"),
    ],
)
def test_an_image_reaches_the_model(
    holder: Caller, seeing: str, model: ScriptedModel, upload: dict[str, Any], shown: str | None
) -> None:
    answer = holder.answer(seeing, "What is it?", uploads=[upload])

    assert images_shown(model) == [shown or upload["data"]]
    assert answer["question"] == "What is it?"


def test_an_image_in_a_multipart_body_reaches_the_model(holder: Caller, seeing: str, model: ScriptedModel) -> None:
    response = holder.http.post(
        f"/prediction/{seeing}", data={"question": "What is it?"}, files={"files": ("cat.png", b"\x89PNG", "image/png")}
    )

    assert response.status_code == 200, response.text
    assert images_shown(model) == ["data:image/png;base64,iVBORw=="]


def test_an_image_reaches_an_agentflows_model(holder: Caller, new_flow: NewFlow, model: ScriptedModel) -> None:
    start = drawing.step("startAgentflow_0", "Start", {"startInputType": "chatInput"})
    ask = drawing.llm_step(model.url, llmModelConfig={"allowImageUploads": True})
    flow_id = new_flow(drawing.flow([start, ask], drawing.path("startAgentflow_0", "llmAgentflow_0")))

    holder.answer(flow_id, "What is it?", uploads=[IMAGE])

    shown = [m["content"] for m in model.requests[-1].messages if isinstance(m["content"], list)]
    assert PNG in str(shown)


def test_a_model_that_may_not_see_images_gets_none(holder: Caller, chat: str, model: ScriptedModel) -> None:
    holder.answer(chat, "What is it?", uploads=[IMAGE])

    assert model.requests[-1].messages[-1]["content"] == "What is it?"


def test_the_message_keeps_an_uploads_name_and_not_its_bytes(holder: Caller, seeing: str) -> None:
    holder.answer(seeing, "What is it?", uploads=[IMAGE])

    asked, _ = holder.http.get(f"/chatmessage/{seeing}").json()

    assert asked["fileUploads"] == [{"type": "file", "name": "cat.png", "mime": "image/png"}]


def test_the_text_of_a_whole_file_stands_before_the_question(
    holder: Caller, chat: str, agent: str, model: ScriptedModel
) -> None:
    document = {"type": "file:full", "name": "terms.txt", "mime": "text/plain", "data": "No refunds."}

    for flow_id in (chat, agent):
        answer = holder.answer(flow_id, "Can I return it?", uploads=[document])

        assert model.requests[-1].question == "<doc name='terms.txt'>No refunds.</doc>\n\nCan I return it?"
        assert answer["question"] == "Can I return it?"


@pytest.mark.parametrize(
    ("upload", "message"),
    [
        ({**IMAGE, "name": "cat.html"}, "uploads[0]: cat.html is text/html by its name, but mime says image/png"),
        ({**IMAGE, "mime": "image/webp"}, "uploads[0]: cat.png is image/png by its name, but mime says image/webp"),
        (
            {**IMAGE, "data": "data:text/html;base64,PGh0bWw+"},
            "uploads[0]: data is text/html, but mime says image/png",
        ),
        ({**IMAGE, "data": "iVBORw0KGgo="}, "uploads[0].data: expected a data URI like data:image/png;base64,..."),
        ({**IMAGE, "data": None}, "uploads[0].data: expected a data URI like data:image/png;base64,..."),
        ({**IMAGE, "name": 7}, "uploads[0].name: expected text, got a number"),
        ({**IMAGE, "type": "audio"}, "uploads[0]: this flow has no speech-to-text"),
        (
            {**IMAGE, "type": "carrier pigeon"},
            "uploads[0].type: expected one of file, file:rag, file:full, url, stored-file, stored-file:full; "
            "got 'carrier pigeon'",
        ),
        (
            {"type": "url", "name": "x", "mime": "image/png", "data": "file:///etc/passwd"},
            "uploads[0].data: expected an address that begins with http:// or https://",
        ),
        ("cat.png", "uploads[0]: expected an object, got text"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    holder: Caller, seeing: str, model: ScriptedModel, upload: Any, message: str
) -> None:
    response = holder.predict(seeing, "What is it?", uploads=[upload])

    assert (response.status_code, response.json()["message"]) == (400, message)
    assert not model.requests


def test_a_file_that_is_no_image_is_refused_in_a_multipart_body(holder: Caller, seeing: str) -> None:
    response = holder.http.post(
        f"/prediction/{seeing}", data={"question": "Hi"}, files={"files": ("a.pdf", b"%PDF", "application/pdf")}
    )

    assert response.status_code == 400
    assert response.json()["message"] == "files: a.pdf is application/pdf; this flow takes images only"


def test_a_multipart_body_carries_the_other_fields_as_json_text(
    holder: Caller, chat: str, model: ScriptedModel
) -> None:
    fields = {
        "question": "Who am I?",
        "chatId": "c",
        "overrideConfig": '{"sessionId": "s"}',
        "history": '[{"role": "userMessage", "content": "I am Ann."}]',
    }

    response = holder.http.post(f"/prediction/{chat}", files={name: (None, text) for name, text in fields.items()})

    assert (response.json()["chatId"], response.json()["sessionId"]) == ("c", "s")
    assert [m["content"] for m in model.requests[-1].messages][-2:] == ["I am Ann.", "Who am I?"]


def test_json_text_that_is_none_is_refused_by_name(holder: Caller, chat: str) -> None:
    response = holder.http.post(f"/prediction/{chat}", files={"history": (None, "[")})

    assert response.status_code == 400
    assert response.json()["message"].startswith("history: expected JSON text")


SIGN_IN = """
from tests.sessions import session_of
from workspaces.models import Workspace
print(json.dumps(session_of(Workspace.objects.get(pk={workspace!r}), "owner")))
"""


def test_somebody_who_has_signed_in_may_send_files(
    platform: Platform, inside: Inside, seeing: str, model: ScriptedModel
) -> None:
    session = inside(SIGN_IN.format(workspace=platform.workspace_id))

    answer = httpx.post(
        f"{platform.url}/api/v1/prediction/{seeing}",
        data={"question": "What is it?"},
        files={"files": ("cat.png", b"\x89PNG\r\n\x1a\n", "image/png")},
        headers=headers_of(session),
    )

    assert answer.status_code == 200, answer.text
    assert images_shown(model) == [PNG]
