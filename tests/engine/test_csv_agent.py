import base64
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from engine import tables
from engine.errors import FlowError, NodeInputError
from engine.files import File
from engine.flow import parse_flow
from engine.nodes.csv_agent import run_csv
from engine.plan import plan_for
from engine.providers.fake import FakeChatModel, calling
from engine.registry import load_registry
from tests.engine.node_world import NodeWorld

SALES = """City,Sales,Date
Bern,"1,200",2024-01-03
Basel,300,2024-02-01
Bern,100.5,2024-03-09
Chur,,2023-12-24
"""


def uri(text: str, name: str = "sales.csv") -> str:
    return f"data:text/csv;base64,{base64.b64encode(text.encode()).decode()},filename:{name}"


async def worked_out(nodes: NodeWorld, tool: str, **arguments: Any) -> Any:
    """What a call of the agent's tool gives: its result, or the error that the model is told."""
    model = FakeChatModel([calling(tool, arguments), "Done."])

    result = await run_csv(nodes.context("?"), {"model": model, "csvFile": uri(SALES)})

    (used,) = result.output["usedTools"]
    return used.get("error") or orjson.loads(used["toolOutput"])


async def test_the_model_is_shown_the_columns_and_the_first_rows(nodes: NodeWorld) -> None:
    model = FakeChatModel(["Three cities."])

    result = await run_csv(nodes.context("Which cities?"), {"model": model, "csvFile": uri(SALES)})

    system, question = model.calls[0].messages
    assert result.output["content"] == "Three cities."
    assert "4 rows. Columns: City, Sales, Date." in system.content
    assert '{"City":"Bern","Sales":"1,200","Date":"2024-01-03"}' in system.content
    assert question.content == "Which cities?"
    assert [tool.name for tool in model.calls[0].tools] == ["find_rows", "count_rows", "aggregate", "describe"]


CONDITIONS: list[tuple[Mapping[str, str], int]] = [
    ({"column": "City", "operator": "=", "value": "bern"}, 2),
    ({"column": "City", "operator": "!=", "value": "Bern"}, 2),
    ({"column": "Sales", "operator": "=", "value": "1200"}, 1),
    ({"column": "Sales", "operator": ">", "value": "100.5"}, 2),
    ({"column": "Sales", "operator": "<=", "value": "300"}, 2),
    ({"column": "Date", "operator": ">=", "value": "2024-02-01"}, 2),
    ({"column": "Date", "operator": "<", "value": "2024"}, 1),
    ({"column": "City", "operator": "contains", "value": "B"}, 3),
    ({"column": "City", "operator": "not contains", "value": "B"}, 1),
    ({"column": "City", "operator": "starts with", "value": "ba"}, 1),
    ({"column": "City", "operator": "ends with", "value": "R"}, 1),
    ({"column": "Sales", "operator": "is empty"}, 1),
    ({"column": "Sales", "operator": "is not empty"}, 3),
]


@pytest.mark.parametrize(("condition", "matching"), CONDITIONS, ids=[c["operator"] for c, _ in CONDITIONS])
async def test_rows_are_counted_by_conditions(nodes: NodeWorld, condition: Mapping[str, str], matching: int) -> None:
    assert await worked_out(nodes, "count_rows", where=[condition]) == {"matching": matching}


async def test_all_conditions_must_be_met(nodes: NodeWorld) -> None:
    where = [{"column": "City", "value": "Bern"}, {"column": "Sales", "operator": ">", "value": "1000"}]

    assert await worked_out(nodes, "count_rows", where=where) == {"matching": 1}


async def test_rows_are_found_sorted_and_cut_to_columns(nodes: NodeWorld) -> None:
    found = await worked_out(nodes, "find_rows", sort_by="Sales", descending=True, columns=["City"], limit=2)

    assert found == {"matching": 4, "shown": 2, "rows": [{"City": "Bern"}, {"City": "Basel"}]}


async def test_numbers_are_sorted_as_numbers_and_empty_cells_come_last(nodes: NodeWorld) -> None:
    found = await worked_out(nodes, "find_rows", sort_by="Sales", columns="Sales")

    assert [row["Sales"] for row in found["rows"]] == ["100.5", "300", "1,200", ""]


FIGURES = [("sum", 1600.5), ("mean", 533.5), ("median", 300), ("min", 100.5), ("max", 1200), ("count", 3)]


@pytest.mark.parametrize(("function", "value"), FIGURES)
async def test_a_figure_is_worked_out_of_a_column(nodes: NodeWorld, function: str, value: float) -> None:
    found = await worked_out(nodes, "aggregate", function=function, column="Sales")

    assert found == {"groups": 1, "results": [{"value": value}]}


