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
    flow = {**ctx.state, **run_view(ctx), "state": dict(ctx.state)}
    return await run_code(ctx, code, flow, {f"${name}": value for name, value in variables.items()})


async def run_code(ctx: NodeContext, code: str, flow: Mapping[str, Any], named: Mapping[str, Any]) -> Returned:
    """Run code that sees `flow` as `$flow`, and `named` as they are called. Raises whatever the sandbox raises."""
    seen = {"$input": ctx.request.question, "$flow": flow, "$vars": dict(ctx.world.variables)}
    return await ctx.world.sandbox.run(code, variables={**seen, **named}, http=ctx.world.http)


def run_view(ctx: NodeContext) -> dict[str, str]:
    """What `$flow` says of the run in every kind of flow."""
    request = ctx.request
    return {
        "chatflowId": request.chatflow_id,
        "sessionId": request.session_id,
        "chatId": request.chat_id,
        "input": request.question,
    }


def result_text(value: Any) -> str:
    """Text as it is, nothing as no text, anything else as JSON that people can read."""
    if isinstance(value, str):
        return value
    return "" if value is None else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def shown(returned: Returned) -> dict[str, Any]:
    """What a trace shows of a function beside its result: the lines of its console, if there are any."""
    return {"console": list(returned.console)} if returned.console else {}
