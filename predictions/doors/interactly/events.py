"""A turn as events: what each of its nodes did and said, which edges were taken, and how the turn ended.

Events are made of what is written down of a run. Their ids follow from the run and the place within it, so a turn that
is asked for again is told in the same events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import UUID, uuid5

from engine.nodes.agentflow_condition_agent import CONDITION_AGENT
from engine.nodes.loops import LOOP
from predictions.doors.interactly import words
from predictions.doors.interactly.graphs import Drawing
from predictions.doors.interactly.reading import MAIN_THREAD, RunInput
from predictions.doors.interactly.sessions import IN_THE_BACKGROUND, Step, TurnReading

EventBody = dict[str, Any]
STOPPED, ERROR, TERMINATED = "STOPPED", "ERROR", "TERMINATED"
ENDED_BADLY = ("failed", "aborted_looping_risk")
NAVIGATION = "Navigating from {source} to {destination}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A step with its times, in seconds since the epoch, and its place in the turn."""

    step: Step
    start_s: float
    end_s: float
    run_id: str  # how often the node has run in the session, this time included
    goes_on: bool  # it had begun to wait before


def events_of(turn: TurnReading, drawing: Drawing) -> list[EventBody]:
    """Every event of the turn, in order."""
    return [*_Telling(turn, drawing).whole()]


def closing_of(turn: TurnReading, drawing: Drawing) -> list[EventBody]:
    """The events of the turn's end alone."""
    return [*_Telling(turn, drawing).ends()]


