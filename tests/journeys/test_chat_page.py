"""The pages that people open, in a real browser: the list of chats, and a chat from its first word to its reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.chat_page import ChatPage
from tests.journeys.stage import WORDS, Stage, set_stage, wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform

STARTERS = '{"starterPrompts": {"0": {"prompt": "Tell me a joke"}, "1": {"prompt": "What can you do?"}}}'


@pytest.fixture
def talk(page: Page, chat: Stage) -> ChatPage:
    talk = ChatPage(page, chat)
    talk.open()
    return talk


def test_the_first_page_leads_to_the_docs_and_the_admin(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}/chat/{platform.demo_flow_id}")
    expect(page.get_by_role("heading", name="Demo chat")).to_be_visible()
    page.goto(platform.url)

    page.get_by_role("link", name="Admin").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="API docs").click()
    page.locator("h3", has_text="prediction").first.click()
    expect(page.get_by_text("/api/v1/prediction/{chatflow_id}").first).to_be_visible(timeout=30_000)


def test_an_answer_appears_word_by_word(talk: ChatPage) -> None:
    talk.stage.stall(after=3)

    talk.ask("Count")

    talk.expect_turns("You: Count", "Answer: one two three")
    expect(talk.stop).to_be_visible()
    talk.stage.model.release()
    talk.expect_turns("You: Count", f"Answer: {WORDS}")
    talk.expect_idle()


def test_an_agentflow_answers_too(page: Page, platform: Platform) -> None:
    platform.model.script("Hello from the agent flow")
    talk = ChatPage(page, Stage(platform, platform.model, platform.agentflow_id))
    talk.open()

    talk.ask("hello")

    expect(talk.turns).to_have_count(2)
    talk.expect_idle()
    expect(talk.turns.last).not_to_have_text("Answer: ")


def test_stop_ends_an_answer_and_keeps_what_was_said(talk: ChatPage) -> None:
    talk.stage.stall(after=3)
    talk.ask("Count")
    talk.expect_turns("You: Count", "Answer: one two three")

    talk.stop.click()

    talk.expect_turns("You: Count", "Answer: one two threeStopped")
    talk.expect_idle()
    assert talk.stage.model.hung_up.wait(10)


def test_an_error_is_shown_with_the_number_of_its_request(talk: ChatPage) -> None:
    talk.stage.model.script(Reply(status=401, error="who are you"))

    talk.ask("Hello")

    error = talk.turns.last
    expect(error).to_contain_text("401")
    expect(error.get_by_text(re.compile("^Request [0-9a-f-]{36}$"))).to_be_visible()
    expect(talk.turns).to_have_count(2)
    talk.ask("And now?")
    expect(talk.turns.last).to_have_text("Answer: You said: And now?")


def test_a_refusal_is_shown_with_its_words(page: Page, platform: Platform) -> None:
    with ScriptedModel() as model:
        limit = '{"rateLimit": {"status": true, "limitMax": 1, "limitDuration": 60, "limitMsg": "Slow down"}}'
        talk = ChatPage(page, set_stage(platform, model, apiConfig=limit))
        talk.open()
        talk.ask("First")
        expect(talk.turns.last).to_have_text("Answer: You said: First")
        talk.expect_idle()

        talk.ask("Second")

        expect(talk.turns.last).to_contain_text("Slow down")


def test_a_reload_goes_on_with_the_answer(talk: ChatPage) -> None:
    talk.stage.stall(after=3)
    talk.ask("Count")
    talk.expect_turns("You: Count", "Answer: one two three")

    talk.page.reload()

    talk.expect_turns("You: Count", "Answer: one two three")
    expect(talk.stop).to_be_visible()
    talk.stage.model.release()
    talk.expect_turns("You: Count", f"Answer: {WORDS}")
    talk.expect_idle()
    assert len(talk.stage.model.requests) == 1


def test_a_conversation_outlives_a_reload_until_a_new_one_is_begun(talk: ChatPage) -> None:
    talk.ask("Hello")
    talk.expect_turns("You: Hello", "Answer: You said: Hello")

    talk.page.reload()
    talk.expect_turns("You: Hello", "Answer: You said: Hello")
    talk.new_chat.click()

    talk.expect_turns()
    talk.page.reload()
    talk.expect_turns()
    talk.ask("Again")
    talk.expect_turns("You: Again", "Answer: You said: Again")
    assert len(talk.stage.model.requests[-1].messages) < 3


def test_suggestions_ask_their_question(page: Page, platform: Platform) -> None:
    with ScriptedModel() as model:
        talk = ChatPage(page, set_stage(platform, model, chatbotConfig=STARTERS))
        talk.open()

        page.get_by_role("list", name="Suggestions").get_by_role("button", name="Tell me a joke").click()

        talk.expect_turns("You: Tell me a joke", "Answer: You said: Tell me a joke")
        expect(page.get_by_role("list", name="Suggestions")).to_be_hidden()


def test_shift_enter_begins_a_line(talk: ChatPage) -> None:
    talk.message.press_sequentially("One")
    talk.message.press("Shift+Enter")
    talk.message.press_sequentially("Two")
    expect(talk.message).to_have_value("One\nTwo")
    talk.expect_turns()

    talk.message.press("Enter")

    expect(talk.message).to_have_value("")
    wait_for(lambda: bool(talk.stage.model.requests), "the question")
    assert talk.stage.model.requests[0].question == "One\nTwo"
    talk.expect_idle()


def test_the_keyboard_is_enough(talk: ChatPage) -> None:
    expect(talk.message).to_be_focused()
    talk.stage.stall(after=3)
    talk.page.keyboard.type("Count")
    talk.page.keyboard.press("Tab")
    expect(talk.send).to_be_focused()
    talk.page.keyboard.press("Enter")
    talk.expect_turns("You: Count", "Answer: one two three")

    expect(talk.message).to_be_focused()
    talk.page.keyboard.press("Tab")
    expect(talk.stop).to_be_focused()
    talk.page.keyboard.press("Enter")

    talk.expect_idle()
    expect(talk.message).to_be_focused()


MARKUP = "<img src=x onerror=\"document.title='broken'\"><b>bold</b>"


def test_what_people_and_models_say_is_shown_as_text(talk: ChatPage) -> None:
    talk.stage.model.script(MARKUP)

    talk.ask(MARKUP)

    talk.expect_turns(f"You: {MARKUP}", f"Answer: {MARKUP}")
    talk.page.reload()
    talk.expect_turns(f"You: {MARKUP}", f"Answer: {MARKUP}")
    expect(talk.page.locator("#messages img, #messages b")).to_have_count(0)


def test_the_page_of_a_private_flow_is_not_found(page: Page, platform: Platform) -> None:
    with ScriptedModel() as model:
        stage = set_stage(platform, model, isPublic=False)

        response = page.goto(f"{platform.url}/chat/{stage.flow_id}")

    assert response is not None
    assert response.status == 404
