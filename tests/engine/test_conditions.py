import time
from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.markdown import plain_text
from engine.nodes.conditions import holds, run_condition
from tests.engine.node_world import NodeWorld

SLOW = ("(a+)+$", "a" * 5000 + "b")


def condition(kind: str, value1: Any, operation: str, value2: Any = "") -> dict[str, Any]:
    return {"type": kind, "value1": value1, "operation": operation, "value2": value2}


@pytest.mark.parametrize(
    ("operation", "value1", "value2", "expected"),
    [
        ("contains", "a **big** house", "big house", True),
        ("contains", "a house", "big", False),
        ("notContains", "a house", "big", True),
        ("startsWith", "# Title", "Title", True),
        ("startsWith", "Title", "itle", False),
        ("endsWith", "the `end`", "end", True),
        ("equal", "SOFTWARE\n", "**SOFTWARE**", True),
        ("equal", "software", "SOFTWARE", False),
        ("equal", "", None, True),
        ("equal", True, "true", True),
        ("notEqual", "a", "b", True),
        ("notEqual", "a", "a", False),
        ("regex", "order 66", r"\d{2}", True),
        ("regex", "order", r"\d{2}", False),
        ("regex", "order", r"(", False),
        ("isEmpty", "<p></p>", "", True),
        ("isEmpty", "x", "", False),
        ("notEmpty", "x", "", True),
        ("notEmpty", None, "", False),
    ],
)
def test_texts_are_compared_without_their_markdown(operation: str, value1: Any, value2: Any, expected: bool) -> None:
    assert holds(condition("string", value1, operation, value2)) is expected


@pytest.mark.parametrize(
    ("operation", "value1", "value2", "expected"),
    [
        ("smaller", "2", "10", True),
        ("smaller", 10, 2, False),
        ("smallerEqual", "11", "11", True),
        ("equal", "1.0", 1, True),
        ("equal", "none", 0, True),
        ("equal", "nan", 0, True),
        ("equal", float("nan"), 0, True),
        ("equal", "1_000", 0, True),
        ("notEqual", "1", "2", True),
        ("larger", "10", "9", True),
        ("largerEqual", "9", "10", False),
        ("isEmpty", "", "", False),
        ("notEmpty", "", "", True),
    ],
)
def test_numbers_are_compared_as_numbers(operation: str, value1: Any, value2: Any, expected: bool) -> None:
    assert holds(condition("number", value1, operation, value2)) is expected


@pytest.mark.parametrize(
    ("operation", "value1", "value2", "expected"),
    [
        ("equal", "true", True, True),
        ("equal", "False", False, True),
        ("equal", True, False, False),
        ("notEqual", "true", "false", True),
    ],
)
def test_truth_may_come_as_text(operation: str, value1: Any, value2: Any, expected: bool) -> None:
    assert holds(condition("boolean", value1, operation, value2)) is expected


@pytest.mark.timeout(10)
def test_a_pattern_that_would_run_for_ever_does_not_match() -> None:
    pattern, text = SLOW

    assert not holds(condition("string", text, "regex", pattern))


async def test_the_first_condition_that_holds_is_taken(nodes: NodeWorld) -> None:
    conditions = [condition("string", "a", "equal", "b"), condition("number", 1, "equal", 1), condition("", "", "")]

    result = await run_condition(nodes.context(), {"conditions": conditions})

    assert result.taken == frozenset({1})
    assert [shown["isFulfilled"] for shown in result.output["conditions"]] == [False, True, False, False]
    assert "content" not in result.output


@pytest.mark.parametrize("conditions", ["", [], [condition("string", "a", "equal", "b")]])
async def test_else_is_taken_if_none_holds(nodes: NodeWorld, conditions: Any) -> None:
    result = await run_condition(nodes.context(), {"conditions": conditions})

    assert result.taken == frozenset({len(conditions)})
    assert result.output["conditions"][-1]["isFulfilled"] is True


@pytest.mark.parametrize(("kind", "operation"), [("string", "larger"), ("boolean", "contains"), ("date", "equal")])
async def test_an_operation_that_a_type_lacks_is_named(nodes: NodeWorld, kind: str, operation: str) -> None:
    with pytest.raises(NodeInputError, match=f"{kind!r} has no operation {operation!r}"):
        await run_condition(nodes.context(), {"conditions": [condition(kind, "a", operation, "b")]})


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Title #", "Title"),
        ("1. first\n2. second", "first\nsecond"),
        ("- *one*\n- __two__", "one\ntwo"),
        ("> said [he](http://x.y)", "said he"),
        ("![logo](a.png)", "logo"),
        ("```json\n{}\n```", "{}"),
        ("snake_case_name", "snake_case_name"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("a < b > c", "a < b > c"),
        ("~~old~~ new", "old new"),
        ("---", ""),
    ],
)
def test_plain_text_keeps_the_words(markdown: str, text: str) -> None:
    assert plain_text(markdown) == text


@pytest.mark.parametrize("piece", [" ", "\n", "\n \n", " \t", "* * ", "_a", "[a](", "<a", " #"])
def test_a_long_text_is_read_at_once_whatever_it_repeats(piece: str) -> None:
    began = time.process_time()

    plain_text(piece * (40_000 // len(piece)) + "x")

    assert time.process_time() - began < 1
