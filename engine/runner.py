"""Runs a flow: takes the ready nodes in their order, commits what they give, and says all of it in events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from engine.budget import Budget
from engine.context import RunRequest, World
from engine.errors import RunLimitExceeded
from engine.events import Event, NodeFailed, NodeFinished, NodeJournalled, RunStarted
from engine.feed import Feed
from engine.flow import Flow
from engine.journal import Changes, fold
from engine.ledger import Ledger
from engine.plan import Plan, plan_for
from engine.registry import Registry
from engine.state import RunState, asked_again, restore, snapshot
from engine.turn import Outcome, Running, Turn

LONGEST_HOLD_S = 0.005  # for which a run whose nodes wait for nothing keeps the loop to itself


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one run; to reach one ends it with RunLimitExceeded."""

    wall_s: float = 300.0
    executions: int = 1000  # of nodes
    output_bytes: int = 16 * 1024 * 1024  # of all outputs and tokens together
    tokens: int = 1_000_000  # of all chat models together, read and written, as far as vendors report them


@dataclass(frozen=True, slots=True)
class Resume:
    """Where to go on: at the snapshot of a RunPaused, with what was answered to it, or at the beginning; in both cases
    behind the nodes that were journalled since.
    """

    snapshot: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None = None
    changes: Sequence[Mapping[str, Any]] = ()  # of each NodeJournalled since, oldest first


class Commands:
    """Orders to a run that is going on. They are values that it reads, not failures; give one only to one run."""

    def __init__(self) -> None:
        self.is_stopped = False
        self.is_paused = False
        self._deadline: asyncio.Timeout | None = None
        self._held_since_s = time.monotonic()

    async def give_way(self) -> None:
        """Between two nodes, now and then: let those on the run's loop who read its events or give it orders do so."""
        if time.monotonic() - self._held_since_s > LONGEST_HOLD_S:
            await asyncio.sleep(0)
            self._held_since_s = time.monotonic()

    def stop(self) -> None:
        """End the run now; a node that is waiting for something is cancelled. Call it on the run's own loop."""
        self.is_stopped = True
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(0)

    def pause(self) -> None:
        """End the run, for it to go on later, once the node that is running has ended. Classic flows have no place
        to go on from: they run to their end.
        """
        self.is_paused = True

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
    is_journalled: bool = False,
) -> AsyncGenerator[Event, None]:
    """Run a flow. The last event is RunFinished, RunFailed, RunStopped or RunPaused.

    `is_journalled`: say with each node what is needed to go on behind it (NodeJournalled); classic flows, whose one
    ending is all they do, have nothing to go on behind.

    Raises FlowError (MissingTypes if node types are not installed here) before anything runs, ValueError for a
    snapshot that cannot be read. Closing the iterator cancels what is going on.
    """
    plan = plan_for(flow, registry)
    state, answer = RunState(queue=deque(plan.first), form=request.form, values=dict(request.state)), None
    if resume is not None:
        saved = fold(resume.snapshot or snapshot(state), resume.changes)
        state, answer = _restored(saved, plan), resume.answer
        request = asked_again(request, saved["asked"])
    limits, commands = limits or Limits(), commands or Commands()

    async def work(inner: Running) -> None:
        await _Run(inner, commands).work_inside()

    feed = Feed()
    most_executions = min(limits.executions, plan.most_executions or limits.executions)
    budget = Budget(most_executions, limits.output_bytes, limits.tokens, state.executions, state.tokens, world.account)
    running = Running(plan, request, world, state, budget, work, answer, feed)
    run = _Run(running, commands, Scribe(running, feed) if is_journalled and not plan.endings else None)
    return _events(run, feed, limits.wall_s)


def _restored(saved: Mapping[str, Any], plan: Plan) -> RunState:
    state = restore(saved)
    if gone := [node_id for node_id in state.queue if node_id not in plan.steps]:
        raise ValueError(f"This snapshot is of another version of the flow: it waits for {', '.join(gone)}.")
    return state


async def _events(run: _Run, feed: Feed, wall_s: float) -> AsyncGenerator[Event, None]:
    task = asyncio.create_task(_drive(run, feed, wall_s))
    try:
        while events := await feed.read():
            for event in events:
                yield event
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


async def _drive(run: _Run, feed: Feed, wall_s: float) -> None:
    try:
        async with asyncio.timeout(wall_s) as deadline:
            with run.commands.reaching(deadline):
                await run.work()
    except TimeoutError:
        if not deadline.expired():
            raise
        run.interrupt(RunLimitExceeded(f"The run took longer than {wall_s:g} seconds and was ended."))
    finally:
        feed.close()


