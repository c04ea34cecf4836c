"""Engine events to rows: what a run leaves in the database, and the body of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from django.conf import settings

from engine.encoding import encode
from engine.events import (
    AgentReasoned,
    Event,
    NodeFailed,
    NodeFinished,
    NodeJournalled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    RunStopped,
    TokenEmitted,
    ToolsUsed,
    UsageReported,
)
from engine.spec import Wait
from forjinn.core.ids import uuid7
from predictions.checkpoints import Checkpoint
from predictions.flowise import OF_AGENTS
from predictions.models import Execution
from predictions.store import ClaimedRun, JournalledNode, Outcome, Step
from workspaces.limits.budgets import Spent

CANCELLED = "Flow execution was cancelled"
INTERNAL = "The run failed inside the server; its log names this execution"

# What is kept with the answer's message.
SAID_BESIDE = ("usedTools", "sourceDocuments", "artifacts", "agentReasoning", "action")

MAX_NAME = 255  # characters of a node's id and label that its row keeps; the trace has them whole

FOR_EVER_S = 100 * 366 * 86400  # an operator who pauses a run may come back late
UNSAID = ("event", "timeout", "order")  # what lets a run go on without a word of the user's

Ending = RunFinished | RunPaused | RunStopped | RunFailed


class Recorder:
    """Watches one run's events and says at the end how it went."""

    def __init__(
        self, run: ClaimedRun, checkpoint: Checkpoint | None = None, journalled: Sequence[JournalledNode] = ()
    ) -> None:
        """`checkpoint`: where the run goes on, if a person let it; `journalled`: what is behind it since."""
        self._run = run
        self._answer: Mapping[str, Any] = run.request.get("humanInput", {}) if run.written else {}
        self._user_message_id = uuid7()
        self._api_message_id = uuid7()
        self._kind = "CHATFLOW"
        self._trace: list[Mapping[str, Any]] = checkpoint.done if checkpoint else []
        self._trace += (node.entry for node in journalled if node.entry.get("status") != "STOPPED")
        self._node_runs: list[Mapping[str, Any]] = []  # that are not written down yet
        self._journalled: Mapping[str, Any] | None = None  # the entry that was taken note of last, with its changes
        self._said: list[str] = []
        self._used_tools: list[Any] = []
        self._steps: list[Mapping[str, Any]] = []  # of agents
        self._tokens = used_by([node for node in journalled if node.attempt])
        self._behind_tokens = sum(self._tokens)  # of attempts that came to no end
        self._warnings: list[str] = []
        self._ending: Ending | None = None

    def observe(self, event: Event) -> None:
        """Take note of one event."""
        match event:
            case TokenEmitted():
                self._said.append(event.text)
            case NodeJournalled():
                self._journalled = event.entry
                self._node_runs.append(node_run(event, encode(event.changes).decode()))
            case NodeFinished() | NodeFailed():
                self._trace.append(event.entry)
                if event.entry is not self._journalled:
                    self._node_runs.append(node_run(event, None))
            case RunStarted():
                self._kind = event.kind
            case ToolsUsed():
                self._used_tools = list(event.tools)
            case AgentReasoned():
                self._steps = list(event.steps)
            case UsageReported():
                self._tokens = (self._tokens[0] + event.input_tokens, self._tokens[1] + event.output_tokens)
            case RunFinished() | RunPaused() | RunStopped() | RunFailed():
                self._ending = event
            case _:
                pass

    def step(self) -> Step:
        """What is to be written down now, each node once."""
        node_runs, self._node_runs = self._node_runs, []
        return Step(self._run.id, self._run.attempt, node_runs)

    def warn(self, warnings: Sequence[str]) -> None:
        """Tell the caller, beside the answer, what was not done as asked."""
        self._warnings += warnings

    @property
    def answer(self) -> RunFinished | None:
        """What the run ended with, if it has come to its end."""
        return self._ending if isinstance(self._ending, RunFinished) else None

    def rewrite(self, text: str) -> None:
        """Put another text in the answer's place."""
        assert self.answer is not None, "only an answer can be rewritten"
        self._ending = replace(self.answer, text=text, json=None)

    def fail(self, error: str, code: str) -> None:
        """End the run with an error of ours, not the engine's."""
        self._ending = RunFailed(seq=0, error=error, code=code)

    def bare_outcome(self, spent: Spent) -> Outcome:
        """The least that can be written: that the run failed inside the server, and what was asked."""
        return Outcome(
            id=self._run.id,
            attempt=self._run.attempt,
            state=str(Execution.State.FAILED),
            output=None,
            error=INTERNAL,
            error_code="internal",
            input_tokens=0,
            output_tokens=0,
            messages=self._messages({}, INTERNAL),
            node_runs=(),
            spent_tokens=spent.tokens,
            spent_nano_usd=spent.nano_usd,
        )

    def outcome(self, spent: Spent) -> Outcome:
        """What to write, once; `spent` is what the present attempt's models have cost."""
        ending = self._ending or RunFailed(seq=0, error="The run ended without an answer", code="no_answer")
        match ending:
            case RunFinished():
                state, error, code = Execution.State.COMPLETED, "", ""
                text = ending.text
            case RunPaused():
                state, error, code = Execution.State.WAITING, "", ""
                text = ending.text
            case RunStopped():
                state, error, code = Execution.State.CANCELLED, CANCELLED, "cancelled"
                text = ending.text or "".join(self._said)
            case RunFailed():
                state, error, code = Execution.State.FAILED, ending.error, ending.code
                text = "".join(self._said)
        output = self._output(text, ending)
        return Outcome(
            id=self._run.id,
            attempt=self._run.attempt,
            state=str(state),
            output=output,
            error=error,
            error_code=code,
            input_tokens=self._tokens[0],
            output_tokens=self._tokens[1],
            messages=self._messages(output, error),
            node_runs=self._node_runs,
            checkpoint=self._checkpoint(ending),
            wait=wait_row(ending.wait) if isinstance(ending, RunPaused) else None,
            flow_state=self._flow_state(ending),
            spent_tokens=self._behind_tokens + spent.tokens,
            spent_nano_usd=spent.nano_usd,
        )

    def _checkpoint(self, ending: Ending) -> str | None:
        if not isinstance(ending, RunPaused):
            return None
        return Checkpoint(ending.snapshot, self._trace, ending.action).written()

    def _flow_state(self, ending: Ending) -> Mapping[str, Any] | None:
        """State and form as the run leaves them, however it ended; classic flows have none."""
        if self._kind == "CHATFLOW":
            return None
        if isinstance(ending, RunPaused):
            return {"state": ending.snapshot["values"], "form": ending.snapshot["form"]}
        data = [entry["data"] for entry in self._trace[::-1] if entry["status"] == "FINISHED"]
        if not data:
            return None  # nothing came to pass: what the session knew before still holds
        form = next((one["output"]["form"] for one in data if one["output"].get("form")), None)
        state = ending.state if isinstance(ending, RunFinished) and ending.state is not None else data[0]["state"]
        return {"state": state, "form": form or dict(self._run.request.get("form") or ())}

    def _output(self, text: str, ending: Ending) -> dict[str, Any]:
        run = self._run
        output: dict[str, Any] = {"text": text, "question": self._answer.get("text", run.question)}
        if isinstance(ending, RunFinished) and ending.json is not None:
            output["json"] = ending.json
            if not text:
                del output["text"]
        if form := run.request.get("form"):
            output["form"] = dict(form)
        output |= {
            "chatId": run.chat_id,
            "chatMessageId": str(self._api_message_id),
            "sessionId": run.session_id,
            "executionId": str(run.id),
        }
        if self._kind == "CHATFLOW":
            output["isStreamValid"] = run.is_streaming
        elif self._kind == "MULTIAGENT":
            output["agentReasoning"] = self._steps
        else:
            output["agentFlowExecutedData"] = self._trace
        if isinstance(ending, RunFinished) and ending.memory_type:
            output["memoryType"] = ending.memory_type
        if used := self._tools(ending):
            output["usedTools"] = used
        if isinstance(ending, RunFinished) and ending.sources:
            output["sourceDocuments"] = list(ending.sources)
        if isinstance(ending, RunFinished) and ending.flow_variables:
            output["flowVariables"] = ending.flow_variables
        output |= of_all_steps(self._steps)
        if isinstance(ending, RunPaused) and ending.action:
            output["action"] = ending.action
        if warnings := self._all_warnings():
            output["warnings"] = warnings
        return output

    def _all_warnings(self) -> list[str]:
        """What was not done as asked, each once: by the caller first, then by the nodes' authors."""
        done = (entry["data"] for entry in self._trace if entry["status"] == "FINISHED")
        return list(dict.fromkeys([*self._warnings, *(told for one in done for told in one.get("warnings", ()))]))

    def _tools(self, ending: Ending) -> list[Any]:
        return list(ending.used_tools) if isinstance(ending, RunFinished) and ending.used_tools else self._used_tools

    def _messages(self, output: Mapping[str, Any], error: str) -> list[dict[str, Any]]:
        """The two turns. A failed run keeps the question, and says beside the answer's place why there is none.

        What nobody said, an event or the end of a time, is no turn.
        """
        request = self._run.request
        content = self._answer.get("text") or user_content(self._run.question, request)
        common = {"memory_type": output.get("memoryType", ""), "lead_email": request.get("leadEmail", "")}
        uploads = None if self._answer else request.get("uploads")
        asked = {
            **common,
            "id": self._user_message_id,
            "role": "userMessage",
            "content": content,
            "error": error,
            "extra": {"fileUploads": uploads} if uploads else {},
        }
        extra = {key: output[key] for key in SAID_BESIDE if output.get(key)}
        answered = {
            **common,
            "id": self._api_message_id,
            "role": "apiMessage",
            "content": output.get("text") or _as_text(output.get("json")),
            "error": error,
            "extra": extra,
        }
        turns = [] if self._answer.get("type") in UNSAID else [asked]
        is_told_to_pause = isinstance(self._ending, RunPaused) and self._ending.wait.kind == "order"
        return turns if is_told_to_pause else [*turns, answered]


