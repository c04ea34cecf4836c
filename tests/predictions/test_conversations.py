"""Which conversation an answer belongs to, and what is remembered of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

ODD_IDS = ["customer+7f3a", "with some spaces", "c" * 200, "ünï/cødé#?&%2B", "😀"]


def told(model: ScriptedModel) -> list[str]:
    """What the model was told last, without the system message."""
    return [message["content"] for message in model.requests[-1].messages if message["role"] != "system"]


def ids(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["chatId"], answer["sessionId"]


@pytest.mark.parametrize(
    ("sent", "chat_id", "session_id"),
    [
        ({"chatId": "chat"}, "chat", "chat"),
        ({"sessionId": "alias"}, "alias", "alias"),
        ({"chatId": "chat", "sessionId": "alias"}, "chat", "chat"),
        ({"overrideConfig": {"sessionId": "memory"}}, "memory", "memory"),
        ({"chatId": "chat", "overrideConfig": {"sessionId": "memory"}}, "chat", "memory"),
        ({"chatId": "", "sessionId": None, "overrideConfig": {"sessionId": "memory"}}, "memory", "memory"),
    ],
)
def test_conversation_and_memory_follow_from_what_was_sent(
    holder: Caller, chat: str, agent: str, sent: dict[str, Any], chat_id: str, session_id: str
) -> None:
    assert ids(holder.answer(chat, "Hi", **sent)) == (chat_id, session_id)
    assert ids(holder.answer(agent, "Hi", **sent)) == (chat_id, session_id)


def test_without_an_id_each_answer_begins_a_conversation(holder: Caller, chat: str) -> None:
    first, second = holder.answer(chat, "Hi"), holder.answer(chat, "Hi")

    assert UUID(first["chatId"]) != UUID(second["chatId"])
    assert first["sessionId"] == first["chatId"]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"chatId": 7}, "chatId: expected text, got a number"),
        ({"chatId": {"$ne": None}}, "chatId: expected text, got an object"),
        ({"sessionId": ["a"]}, "sessionId: expected text, got a list"),
        ({"overrideConfig": {"sessionId": {"$gt": ""}}}, "overrideConfig.sessionId: expected text, got an object"),
        ({"overrideConfig": "sessionId"}, "overrideConfig: expected an object, got text"),
        ({"chatId": "c" * 256}, "chatId: at most 255 characters, got 256"),
        ({"chatId": "a\0b"}, "chatId: the character NUL is not allowed"),
    ],
)
def test_an_id_that_is_no_text_is_refused(holder: Caller, chat: str, sent: dict[str, Any], message: str) -> None:
    response = holder.predict(chat, "Hi", **sent)

    assert (response.status_code, response.json()["message"]) == (400, message)


@pytest.mark.parametrize("chat_id", ODD_IDS)
def test_ids_of_the_clients_own_making_are_kept(holder: Caller, chat: str, model: ScriptedModel, chat_id: str) -> None:
    first = holder.answer(chat, "One", chatId=chat_id)
    holder.answer(chat, "Two", chatId=chat_id)

    listed = holder.http.get(f"/chatmessage/{chat}", params={"chatId": chat_id}).json()
    assert ids(first) == (chat_id, chat_id)
    assert told(model) == ["One", "You said: One", "Two"]
    assert [message["content"] for message in listed] == ["One", "You said: One", "Two", "You said: Two"]


def test_a_conversation_is_remembered_by_either_kind_of_flow(
    holder: Caller, chat: str, agent: str, model: ScriptedModel
) -> None:
    for flow_id in (chat, agent):
        for question in ("One", "Two", "Three"):
            holder.answer(flow_id, question, chatId="c")

        assert told(model) == ["One", "You said: One", "Two", "You said: Two", "Three"]


def test_a_streamed_turn_is_remembered_too(holder: Caller, chat: str, model: ScriptedModel) -> None:
    holder.stream(chat, "One", chatId="c")

    holder.answer(chat, "Two", chatId="c")

    assert told(model) == ["One", "You said: One", "Two"]


def test_another_conversation_remembers_nothing(holder: Caller, chat: str, model: ScriptedModel) -> None:
    holder.answer(chat, "My secret is 42", chatId="ann")

    holder.answer(chat, "What is it?", chatId="bob")

    assert told(model) == ["What is it?"]


def test_the_same_session_in_another_flow_remembers_nothing(
    holder: Caller, new_flow: NewFlow, chat: str, model: ScriptedModel
) -> None:
    other = new_flow(drawing.conversation(model.url))
    holder.answer(chat, "My secret is 42", chatId="same", overrideConfig={"sessionId": "same"})

    holder.answer(other, "What is it?", chatId="same", overrideConfig={"sessionId": "same"})

    assert told(model) == ["What is it?"]


def test_memory_goes_by_session_and_not_by_conversation(holder: Caller, chat: str, model: ScriptedModel) -> None:
    holder.answer(chat, "One", chatId="window 1", overrideConfig={"sessionId": "customer"})

    holder.answer(chat, "Two", chatId="window 2", overrideConfig={"sessionId": "customer"})

    assert told(model) == ["One", "You said: One", "Two"]


def test_a_turn_that_failed_is_kept_and_not_remembered(holder: Caller, chat: str, model: ScriptedModel) -> None:
    model.script(Reply(status=400, error="bad prompt"))
    assert holder.predict(chat, "One", chatId="c").status_code == 502

    holder.answer(chat, "Two", chatId="c")

    listed = holder.http.get(f"/chatmessage/{chat}", params={"chatId": "c"}).json()
    assert told(model) == ["Two"]
    assert (listed[0]["role"], listed[0]["content"]) == ("userMessage", "One")
    assert "bad prompt" in listed[0]["error"]


def test_a_lead_is_noted_with_the_question(holder: Caller, chat: str) -> None:
    holder.answer(chat, "Hi", chatId="c", leadEmail="ann@example.com")

    listed = holder.http.get(f"/chatmessage/{chat}", params={"chatId": "c"}).json()

    assert listed[0]["leadEmail"] == "ann@example.com"


def test_what_was_said_carries_its_run_and_its_memory(holder: Caller, chat: str) -> None:
    answer = holder.answer(chat, "Hi", chatId="c", overrideConfig={"sessionId": "s"})

    asked, answered = holder.http.get(f"/chatmessage/{chat}").json()

    assert (asked["role"], answered["role"]) == ("userMessage", "apiMessage")
    assert answered["id"] == answer["chatMessageId"]
    for message in (asked, answered):
        assert message["executionId"] == answer["executionId"]
        assert (message["chatflowid"], message["chatId"], message["sessionId"]) == (chat, "c", "s")
        assert (message["chatType"], message["memoryType"]) == ("EXTERNAL", "Buffer Memory")
