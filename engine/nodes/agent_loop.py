"""The one loop of all agents: ask a model, run the tools it calls, tell it what came of them, until it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from engine.context import NodeContext
from engine.documents import wire
from engine.errors import NodeError, NodeInputError
from engine.nodes.asking import ask
from engine.providers.base import ChatModel, Completion, Message, Sourced, Tool, ToolCall, ToolSpec, Usage

STOPPED = "Agent stopped due to max iterations."

Tools = Mapping[str, Tool]  # by the name that the model knows them by


@dataclass(frozen=True, slots=True)
class Turn:
    """What a model made of a conversation: calls, or, if there are none, its answer."""

    completion: Completion
    calls: tuple[ToolCall, ...] = ()
    answer: str = ""
    usage: Usage = field(default_factory=Usage)


class Talk(Protocol):
    """How a model and its tools talk: in calls of its own, or in text of an agreed form."""

    async def ask(self, ctx: NodeContext, messages: Sequence[Message]) -> Turn:
        """The model's next turn. What belongs to its answer has been said to whoever watches."""
        ...

    def tell(self, turn: Turn, results: Sequence[tuple[ToolCall, str]]) -> list[Message]:
        """The messages that a turn with calls, and what came of them, adds to the conversation."""
        ...


@dataclass(slots=True)
class AgentRun:
    """What an agent did. `used` are {tool, toolInput, toolOutput, error?}, `called` the same before they had run."""

    answer: str = ""
    usage: Usage = field(default_factory=Usage)
    messages: list[Message] = field(default_factory=list)  # the conversation, all turns with tools included
    called: list[dict[str, Any]] = field(default_factory=list)
    used: list[dict[str, Any]] = field(default_factory=list)
    completion: Completion = field(default_factory=lambda: Completion(""))
    rounds: int = 0  # how often the model was asked
    turn: Turn | None = None  # one whose calls have not all run
    results: list[str] = field(default_factory=list)  # of those that have
    is_approved: bool = False  # a person has allowed the next call
    remark: str = ""  # what they said beside it

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The documents that its tools found, each once."""
        found = [document for used in self.used for document in used.get("sourceDocuments", ())]
        return [document for number, document in enumerate(found) if document not in found[:number]]

    @property
    def pending(self) -> ToolCall | None:
        """The call that waits for a person, if one does."""
        return self.turn.calls[len(self.results)] if self.turn else None


async def run_agent(
    ctx: NodeContext,
    talk: Talk,
    tools: Tools,
    messages: Sequence[Message],
    *,
    max_rounds: int,
    guarded: Collection[str] = (),
    earlier: AgentRun | None = None,
) -> AgentRun:
    """Calls run one after the other, in order. What a tool fails with is told to the model.

    After `max_rounds` turns without an answer the answer is STOPPED. Before a call of a `guarded` tool it returns with
    that call `pending`; given back as `earlier`, with the call approved or its result added, it goes on from there.
    """
    run = earlier or AgentRun(messages=list(messages))
    while run.turn or run.rounds < max_rounds:
        turn = run.turn or await _ask(ctx, run, talk)
        if not turn.calls:
            run.answer = turn.answer
            return run
        run.turn = turn
        if await _call_rest(ctx, run, tools, turn.calls, guarded):
            return run
        results = list(zip(turn.calls, run.results, strict=True))
        run.turn, run.results = None, []
        if (direct := _direct_answer(tools, results, run.used)) is not None:
            return _end(ctx, run, direct)
        run.messages += talk.tell(turn, results)
        if run.remark:
            run.messages.append(Message("user", run.remark))
            run.remark = ""
    return _end(ctx, run, STOPPED)


def _end(ctx: NodeContext, run: AgentRun, answer: str) -> AgentRun:
    """An answer that is not the model's, so that nobody has said it yet."""
    run.answer = answer
    if answer and ctx.streams:
        ctx.emit_token(answer)
    return run


