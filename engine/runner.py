"""Runs a flow: takes the ready nodes in their order, commits what they give, and says all of it in events."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from engine import scheduler
from engine.context import RunRequest, World
from engine.errors import EngineError, NodeError, NodeInputError, RunLimitExceeded
from engine.events import (
    Event,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopped,
    UsageReported,
)
from engine.flow import Flow
from engine.graph import Edge
from engine.plan import plan_for
from engine.registry import Registry
from engine.retry import ERROR_HANDLE
from engine.spec import NodeResult, Pause
from engine.state import RunState, restore, snapshot
from engine.templating import Late, as_text
from engine.trace import Status, make_entry
from engine.turn import Outcome, Running, Turn

CANCELLED = "Flow execution was cancelled"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one run; to reach one ends it with RunLimitExceeded."""

    wall_s: float = 300.0
    executions: int = 1000  # of nodes
    output_bytes: int = 16 * 1024 * 1024  # of all outputs and tokens together


@dataclass(frozen=True, slots=True)
class Resume:
    """Where to go on: the snapshot of a RunPaused, and what the human said to it."""

    snapshot: Mapping[str, Any]
    answer: Mapping[str, Any]


class Commands:
    """Orders to a run that is going on. They are values that it reads, not failures; give one only to one run."""

    def __init__(self) -> None:
        self.is_stopped = False
        self._deadline: asyncio.Timeout | None = None

    def stop(self) -> None:
        """End the run now; a node that is waiting for something is cancelled. Call it on the run's own loop."""
        self.is_stopped = True
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(0)

    @contextlib.contextmanager
    def reaching(self, deadline: asyncio.Timeout) -> Iterator[None]:
        """Let an order bring the deadline forward to now."""
        self._deadline = deadline
        try:
            yield
        finally:
            self._deadline = None


def run_flow(
    flow: Flow,
    request: RunRequest,
    world: World,
    *,
    registry: Registry,
    limits: Limits | None = None,
    commands: Commands | None = None,
    resume: Resume | None = None,
) -> AsyncIterator[Event]:
    """Run a flow. The last event is RunFinished, RunFailed, RunStopped or RunPaused.

    Raises FlowError (MissingTypes if node types are not installed here) before anything runs, ValueError for a
    snapshot that cannot be read. Closing the iterator cancels what is going on.
    """
    plan = plan_for(flow, registry)
    state = RunState(queue=deque(plan.first), form=request.form) if resume is None else restore(resume.snapshot)
    limits = limits or Limits()
    running = Running(
        plan, request, world, state, bytes_left=limits.output_bytes, answer=resume.answer if resume else None
    )
    return _Run(running, limits, commands or Commands()).events()


