"""What was said in a flow: lists of it, and deleting it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chatflows.models import Chatflow
from predictions.models import ChatMessage
from tests.cast import Api
from tests.factories import make_chatflow
from workspaces.models import Workspace


@pytest.fixture
def chatflow(workspace: Workspace) -> Chatflow:
    return make_chatflow(workspace)


def say(chatflow: Chatflow, content: str, **fields: Any) -> ChatMessage:
    given = {"role": ChatMessage.Role.USER, "chat_id": "chat", "session_id": "chat", "chat_type": "EXTERNAL", **fields}
    return ChatMessage.objects.create(workspace_id=chatflow.workspace_id, chatflow=chatflow, content=content, **given)


def contents(api: Api, chatflow: Chatflow, query: str = "") -> list[str]:
    response = api.get(f"/chatmessage/{chatflow.pk}{query}")
    assert response.status_code == 200, response.content
    return [message["content"] for message in response.json()]


def test_a_message_says_who_when_and_where(api: Api, chatflow: Chatflow) -> None:
    message = say(chatflow, "Hi", session_id="memory", lead_email="ann@example.com", memory_type="Buffer Memory")

    [shown] = api.get(f"/chatmessage/{chatflow.pk}").json()

    assert shown == {
        "id": str(message.pk),
        "role": "userMessage",
        "chatflowid": str(chatflow.pk),
        "executionId": None,
        "content": "Hi",
        "chatType": "EXTERNAL",
        "chatId": "chat",
        "sessionId": "memory",
        "memoryType": "Buffer Memory",
        "leadEmail": "ann@example.com",
        "createdDate": shown["createdDate"],
    }
    assert shown["createdDate"].endswith("Z")


def test_messages_come_oldest_first_and_newest_first_on_request(api: Api, chatflow: Chatflow) -> None:
    for content in ("one", "two", "three"):
        say(chatflow, content)

    assert contents(api, chatflow) == ["one", "two", "three"]
    assert contents(api, chatflow, "?order=DESC") == ["three", "two", "one"]
    assert contents(api, chatflow, "?order=asc") == ["one", "two", "three"]


def test_an_order_that_is_none_is_refused(api: Api, chatflow: Chatflow) -> None:
    response = api.get(f"/chatmessage/{chatflow.pk}?order=sideways")

    assert response.status_code == 400
    assert response.json()["message"] == "order: expected ASC or DESC, got 'sideways'"


def test_pages_are_counted_and_linked(api: Api, chatflow: Chatflow) -> None:
    for number in range(5):
        say(chatflow, str(number))

    response = api.get(f"/chatmessage/{chatflow.pk}?limit=2&page=2&chatId=chat")

    path = f"/api/v1/chatmessage/{chatflow.pk}?chatId=chat"
    assert [message["content"] for message in response.json()] == ["2", "3"]
    assert response.headers["X-Total-Count"] == "5"
    assert f'<{path}&page=3&limit=2>; rel="next"' in response.headers["Link"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?chatId=a%2Bb", ["plus"]),
        ("?sessionId=customer", ["theirs"]),
        ("?memoryType=Buffer%20Memory", ["remembered"]),
        ("?chatType=INTERNAL", ["tried"]),
        ("?chatType=INTERNAL&chatType=EXTERNAL&chatId=chat", ["tried"]),
        ('?chatType=["INTERNAL"]', ["tried"]),
        ("?chatId=nobody", []),
    ],
)
def test_a_list_can_be_of_one_conversation(api: Api, chatflow: Chatflow, query: str, expected: list[str]) -> None:
    say(chatflow, "plus", chat_id="a+b", session_id="s")
    say(chatflow, "theirs", chat_id="c", session_id="customer")
    say(chatflow, "remembered", chat_id="d", session_id="d", memory_type="Buffer Memory")
    say(chatflow, "tried", chat_type="INTERNAL")

    assert contents(api, chatflow, query) == expected


def test_one_message_is_found_by_its_id(api: Api, chatflow: Chatflow) -> None:
    say(chatflow, "other")
    wanted = say(chatflow, "wanted")

    assert contents(api, chatflow, f"?messageId={wanted.pk}") == ["wanted"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?startDate=2026-03-01T12:00:00Z", ["march", "april"]),
        ("?endDate=2026-03-01T12:00:00.000Z", ["february", "march"]),
        ("?startDate=2026-03-01T13:00:00%2B02:00&endDate=2026-03-31", ["march"]),
        ("?startDate=2026-03-01T12:00:01", ["april"]),
        ("?startDate=0057-03-19T17:46:38-23:41&endDate=2026-02-28T23:59:59%2B21:20", ["february"]),
    ],
)
def test_a_list_can_be_of_one_time(api: Api, chatflow: Chatflow, query: str, expected: list[str]) -> None:
    for month, content in ((2, "february"), (3, "march"), (4, "april")):
        say(chatflow, content, created_at=datetime(2026, month, 1, 12, tzinfo=UTC))

    assert contents(api, chatflow, query) == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?startDate=yesterday", "startDate: expected a date like 2026-01-31T12:00:00Z"),
        ("?endDate=2026-02-30T00:00:00Z", "endDate: expected a date like 2026-01-31T12:00:00Z"),
        ("?startDate=0001-01-01T00:00:00%2B01:00", "startDate: expected a date like 2026-01-31T12:00:00Z"),
        ("?messageId=7", "messageId: expected an id"),
        ("?chatId=%00", "chatId: the character NUL is not allowed"),
        ("?chatType=%00", "chatType: the character NUL is not allowed"),
        ("?page=0", "page: expected a whole number from 1 to 1000000, got '0'"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_named(api: Api, chatflow: Chatflow, query: str, message: str) -> None:
    response = api.get(f"/chatmessage/{chatflow.pk}{query}")

    assert (response.status_code, response.json()["message"]) == (400, message)


def test_deleting_takes_the_conversation_and_no_other(api: Api, chatflow: Chatflow) -> None:
    say(chatflow, "go", chat_id="a")
    say(chatflow, "gone", chat_id="a")
    say(chatflow, "stay", chat_id="b")

    response = api.delete(f"/chatmessage/{chatflow.pk}?chatId=a")

    assert (response.status_code, response.json()) == (200, {"affected": 2})
    assert contents(api, chatflow) == ["stay"]


def test_a_stranger_reads_and_deletes_nothing(stranger_api: Api, api: Api, chatflow: Chatflow) -> None:
    say(chatflow, "ours")
    path = f"/chatmessage/{chatflow.pk}"

    refusals = [stranger_api.get(path), stranger_api.delete(path)]

    assert [refusal.status_code for refusal in refusals] == [404, 404]
    assert refusals[0].json()["message"] == f"Chatflow {chatflow.pk} not found"
    assert contents(api, chatflow) == ["ours"]


def test_messages_of_another_flow_stay_apart(api: Api, workspace: Workspace, chatflow: Chatflow) -> None:
    say(make_chatflow(workspace), "another flow's", chat_id="chat")
    say(chatflow, "this flow's", chat_id="chat")

    assert contents(api, chatflow, "?chatId=chat") == ["this flow's"]
