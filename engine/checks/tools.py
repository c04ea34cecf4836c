"""Tools that a flow only names: are they in its workspace?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from engine.checks.nodes import places_of
from engine.checks.problem import Problem
from engine.flow import Drawing

TOOL = "customTool"
SELECTED = "selectedTool"


def tool_problems(drawing: Drawing, tools: Collection[str]) -> Iterator[Problem]:
    """A warning for each tool that a node names and `tools` lacks: it stayed where the flow comes from."""
    for place in places_of(drawing):
        if place.name == TOOL and (wanted := _wanted(place.inputs)) and wanted not in tools:
            yield place.problem(
                f"the tool {wanted!r} is not in this workspace; an exported flow carries only its id",
                "import the tool, choose another one, or put its function into 'customToolFunc'",
                field=SELECTED,
                severity="warning",
                code="needs_value",
                subject=SELECTED,
            )


def _wanted(inputs: Mapping[str, Any]) -> str:
    """The id of the tool that runs; "" if the node has a function of its own."""
    return "" if str(inputs.get("customToolFunc") or "").strip() else str(inputs.get(SELECTED) or "").strip()
