"""Sticky notes: what authors write on the canvas for each other. They never run."""

from __future__ import annotations

from engine.context import NodeContext
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

NOTE = Param("note", "string", "Note", optional=True, help="The text on it.")


def _spec(name: str, version: float, category: str) -> NodeSpec:
    return NodeSpec(
        name=name,
        label="Sticky Note",
        version=version,
        category=category,
        base_classes=("StickyNote",),
        help="A note on the canvas.",
        params=(NOTE,),
        role="note",
    )


async def run_note(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Nothing happens."""
    return NodeResult()


NODES = (
    NodeType(_spec("stickyNote", 2, "Utilities"), run_note),
    NodeType(_spec("stickyNoteAgentflow", 1, "Agent Flows"), run_note),
)
