"""Agents for models that cannot call tools by themselves: they are told in words how to ask for one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from engine.context import NodeContext
from engine.nodes.agent_loop import Tools, Turn
from engine.nodes.asking import ask
from engine.parsers import Unparsable, find_json
from engine.providers.base import ChatModel, Completion, Message, Tool, ToolCall, Usage

FINAL = "Final Answer:"
OBSERVATION = "\nObservation:"
ACTION = re.compile(
    r"^\W*Action\s*\d*\s*:\**[ \t]*([^\n]+)\n+\W*Action\s*\d*\s*Input\s*\d*\s*:\**[ \t]*(.*)", re.MULTILINE | re.DOTALL
)
NEXT = re.compile(r"\n\s*(?:Thought|Action|Final Answer)\s*:")  # what a model makes up instead of waiting

REACT = """You may use these tools:

{tools}

Use this form, and nothing outside of it:

Question: what you are asked
Thought: what to do next
Action: the name of a tool, one of {names}
Action Input: what to give to it
Observation: what it gave back
... (Thought, Action, Action Input and Observation may be repeated)
Thought: I know the answer now
Final Answer: your answer

If no tool is needed, give a Thought and the Final Answer at once."""
REACT_CORRECTION = (
    "That does not have the form that was agreed on. Give either a Thought, an Action and an Action Input, or a "
    "Thought and a Final Answer."
)
JSON_CHAT = """{system}

You may use these tools:

{tools}

Whatever you say, answer with one JSON object in a fenced block. To use a tool:

```json
{{"action": "the name of a tool, one of {names}", "action_input": "what to give to it"}}
```

To answer:

```json
{{"action": "Final Answer", "action_input": "your answer"}}
```"""


@dataclass(frozen=True, slots=True)
class Step:
    """What a text says to do: use a tool, or answer."""

    action: str = ""
    action_input: Any = ""
    answer: str = ""


@dataclass(slots=True)
class TextTalk:
    """A talk in text; implements `Talk`. `read` gives None for a text that has not the agreed form."""

    model: ChatModel
    tools: Tools
    read: Callable[[str], Step | None]
    observation: str  # how a tool's result is told; holds {result}
    correction: str = ""  # told once to a model that leaves the form; empty: its text is then the answer
    stop: Sequence[str] = ()
    streams_after: str = ""  # what comes after this text is the answer; empty: the answer is said when it is whole

    async def ask(self, ctx: NodeContext, messages: Sequence[Message]) -> Turn:
        """See `Talk.ask`. A model that leaves the form twice is taken by its word."""
        usage = Usage()
        told = list(messages)
        tries = 2 if self.correction else 1
        while True:
            words = _FinalWords(ctx.emit_token, self.streams_after)
            completion = await ask(ctx, self.model, told, stop=self.stop, say=words.add)
            usage += completion.usage
            tries -= 1
            step = self.read(completion.text)
            if step is None and tries and completion.text.strip():
                told += [Message("assistant", completion.text), Message("user", self.correction)]
                continue
            return self._turn(ctx, completion, step or Step(answer=completion.text.strip()), usage, words)

    def tell(self, turn: Turn, results: Sequence[tuple[ToolCall, str]]) -> list[Message]:
        """See `Talk.tell`."""
        observations = [Message("user", self.observation.format(result=text)) for _, text in results]
        return [Message("assistant", turn.completion.text), *observations]

    def _turn(self, ctx: NodeContext, completion: Completion, step: Step, usage: Usage, words: _FinalWords) -> Turn:
        if step.action:
            arguments = _arguments(self.tools.get(step.action), step.action_input)
            return Turn(completion, (ToolCall("", step.action, arguments),), usage=usage)
        if step.answer and ctx.streams and not words.has_begun:
            ctx.emit_token(step.answer)
        return Turn(completion, answer=step.answer, usage=usage)


@dataclass(slots=True)
class _FinalWords:
    """Lets those words through that come after a marker."""

    emit: Callable[[str], None]
    marker: str
    has_begun: bool = False
    _heard: str = ""
    _is_open: bool = field(default=False)

    def add(self, text: str) -> None:
        if not self._is_open:
            self._heard += text
            before, found, text = self._heard.partition(self.marker) if self.marker else ("", "", "")
            self._is_open = bool(found) and ACTION.search(before) is None
        if self._is_open and (text := text if self.has_begun else text.lstrip()):
            self.has_begun = True
            self.emit(text)


def react_talk(model: ChatModel, tools: Tools) -> TextTalk:
    """Thought, Action, Action Input, Observation."""
    return TextTalk(
        model,
        tools,
        read_react,
        observation="Observation: {result}\nThought:",
        correction=REACT_CORRECTION,
        stop=(OBSERVATION,),
        streams_after=FINAL,
    )


def json_talk(model: ChatModel, tools: Tools) -> TextTalk:
    """An action and its input as JSON."""
    return TextTalk(
        model,
        tools,
        read_json,
        observation="What the tool gave back:\n{result}\n\nGo on in the agreed form: one JSON object.",
    )


def read_react(text: str) -> Step | None:
    """The first thing that the text says to do. What a model makes up after it is not looked at."""
    text = f"\n{text}".partition(OBSERVATION)[0]
    action = ACTION.search(text)
    final = text.find(FINAL)
    if action and (final < 0 or action.start() < final):
        return Step(action[1].strip().strip("`*\"'[]"), NEXT.split(action[2])[0].strip())
    return Step(answer=text[final + len(FINAL) :].strip()) if final >= 0 else None


def read_json(text: str) -> Step | None:
    """The action that the text holds as JSON."""
    try:
        value = find_json(text)
    except Unparsable:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("action"), str):
        return None
    given = value.get("action_input", "")
    if value["action"].strip().lower() == "final answer":
        return Step(answer=given if isinstance(given, str) else orjson.dumps(given).decode())
    return Step(value["action"].strip(), given)


def react_system(tools: Tools) -> str:
    """What a model is told about the form."""
    return REACT.format(tools=_described(tools), names=_names(tools))


def json_system(system: str, tools: Tools) -> str:
    """The agent's own system message, and what a model is told about the form."""
    return JSON_CHAT.format(system=system, tools=_described(tools), names=_names(tools))


def _names(tools: Tools) -> str:
    return ", ".join(tools) or "none"


def _described(tools: Tools) -> str:
    return "\n".join(f"{name}: {tool.spec.description}{_input_form(tool)}" for name, tool in tools.items()) or "(none)"


def _input_form(tool: Tool) -> str:
    properties = tool.spec.parameters.get("properties") or {}
    if list(properties) == ["input"]:
        return ""
    return f" Its input is a JSON object that follows {orjson.dumps(tool.spec.parameters).decode()}"


def _arguments(tool: Tool | None, given: Any) -> dict[str, Any]:
    """A text as the arguments of a tool: the JSON object that it is, else the tool's one argument."""
    if isinstance(given, str):
        given = _unwrapped(given)
    if isinstance(given, Mapping):
        return dict(given)
    properties = list((tool.spec.parameters.get("properties") or {}) if tool else {})
    return {properties[0] if properties else "input": given}


def _unwrapped(text: str) -> Any:
    """The object or string that a text holds as JSON, fenced or not; else the text."""
    bare = re.sub(r"\A```\w*\s*|\s*```\Z", "", text.strip())
    try:
        parsed = orjson.loads(bare)
    except ValueError:
        return bare
    return parsed if isinstance(parsed, dict | str) else bare
