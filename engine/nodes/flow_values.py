"""What nodes of multi-agent graphs mean by `$flow.…` and `$vars.…`: paths into the run, its messages and an output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engine.context import NodeContext
from engine.nodes import javascript
from engine.providers.base import Message

STEP = re.compile(r"""\[\s*(-?\d+)\s*\]|\[\s*["']([^"']*)["']\s*\]|([^.\[\]]+)""")
ROOTS = ("$flow", "$vars")


def flow_view(ctx: NodeContext, output: Any = None) -> dict[str, Any]:
    """`$flow` as plain JSON. `output` is what the node itself has just put out."""
    return {
        **javascript.run_view(ctx),
        "state": {**ctx.state, "messages": [_shown(message) for message in ctx.messages]},
        "output": output,
    }


def value_of(ctx: NodeContext, text: Any, view: Mapping[str, Any]) -> Any:
    """The value of `$flow.state.name` or `$vars.name`, None if nothing stands there; anything else as it is."""
    if not isinstance(text, str) or not text.strip().startswith(ROOTS):
        return text
    root, *path = [int(at) if at else key or name.strip() for at, key, name in STEP.findall(text.strip())]
    return _walk(view if root == "$flow" else ctx.world.variables, path)


async def run_code(ctx: NodeContext, code: str, view: Mapping[str, Any], **more: Any) -> Any:
    """What a user's function returns; `$flow`, `$vars`, `$input` and `more` are its globals.

    Raises NodeInputError for what is no JavaScript, NodeError for what it throws.
    """
    return (await javascript.run_code(ctx, code, view, more)).value


def _walk(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(str(step))
        elif isinstance(value, list | str) and step == "length":
            value = len(value)
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", str(step)) and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _shown(message: Message) -> dict[str, Any]:
    """A message as the authors of conditions and code know it."""
    return {
        "role": message.role,
        "content": message.content,
        "name": message.name,
        "tool_calls": [{"id": c.id, "name": c.name, "args": dict(c.arguments)} for c in message.tool_calls],
        "invalid_tool_calls": [],
        "additional_kwargs": {},
        "response_metadata": {},
        "usage_metadata": {},
    }
