"""Condition Agent nodes of agent flows: a model chooses which way the run goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.nodes import conversations, values
from engine.parsers import OutputParser, Unparsable, json_parser
from engine.providers.base import ChatModel, Completion, Message, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.structured import CORRECT, ask_json

PREFIX = "conditionAgent"
SYSTEM = (
    "You decide how a process goes on. You are given an input, a list of scenarios and an instruction. Choose the one "
    "scenario that fits the input best by the instruction. Answer with nothing but a JSON object whose only key is "
    '"output", and whose value is that scenario, word for word.\n\n'
    'Example of what you are given: {"input": "Hello, how are you?", "scenarios": ["user asks about AI", "default"], '
    '"instruction": "Find out whether the user asks about AI."}\n'
    'Example of an answer: {"output": "default"}'
)
SCHEMA = {
    "type": "object",
    "properties": {"output": {"type": "string"}},
    "required": ["output"],
    "additionalProperties": False,
}

CONDITION_AGENT = NodeSpec(
    name="conditionAgentAgentflow",
    label="Condition Agent",
    version=2,
    category="Agent Flows",
    base_classes=("ConditionAgent",),
    help="Lets a chat model choose which way the flow goes.",
    params=(
        Param("conditionAgentModel", "asyncOptions", "Model", help="Which model is asked."),
        Param(
            "conditionAgentInstructions",
            "string",
            "Instructions",
            optional=True,
            variables=True,
            help="What the model is to find out.",
        ),
        Param(
            "conditionAgentInput",
            "string",
            "Input",
            default="{{ question }}",
            optional=True,
            variables=True,
            help="What it judges.",
        ),
        Param(
            "conditionAgentScenarios",
            "array",
            "Scenarios",
            help="One way out a row; the last is taken when nothing fits.",
            fields=(Param("scenario", "string", "Scenario", help="When this way is taken."),),
        ),
        Param(
            "conditionAgentOverrideSystemPrompt",
            "boolean",
            "Override System Prompt",
            optional=True,
            help="Tell the model its task in other words.",
        ),
        Param(
            "conditionAgentSystemPrompt",
            "string",
            "System Prompt",
            optional=True,
            variables=True,
            help="Those words. They must ask for a JSON object with the key output.",
        ),
        *conversations.memory_params(PREFIX, default=False),
    ),
    is_decision=True,
)


async def run_condition_agent(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The scenario that the model names; the last one if it names none, or twice answers with what cannot be read.

    Raises NodeInputError for a node that is not filled in, ProviderError if the model does not answer.
    """
    with conversations.explained("Error in Condition Agent node"):
        model = await conversations.chat_model(ctx, inputs, PREFIX)
        if model is None:
            raise NodeInputError(f"{inputs['conditionAgentModel']!r} is no chat model: choose one.")
        rows = values.items(inputs, "conditionAgentScenarios")
        # A row that is still empty keeps its place: the ways out are numbered by rows.
        scenarios = [str(row.get("scenario") or "").strip() for row in rows]
        if not any(scenarios):
            raise NodeInputError("Scenarios are required")
        return await _choose(ctx, inputs, model, scenarios)


async def _choose(ctx: NodeContext, inputs: Inputs, model: ChatModel, scenarios: Sequence[str]) -> NodeResult:
    opening = () if ctx.messages else conversations.user_input(ctx)
    messages, usage = await _messages(ctx, inputs, model, opening, scenarios)
    completion, named = await _ask(model, messages)
    taken = match(named, scenarios)
    return NodeResult(
        output={
            "conditions": [{"output": text, "isFulfilled": n == taken} for n, text in enumerate(scenarios)],
            "content": completion.text,
            **conversations.reasons(completion),
        },
        input={"messages": conversations.shown_messages(messages)},
        messages=opening,
        usage=usage + completion.usage,
        taken=frozenset({taken}),
    )


async def _messages(
    ctx: NodeContext, inputs: Inputs, model: ChatModel, opening: Sequence[Message], scenarios: Sequence[str]
) -> tuple[list[Message], Usage]:
    """What the model is told, and what summing up the conversation for it cost."""
    overrides = values.flag(inputs, "conditionAgentOverrideSystemPrompt")
    system = values.text(inputs, "conditionAgentSystemPrompt") if overrides else ""
    task: dict[str, Any] = {
        "input": values.text(inputs, "conditionAgentInput", ctx.request.question),
        "scenarios": list(filter(None, scenarios)),
        "instruction": values.text(inputs, "conditionAgentInstructions"),
    }
    told = [Message("system", system or SYSTEM)]
    usage = Usage()
    if values.flag(inputs, "conditionAgentEnableMemory"):
        if not ctx.messages:
            told += ctx.request.history
        recalled = await conversations.recall(ctx, inputs, PREFIX, model, opening, has_system=True)
        told += recalled.messages
        usage = recalled.usage
    images = opening[0].images if opening else ()
    return [*told, Message("user", orjson.dumps(task).decode(), images=images)], usage


async def _ask(model: ChatModel, messages: Sequence[Message]) -> tuple[Completion, str]:
    """The model's answer, and what it names; an answer that cannot be read is asked for once more."""
    parser = json_parser(SCHEMA, autofix=True)
    first = await ask_json(model, messages, SCHEMA, parser)
    named, problem = _read(parser, first.text)
    if not problem:
        return first, named
    correction = CORRECT.format(problem=problem, instructions=parser.instructions)
    asked = [*messages, Message("assistant", first.text), Message("user", correction)]
    second = await ask_json(model, asked, SCHEMA, parser)
    named, _ = _read(parser, second.text)
    return Completion(second.text, usage=first.usage + second.usage, thinking=second.thinking), named


def _read(parser: OutputParser, text: str) -> tuple[str, str]:
    """What an answer names, or why it cannot be read."""
    try:
        return str(parser.read(text)["output"]), ""
    except Unparsable as exc:
        return "", str(exc)


def match(named: str, scenarios: Sequence[str]) -> int:
    """Which scenario is meant: the same, else one that begins with it, else one within the other, else the last."""
    said = named.strip().lower()
    ways: tuple[Callable[[str], bool], ...] = (
        lambda scenario: scenario == said,
        lambda scenario: scenario.startswith(said),
        lambda scenario: said in scenario or scenario in said,
    )
    if said:
        for fits in ways:
            for index, scenario in enumerate(scenarios):
                if scenario and fits(scenario.lower()):
                    return index
    return len(scenarios) - 1


NODES = (NodeType(CONDITION_AGENT, run_condition_agent),)