class _Telling:
    def __init__(self, turn: TurnReading, drawing: Drawing) -> None:
        self._turn = turn
        self._session = turn.session
        self._drawing = drawing
        self._placed = list(_places(turn))

    def whole(self) -> Iterator[EventBody]:
        yield from self._warnings()
        for index, placed in enumerate(self._placed):
            if not placed.goes_on:
                yield from self._arrivals(index, placed)
            yield from self._node(index, placed)
        if self._is_cancelled_while_waiting:
            yield from self._waits()
        yield from self.ends()

    def ends(self) -> Iterator[EventBody]:
        match self._turn.status:
            case "completed":
                yield self._ends_thread()
                yield self._iteration(self._ended_at)
                yield self._end_of_workflow()
            case "cancelled":
                yield self._ends_thread()
                if not self._is_cancelled_while_waiting:
                    yield self._iteration(self._ended_at)
                yield self._end_of_workflow()
            case "failed" | "aborted_looping_risk":
                yield self._iteration(self._ended_at)
                yield self._error()
            case "waiting_for_user_input":
                yield from self._waits()
            case "paused":
                yield self._closing("pause_event", self._ended_at, place=f"pause/{self._session.attempt}")
                yield self._iteration(self._ended_at, place=f"pause/{self._session.attempt}")

    @property
    def _is_cancelled_while_waiting(self) -> bool:
        last = self._placed[-1].step if self._placed else None
        is_waiting = last is not None and last.status == STOPPED and last.type not in IN_THE_BACKGROUND
        return is_waiting and self._turn.status == "cancelled"

    def _warnings(self) -> Iterator[EventBody]:
        if self._turn.number > 1:
            return
        for index, text in enumerate(RunInput(given=self._session.run_input).unused()):
            at_s = self._session.created_at.timestamp()
            yield self._event("workflow_warning", f"unused/{index}", at_s, warning_message=text)

    def _arrivals(self, index: int, placed: Placed) -> Iterator[EventBody]:
        """The edges that led to the node, from nodes of this turn."""
        before = {earlier.step.node_id: earlier.step for earlier in self._placed[:index]}
        came_from = [before[name] for name in placed.step.entry.get("previousNodeIds", ()) if name in before]
        last = self._placed[index - 1].step if index else None
        if last is not None and last.type == LOOP.name and last.output.get("nodeID") == placed.step.node_id:
            came_from = [last]
        for source in came_from:
            yield from self._edge(source, placed)

    def _edge(self, source: Step, placed: Placed) -> Iterator[EventBody]:
        target = placed.step
        line = self._drawing.line(source.node_id, target.node_id)
        place = f"{target.attempt}/{target.seq}/{source.node_id}"
        ends = {
            "source_node_logical_id": source.node_id,
            "source_node_name": source.label,
            "destination_node_logical_id": target.node_id,
            "destination_node_name": target.label,
        }
        edge = {"edge_name": line.label, "edge_logical_id": line.id, "edge_run_id": placed.run_id}
        if words.is_decision(source.type):
            fields: dict[str, Any] = {**edge, **ends, "reason": words.reason_of(source), "args_filled": {}}
            yield self._event("conditional_edge", place, placed.start_s, **fields, super_node_exit_origin=None)
        else:
            yield self._event("direct_edge", place, placed.start_s, **edge, **ends, reason=None)
        said = NAVIGATION.format(source=source.label, destination=target.label)
        message_id = f"nav_msg_{self._uuid(f'{place}/navigation')}"
        message = words.message(message_id, said, "system", **ends, **edge)
        yield self._event("workflow_navigation_message", place, placed.start_s, message=message)

    def _node(self, index: int, placed: Placed) -> Iterator[EventBody]:
        step = placed.step
        waits_silently = step.type in IN_THE_BACKGROUND and step.status == STOPPED
        is_begun = placed.goes_on and step.type in IN_THE_BACKGROUND
        kind = words.kind_of(step, is_last=self._drawing.is_last(step.node_id))
        ids = {"type": kind, "node_logical_id": step.node_id, "node_run_id": placed.run_id}
        if not is_begun:
            run_input = {**ids, "dynamic_variables": {}, "runtime_variables": {}, "miscellaneous": {}}
            yield self._of_node("start_node_run", placed, placed.start_s, run_input=run_input)
        if waits_silently or self._has_ended_the_run(index):
            return
        yield from self._said(placed, kind, is_last=index == len(self._placed) - 1)
        is_broken_off = step.status == TERMINATED
        output = {"events": [], **ids}
        yield self._of_node("end_node_run", placed, placed.end_s, run_output=output, interrupted=is_broken_off)
        yield self._state(placed)

    def _has_ended_the_run(self, index: int) -> bool:
        """By its failure, which is told at the end."""
        is_last = index == len(self._placed) - 1
        return is_last and self._placed[index].step.status == ERROR and self._turn.status in ENDED_BADLY

    def _said(self, placed: Placed, kind: str, *, is_last: bool) -> Iterator[EventBody]:
        step = placed.step
        if step.status == ERROR:
            error = str(step.data.get("error", ""))
            yield self._of_node("workflow_warning", placed, placed.end_s, warning_message=error)
        if step.status == ERROR and kind != "http_request":
            return
        if placed.goes_on:
            yield from self._user_messages(placed)
        elif kind == "http_request":
            yield self._of_node("http_request", placed, placed.end_s, **words.request_fields(step))
        elif step.type == CONDITION_AGENT.name:
            yield from self._evaluated(placed)
        elif kind in ("say_llm", "worker_llm"):
            yield from self._model_said(placed, kind, is_last=is_last)
        elif kind == "say_static" or step.status == STOPPED or (is_last and self._turn.status == "completed"):
            yield from self._static(placed, self._text(step, is_last=is_last))

    def _text(self, step: Step, *, is_last: bool) -> str:
        """What the node said; nodes that put out no text of their own end the run with its answer."""
        text = words.text_of(step)
        is_answer = is_last and self._turn.is_last and self._session.status == "completed"
        return text or ((self._session.text or "") if is_answer else "")

    def _user_messages(self, placed: Placed) -> Iterator[EventBody]:
        output = placed.step.output
        text = words.text_of(placed.step)
        if text and not output.get("timeout"):
            message_id = f"user_message_{self._uuid(f'{placed.step.attempt}/{placed.step.seq}/user')}"
            messages = [words.message(message_id, text, "human")]
            yield self._of_node("user_messages", placed, placed.start_s, messages=messages)

    def _static(self, placed: Placed, text: str) -> Iterator[EventBody]:
        if not text:
            return
        message_id = self._message_id(placed)
        message = words.message(message_id, text, "ai", message_type="static")
        yield self._of_node("say_static", placed, placed.end_s, message=message)
        yield self._response(placed, text, message_id, "static", None)

    def _model_said(self, placed: Placed, kind: str, *, is_last: bool) -> Iterator[EventBody]:
        text, message_id = self._text(placed.step, is_last=is_last), self._message_id(placed)
        usage = words.usage_of(placed.step).shown(message_id)
        message = words.message(message_id, text, "ai", message_type="llm")
        yield self._of_node(kind, placed, placed.end_s, message=message, llm_usage_info=usage)
        if kind == "say_llm" and text:
            yield self._response(placed, text, message_id, "llm", usage)

    def _evaluated(self, placed: Placed) -> Iterator[EventBody]:
        message_id = self._message_id(placed)
        message = words.message(message_id, words.reason_of(placed.step) or "", "ai", message_type="llm")
        usage = words.usage_of(placed.step).shown(message_id)
        fields = {"message": message, "llm_usage_info": usage, "destination_node_logical_id": None}
        yield self._of_node("condition_evaluator_llm", placed, placed.end_s, **fields, is_condition_met=True)

    def _response(self, placed: Placed, text: str, message_id: str, kind: str, usage: Any) -> EventBody:
        metadata = {"message_type": kind}
        told = self._of_node(
            "assistant_response", placed, placed.end_s, content=text, response_metadata=metadata, llm_usage_info=usage
        )
        return {**told, "logical_id": message_id}

    def _state(self, placed: Placed) -> EventBody:
        given = self._session.run_input.get("dynamic_variables") or {}
        state = placed.step.data.get("state") or {}
        shown = {**state, "_evaluated_dynamic_variables": given, "_input_dynamic_variables": given}
        place = f"{placed.step.attempt}/{placed.step.seq}"
        fields = {"thread_id": MAIN_THREAD, "runtime_variables": {}, "workflow_runtime_variables": shown}
        return {**self._event("workflow_show_state", place, placed.end_s, **fields), "origin_thread_id": None}

    def _ends_thread(self) -> EventBody:
        last = self._placed[-1].step.node_id if self._placed else None
        return self._closing("end_thread", self._ended_at, last_node_logical_id=last)

    def _waits(self) -> Iterator[EventBody]:
        yield self.busy_wait()
        yield self._iteration(self._waits_since)
        yield self._closing("workflow_ready_for_input", self._waits_since, active_companion_thread_ids=[])

    def busy_wait(self) -> EventBody:
        origin = _origin(self._placed[-1]) if self._placed else {}
        return self._closing("busy_wait_for_user_message", self._waits_since, **origin)

    def _error(self) -> EventBody:
        used = words.tokens(self._session.input_tokens, self._session.output_tokens)
        fields: dict[str, Any] = {"stack_trace": None, "llm_token_usage": used, "llm_latency_stats": None}
        return self._closing("workflow_error", self._ended_at, error_message=self._session.error, **fields)

    def _end_of_workflow(self) -> EventBody:
        used = words.tokens(self._session.input_tokens, self._session.output_tokens)
        return self._closing("end_workflow", self._ended_at, llm_token_usage=used, llm_latency_stats=None)

    def _iteration(self, at_s: float, **place: str) -> EventBody:
        metrics = _metrics(self._placed, self._session.created_at.timestamp(), at_s)
        told = self._closing("end_workflow_iteration", at_s, **place)
        number = self._turn.number
        return {**told, "iteration_number": number, "run_input_output_pair": None, "iteration_metrics": metrics}

    @property
    def _waits_since(self) -> float:
        # Not what the run's row says: that is another time when the run has gone on.
        return self._placed[-1].end_s if self._placed else self._session.created_at.timestamp()

    @property
    def _ended_at(self) -> float:
        ended = self._session.finished_at
        return max(ended.timestamp(), self._waits_since) if ended else self._waits_since

    def _closing(self, name: str, at_s: float, *, place: str = "", **fields: Any) -> EventBody:
        return self._event(name, place or f"turn/{self._turn.number}", at_s, **fields)

    def _of_node(self, name: str, placed: Placed, at_s: float, **fields: Any) -> EventBody:
        place = f"{placed.step.attempt}/{placed.step.seq}"
        return self._event(name, place, at_s, **{**_origin(placed), **fields})

    def _event(self, name: str, place: str, at_s: float, **fields: Any) -> EventBody:
        common = {
            "type": name,
            "logical_id": f"event_{self._uuid(f'{place}/{name}')}",
            "timestamp": at_s,
            "origin_thread_id": MAIN_THREAD,
            "comments": [],
            "interrupted": False,
            "thread_reference_id": MAIN_THREAD,
        }
        return {**common, **fields}

    def _message_id(self, placed: Placed) -> str:
        return f"assistant_message_{self._uuid(f'{placed.step.attempt}/{placed.step.seq}/message')}"

    def _uuid(self, place: str) -> UUID:
        return uuid5(self._session.id, place)


