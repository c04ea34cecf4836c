"""A visitor of the chat page is asked whether the run may go on, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.chat_page import ChatPage
from tests.journeys.stage import Stage
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing

NO_FEEDBACK = {"humanInputEnableFeedback": False}
ASKS = "humanInputAgentflow_0"


class DecisionPage(ChatPage):
    """The chat page of a flow that asks for a decision."""

    def __init__(self, page: Page, stage: Stage) -> None:
        super().__init__(page, stage)
        self.decision = page.get_by_role("form", name="Your decision")
        self.proceed = self.decision.get_by_role("button", name="Proceed")
        self.reject = self.decision.get_by_role("button", name="Reject")
        self.feedback = self.decision.get_by_role("textbox", name="Feedback")


def letter(platform: Platform, model: ScriptedModel, **human: Any) -> Stage:
    """A public flow that asks before the model writes, and repeats what it was told instead when it may not."""
    nodes = [
        drawing.start(),
        drawing.human(**human),
        drawing.llm_step(model.url),
        drawing.reply(0, f"Not written: {{{{ {ASKS} }}}}"),
    ]
    edges = [
        *drawing.path("startAgentflow_0", ASKS),
        drawing.branch(ASKS, 0, "llmAgentflow_0"),
        drawing.branch(ASKS, 1, "directReplyAgentflow_0"),
    ]
    body = {"name": "Letter", "type": "AGENTFLOW", "flowData": drawing.flow(nodes, edges), "isPublic": True}
    flow_id = platform.call("POST", "/api/v1/chatflows", body).json()["id"]
    assert platform.call("PUT", f"/api/v1/chatflows/{flow_id}", {"deployed": True}).status == 200
    return Stage(platform, model, flow_id)


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture
def talk(page: Page, platform: Platform, model: ScriptedModel) -> DecisionPage:
    talk = DecisionPage(page, letter(platform, model))
    talk.open()
    talk.ask("Write")
    expect(talk.turns.last).to_contain_text("Answer: Send it?")
    talk.expect_idle()
    return talk


def test_a_visitor_lets_the_run_go_on_by_a_button(talk: DecisionPage, model: ScriptedModel) -> None:
    model.script("Dear Sir")

    talk.proceed.click()

    talk.expect_turns("You: Write", "Answer: Send it?", "You: Proceed", "Answer: Dear Sir")
    talk.expect_idle()
    expect(talk.decision).to_have_count(0)


def test_a_visitor_says_why_not(talk: DecisionPage) -> None:
    talk.feedback.fill("Too long")

    talk.reject.click()

    talk.expect_turns("You: Write", "Answer: Send it?", "You: Too long", "Answer: Not written: Too long")


def test_the_keyboard_is_enough_to_decide(talk: DecisionPage, model: ScriptedModel) -> None:
    model.script("Dear Sir")
    talk.feedback.focus()

    talk.page.keyboard.press("Enter")
    expect(talk.decision).to_be_visible()
    talk.page.keyboard.press("Tab")
    expect(talk.proceed).to_be_focused()
    talk.page.keyboard.press("Enter")

    expect(talk.turns.last).to_have_text("Answer: Dear Sir")
    expect(talk.message).to_be_focused()


def test_a_decision_waits_through_a_reload(talk: DecisionPage, model: ScriptedModel) -> None:
    model.script("Dear Sir")

    talk.page.reload()
    talk.proceed.click()

    talk.expect_turns("You: Write", "Answer: Send it?", "You: Proceed", "Answer: Dear Sir")


def test_a_new_question_leaves_the_decision_behind(talk: DecisionPage) -> None:
    talk.ask("Write something else")

    expect(talk.turns).to_have_count(4)
    expect(talk.decision).to_have_count(1)
    expect(talk.turns.last.get_by_role("form", name="Your decision")).to_be_visible()


def test_no_reasons_are_asked_for_where_none_are_wanted(page: Page, platform: Platform, model: ScriptedModel) -> None:
    talk = DecisionPage(page, letter(platform, model, **NO_FEEDBACK))
    talk.open()

    talk.ask("Write")

    expect(talk.proceed).to_be_visible()
    expect(talk.feedback).to_have_count(0)
