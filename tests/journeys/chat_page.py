"""The chat page as a visitor sees it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.journeys.stage import Stage


class ChatPage:
    """A visitor's chat page, by what is seen on it."""

    def __init__(self, page: Page, stage: Stage) -> None:
        self.page = page
        self.stage = stage
        self.message = page.get_by_role("textbox", name="Your message")
        self.send = page.get_by_role("button", name="Send")
        self.stop = page.get_by_role("button", name="Stop")
        self.new_chat = page.get_by_role("button", name="New chat")
        self.turns = page.get_by_role("list", name="Conversation").get_by_role("listitem")

    def open(self) -> None:
        response = self.page.goto(f"{self.stage.platform.url}/chat/{self.stage.flow_id}")
        assert response is not None
        assert response.status == 200

    def ask(self, question: str) -> None:
        self.message.fill(question)
        self.message.press("Enter")

    def expect_turns(self, *texts: str) -> None:
        expect(self.turns).to_have_text([*texts])

    def expect_idle(self) -> None:
        expect(self.send).to_be_visible()
        expect(self.stop).to_be_hidden()
