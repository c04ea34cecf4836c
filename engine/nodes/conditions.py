"""Conditions: which way a flow goes on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import isnan
from typing import Any

import regex

from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.markdown import plain_text
from engine.nodes import values
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

PATTERN_S = 0.1  # a pattern that takes longer was made to

Test = Callable[[Any, Any], bool]
ELSE = {"type": "string", "value1": "", "operation": "equal", "value2": ""}


def matches(text: str, pattern: str) -> bool:
    """Whether the pattern occurs in the text. One that is broken, or takes too long, does not."""
    try:
        return regex.search(pattern, text, timeout=PATTERN_S) is not None
    except (regex.error, TimeoutError):
        return False


TEXT_TESTS: Mapping[str, Test] = {
    "contains": operator.contains,
    "notContains": lambda text, part: part not in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "equal": operator.eq,
    "notEqual": operator.ne,
    "regex": matches,
    "isEmpty": lambda text, _: not text,
    "notEmpty": lambda text, _: bool(text),
}
NUMBER_TESTS: Mapping[str, Test] = {
    "smaller": operator.lt,
    "smallerEqual": operator.le,
    "equal": operator.eq,
    "notEqual": operator.ne,
    "larger": operator.gt,
    "largerEqual": operator.ge,
    # What is no number counts as 0, so a number is never empty.
    "isEmpty": lambda _, __: False,
    "notEmpty": lambda _, __: True,
}
TRUTH_TESTS: Mapping[str, Test] = {"equal": operator.eq, "notEqual": operator.ne}

CONDITION = NodeSpec(
    name="conditionAgentflow",
    label="Condition",
    version=1,
    category="Agent Flows",
    base_classes=("Condition",),
    help="Goes on with the first condition that holds, else with the last way out.",
    params=(
        Param(
            "conditions",
            "array",
            "Conditions",
            variables=True,
            help="Tried in order.",
            fields=(
                Param(
                    "type",
                    "options",
                    "Type",
                    default="string",
                    options=("string", "number", "boolean"),
                    help="Of both.",
                ),
                Param("value1", "string", "Value 1", variables=True, help="What is looked at."),
                Param(
                    "operation",
                    "options",
                    "Operation",
                    default="equal",
                    options=tuple(dict.fromkeys((*TEXT_TESTS, *NUMBER_TESTS))),
                    help="How the two are compared.",
                ),
                Param("value2", "string", "Value 2", optional=True, variables=True, help="What it is compared with."),
            ),
        ),
    ),
    is_decision=True,
    is_free=True,
)


async def run_condition(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """The first condition that holds; its index is the way out, the number of conditions is the way of 'else'.

    Raises NodeInputError for an operation that its type does not have.
    """
    conditions = values.items(inputs, "conditions")
    taken = next((index for index, condition in enumerate(conditions) if holds(condition)), len(conditions))
    shown = [{**condition, "isFulfilled": index == taken} for index, condition in enumerate((*conditions, ELSE))]
    return NodeResult(output={"conditions": shown}, taken=frozenset({taken}))


def holds(condition: Mapping[str, Any]) -> bool:
    """Whether one condition is fulfilled. Raises NodeInputError for an operation that its type does not have."""
    kind = condition.get("type") or "string"
    read, tests = KINDS.get(kind, (None, {}))
    operation = condition.get("operation") or "equal"
    if read is None or operation not in tests:
        known = ", ".join(tests) or f"none: its type must be one of {', '.join(KINDS)}"
        raise NodeInputError(f"A condition of type {kind!r} has no operation {operation!r}; it has {known}.")
    return tests[operation](read(condition.get("value1")), read(condition.get("value2")))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else plain_text(str(value))


def _number(value: Any) -> float:
    written = value if isinstance(value, int | float) else _text(value)
    if isinstance(written, str) and "_" in written:  # Python reads 1_000, which to authors is no number
        return 0.0
    try:
        number = float(written)
    except (ValueError, OverflowError):
        return 0.0
    return 0.0 if isnan(number) else number


def _truth(value: Any) -> bool:
    return _text(value).lower() == "true" if isinstance(value, str) else bool(value)


KINDS: Mapping[str, tuple[Callable[[Any], Any], Mapping[str, Test]]] = {
    "string": (_text, TEXT_TESTS),
    "number": (_number, NUMBER_TESTS),
    "boolean": (_truth, TRUTH_TESTS),
}

NODES = (NodeType(CONDITION, run_condition),)
