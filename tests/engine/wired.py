"""Classic flows of built-in node types, as an editor saves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def wired(*edges: tuple[str, str, str], **inputs: Mapping[str, Any]) -> str:
    """A classic flow: edges of source, target, anchor; inputs by node id."""
    nodes = [
        {"id": node_id, "data": {"id": node_id, "name": node_id.rpartition("_")[0], "inputs": dict(given)}}
        for node_id, given in inputs.items()
    ]
    lines = [
        {
            "source": source,
            "target": target,
            "sourceHandle": f"{source}-output-{source}-Thing",
            "targetHandle": f"{target}-input-{anchor}-Thing",
        }
        for source, target, anchor in edges
    ]
    return orjson.dumps({"nodes": nodes, "edges": lines}).decode()
