"""What the how-to pages tell people to write is run, so that it cannot grow old."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.registry import Registry, load_registry
from tests.engine.node_world import NodeWorld
from tests.model_server import ScriptedModel

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FUTURE = "from __future__ import annotations\n"


def documented(page: str) -> ModuleType:
    """A module of all Python on a page, in its order."""
    blocks = BLOCK.findall((PAGES / page).read_text())
    module = ModuleType(f"documented_{page.removesuffix('.md').replace('-', '_')}")
    sys.modules[module.__name__] = module  # dataclasses and pytest look their classes up there
    source = FUTURE + "\n".join(block.replace(FUTURE, "") for block in blocks)
    exec(compile(source, page, "exec"), module.__dict__)
    return module


def documented_tests() -> Iterator[Any]:
    for page in ("add-a-node.md", "add-a-provider.md"):
        for name, function in vars(documented(page)).items():
            if name.startswith("test_"):
                for given in arguments(function):
                    yield pytest.param(function, given, id=f"{page}:{name}")


def arguments(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """What its `parametrize` mark gives it, if it has one."""
    marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
    return [{mark.args[0]: value} for mark in marks for value in mark.args[1]] or [{}]


@pytest.mark.parametrize(("function", "given"), [*documented_tests()])
async def test_a_documented_test_passes(
    function: Callable[..., Any], given: dict[str, Any], nodes: NodeWorld, model: ScriptedModel
) -> None:
    fixtures = {"nodes": nodes, "model": model}
    wanted = inspect.signature(function).parameters

    await function(**{name: fixtures[name] for name in wanted if name in fixtures}, **given)


def test_the_documented_node_is_a_type_like_any_other() -> None:
    registry = Registry([*load_registry(), *documented("add-a-node.md").NODES])

    node_type = registry.get("extractAgentflow")

    assert node_type is not None
    assert node_type.spec.param("extractText") in node_type.spec.params


@pytest.mark.parametrize("page", ["add-a-node.md", "add-a-provider.md"])
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    new = {"engine/nodes/extracts.py", "engine/providers/ollama.py", "tests/engine/test_extracts.py"}
    root = PAGES.parents[1]

    named = set(re.findall(r"`((?:engine|tests)/[\w/]+\.py)`", (PAGES / page).read_text()))

    assert named - new
    assert [path for path in named - new if not (root / path).exists()] == []
