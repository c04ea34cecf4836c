"""The calls that the page on privacy tells people to make, made by a shell as they stand there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.model_server import ScriptedModel
from tests.platform import ROOT, Platform
from tests.predictions import drawing
from tests.predictions.conftest import NewFlow
from tests.predictions.test_how_to_start_flows import BLOCK, shell

PAGE = ROOT / "docs" / "how-to" / "privacy.md"
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_pages_calls_do_what_it_says(platform: Platform, new_flow: NewFlow, model: ScriptedModel) -> None:
    text = PAGE.read_text()
    make_secret, ask, export, erase, keep, store_nothing = BLOCK.findall(text)
    flow = new_flow(drawing.conversation(model.url), isPublic=True)
    known = {"URL": platform.url, "KEY": platform.api_key, "FLOW": flow}

    names: dict[str, Any] = {"secret": shell(make_secret, **known)["secret"]}
    exec(PYTHON.findall(text)[0], names)
    answered = shell(ask, **known, TOKEN=names["token"])
    first = shell(f"{export.strip()} | head -n 1", **known)
    erased = shell(erase, **known)

    assert answered["chatId"] == "c1"
    assert erased == {"executions": 1, "messages": 2}
    assert shell(keep, **known)["days"] == 90
    assert shell(store_nothing, **known)["store"] is False
    platform.call("PUT", "/api/v1/retention", {"days": None})
    assert (first["kind"], first["content"]) == ("message", "Where is my order?")
    with pytest.raises(AssertionError, match="Nothing is kept"):
        shell(export, **known)