class _Run:
    """The loop over the nodes of one run."""

    def __init__(self, running: Running, limits: Limits, commands: Commands) -> None:
        self._running = running
        self._plan = running.plan
        self._state = running.state
        self._feed = running.feed
        self._limits = limits
        self._commands = commands
        self._turn: Turn | None = None  # the one that is due
        self._ahead: dict[str, tuple[Turn, asyncio.Task[Outcome]]] = {}  # those that run before they are due
        self._is_loaded = not self._plan.reads_history
        self._is_over = False

    async def events(self) -> AsyncIterator[Event]:
        task = asyncio.create_task(self._drive())
        try:
            async for event in self._feed.read():
                yield event
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _drive(self) -> None:
        self._feed.put(RunStarted, self._plan.flow.kind)
        try:
            async with asyncio.timeout(self._limits.wall_s) as deadline:
                with self._commands.reaching(deadline):
                    await self._work()
        except TimeoutError:
            if not deadline.expired():
                raise
            self._interrupt()
        finally:
            self._feed.close()

    async def _work(self) -> None:
        if not self._plan.has_company:
            await self._loop(None)
            return
        async with asyncio.TaskGroup() as group:
            await self._loop(group)
            for _, task in self._ahead.values():
                task.cancel()

    async def _loop(self, group: asyncio.TaskGroup | None) -> None:
        queue = self._state.queue
        while queue and not self._is_over:
            if self._commands.is_stopped:
                self._stop()
                return
            if self._state.executions >= self._limits.executions:
                self._fail(
                    RunLimitExceeded(
                        f"Maximum iteration limit reached: a run may execute {self._limits.executions} nodes. "
                        "Check what ends its loops."
                    )
                )
                return
            await self._load_history(queue[0])
            if group is not None and len(queue) > 1:
                self._start_ahead(group)
            turn, outcome = await self._take_turn(queue[0])
            self._commit(turn, outcome)
        if not self._is_over:
            self._finish()

    async def _load_history(self, node_id: str) -> None:
        """Once, and not before a node can need it: a start node may still say that the past is forgotten."""
        if self._is_loaded or self._plan.steps[node_id].spec.role == "start":
            return
        self._is_loaded = True
        if not self._state.is_forgetful:
            given = self._running.request.history if self._plan.ending else ()
            self._state.past = [*given, *await self._running.world.history.load()]

    def _start_ahead(self, group: asyncio.TaskGroup) -> None:
        """Start those of the waiting nodes that need nothing of the nodes before them."""
        before = {self._state.queue[0]}
        for node_id in islice(self._state.queue, 1, None):
            step = self._plan.steps[node_id]
            if step.may_run_ahead and node_id not in self._ahead and node_id not in before and not step.reads & before:
                turn = Turn(self._running, step)
                self._ahead[node_id] = (turn, group.create_task(turn.take()))
            before.add(node_id)

    async def _take_turn(self, node_id: str) -> tuple[Turn, Outcome]:
        turn, task = self._ahead.pop(node_id, None) or (Turn(self._running, self._plan.steps[node_id]), None)
        self._turn = turn
        turn.begin()
        outcome = await (turn.take() if task is None else task)
        self._turn = None
        return turn, outcome

    def _commit(self, turn: Turn, outcome: Outcome) -> None:
        """What a turn changes: state, messages, trace, and which nodes are ready."""
        result = outcome.result
        if outcome.error is None and result.jump_to is not None and result.jump_to not in self._plan.steps:
            outcome = replace(outcome, error=_no_target(result.jump_to))
        if outcome.error is not None:
            self._commit_failure(turn, outcome, outcome.error)
            return
        self._take_in(result)
        if result.usage.total_tokens:
            self._feed.put(UsageReported, turn.step.node.id, result.usage.input_tokens, result.usage.output_tokens)
        output = outcome.output()
        if result.pause is not None:
            self._emit_finished(turn, outcome, output, "STOPPED")
            self._pause(turn, result.pause)
            return
        self._emit_finished(turn, outcome, output, "FINISHED")
        self._advance(turn, result, output, lambda edge: _is_taken(edge, result))

    def _commit_failure(self, turn: Turn, outcome: Outcome, error: EngineError) -> None:
        node = turn.step.node
        if isinstance(error, NodeError):
            error.node_id, error.node_label = node.id, node.label
        self._emit_failed(turn, outcome, error.message, error.code, "ERROR")
        on_error = turn.step.policy.on_error
        if on_error == "fail" or isinstance(error, RunLimitExceeded):
            self._fail(error, node.id)
            return
        result = NodeResult(output={"error": error.message})
        self._advance(turn, result, result.output, lambda edge: (edge.output == ERROR_HANDLE) == (on_error == "branch"))

    def _take_in(self, result: NodeResult) -> None:
        state = self._state
        if result.state:
            said = as_text(result.output.get("content", ""))
            state.values |= {
                key: value.finish(said) if isinstance(value, Late) else value for key, value in result.state.items()
            }
        state.messages += result.messages
        state.usage += result.usage

    def _advance(self, turn: Turn, result: NodeResult, output: Mapping[str, Any], choice: scheduler.Choice) -> None:
        state, node = self._state, turn.step.node
        state.queue.popleft()
        state.runs[node.id] = state.runs.get(node.id, 0) + 1
        state.last_output = output
        if self._plan.ending:
            state.instances[node.id] = result.value
        else:
            state.outputs[node.id] = output
            state.form = output.get("form") or state.form
            state.is_forgetful = state.is_forgetful or bool(output.get("ephemeralMemory"))
        if node.id == state.paused_at:
            state.paused_at, self._running.answer = "", None
        if result.jump_to is not None:
            self._jump(node.id, result.jump_to)
            return
        unlocked = scheduler.complete(self._plan.graph, state.decisions, node.id, choice)
        state.queue.extend(unlocked.ready)
        for skipped in unlocked.skipped:
            self._feed.put(NodeSkipped, skipped, self._plan.steps[skipped].node.label)

    def _jump(self, loop: str, target: str) -> None:
        state = self._state
        state.jumps[loop] = state.jumps.get(loop, 0) + 1
        state.last_loop = loop
        scheduler.jump(self._plan.graph, state.decisions, target)
        state.queue.append(target)

    def _emit_finished(self, turn: Turn, outcome: Outcome, output: Mapping[str, Any], status: Status) -> None:
        node = turn.step.node
        entry = make_entry(
            turn.step,
            shown=outcome.shown,
            output=output,
            state=self._state.values,
            previous=scheduler.arrivals(self._plan.graph, self._state.decisions, node.id),
            status=status,
            messages=outcome.result.messages,
            warnings=outcome.warnings,
        )
        self._feed.put(NodeFinished, node.id, node.label, entry, outcome.duration_s * 1000)

    def _emit_failed(self, turn: Turn, outcome: Outcome, error: str, code: str, status: Status) -> None:
        node = turn.step.node
        entry = make_entry(
            turn.step,
            shown=outcome.shown,
            output={"error": error},
            state=self._state.values,
            previous=scheduler.arrivals(self._plan.graph, self._state.decisions, node.id),
            status=status,
            warnings=outcome.warnings,
            error=error,
        )
        self._feed.put(NodeFailed, node.id, node.label, error, code, entry, outcome.duration_s * 1000)

    def _pause(self, turn: Turn, pause: Pause) -> None:
        """The node stays at the head of the queue: it is asked again when the run goes on."""
        self._state.paused_at = turn.step.node.id
        self._is_over = True
        self._feed.put(RunPaused, pause.text, pause.action, snapshot(self._state))

    def _interrupt(self) -> None:
        """The deadline passed, or was brought forward by an order to stop."""
        if self._is_over:
            return
        late = RunLimitExceeded(f"The run took longer than {self._limits.wall_s:g} seconds and was ended.")
        if self._turn is not None:
            outcome = self._turn.broken_off()
            if self._commands.is_stopped:
                self._emit_failed(self._turn, outcome, CANCELLED, "cancelled", "TERMINATED")
            else:
                self._emit_failed(self._turn, outcome, late.message, late.code, "ERROR")
        if self._commands.is_stopped:
            self._stop()
        else:
            self._fail(late)

    def _stop(self) -> None:
        self._is_over = True
        self._feed.put(RunStopped, "".join(self._running.said))

    def _fail(self, error: EngineError, node_id: str = "") -> None:
        self._is_over = True
        self._feed.put(RunFailed, error.message, error.code, node_id)

    def _finish(self) -> None:
        state, output = self._state, self._state.last_output
        if self._plan.ending:
            text, json = classic_answer(output, state.instances.get(self._plan.ending))
        else:
            text, json = as_text(output.get("content") or " "), None
        self._is_over = True
        usage = state.usage
        self._feed.put(
            RunFinished,
            text,
            json,
            self._plan.memory_type,
            output.get("usedTools") or (),
            usage.input_tokens,
            usage.output_tokens,
            None if self._plan.ending else dict(state.values),
        )


def classic_answer(output: Mapping[str, Any], value: Any) -> tuple[str, Any]:
    """Text and JSON of a classic flow's answer; one of them is empty."""
    if output.get("json") is not None:
        return "", output["json"]
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        return value["text"], None
    return ("" if value is None else as_text(value)), None


def _is_taken(edge: Edge, result: NodeResult) -> bool:
    if edge.output == ERROR_HANDLE:
        return False
    return result.taken is None or edge.index is None or edge.index in result.taken


def _no_target(node_id: str) -> NodeInputError:
    return NodeInputError(f"It loops back to {node_id!r}, which is not in the flow: choose a node to go back to.")