def node_run(event: NodeJournalled | NodeFinished | NodeFailed, changes: str | None) -> dict[str, Any]:
    """The row of a node that has ended."""
    return {
        "seq": event.seq,
        "node_id": event.node_id[:MAX_NAME],
        "label": event.label[:MAX_NAME],
        "status": event.entry.get("status", "FINISHED"),
        "entry": event.entry,
        "changes": changes,
        "duration_ms": event.duration_ms,
    }


def used_by(journalled: Sequence[JournalledNode]) -> tuple[int, int]:
    """Input and output tokens of the nodes; one with others inside counts theirs."""
    outputs = [node.entry["data"].get("output") or {} for node in journalled if node.changes is not None]
    used = [output.get("usageMetadata") or {} for output in outputs]
    return sum(one.get("input_tokens", 0) for one in used), sum(one.get("output_tokens", 0) for one in used)


def wait_row(wait: Wait) -> dict[str, Any]:
    """What is written down of what a run waits for. Without a time of its own it waits as long as the server has it."""
    is_bounded = wait.for_s is not None
    for_s = wait.for_s if is_bounded else settings.PREDICTION_WAIT_EXPIRY_H * 3600
    if wait.kind == "order":
        for_s = FOR_EVER_S
    return {"kind": wait.kind, "event": wait.event, "for_s": for_s, "goes_on": is_bounded}


def of_all_steps(steps: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """What agents used, found and made in all their steps; names of which there is nothing are left out."""
    every = {name: [item for step in steps for item in step.get(name) or ()] for name in OF_AGENTS}
    return {name: items for name, items in every.items() if items}


def user_content(question: str, request: Mapping[str, Any]) -> str:
    """What the conversation shows as the user's turn: the question, or a form's `key: value` lines."""
    if question or not request.get("form"):
        return question
    return "\n".join(f"{key}: {value}" for key, value in dict(request["form"]).items())


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return orjson.dumps(value).decode()
