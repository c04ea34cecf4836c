"""Arithmetic in text, such as models write it, within bounds of size and time."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from engine.errors import NodeInputError

LONGEST = 1000  # characters of an expression
MAX_BITS = 4096  # of a whole number; more is no arithmetic but a way to keep a processor busy
MAX_FACTORIAL = 170  # the largest of which a float still has an idea
SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "·": "*", "^": "**"})  # noqa: RUF001

Number = int | float


def calculate(expression: str) -> str:
    """The value as text. `^` is a power, as people write it.

    Raises NodeInputError if it is no arithmetic, has no value, or is out of bounds.
    """
    if len(expression) > LONGEST:
        raise NodeInputError(f"The expression has more than {LONGEST} characters.")
    reader = SimpleEval(operators=OPERATORS, functions=FUNCTIONS, names=CONSTANTS)
    del reader.nodes[ast.Attribute]  # numbers have attributes, too, and arithmetic needs none
    written = expression.strip().translate(SIGNS)
    try:
        # Parsed as one expression: the reader by itself would take the first of several and drop the others.
        value = reader.eval(written, previously_parsed=ast.parse(written, mode="eval").body)
    except ZeroDivisionError as exc:
        raise NodeInputError("Nothing can be divided by zero.") from exc
    except (InvalidExpression, SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as exc:
        raise NodeInputError(f"This is no arithmetic that can be worked out: {exc}.") from exc
    if isinstance(value, bool):
        return str(value).lower()
    return _shown(_number(value))


def _number(value: Any) -> Number:
    if not isinstance(value, int | float):
        raise NodeInputError("Arithmetic is about numbers alone.")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise NodeInputError("The result is too large.")
    return value


def _shown(value: Number) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise NodeInputError("The result is too large.")
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _bounded(operate: Callable[..., Any]) -> Callable[..., Number]:
    return lambda *numbers: _number(operate(*map(_number, numbers)))


def _power(base: Number, exponent: Number) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        return float(base) ** float(exponent)  # bounded by what a float can hold
    return base**exponent


def _factorial(number: Number) -> int:
    if not float(number).is_integer() or not 0 <= number <= MAX_FACTORIAL:
        raise ValueError(f"factorials go from 0 to {MAX_FACTORIAL}")
    return math.factorial(int(number))


OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: _bounded(operator.add),
    ast.Sub: _bounded(operator.sub),
    ast.Mult: _bounded(operator.mul),
    ast.Div: _bounded(operator.truediv),
    ast.FloorDiv: _bounded(operator.floordiv),
    ast.Mod: _bounded(operator.mod),
    ast.Pow: _bounded(_power),
    ast.USub: _bounded(operator.neg),
    ast.UAdd: _bounded(operator.pos),
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    name: _bounded(function)
    for name, function in {
        **{
            name: getattr(math, name)
            for name in ("sqrt", "exp", "log", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "atan2")
        },
        **{name: getattr(math, name) for name in ("floor", "ceil", "trunc", "hypot", "degrees", "radians")},
        "abs": abs,
        "round": round,
        "min": min,
        "max": max,
        "ln": math.log,
        "cbrt": math.cbrt,
        "pow": _power,
        "factorial": _factorial,
    }.items()
}
CONSTANTS: Mapping[str, float] = {
    "pi": math.pi,
    "PI": math.pi,
    "e": math.e,
    "E": math.e,
}
