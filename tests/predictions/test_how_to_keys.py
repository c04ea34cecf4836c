"""The calls that the page on keys tells people to make, made by a shell as they stand there."""

from __future__ import annotations

import httpx

from tests.platform import ROOT, Platform
from tests.predictions.test_how_to_start_flows import BLOCK, shell

PAGE = ROOT / "docs" / "how-to" / "keys.md"


def status(platform: Platform, path: str, key: str, **headers: str) -> int:
    return httpx.get(
        f"{platform.url}/api/v1{path}", headers={"Authorization": f"Bearer {key}", **headers}, timeout=30
    ).status_code


def test_the_pages_calls_do_what_it_says(platform: Platform, agent: str) -> None:
    for_server, for_page, ask, rotate, delete = BLOCK.findall(PAGE.read_text())
    known = {"URL": platform.url, "KEY": platform.api_key, "FLOW": agent}

    backend = shell(for_server, **known)
    page = shell(for_page, **known)
    answered = shell(ask, **known, PAGE_KEY=page["apiKey"])
    rotated = shell(rotate, **known, ID=backend["id"])

    assert answered["text"] == "You said: Where is my order?"
    both = [backend["apiKey"], rotated["apiKey"]]
    assert [status(platform, "/executions", key) for key in both] == [200, 200]
    assert [status(platform, "/tools", key) for key in both] == [403, 403]
    assert shell(delete, **known, ID=backend["id"]) == {"affected": 1}
    assert [status(platform, "/executions", key) for key in both] == [401, 401]
