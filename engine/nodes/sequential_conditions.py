"""Conditions of multi-agent graphs: which way the agents go on, decided by a table, by code, or by a model's answer."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.multiagent import handle_of
from engine.nodes import members, values
from engine.nodes.channels import chosen_tab
from engine.nodes.conversations import explained, shown_messages
from engine.nodes.flow_values import ROOTS, flow_view, run_code, value_of
from engine.providers.base import Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.structured import answer_schema, ask_shaped
from engine.templating import as_text

TABLE, CODE, TAB = "conditionUI", "conditionFunction", "selectedConditionFunctionTab"
ELSE = "End"
NUMBER = re.compile(r"-?\d*\.?\d+")

TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "Contains": operator.contains,
    "Not Contains": lambda text, part: part not in text,
    "Start With": str.startswith,
    "End With": str.endswith,
    "Is": operator.eq,
    "Is Not": operator.ne,
    "Is Empty": lambda text, _: not text.strip(),
    "Is Not Empty": lambda text, _: bool(text.strip()),
}
NUMBER_TESTS: Mapping[str, Callable[[float, float], bool]] = {
    "Greater Than": operator.gt,
    "Less Than": operator.lt,
    "Equal To": operator.eq,
    "Not Equal To": operator.ne,
    "Greater Than or Equal To": operator.ge,
    "Less Than or Equal To": operator.le,
}

CHOICE = (
    Param(
        "condition",
        "conditionFunction",
        "Condition",
        default=TABLE,
        optional=True,
        help="Decided by a table, or by code.",
    ),
    Param(
        TABLE,
        "datagrid",
        "Condition (Table)",
        optional=True,
        help="The first row that holds is taken, else End.",
        fields=(
            Param("variable", "string", "Variable", help="Such as $flow.state.messages[-1].content."),
            Param("operation", "options", "Operation", options=(*TEXT_TESTS, *NUMBER_TESTS), help="How to compare."),
            Param("value", "string", "Value", optional=True, help="What it is compared with."),
            Param("output", "string", "Output Name", help="The way out."),
        ),
    ),
    Param(CODE, "code", "Condition (Code)", optional=True, help="Returns the name of the way out."),
)
CONDITION = NodeSpec(
    name="seqCondition",
    label="Condition",
    version=2.1,
    category=members.SEQUENTIAL,
    base_classes=("Condition",),
    help="Goes on with the first condition that holds.",
    params=(
        Param("conditionName", "string", "Condition Name", optional=True, help="What it is called."),
        members.BEFORE,
        *CHOICE,
    ),
    role="member",
    is_decision=True,
)
CONDITION_AGENT = NodeSpec(
    name="seqConditionAgent",
    label="Condition Agent",
    version=3.1,
    category=members.SEQUENTIAL,
    base_classes=("ConditionAgent",),
    help="Asks a model, and goes on with the first condition that holds for its answer.",
    params=(
        Param("conditionAgentName", "string", "Name", help="What it is called."),
        members.BEFORE,
        members.MODEL,
        *members.PROMPTS,
        members.structured_output("conditionAgentStructuredOutput"),
        *CHOICE,
    ),
    role="member",
    is_decision=True,
)


async def run_condition(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Raises NodeInputError for a row that makes no sense, and for a choice that leads nowhere."""
    title = members.title_in(ctx, inputs, "conditionName")
    with explained(f"Error in {title}"):
        chosen = await _choose(ctx, inputs, flow_view(ctx))
        return _decision(ctx, inputs, title, chosen, output={})


