"""Tools as they are published: what is read of them, and what is refused."""

from __future__ import annotations

import pytest

from engine.errors import NodeInputError
from engine.tool_templates import read_tool_schema, read_tool_template


def test_a_schema_may_be_a_list_or_zod() -> None:
    listed = read_tool_schema([{"property": "n", "type": "number"}, {"property": "day", "type": "date"}])
    written = read_tool_schema("z.object({ n: z.number() })")

    assert listed["properties"] == {
        "n": {"type": "number", "description": ""},
        "day": {"type": "string", "description": ""},
    }
    assert written["properties"]["n"]["type"] == "number"


def test_a_schema_may_be_left_out() -> None:
    assert read_tool_schema("") == read_tool_schema(None) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "schema", ["no schema", '{"a": 1}', "[1]", "[" * 100_000, '[{"type": "string"}]', "z.nothing()"]
)
def test_a_schema_that_is_none_is_refused(schema: str) -> None:
    with pytest.raises(NodeInputError):
        read_tool_schema(schema)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"name": "no function"}', '{"func": "return 1"}', "{"])
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(NodeInputError, match="tool template"):
        read_tool_template(text)
