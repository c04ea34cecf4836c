"""Publishable keys where they are used: by browsers, and by processes that have to hear of what becomes of them."""

from __future__ import annotations

import time
from typing import Any

import httpx

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, Limited, NewFlow

PAGE = "https://shop.example"
ROTATE = """
from datetime import timedelta
from uuid import UUID
from apikeys.services import rotate_api_key
_, raw = rotate_api_key(workspace_id=UUID({workspace!r}), key_id=UUID({key!r}), overlap=timedelta(0))
print(json.dumps(raw))
"""


def page_key(holder: Caller, flow_id: str) -> Any:
    body = {"keyName": "page", "kind": "publishable", "flows": [flow_id], "origins": [PAGE]}
    return holder.http.post("/apikey", json=body).json()


def asked(platform: Platform, key: str, flow_id: str, origin: str, address: str = "127.0.0.1") -> httpx.Response:
    url, headers = f"{platform.url}/api/v1/prediction/{flow_id}", {"Authorization": f"Bearer {key}", "Origin": origin}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=30) as client:
        return client.post(url, json={"question": "Hi"}, headers=headers)


def test_a_browser_reads_the_answer_on_a_listed_page_alone(platform: Platform, holder: Caller, chat: str) -> None:
    key = page_key(holder, chat)["apiKey"]

    answer, elsewhere = (asked(platform, key, chat, origin) for origin in (PAGE, "https://elsewhere.example"))

    assert answer.json()["text"] == "You said: Hi"
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", PAGE)
    assert elsewhere.status_code == 403
    assert "origins" in elsewhere.json()["message"]


def test_one_visitor_does_not_use_up_what_all_of_a_page_have(
    platform: Platform, holder: Caller, chat: str, limited: Limited
) -> None:
    key = page_key(holder, chat)["apiKey"]
    limited("address", calls_a_minute=1)

    first, again = (asked(platform, key, chat, PAGE) for _ in range(2))
    of_another = asked(platform, key, chat, PAGE, "127.0.0.2")

    assert [first.status_code, again.status_code, of_another.status_code] == [200, 429, 200]
    assert again.json()["message"].startswith("1 calls a minute come through without a secret key")
    assert holder.predict(chat, "Hi").status_code == 200


def test_a_public_flow_looks_at_no_key(platform: Platform, holder: Caller, new_flow: NewFlow, chat: str) -> None:
    key = page_key(holder, chat)["apiKey"]
    with ScriptedModel() as model:
        public = new_flow(drawing.conversation(model.url), isPublic=True)

        assert asked(platform, key, public, "https://elsewhere.example").json()["text"] == "You said: Hi"


def test_a_rotation_in_another_process_is_seen_within_a_second(
    platform: Platform, holder: Caller, chat: str, inside: Inside
) -> None:
    made = page_key(holder, chat)
    assert asked(platform, made["apiKey"], chat, PAGE).status_code == 200

    new = inside(ROTATE.format(workspace=platform.workspace_id, key=made["id"]))
    rotated_at = time.monotonic()
    while asked(platform, made["apiKey"], chat, PAGE).status_code != 401:
        assert time.monotonic() - rotated_at < 1, "the old text still works"

    assert asked(platform, new, chat, PAGE).status_code == 200
