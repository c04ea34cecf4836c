"""Inputs as people and exports write them, read by every node alike."""

from typing import Any

import orjson
import pytest

from engine.errors import NodeInputError
from engine.nodes import values

DEEP = "[" * 3000
HALF = '{"text": "\\ud800\n"}'  # half of a surrogate pair: no text that can be sent on


@pytest.mark.parametrize(
    ("given", "read"), [("1.5", 1.5), (" 2 ", 2.0), (0, 0.0), ("", None), ("  ", None), (None, None), (True, 1.0)]
)
def test_numbers_come_as_numbers_or_as_text(given: Any, read: float | None) -> None:
    assert values.number({"n": given}, "n") == read


@pytest.mark.parametrize("given", ["many", "nan", "inf", "1e999", 10**400, [1], {}])
def test_what_is_no_number_is_refused(given: Any) -> None:
    with pytest.raises(NodeInputError, match="n must be a number, not"):
        values.number({"n": given}, "n")


def test_whole_numbers_lose_what_stands_behind_the_point() -> None:
    assert values.integer({"n": "7.9"}, "n") == 7

    with pytest.raises(NodeInputError, match="n must be a whole number of a sensible size"):
        values.integer({"n": 1e300}, "n")


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    with pytest.raises(NodeInputError) as refused:
        values.number({"n": "x" * 10_000}, "n")

    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ('{"a": 0}', {"a": 0}),
        ({"a": 0}, {"a": 0}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890.0}),
        ("", {}),
        (None, {}),
    ],
)
def test_objects_come_as_they_are_or_as_text(given: Any, read: dict[str, Any]) -> None:
    found = values.mapping({"o": given}, "o")

    assert found == read
    assert orjson.dumps(found)


@pytest.mark.parametrize("given", ["{oops", HALF, DEEP, '{"a":' * 3000, "7", [1]])
def test_what_is_no_object_is_refused(given: Any) -> None:
    with pytest.raises(NodeInputError, match="o must be"):
        values.mapping({"o": given}, "o")


@pytest.mark.parametrize("written", [DEEP, "{'a':" * 3000, "what?"])
def test_what_nobody_can_read_as_json_is_a_value_error(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.lenient(written)


@pytest.mark.parametrize("written", ["{'a': 1,}", '{"a": 1} // one', "{a: \\1}"])
def test_json_is_read_as_people_type_it(written: str) -> None:
    assert values.lenient(written) == {"a": 1}


def test_what_is_not_text_is_read_as_json_has_it() -> None:
    given = {"is": True, "object": {"a": [1, None]}, "number": 1.5, "text": "as it is"}

    read = {name: values.text(given, name) for name in given}

    assert read == {"is": "true", "object": '{"a":[1,null]}', "number": "1.5", "text": "as it is"}


def test_what_is_too_long_is_not_read_as_people_type_it() -> None:
    """The reader of loose JSON is slow, and every other run would wait."""
    with pytest.raises(ValueError, match=r"."):
        values.lenient("{'a': '" + "x" * values.LONGEST_LENIENT + "'}")


@pytest.mark.parametrize(("given", "read"), [("1500", 1.5), (0, None), ("", None), (None, None)])
def test_milliseconds_become_seconds(given: Any, read: float | None) -> None:
    assert values.patience_s({"timeout": given}, "timeout") == read


def test_nobody_waits_for_less_than_no_time() -> None:
    with pytest.raises(NodeInputError, match="timeout must be milliseconds to wait, not -5"):
        values.patience_s({"timeout": "-5"}, "timeout")


def test_headers_that_are_null_are_not_sent() -> None:
    assert values.headers({"X-Key": None, "X-Count": 3, "X-Note": "n"}) == {"X-Count": "3", "X-Note": "n"}
