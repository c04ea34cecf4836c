"""Runs authors' JavaScript for the nodes that have some: what the code sees of its run, and what it gives as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.context import NodeContext, Returned
from engine.errors import NodeInputError

EXAMPLE = "It sees $flow (sessionId, chatId, chatflowId, input, state), $vars and, by its name, each variable as $name."


async def run_function(
    ctx: NodeContext, code: str, variables: Mapping[str, Any], *, what: str = "function"
) -> Returned:
    """Run the code; it sees the run as `$flow`, the question as `$input`, and each variable as `$name`.

    Raises NodeInputError if there is no code, and whatever the sandbox raises.
    """
    if not code.strip():
        raise NodeInputError(f"The {what} is empty: write its JavaScript.")
    request = ctx.request
    flow = {
        **ctx.state,
        "chatflowId": request.chatflow_id,
        "sessionId": request.session_id,
        "chatId": request.chat_id,
        "input": request.question,
        "state": dict(ctx.state),
    }
    seen = {"$input": request.question, "$flow": flow, "$vars": dict(ctx.world.variables)}
    named = {f"${name}": value for name, value in variables.items()}
    return await ctx.world.sandbox.run(code, variables={**seen, **named}, http=ctx.world.http)


def result_text(value: Any) -> str:
    """Text as it is, nothing as no text, anything else as JSON that people can read."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def shown(returned: Returned) -> dict[str, Any]:
    """What a trace shows of a function beside its result: the lines of its console, if there are any."""
    return {"console": list(returned.console)} if returned.console else {}
