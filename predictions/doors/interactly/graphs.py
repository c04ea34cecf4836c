"""A workflow's drawing, as far as events tell of it: which edge leads from node to node, and which nodes speak last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from chatflows.flowdata import FlowDataInvalid, read_graph
from chatflows.models import ChatflowVersion


@dataclass(frozen=True, slots=True)
class Line:
    """An edge: what it is called, and the label that its author gave it."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Of one version. Nodes by their ids."""

    lines: Mapping[tuple[str, str], Line] = field(default_factory=dict)  # by source and target
    sources: frozenset[str] = frozenset()  # the nodes that lead on to others

    def line(self, source: str, target: str) -> Line:
        """The edge between the two; a loop goes back without one."""
        return self.lines.get((source, target)) or Line(f"{source}-{target}", "")

    def is_last(self, node_id: str) -> bool:
        return node_id not in self.sources


async def drawing_of(version_id: UUID) -> Drawing:
    """The drawing of a version, read once in each process. Raises django.db.OperationalError."""
    return await sync_to_async(_drawing)(version_id)


@lru_cache(maxsize=512)
def _drawing(version_id: UUID) -> Drawing:
    """Versions never change."""
    try:
        graph = read_graph(ChatflowVersion.objects.values_list("flow_data", flat=True).get(pk=version_id))
    except (ChatflowVersion.DoesNotExist, FlowDataInvalid):
        return Drawing()
    edges = graph["edges"]
    lines = {(str(edge.get("source")), str(edge.get("target"))): _line(edge) for edge in edges}
    return Drawing(lines, frozenset(source for source, _ in lines))


def _line(edge: Mapping[str, Any]) -> Line:
    data = edge.get("data")
    label = (data.get("edgeLabel") or data.get("label")) if isinstance(data, dict) else None
    return Line(
        str(edge.get("id") or f"{edge.get('source')}-{edge.get('target')}"), str(label or edge.get("label") or "")
    )
