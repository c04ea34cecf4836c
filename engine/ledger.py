"""What turns change: state, messages, trace, and which nodes are ready; one after the other, in the queue's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine import scheduler
from engine.errors import EngineError, FlowError, NodeError, NodeInputError, RunLimitExceeded
from engine.events import (
    AgentReasoned,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStopped,
    SourcesFound,
    UsageReported,
)
from engine.graph import Edge
from engine.retry import ERROR_HANDLE
from engine.spec import Append, NodeResult, Pause, Wait
from engine.state import asked, snapshot
from engine.templating import Late, as_text
from engine.trace import Status, make_entry
from engine.turn import Outcome, Running, Turn

CANCELLED = "Flow execution was cancelled"


class Ledger:
    """Commits turns, and ends the run. `is_over` once its last event has been put."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._plan = running.plan
        self._state = running.state
        self._feed = running.feed
        self.is_over = False

    def commit(self, turn: Turn, outcome: Outcome) -> None:
        """What a turn changes: state, messages, trace, and which nodes are ready."""
        # A node that failed has spent as well: what is written down behind it has to know.
        self._state.executions, self._state.tokens = self._running.budget.executions, self._running.budget.tokens
        result = outcome.result
        if outcome.error is None and result.jump_to is not None and result.jump_to not in self._plan.steps:
            outcome = replace(outcome, error=_no_target(result.jump_to))
        if outcome.error is not None:
            self._commit_failure(turn, outcome, outcome.error)
            return
        self._take_in(result)
        if result.usage.total_tokens:
            self._feed.put(UsageReported, turn.step.node.id, result.usage.input_tokens, result.usage.output_tokens)
        if result.reasoning is not None:
            self._state.reasoning.append(result.reasoning)
            self._feed.put(AgentReasoned, turn.step.node.id, tuple(self._state.reasoning), result.next_agent)
        output = outcome.output()
        # Clients of agent flows expect what a node found before they hear that it has ended.
        if turn.step.is_last and not self._plan.endings and (found := result.output.get("sourceDocuments")):
            self._feed.put(SourcesFound, turn.step.node.id, found)
        if result.pause is not None:
            self._emit_finished(turn, outcome, output, "STOPPED")
            self._pause(turn, result.pause)
            return
        self._emit_finished(turn, outcome, output, "FINISHED")
        self._advance(turn, result, output, lambda edge: _is_taken(edge, result))

    def break_off(self, turn: Turn, error: EngineError | None) -> None:
        """Close the entry of a turn that was cancelled: by the run's limits, or on request (`error` is None)."""
        if error is None:
            self._emit_failed(turn, turn.broken_off(), CANCELLED, "cancelled", "TERMINATED")
        else:
            self._emit_failed(turn, turn.broken_off(), error.message, error.code, "ERROR")

    def stop(self) -> None:
        """End the run on request, with what was said until now."""
        self.is_over = True
        self._feed.put(RunStopped, "".join(self._running.said))

    def pause(self) -> None:
        """End the run on request, before its next node, for it to go on there."""
        self._end_paused(Pause("", {}, wait=Wait("order")))

    def fail(self, error: EngineError, node_id: str = "") -> None:
        """End the run with an error."""
        self.is_over = True
        self._feed.put(RunFailed, error.message, error.code, node_id)

    def finish(self) -> None:
        """End the run with its answer: that of the node that ran last."""
        state, output = self._state, self._state.last_output
        if self._plan.endings:
            ended = [node_id for node_id in state.instances if node_id in self._plan.endings]
            if not ended:
                self.fail(FlowError("No branch that was taken leads to an end: connect each output of If Else to one."))
                return
            text, json = classic_answer(output, state.instances[ended[-1]])
        else:
            text, json = as_text(output.get("content") or " "), None
        self.is_over = True
        usage = state.usage
        self._feed.put(
            RunFinished,
            text,
            json,
            self._plan.memory_type,
            output.get("usedTools") or (),
            usage.input_tokens,
            usage.output_tokens,
            None if self._plan.endings else dict(state.values),
            output.get("sourceDocuments") or (),
            dict(state.published),
        )

    def _commit_failure(self, turn: Turn, outcome: Outcome, error: EngineError) -> None:
        node = turn.step.node
        if isinstance(error, NodeError):
            error.node_id, error.node_label = node.id, node.label
        self._emit_failed(turn, outcome, error.message, error.code, "ERROR")
        on_error = turn.step.policy.on_error
        if on_error == "fail" or isinstance(error, RunLimitExceeded):
            self.fail(error, node.id)
            return
        result = NodeResult(output={"error": error.message})
        self._advance(turn, result, result.output, lambda edge: (edge.output == ERROR_HANDLE) == (on_error == "branch"))

    def _take_in(self, result: NodeResult) -> None:
        state = self._state
        if result.state:
            said = as_text(result.output.get("content", ""))
            state.values |= {key: _updated(state.values.get(key), value, said) for key, value in result.state.items()}
        state.published |= result.published
        state.messages += result.messages
        state.usage += result.usage
        state.outputs |= result.inner

    def _advance(self, turn: Turn, result: NodeResult, output: Mapping[str, Any], choice: scheduler.Choice) -> None:
        state, node = self._state, turn.step.node
        state.queue.popleft()
        state.runs[node.id] = state.runs.get(node.id, 0) + 1
        state.last_output = output
        if self._plan.endings:
            state.instances[node.id] = result.value
        else:
            state.outputs[node.id] = output
            state.form = output.get("form") or state.form
            if output.get("ephemeralMemory"):
                state.is_forgetful, state.past = True, ()
            if turn.step.spec.role == "start" and (said := output.get("question")):
                # A trigger asks nothing by itself: the start node says what the question is.
                self._running.request = replace(self._running.request, question=said)
        if node.id == state.paused_at:
            state.paused_at, state.kept, self._running.answer = "", None, None
        if result.jump_to is not None:
            state.jumps[node.id] = state.jumps.get(node.id, 0) + 1
            state.last_loop = node.id
            state.waiting_jumps.append(result.jump_to)
        else:
            self._unlock(node.id, choice)
        if state.waiting_jumps:
            self._jump()

    def _unlock(self, node_id: str, choice: scheduler.Choice) -> None:
        state = self._state
        needs = all if self._plan.endings else any
        unlocked = scheduler.complete(self._plan.graph, state.decisions, node_id, choice, needs=needs)
        state.queue.extend(unlocked.ready)
        if self._plan.ranks and unlocked.ready:
            ready = sorted(state.queue, key=self._plan.ranks.__getitem__)
            state.queue.clear()
            state.queue.extend(ready)
        for skipped in unlocked.skipped:
            self._feed.put(NodeSkipped, skipped, self._plan.steps[skipped].node.label)

    def _jump(self) -> None:
        """Go back where nothing of the pass that ends is left to run. Loops that wait to go behind there go with it."""
        state, graph = self._state, self._plan.graph
        while (target := scheduler.due(graph, state.waiting_jumps, state.queue)) is not None:
            behind = graph.descendants(target)
            state.waiting_jumps = [other for other in state.waiting_jumps if other not in behind]
            scheduler.jump(graph, state.decisions, target)
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
        self._state.paused_at, self._state.kept = turn.step.node.id, pause.kept
        self._end_paused(pause)

    def _end_paused(self, pause: Pause) -> None:
        self.is_over = True
        saved = {**snapshot(self._state), "asked": asked(self._running.request)}
        self._feed.put(RunPaused, pause.text, pause.action, saved, pause.wait)


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
    if result.taken_output:
        return edge.output == result.taken_output
    return result.taken is None or edge.index is None or edge.index in result.taken


def _updated(held: Any, value: Any, said: str) -> Any:
    if isinstance(value, Append):
        return [*(held if isinstance(held, list) else ()), *value.items]
    return value.finish(said) if isinstance(value, Late) else value


def _no_target(node_id: str) -> NodeInputError:
    return NodeInputError(
        f"It loops back to {node_id!r}, which is not in the flow, or not in the same iteration: choose a node to go "
        "back to."
    )