async def _ask(ctx: NodeContext, run: AgentRun, talk: Talk) -> Turn:
    turn = await talk.ask(ctx, run.messages)
    run.rounds += 1
    run.usage += turn.usage
    run.completion = turn.completion
    called = [{"tool": call.name, "toolInput": dict(call.arguments), "toolOutput": ""} for call in turn.calls]
    run.called += called
    if called and ctx.is_last:
        ctx.emit_tools_called(called)
    return turn


async def _call_rest(
    ctx: NodeContext, run: AgentRun, tools: Tools, calls: Sequence[ToolCall], guarded: Collection[str]
) -> bool:
    """Run the calls of a turn that have no result yet. True: one of them waits for a person."""
    waits = False
    for call in calls[len(run.results) :]:
        if call.name in guarded and call.name in tools and not run.is_approved:
            waits = True
            break
        run.is_approved = False
        # Whatever fails from here on, no policy may begin anew: the tool would act twice.
        ctx.is_repeatable = False
        used, result = await call_tool(tools, call)
        run.used.append(used)
        run.results.append(result)
    if run.used and ctx.is_last:
        ctx.emit_tools_used(list(run.used))
    return waits


async def call_tool(tools: Tools, call: ToolCall) -> tuple[dict[str, Any], str]:
    """The record of a call, and what the model is told: also of an unknown tool, and of one that failed.

    Documents that the tool's text is drawn from stand in the record, under `sourceDocuments`.
    """
    used: dict[str, Any] = {"tool": call.name, "toolInput": dict(call.arguments), "toolOutput": ""}
    tool = tools.get(call.name)
    try:
        if tool is None:
            raise NodeInputError(f"There is no tool {call.name!r}. Known tools: {', '.join(tools) or 'none'}.")
        said = await tool.call(call.arguments)
    except NodeError as exc:
        return {**used, "error": exc.message}, f"Error: {exc.message}"
    used["toolOutput"] = str(said)
    if isinstance(said, Sourced) and said.documents:
        used["sourceDocuments"] = [wire(document) for document in said.documents]
    return used, used["toolOutput"]


def _direct_answer(
    tools: Tools, results: Sequence[tuple[ToolCall, str]], used: Sequence[Mapping[str, Any]]
) -> str | None:
    if len(results) != 1 or "error" in used[-1]:
        return None
    call, result = results[0]
    return result if tools[call.name].return_direct else None


@dataclass(frozen=True, slots=True)
class FunctionCalling:
    """The talk of models that call tools by themselves. `is_silent`: its words are no answer yet, keep them back."""

    model: ChatModel
    tools: Tools
    is_silent: bool = False

    async def ask(self, ctx: NodeContext, messages: Sequence[Message]) -> Turn:
        """See `Talk.ask`. What it says beside calls is said at once as well: nobody can know that calls will follow."""
        specs = model_specs(self.tools)
        if self.is_silent:
            completion = await self.model.complete(messages, tools=specs)
        else:
            completion = await ask(ctx, self.model, messages, tools=specs)
        return Turn(completion, completion.tool_calls, completion.text, completion.usage)

    def tell(self, turn: Turn, results: Sequence[tuple[ToolCall, str]]) -> list[Message]:
        """See `Talk.tell`."""
        said = turn.completion
        asked = Message("assistant", said.text, tool_calls=said.tool_calls, original=said.original)
        return [asked, *(Message("tool", text, name=call.name, tool_call_id=call.id) for call, text in results)]


def model_specs(tools: Tools) -> list[ToolSpec]:
    """The tools as a model is told of them."""
    return [replace(tool.spec, name=name) for name, tool in tools.items()]


def named_tools(given: Iterable[Any]) -> dict[str, Tool]:
    """Tools by name, of tools and lists of tools; those that share a name are numbered.

    Raises NodeInputError for anything that is no tool.
    """
    named: dict[str, Tool] = {}
    for tool in _flat(given):
        if not isinstance(tool, Tool):
            raise NodeInputError("What is connected as a tool is none.")
        name, number = tool.spec.name, 2
        while name in named:
            name, number = f"{tool.spec.name}_{number}", number + 1
        named[name] = tool
    return named


def _flat(given: Iterable[Any]) -> Iterable[Any]:
    for item in given:
        if isinstance(item, list | tuple):
            yield from _flat(item)
        elif item:
            yield item
