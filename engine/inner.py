"""Runs inside a run: what stands in an iteration, and other flows; they share its limits, and it says what is heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from engine.context import CalledFlow, InnerPause, InnerRun, RunRequest
from engine.errors import NodeInputError, RunLimitExceeded
from engine.events import (
    ENDINGS,
    Event,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStopped,
)
from engine.flow import Node
from engine.overrides import apply_overrides, everything, with_overrides
from engine.plan import plan_for
from engine.state import RunState, asked_again, restore

if TYPE_CHECKING:
    from engine.turn import Running

Put = Callable[..., None]  # (class of an event, its fields but `seq`)
HEARD = (NodeStarted, NodeFinished, NodeFailed, NodeSkipped)


class Inner:
    """The inner runs of one turn; implements `InnerRuns`."""

    __slots__ = ("_lanes", "_node", "_put", "_run")

    def __init__(self, run: Running, node: Node, put: Put) -> None:
        self._run = run
        self._node = node
        self._put = put
        self._lanes: deque[Lane] = deque()

    async def block(self, iteration: Mapping[str, Any], state: Mapping[str, Any]) -> InnerRun:
        """See `InnerRuns.block`."""
        plan = self._run.plan.blocks.get(self._node.id)
        if plan is None:
            raise NodeInputError("There is nothing to run in it: place nodes inside it.")
        outer = self._run.state
        lane = Lane(self._put, _marks(self._node, iteration))
        self._lanes.append(lane)
        self._begin_next()
        inside = replace(
            self._run,
            plan=plan,
            request=replace(self._run.request, iteration=iteration, is_streaming=False),
            state=RunState(
                queue=deque(plan.first),
                values=dict(state),
                form=outer.form,
                outputs=dict(outer.outputs),
                past=outer.past,
                is_forgetful=outer.is_forgetful,
            ),
            feed=lane,
            said=[],
            answer=None,
            has_past=True,
        )
        try:
            await self._run.work(inside)
        finally:
            lane.is_over = True
            self._begin_next()
        return _ended(lane.ending, inside.state, before=outer.outputs)

    async def flow(
        self,
        called: CalledFlow,
        request: RunRequest,
        *,
        override: Mapping[str, Any],
        snapshot: Mapping[str, Any] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> InnerRun:
        """See `InnerRuns.flow`."""
        registry = self._run.plan.registry
        accepted = apply_overrides(called.flow, override, everything(called.flow, override, registry), registry)
        plan = plan_for(with_overrides(called.flow, accepted), registry)
        if snapshot is None:
            state = RunState(queue=deque(plan.first), form=request.form)
        else:
            state, request = restore(snapshot), asked_again(request, snapshot["asked"])
        unheard = Unheard()
        inside = replace(
            self._run,
            plan=plan,
            request=replace(request, is_streaming=False),
            world=replace(called.world, variables={**called.world.variables, **accepted.variables}),
            state=state,
            feed=unheard,
            said=[],
            answer=answer,
            has_past=False,
        )
        await self._run.work(inside)
        return replace(_ended(unheard.ending, state, before={}), warnings=accepted.warnings)

    def _begin_next(self) -> None:
        """Let the earliest lane that is still going be heard, and what has ended before it."""
        while self._lanes:
            self._lanes[0].begin()
            if not self._lanes[0].is_over:
                return
            self._lanes.popleft()


@dataclass(slots=True)
class Unheard:
    """Takes the events of an inner run in and keeps its end."""

    ending: Event | None = None

    def put(self, kind: type[Event], *fields: Any) -> None:
        """See `Sink.put`."""
        if kind in ENDINGS:
            self.ending = kind(0, *fields)


@dataclass(slots=True)
class Lane:
    """Passes on what becomes of an inner run's nodes, from the moment on at which it may be heard."""

    out: Put
    marks: Mapping[str, Any]  # what its trace entries say beside the rest
    is_over: bool = False
    ending: Event | None = None
    _is_due: bool = False
    _waiting: list[tuple[type[Event], tuple[Any, ...]]] = field(default_factory=list)

    def put(self, kind: type[Event], *fields: Any) -> None:
        """See `Sink.put`. Tokens are not passed on: only the last node of a path speaks."""
        if kind in ENDINGS:
            self.ending = kind(0, *fields)
        elif kind in HEARD:
            fields = tuple(self._marked(value) if isinstance(value, Mapping) else value for value in fields)
            if self._is_due:
                self.out(kind, *fields)
            else:
                self._waiting.append((kind, fields))

    def begin(self) -> None:
        """From now on it is heard at once."""
        self._is_due = True
        for kind, fields in self._waiting:
            self.out(kind, *fields)
        self._waiting.clear()

    def _marked(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The innermost iteration's marks stay."""
        return {**entry, "data": {**self.marks, **entry["data"]}}


def _marks(node: Node, iteration: Mapping[str, Any]) -> dict[str, Any]:
    return {"iterationIndex": iteration.get("index"), "iterationContext": dict(iteration), "parentNodeId": node.id}


def _ended(ending: Event | None, state: RunState, *, before: Mapping[str, Mapping[str, Any]]) -> InnerRun:
    run = InnerRun(
        text="",
        output=state.last_output,
        outputs={node_id: output for node_id, output in state.outputs.items() if before.get(node_id) is not output},
        state=state.values,
        usage=state.usage,
    )
    match ending:
        case RunFinished():
            return replace(run, text=ending.text, json=ending.json)
        case RunPaused():
            return replace(
                run, text=ending.text, pause=InnerPause(ending.text, ending.action, ending.snapshot, ending.wait)
            )
        case RunFailed(code=RunLimitExceeded.code):
            raise RunLimitExceeded(ending.error)
        case RunFailed():
            return replace(run, error=ending.error)
        case RunStopped():
            return replace(run, text=ending.text, error="It was stopped.")
        case _:
            raise AssertionError("an inner run ends as any other")
