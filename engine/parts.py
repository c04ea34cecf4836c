"""Parts of flows run by themselves: what leads to one node, and at that node something else than in a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.context import RunRequest, World
from engine.errors import NodeError
from engine.events import NodeFinished, RunFailed
from engine.flow import Flow
from engine.plan import part_plan
from engine.registry import Registry
from engine.runner import Limits, run_flow
from engine.spec import NodeRun

LIMITS = Limits(wall_s=1800.0, output_bytes=1024 * 1024 * 1024)


async def run_part(
    flow: Flow,
    request: RunRequest,
    world: World,
    *,
    registry: Registry,
    node_id: str,
    ending: NodeRun,
    limits: Limits = LIMITS,
) -> Mapping[str, Any]:
    """The output of `ending`, which runs in the node's place once all that leads to it has run.

    Raises FlowError for a part that cannot be planned, NodeError if one of its nodes fails.
    """
    part = replace(flow, plan=part_plan(flow, registry, node_id, ending))
    output: Mapping[str, Any] = {}
    async for event in run_flow(part, request, world, registry=registry, limits=limits):
        if isinstance(event, NodeFinished) and event.node_id == node_id:
            output = event.entry["data"]["output"]
        elif isinstance(event, RunFailed):
            raise NodeError(event.error, node_id=event.node_id)
    return output