class Scribe:
    """Has what each node of a run leaves written down before anybody hears of it."""

    def __init__(self, running: Running, feed: Feed) -> None:
        self._running = running
        self._feed = feed
        self._changes = Changes(running)

    async def commit(self, ledger: Ledger, turn: Turn, outcome: Outcome) -> None:
        """Commit the turn; after a dear one wait for the reader, unless nothing is left to run."""
        with self._feed.gathering() as gathered:
            ledger.commit(turn, outcome)
        node = turn.step.node
        entry = next(fields[-2] for kind, fields in gathered if kind in (NodeFinished, NodeFailed))
        is_dear = not turn.step.spec.is_free and not ledger.is_over and bool(self._running.state.queue)
        changes = self._changes.since_last(node.id)
        self._feed.put(NodeJournalled, node.id, node.label, entry, outcome.duration_s * 1000, changes, is_dear)
        for kind, fields in gathered:
            self._feed.put(kind, *fields)
        if is_dear:
            await self._feed.taken()


class _Run:
    """The loop over the nodes of one run, or of one inside it."""

    def __init__(self, running: Running, commands: Commands, scribe: Scribe | None = None) -> None:
        self.commands = commands
        self._scribe = scribe
        self._running = running
        self._plan = running.plan
        self._state = running.state
        self._ledger = Ledger(running)
        self._turn: Turn | None = None  # the one that is due
        self._ahead: dict[str, tuple[Turn, asyncio.Task[Outcome]]] = {}  # those that run before they are due
        self._is_loaded = running.has_past or not self._plan.reads_history

    async def work(self) -> None:
        """Run to the end. Cancelling it ends it without a last event: `interrupt` puts that."""
        self._running.feed.put(RunStarted, self._plan.flow.kind)
        try:
            await self._loop()
        finally:
            await self._drop_ahead()

    async def work_inside(self) -> None:
        """Run to the end as part of another run."""
        try:
            await self.work()
        except asyncio.CancelledError:
            if self._turn is not None:
                self._ledger.break_off(self._turn, None)
            raise

    async def _loop(self) -> None:
        queue = self._state.queue
        while queue and not self._ledger.is_over:
            await self.commands.give_way()
            if self.commands.is_stopped:
                self._ledger.stop()
                return
            if self.commands.is_paused and self._scribe is not None:
                self._ledger.pause()
                return
            try:
                self._running.budget.execute()
            except RunLimitExceeded as exc:
                self._ledger.fail(exc)
                return
            await self._load_history(queue[0])
            if self._plan.has_company:
                self._start_ahead()
            turn, outcome = await self._take_turn(queue[0])
            if self._scribe is None:
                self._ledger.commit(turn, outcome)
            else:
                await self._scribe.commit(self._ledger, turn, outcome)
        if not self._ledger.is_over:
            self._ledger.finish()

    async def _load_history(self, node_id: str) -> None:
        """Once, and not before a node can need it: a start node may still say that the past is forgotten."""
        if self._is_loaded or self._plan.steps[node_id].spec.role == "start":
            return
        self._is_loaded = True
        if not self._state.is_forgetful:
            given = self._running.request.history if self._plan.endings else ()
            self._state.past = [*given, *await self._running.world.history.load()]

    def _start_ahead(self) -> None:
        """Start those of the waiting nodes that need nothing of the nodes before them."""
        before = {self._state.queue[0]}
        for node_id in islice(self._state.queue, 1, None):
            step = self._plan.steps[node_id]
            if step.may_run_ahead and node_id not in self._ahead and node_id not in before and not step.reads & before:
                turn = Turn(self._running, step)
                self._ahead[node_id] = (turn, asyncio.create_task(turn.take()))
            before.add(node_id)

    async def _take_turn(self, node_id: str) -> tuple[Turn, Outcome]:
        turn, task = self._ahead.get(node_id) or (Turn(self._running, self._plan.steps[node_id]), None)
        self._turn = turn
        turn.begin()
        outcome = await (turn.take() if task is None else task)
        self._turn = None
        self._ahead.pop(node_id, None)
        return turn, outcome

    async def _drop_ahead(self) -> None:
        """Cancel what was started ahead of its turn and will not have one; wait until it has let go."""
        tasks = [task for _, task in self._ahead.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def interrupt(self, late: RunLimitExceeded) -> None:
        """The deadline passed, or was brought forward by an order to stop."""
        if self._ledger.is_over:
            return
        if self._turn is not None:
            self._ledger.break_off(self._turn, None if self.commands.is_stopped else late)
        if self.commands.is_stopped:
            self._ledger.stop()
        else:
            self._ledger.fail(late)
