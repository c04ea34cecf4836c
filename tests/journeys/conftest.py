"""Platforms and stages for journeys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from predictions.reaper import COME_BACK_S
from tests.browser import chromium
from tests.journeys.stage import Stage, set_stage, wait_steady
from tests.model_server import ScriptedModel
from tests.platform import Platform, running_platform


@pytest.fixture(scope="module")
def doomed() -> Iterator[Platform]:
    """A module's own platform, whose parts may be killed: they come back before the next test."""
    with running_platform() as platform:
        yield platform


@pytest.fixture
def stage(doomed: Platform) -> Iterator[Stage]:
    doomed.wait_ready()
    with ScriptedModel() as model:
        yield set_stage(doomed, model)


@pytest.fixture
def steady(stage: Stage) -> None:
    """The platform has run for so long that a missing worker is taken for dead, not for late."""
    wait_steady(stage.platform, for_s=COME_BACK_S)


@pytest.fixture
def chat(platform: Platform) -> Iterator[Stage]:
    """On the session's platform, for journeys that leave it whole."""
    with ScriptedModel() as model:
        yield set_stage(platform, model)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One a module: while Playwright lives, no asynchronous test can run in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium().launch_options())
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A visitor's, whose browser has nothing to complain about."""
    context = browser.new_context()
    context.set_default_timeout(10_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # What the server refuses, the browser reports as well; that is no fault of the page.
    assert [text for text in complaints if "Failed to load resource" not in text] == []
