"""Tools made of a function: what nodes hand to agents."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from engine.errors import NodeInputError
from engine.providers.base import ToolSpec

LONGEST_NAME = 64  # what vendors take


@dataclass(slots=True)
class FunctionTool:
    """A tool that runs `function` with the model's arguments; implements `Tool`."""

    spec: ToolSpec
    function: Callable[[Mapping[str, Any]], Awaitable[str]]
    return_direct: bool = False

    async def call(self, arguments: Mapping[str, Any]) -> str:
        """See `Tool.call`."""
        return await self.function(arguments)


def text_tool(
    name: str, description: str, function: Callable[[str], Awaitable[str]], *, return_direct: bool = False
) -> FunctionTool:
    """A tool with one text, `input`."""

    async def call(arguments: Mapping[str, Any]) -> str:
        given = arguments.get("input", next(iter(arguments.values()), None))
        if given is None:
            raise NodeInputError(f"{name} needs an input.")
        return await function(str(given))

    parameters = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    return FunctionTool(ToolSpec(tool_name(name), description, parameters), call, return_direct)


def url_text(value: Any) -> str:
    """An argument of a model's as URLs hold it: lists by commas, what else is no text as JSON."""
    if isinstance(value, list):
        return ",".join(map(url_text, value))
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def path_part(tool: str, name: str, value: Any) -> str:
    """The same as one step of a path. Raises NodeInputError for a step that leads somewhere else."""
    text = url_text(value)
    if text in ("", ".", ".."):
        raise NodeInputError(f"{tool} takes no {text!r} as {name!r}: it would call another path.")
    return quote(text, safe="")


def tool_name(label: str) -> str:
    """A name that every vendor takes: letters, digits, `_` and `-`."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", label.strip()).strip("_")[:LONGEST_NAME] or "tool"