async def test_figures_are_worked_out_by_group_the_largest_first(nodes: NodeWorld) -> None:
    found = await worked_out(nodes, "aggregate", function="sum", column="Sales", group_by=["City"])

    assert found["results"] == [
        {"City": "Bern", "value": 1300.5},
        {"City": "Basel", "value": 300},
        {"City": "Chur", "value": None},
    ]


async def test_rows_are_counted_by_group(nodes: NodeWorld) -> None:
    found = await worked_out(nodes, "aggregate", function="count", group_by="City", limit="1")

    assert found == {"groups": 3, "results": [{"City": "Bern", "value": 2}]}


async def test_a_column_is_described(nodes: NodeWorld) -> None:
    city, sales = await worked_out(nodes, "describe", columns=["City", "Sales"])

    assert (city["filled"], city["distinct"], city["commonest"][0]) == (4, 3, {"value": "Bern", "count": 2})
    assert "mean" not in city
    assert (sales["empty"], sales["max"], round(sales["standard deviation"])) == (1, 1200, 586)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("find_rows", {"sort_by": "Price"}, "no column 'Price'. Columns: City, Sales, Date"),
    ("find_rows", {"columns": [1]}, "list of column names"),
    ("count_rows", {"where": [{"column": "City", "operator": "~"}]}, "no operator '~'"),
    ("count_rows", {"where": "City = Bern"}, "Conditions are a list"),
    ("aggregate", {"function": "eval"}, "no function 'eval'"),
    ("aggregate", {"function": "sum"}, "a column is needed"),
    ("describe", {"columns": ["__class__"]}, "no column '__class__'"),
]


@pytest.mark.parametrize(("tool", "arguments", "told"), REFUSED, ids=[told for _, _, told in REFUSED])
async def test_the_model_is_told_what_it_got_wrong(
    nodes: NodeWorld, tool: str, arguments: dict[str, Any], told: str
) -> None:
    assert told in await worked_out(nodes, tool, **arguments)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_separates_columns_is_found(delimiter: str) -> None:
    text = f"\ufeffa{delimiter}b\r\n1{delimiter}2\r\n\r\n3\r\n"

    table = tables.read_table([File("x.csv", "text/csv", text.encode())])

    assert table.columns == ("a", "b")
    assert list(table.rows) == [("1", "2"), ("3", "")]


def test_nameless_and_repeated_columns_get_names() -> None:
    table = tables.read_table([File("x.csv", "text/csv", b"a,,a\n1,2,3\n")])

    assert table.columns == ("a", "column_2", "a_2")


def test_files_with_the_same_columns_are_one_table() -> None:
    one, two = File("1.csv", "", b"a,b\n1,2\n"), File("2.csv", "", b"a,b\n3,4\n")

    assert list(tables.read_table([one, two]).rows) == [("1", "2"), ("3", "4")]


UNREADABLE = [
    ([b""], "is empty"),
    ([b"a\n1\n", b"b\n1\n"], "other columns"),
    ([b"a\n" * 100_002], "100001 rows"),
    ([b"a," * 20_000], "20001 columns"),
]


@pytest.mark.parametrize(("contents", "told"), UNREADABLE, ids=[told for _, told in UNREADABLE])
def test_a_table_that_cannot_be_analysed_is_refused(contents: list[bytes], told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        tables.read_table([File("x.csv", "", content) for content in contents])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.5", 1234.5),
        ("-3", -3),
        ("$5", 5),
        ("12%", 12),
        ("1e3", 1000),
        ("1,2", None),
        ("nan", None),
        ("", None),
        ("1e999", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float | None) -> None:
    assert tables.read_number(text) == number


def test_a_figure_that_no_number_can_hold_is_none() -> None:
    table = tables.Table(("a",), [("1e308",), ("1e308",)])

    assert tables.aggregated(table, "sum", "a", None) == [{"value": None}]
    assert tables.described(table, "a")["mean"] is None


async def test_python_in_the_node_is_refused_before_anything_runs() -> None:
    inputs = {"model": "{{chatOpenAI_0.data.instance}}", "customReadCSV": "__import__('os').system('id')"}
    nodes = [
        {"id": "csvAgent_0", "data": {"name": "csvAgent", "label": "CSV Agent", "inputs": inputs}},
        {"id": "chatOpenAI_0", "data": {"name": "chatOpenAI", "inputs": {}}},
    ]
    edge = {
        "source": "chatOpenAI_0",
        "target": "csvAgent_0",
        "sourceHandle": "chatOpenAI_0-output-chatOpenAI-Thing",
        "targetHandle": "csvAgent_0-input-model-Thing",
    }

    with pytest.raises(FlowError, match=r"CSV Agent .* cannot run here: customReadCSV is Python"):
        plan_for(parse_flow(orjson.dumps({"nodes": nodes, "edges": [edge]}).decode()), load_registry())


async def test_without_a_file_the_agent_says_what_is_missing(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="csvFile holds no file"):
        await run_csv(nodes.context(), {"model": FakeChatModel()})
