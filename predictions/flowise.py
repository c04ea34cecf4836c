"""The event log in Flowise's wire format: the frames of a stream, and the body of a plain answer.

A renderer is told every event of a run from the first on, also when it resumes: then it only keeps quiet about the
frames that the viewer already has. Source: the server-sent events that flowise-embed and both published clients read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

HEARTBEAT = b":heartbeat\n\n"
DONE = "[DONE]"
STATES = {"COMPLETED": "FINISHED", "FAILED": "ERROR", "CANCELLED": "TERMINATED", "WAITING": "STOPPED"}

OF_AGENTS = ("usedTools", "sourceDocuments", "artifacts")  # what a multi-agent run says of all its steps together

Fields = Mapping[str, Any]


def frame(event: str, data: Any, **beside: Any) -> bytes:
    """One event as every client reads it: a literal `message:` line, one `data:` line, an empty line.

    The Python client removes every `data:` in a line before it parses it, and some split lines at U+2028, so neither
    may stand raw inside the JSON.
    """
    body = orjson.dumps({"event": event, "data": data, **beside})
    if b"data:" in body:
        body = body.replace(b"data:", b"data\\u003a")
    for raw, escaped in ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085")):
        if raw in body:
            body = body.replace(raw, escaped)
    return b"message:\ndata:" + body + b"\n\n"


def with_id(frames: bytes, entry_id: str) -> bytes:
    """Put the `id:` line that a browser sends back as Last-Event-ID into a frame."""
    return b"id: " + entry_id.encode() + b"\n" + frames


class FrameRenderer:
    """Turns the events of one run into frames, in the order that this kind of flow promises."""

    def __init__(self, *, question: str, chat_id: str, session_id: str, said: int = 0, is_brief: bool = False) -> None:
        """`said`: how many characters of the answer the viewer already has.

        `is_brief`: the viewer does not read the trace, which is told whole after each node. In its place stand empty
        frames: frames are counted, and a viewer may come back who reads it.
        """
        self._is_brief = is_brief
        self._ids = {"chatId": chat_id, "question": question, "sessionId": session_id}
        self._is_agentflow = False
        self._has_started = False
        self._sent = ""
        self._said_before = said
        self._behind: list[Any] = []  # the trace before the run waited
        self._trace: list[Any] = []
        self._tools: Any = None
        self._sources: Any = None  # that the viewer has seen
        self._steps = 0  # of agents, that the viewer has seen

    @property
    def said(self) -> int:
        """How many characters of the answer a viewer of all frames so far has."""
        return max(len(self._sent), self._said_before)

    def render(self, name: str, fields: Fields) -> Iterator[bytes]:
        """The frames of one event, by the name of its class in `engine.events`."""
        match name:
            case "TokenEmitted":
                yield from self._token(fields["text"])
            case "RunStarted":
                self._is_agentflow = fields["kind"] == "AGENTFLOW"
                # Again for an attempt that begins anew, as nothing is known of what an earlier one had shown.
                self._trace, self._tools, self._sources, self._steps = list(self._behind), None, None, 0
                if self._is_agentflow:
                    yield frame("agentFlowEvent", "INPROGRESS")
            case "Resumed":
                # What was said before was another answer.
                self._behind, self._sent, self._has_started = fields["trace"], "", False
            case "Continued" if fields["after"] is None:
                self._behind = fields["trace"]
            case "Retracted":
                self._sent = self._sent[: max(0, len(self._sent) - fields["length"])]
                # Not more than that is left to a viewer who had more.
                self._said_before = min(self._said_before, len(self._sent))
                yield frame("retract", {"nodeId": fields["node_id"], "length": fields["length"]})
            case "ThinkingEmitted":
                duration = fields.get("duration_s")
                yield frame("thinking", fields["text"], **({} if duration is None else {"duration": duration}))
            case "ToolsUsed":
                yield from self._used_tools(fields["tools"])
            case "AgentReasoned":
                yield from self._reasoned(fields["steps"], fields["next_agent"])
            case "Settled":
                yield from self._end(fields)
            case _ if self._is_agentflow:
                yield from self._agentflow(name, fields)

    def _token(self, text: str) -> Iterator[bytes]:
        if not self._is_agentflow and not self._has_started:
            self._has_started = True
            yield frame("start", "")
        self._sent += text
        yield frame("token", text)

    def _used_tools(self, tools: Any) -> Iterator[bytes]:
        # Clients open the answer's bubble on `start`; in a classic flow tools come before the first token.
        if self._is_agentflow:
            yield frame("usedTools", tools)
        else:
            self._tools = tools

    def _reasoned(self, steps: Any, next_agent: str = "") -> Iterator[bytes]:
        self._steps = len(steps)
        if not self._has_started:
            self._has_started = True
            yield frame("start", steps)
        yield frame("agentReasoning", steps)
        if next_agent:
            yield frame("nextAgent", next_agent)

    def _agentflow(self, name: str, fields: Fields) -> Iterator[bytes]:
        match name:
            case "NodeStarted":
                yield frame("nextAgentFlow", _node(fields, "INPROGRESS"))
            case "NodeFinished":
                self._trace.append(fields["entry"])
                yield frame("nextAgentFlow", _node(fields, fields["entry"].get("status", "FINISHED")))
                yield self._traced(self._trace)
            case "NodeFailed":
                self._trace.append(fields["entry"])
                status = fields["entry"].get("status", "ERROR")
                yield frame("nextAgentFlow", {**_node(fields, status), "error": fields["error"]})
                yield self._traced(self._trace)
            case "ToolsCalled":
                yield frame("calledTools", fields["calls"])
            case "SourcesFound":
                self._sources = fields["documents"]
                yield frame("sourceDocuments", self._sources)
            case "UsageReported":
                tokens = (fields["input_tokens"], fields["output_tokens"])
                yield frame("usageMetadata", dict(zip(_USAGE, (*tokens, sum(tokens)), strict=True)))

    def _traced(self, trace: list[Any]) -> bytes:
        return b"" if self._is_brief else frame("agentFlowExecutedData", trace)

    def _end(self, settled: Fields) -> Iterator[bytes]:
        output = settled.get("output") or {}
        if (trace := output.get("agentFlowExecutedData")) is not None:
            self._is_agentflow = True
            if len(trace) > len(self._trace):  # the log of these nodes was lost
                yield self._traced(trace)
        steps = output.get("agentReasoning") or ()
        if len(steps) > self._steps:  # likewise
            yield from self._reasoned(steps)
        is_good = settled["state"] in ("COMPLETED", "WAITING")
        if is_good:
            yield from self._rest_of(output)
        if self._tools:
            yield frame("usedTools", self._tools)
        beside = OF_AGENTS if steps else ("sourceDocuments",)
        yield from (frame(name, output[name]) for name in beside if name in output and output[name] != self._sources)
        if self._is_agentflow:
            yield frame("agentFlowEvent", STATES[settled["state"]])
        if action := output.get("action"):
            yield frame("action", action)
            if self._is_agentflow:
                yield frame("agentFlowEvent", STATES[settled["state"]])  # twice: what clients have always been told
        yield frame("metadata", self._metadata(output))
        if settled["state"] == "CANCELLED" and not self._is_agentflow:
            yield frame("abort", DONE)
        elif not is_good:
            yield frame("error", settled["error"])
        yield frame("end", DONE)

    def _rest_of(self, output: Fields) -> Iterator[bytes]:
        """What no token has said: all of an answer that came in one piece, the tail of one whose log was lost."""
        text = output.get("text") or (orjson.dumps(output["json"]).decode() if "json" in output else "")
        said = self.said
        if text.startswith(self._sent) and len(text) > said and text.strip():
            self._has_started = self._has_started or said > 0
            self._sent = text[:said]
            yield from self._token(text[said:])

    def _metadata(self, output: Fields) -> dict[str, Any]:
        keys = (
            "chatId",
            "chatMessageId",
            "question",
            "sessionId",
            "memoryType",
            "flowVariables",
            "executionId",
            "warnings",
            "action",
        )
        return {**self._ids, **{key: output[key] for key in keys if key in output}}


_USAGE = ("input_tokens", "output_tokens", "total_tokens")


def _node(fields: Fields, status: str) -> dict[str, Any]:
    return {"nodeId": fields["node_id"], "nodeLabel": fields["label"], "status": status}
