from typing import Any

import pytest

from engine.errors import NodeInputError
from engine.nodes.parsers import run_advanced, run_csv, run_list, run_structured
from engine.parsers import OutputParser, Unparsable, find_json, json_parser
from tests.engine.node_world import NodeWorld

ROWS = [{"property": "title", "type": "string", "description": "Its name."}, {"property": "year", "type": "number"}]


async def test_a_table_of_properties_is_a_schema(nodes: NodeWorld) -> None:
    parser: OutputParser = (await run_structured(nodes.context(), {"jsonStructure": ROWS, "autofixParser": True})).value

    assert parser.read('{"title": "Heat", "year": 1995}') == {"title": "Heat", "year": 1995}
    assert '"description":"Its name."' in parser.instructions
    assert parser.autofix


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("words", "not JSON"),
        ('{"title": "Heat"}', "At \\$: 'year' is a required property"),
        ('{"title": "Heat", "year": "95"}', "At \\$.year: '95' is not of type 'number'"),
        ('{"title": "Heat", "year": 1, "more": 2}', "Additional properties"),
    ],
)
async def test_an_answer_of_another_shape_says_where(nodes: NodeWorld, answer: str, told: str) -> None:
    parser = (await run_structured(nodes.context(), {"jsonStructure": ROWS})).value

    with pytest.raises(Unparsable, match=told):
        parser.read(answer)


@pytest.mark.parametrize("rows", ["", "[]", [{"property": "", "type": "string"}], [{"property": "a", "type": "map"}]])
async def test_a_table_that_makes_no_sense_is_refused(nodes: NodeWorld, rows: Any) -> None:
    with pytest.raises(NodeInputError, match="jsonStructure"):
        await run_structured(nodes.context(), {"jsonStructure": rows})


async def test_a_zod_schema_is_followed(nodes: NodeWorld) -> None:
    source = "z.array(z.object({ title: z.string(), tags: z.array(z.string()).max(2).optional() }))"

    parser = (await run_advanced(nodes.context(), {"exampleJson": source})).value

    assert parser.read('[{"title": "Heat"}]') == [{"title": "Heat"}]
    with pytest.raises(Unparsable, match="tags"):
        parser.read('[{"title": "Heat", "tags": ["a", "b", "c"]}]')


async def test_source_that_is_no_zod_is_refused(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="zod schema cannot be read"):
        await run_advanced(nodes.context(), {"exampleJson": "process.exit()"})


async def test_a_list_comes_from_commas(nodes: NodeWorld) -> None:
    parser = (await run_csv(nodes.context(), {})).value

    assert parser.read(" a, b ,,c\n") == ["a", "b", "c"]


async def test_a_list_may_have_a_length_and_a_separator(nodes: NodeWorld) -> None:
    parser = (await run_list(nodes.context(), {"length": "2", "separator": ";"})).value

    assert parser.read("a; b") == ["a", "b"]
    with pytest.raises(Unparsable, match="Expected 2 items, found 3"):
        parser.read("a;b;c")


@pytest.mark.parametrize("length", [0, -1, "1001", "two"])
async def test_a_length_that_no_list_has_is_refused(nodes: NodeWorld, length: Any) -> None:
    with pytest.raises(NodeInputError, match="length"):
        await run_list(nodes.context(), {"length": length})


@pytest.mark.parametrize(
    "answer", ['{"a": 1}', 'Sure:\n```json\n{"a": 1}\n```\nDone.', 'I think {"a": 1} fits.', '```\n{"a": 1}```']
)
def test_json_is_found_wherever_it_stands(answer: str) -> None:
    assert find_json(answer) == {"a": 1}


@pytest.mark.timeout(10)
def test_a_fence_that_nobody_closed_is_looked_for_once() -> None:
    with pytest.raises(Unparsable, match="not JSON"):
        find_json("```json" + " " * 50_000)


@pytest.mark.timeout(10)
def test_a_pattern_that_would_run_for_ever_does_not_match() -> None:
    parser = json_parser({"type": "string", "pattern": "^(a+)+$"}, autofix=False)

    with pytest.raises(Unparsable, match="does not match"):
        parser.read('"' + "a" * 5000 + 'b"')