async def run_condition_agent(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """What the model answers is seen by the conditions, and by no other agent.

    Raises NodeInputError as `run_condition` does, NodeError for an answer without the structure.
    """
    title = members.title_in(ctx, inputs, "conditionAgentName")
    with explained(f"Error in {title}"):
        model, messages = members.chat_model(inputs), await members.told(ctx, inputs)
        if rows := members.structure(inputs, "conditionAgentStructuredOutput"):
            shaped = await ask_shaped(model, messages, answer_schema(rows))
            said, usage = {**shaped.value, "content": orjson.dumps(shaped.value).decode()}, shaped.usage
        else:
            completion = await model.complete(messages)
            said, usage = {"content": completion.text}, completion.usage
        chosen = await _choose(ctx, inputs, flow_view(ctx, said))
        shown = {"messages": shown_messages(messages)}
        return _decision(ctx, inputs, title, chosen, output={"answer": said}, shown=shown, usage=usage)


async def _choose(ctx: NodeContext, inputs: Inputs, view: Mapping[str, Any]) -> str:
    """The name of the way out."""
    if chosen_tab(ctx, inputs, TAB, TABLE) == CODE and values.text(inputs, CODE):
        return await _coded(ctx, values.text(inputs, CODE), view)
    rows = values.items(inputs, TABLE)
    return next((str(row.get("output") or ELSE) for row in rows if _holds(ctx, row, view)), ELSE)


async def _coded(ctx: NodeContext, code: str, view: Mapping[str, Any]) -> str:
    chosen = await run_code(ctx, code, view)
    if not isinstance(chosen, str):
        raise NodeInputError("The code of a condition must return the name of a way out, which is a text.")
    return chosen


def _holds(ctx: NodeContext, row: Mapping[str, Any], view: Mapping[str, Any]) -> bool:
    variable = str(row.get("variable") or "").strip()
    if not variable:
        raise NodeInputError("A condition has no variable: choose what it looks at.")
    return holds(_looked_at(ctx, variable, view), str(row.get("operation") or "Is"), row.get("value"))


def _looked_at(ctx: NodeContext, variable: str, view: Mapping[str, Any]) -> Any:
    """`$seqAgent_0` is what that node said last."""
    if variable.startswith("$") and not variable.startswith(ROOTS):
        reference = f"{{{{{variable[1:]}.data.instance}}}}"
        value = ctx.resolve(reference)
        return None if value == reference else value
    return value_of(ctx, variable, view)


def holds(value: Any, operation: str, other: Any) -> bool:
    """Whether one condition is fulfilled. What is not there is empty, and nothing else.

    Raises NodeInputError for an unknown operation.
    """
    if operation not in TEXT_TESTS and operation not in NUMBER_TESTS:
        known = ", ".join((*TEXT_TESTS, *NUMBER_TESTS))
        raise NodeInputError(f"A condition has no operation {operation!r}; known: {known}.")
    text, compared = _text(value), _text(other)
    if not text:
        return operation == "Is Empty"
    if operation in TEXT_TESTS:
        return TEXT_TESTS[operation](text, compared)
    is_number = NUMBER.fullmatch(text) and NUMBER.fullmatch(compared)
    return bool(is_number) and NUMBER_TESTS[operation](float(text), float(compared))


def _text(value: Any) -> str:
    return "" if value is None or value == [] else as_text(value)


def _decision(
    ctx: NodeContext,
    inputs: Inputs,
    title: str,
    chosen: str,
    *,
    output: Mapping[str, Any],
    shown: Any = None,
    usage: Usage | None = None,
) -> NodeResult:
    ways = [way["name"] for way in inputs.get("ways") or ()]
    wanted = handle_of(chosen)
    taken = [index for index, way in enumerate(ways) if handle_of(way) == wanted]
    if not taken and wanted != handle_of(ELSE):
        raise NodeInputError(f"It chose {chosen!r}, which leads nowhere; connected are: {', '.join(ways) or 'none'}.")
    following = inputs["ways"][taken[0]]["next"] if taken else ""
    return NodeResult(
        output={"content": members.last_words(ctx), "chosen": chosen, **output},
        input=shown,
        usage=usage or Usage(),
        taken=frozenset(taken),
        reasoning=members.reasoning(ctx, title, [following]) if following else None,
    )


NODES = (NodeType(CONDITION, run_condition), NodeType(CONDITION_AGENT, run_condition_agent))
