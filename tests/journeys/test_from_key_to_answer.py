"""The whole way: an operator makes a key, a pipeline saves and deploys a flow, a caller asks, drops and resumes."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from chatflows.demo import CHAT, FOLDER, OWNER, point_at
from tests.journeys.stage import WORDS, Stage, execution_of, new_chat, read_until, text_of
from tests.platform import Platform


def make_key(page: Page, platform: Platform) -> str:
    """As the owner, in the admin; the password is the one that the first start has told."""
    found = re.search(r"password (\S+) \(shown", platform.output)
    assert found is not None, platform.output
    page.goto(f"{platform.url}/admin/apikeys/apikey/add/")
    page.get_by_label("Email").fill(OWNER)
    page.get_by_label("Password").fill(found[1])
    page.get_by_role("button", name="Log in").click()
    page.get_by_label("Name").fill("journey")
    page.get_by_role("combobox").first.click()
    page.get_by_role("searchbox").fill("Default")
    page.get_by_role("option", name="Default").click()
    page.get_by_role("button", name="Save", exact=True).click()
    shown = re.search(r"not shown again: (\S+)", page.get_by_text("Copy the key now").first.inner_text())
    assert shown is not None
    return shown[1]


def test_a_flow_is_saved_deployed_asked_dropped_and_resumed(chat: Stage, page: Page) -> None:
    platform, chat_id = chat.platform, new_chat()
    flow_data = point_at(chat.model.url, (FOLDER / CHAT[2]).read_text())

    key = make_key(page, platform)
    created = platform.call("POST", "/api/v1/chatflows", {"name": "The whole way", "flowData": flow_data}, key=key)
    flow_id = created.json()["id"]
    early = platform.call("POST", f"/api/v1/prediction/{flow_id}", {"question": "Hello"}, key=key)
    platform.call("PUT", f"/api/v1/chatflows/{flow_id}", {"deployed": True}, key=key)
    stranger = platform.call("POST", f"/api/v1/prediction/{flow_id}", {"question": "Hello"}, key=None)
    whole = platform.call("POST", f"/api/v1/prediction/{flow_id}", {"question": "Hello", "chatId": chat_id}, key=key)
    chat.stall(after=3)
    with platform.stream(flow_id, "Count", key=key, chatId=chat_id) as stream:
        read = read_until(iter(stream), "one two three")
    chat.model.release()
    with platform.resume(execution_of(stream), after=read[-1].id) as stream:
        rest = list(stream)

    assert (early.status, stranger.status) == (404, 401)
    assert whole.json()["text"] == "You said: Hello"
    assert text_of(read) + text_of(rest) == WORDS
    heard = [message["content"] for message in chat.model.requests[-1].messages]
    assert heard[-3:] == ["Hello", "You said: Hello", "Count"]
