"""All that is wrong with a flow, before it runs: told at once, each with its place and its remedy.

Saving a flow never fails for any of this. Running it fails at the first error, with the same words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from engine.checks.code import code_problems
from engine.checks.nodes import node_problems
from engine.checks.problem import Problem
from engine.checks.references import reference_problems
from engine.checks.start import start_problems
from engine.checks.stores import store_problems
from engine.checks.tools import tool_problems
from engine.checks.wiring import label_problems, wiring_problems
from engine.errors import FlowError, LeftOut
from engine.flow import parse_flow, read_drawing
from engine.plan import plan_for
from engine.registry import Registry

__all__ = ["Problem", "check_flow"]

NONE: Mapping[str, bool] = MappingProxyType({})


def check_flow(
    flow_data: str | bytes,
    registry: Registry,
    *,
    api_config: Mapping[str, Any] | None = None,
    tools: Collection[str] = (),
    stores: Mapping[str, bool] = NONE,
) -> list[Problem]:
    """The problems of a flow in the editor's JSON text, errors first; an empty list: it runs.

    `api_config` holds the flow's override rules, which name nodes by their labels; `tools` the ids of those that its
    workspace keeps; `stores` those of its document stores, and whether there is anything in them. Raises nothing: a
    text that is no flow is one problem.
    """
    try:
        drawing = read_drawing(flow_data)
    except FlowError as exc:
        return [_broken(exc)]
    wiring = [*wiring_problems(drawing)]
    found = [
        *(wiring or _graph_problems(flow_data)),
        *node_problems(drawing, registry),
        *code_problems(drawing, registry),
        *tool_problems(drawing, tools),
        *store_problems(drawing, stores),
        *start_problems(drawing),
        *reference_problems(drawing, registry),
        *label_problems(drawing, api_config or {}),
    ]
    if not any(problem.severity == "error" for problem in found):
        found += _plan_problems(flow_data, registry)
    return sorted(found, key=lambda problem: problem.severity != "error")


def _graph_problems(flow_data: str | bytes) -> list[Problem]:
    try:
        parse_flow(flow_data)
    except FlowError as exc:
        return [_broken(exc)]
    return []


def _plan_problems(flow_data: str | bytes, registry: Registry) -> list[Problem]:
    """What only planning finds."""
    try:
        plan_for(parse_flow(flow_data), registry)
    except FlowError as exc:
        # An input to be filled in has been told already, as no fault of the flow's.
        return [] if isinstance(exc.__cause__, LeftOut) else [_broken(exc)]
    return []


def _broken(exc: FlowError) -> Problem:
    """The engine's refusals name their remedy themselves."""
    return Problem(message=exc.message)