def hint_of(turn: TurnReading, drawing: Drawing) -> EventBody | None:
    """What the session waits for: the turn's busy-wait event, if it ended in one."""
    if turn.status != "waiting_for_user_input":
        return None
    return _Telling(turn, drawing).busy_wait()


def _origin(placed: Placed) -> dict[str, str]:
    step = placed.step
    return {
        "origin_node_logical_id": step.node_id,
        "origin_node_name": step.label,
        "origin_node_run_id": placed.run_id,
    }


def _places(turn: TurnReading) -> Iterator[Placed]:
    """The steps that this API tells of. Each ended, at the latest, when it was written down and the next one began."""
    counts = dict(turn.runs_before)
    waiting: set[str] = set()
    is_answered = turn.number > 1  # its first step is the node that waited for the user
    for step, (start_s, end_s) in zip(turn.steps, _times(turn.steps), strict=True):
        if words.is_start(step.type):
            continue
        counts[step.node_id] = counts.get(step.node_id, 0) + 1
        goes_on = is_answered or step.node_id in waiting
        is_answered = False
        waiting.discard(step.node_id)
        if step.status == STOPPED:
            waiting.add(step.node_id)
        yield Placed(step, start_s, end_s, str(counts[step.node_id]), goes_on)


def _times(steps: Sequence[Step]) -> list[tuple[float, float]]:
    times: list[tuple[float, float]] = []
    later_s = float("inf")
    for step in reversed(steps):
        end_s = min(step.written_at.timestamp(), later_s)
        later_s = end_s - step.duration_ms / 1000
        times.append((later_s, end_s))
    return times[::-1]


def _metrics(placed: Sequence[Placed], begun_s: float, closed_s: float) -> dict[str, Any]:
    begun_s = placed[0].start_s if placed else begun_s
    calls = [words.usage_of(one.step).latency_ms for one in placed if words.asks_model(one.step)]
    tools = [tool for one in placed for tool in one.step.output.get("usedTools") or ()]
    return {
        "e2e_latency_milliseconds": max(0.0, (closed_s - begun_s) * 1000),
        "nodes_executed_count": len(placed),
        "llm_call_count": len(calls),
        "tool_call_count": len(tools),
        "llm_call_latency_stats": _latencies(calls),
        "tool_call_latency_stats": _latencies([]),
    }


def _latencies(found_ms: Sequence[float]) -> dict[str, float | None]:
    if not found_ms:
        return dict.fromkeys(f"{name}_milliseconds" for name in ("average", "min", "max", "median"))
    return {
        "average_milliseconds": sum(found_ms) / len(found_ms),
        "min_milliseconds": min(found_ms),
        "max_milliseconds": max(found_ms),
        "median_milliseconds": median(found_ms),
    }
