"""CSV agents: a model analyses a table by operations that are declared here, and never by code that it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from engine import tables
from engine.context import NodeContext
from engine.errors import NodeInputError
from engine.files import read_files
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.agent_loop import FunctionCalling, named_tools, run_agent
from engine.nodes.questions import question_messages
from engine.providers.base import ChatModel, ToolSpec
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param
from engine.tables import COUNTS, FUNCTIONS, MOST_SHOWN, OPERATORS, Table
from engine.tools import FunctionTool

MAX_ROUNDS = 15
HEAD = 5  # rows that the model is shown at once
LONGEST_CELL = 200  # characters of a cell that it is shown at once
LONGEST_HEAD = 4000
LONGEST_RESULT = 12_000  # characters
USUAL_CODE = frozenset({"", "read_csv(csv_data)"})
ANALYST = (
    "You answer questions about a table. Work out every figure with the tools: never guess one, and never count rows "
    "by reading them. If the table does not hold what is asked for, say so."
)

CSV_AGENT = NodeSpec(
    name="csvAgent",
    label="CSV Agent",
    version=3,
    category="Agents",
    base_classes=("AgentExecutor", "BaseChain", "Runnable"),
    help=(
        "Answers questions about CSV files. A model that can call tools filters, sorts, counts and sums up the rows by "
        "declared operations; it writes no code, and none is run."
    ),
    params=(
        Param("csvFile", "file", "Csv File", help="One or more CSV files with the same columns."),
        Param("model", "BaseLanguageModel", "Language Model", help="Which model is asked; it must call tools."),
        Param("systemMessagePrompt", "string", "System Message", optional=True, help="Who it is to be."),
        MODERATION,
        Param(
            "customReadCSV",
            "code",
            "Custom Pandas Read_CSV Code",
            default="read_csv(csv_data)",
            optional=True,
            help="Not run: what separates the columns is found without it.",
        ),
    ),
    role="ending",
)

CONDITIONS = {
    "type": "array",
    "description": "Rows that meet all of these; all rows without it.",
    "items": {
        "type": "object",
        "properties": {
            "column": {"type": "string"},
            "operator": {"type": "string", "enum": list(OPERATORS)},
            "value": {"type": "string"},
        },
        "required": ["column", "operator"],
    },
}
NAMES = {"type": "array", "items": {"type": "string"}}
LIMIT = {"type": "integer", "description": f"At most this many, up to {MOST_SHOWN}."}


def check_code(inputs: Inputs) -> None:
    """Raises NodeInputError for code that would have to be run."""
    if values.text(inputs, "customReadCSV").strip() not in USUAL_CODE:
        raise NodeInputError(
            "customReadCSV is Python, and a flow's Python is not run here. Clear it: commas, semicolons, tabs and bars "
            "between columns are told apart without it."
        )


async def run_csv(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Let the model work on the table until it answers. Raises NodeInputError for files that are no CSV."""
    check_code(inputs)
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    model = values.connected(inputs, "model", ChatModel, "A CSV Agent needs a chat model")  # type: ignore[type-abstract]
    files = read_files(inputs, "csvFile")
    table = await asyncio.to_thread(tables.read_table, files)
    tools = named_tools(_tools(table))
    system = f"{values.text(inputs, 'systemMessagePrompt') or ANALYST}\n\n{_about(table)}"
    messages = await question_messages(ctx, system=system, memory=None)
    run = await run_agent(ctx, FunctionCalling(model, tools), tools, messages, max_rounds=MAX_ROUNDS)
    return NodeResult(output={"content": run.answer, "usedTools": run.used}, value=run.answer, usage=run.usage)


def _about(table: Table) -> str:
    head = [{name: cell[:LONGEST_CELL] for name, cell in row.items()} for row in tables.selected(table, None, HEAD)]
    shown = orjson.dumps(head).decode()[:LONGEST_HEAD]
    return f"The table has {len(table.rows)} rows. Columns: {', '.join(table.columns)}.\nIts first rows: {shown}"


def _tools(table: Table) -> list[FunctionTool]:
    def find(given: Mapping[str, Any]) -> Any:
        found = tables.where(table, given.get("where"))
        if given.get("sort_by"):
            found = tables.ordered(found, given["sort_by"], descending=given.get("descending") is True)
        rows = tables.selected(found, _names(given, "columns"), _limit(given))
        return {"matching": len(found.rows), "shown": len(rows), "rows": rows}

    def count(given: Mapping[str, Any]) -> Any:
        return {"matching": len(tables.where(table, given.get("where")).rows)}

    def aggregate(given: Mapping[str, Any]) -> Any:
        found = tables.where(table, given.get("where"))
        groups = tables.aggregated(found, given.get("function"), given.get("column"), _names(given, "group_by"))
        if given.get("ascending") is True:
            groups.reverse()
        return {"groups": len(groups), "results": groups[: _limit(given)]}

    def describe(given: Mapping[str, Any]) -> Any:
        found = tables.where(table, given.get("where"))
        return [tables.described(found, name) for name in _names(given, "columns") or table.columns[:MOST_SHOWN]]

    return [
        _tool(
            "find_rows",
            "Shows rows, filtered and sorted.",
            find,
            {
                "where": CONDITIONS,
                "columns": NAMES,
                "sort_by": {"type": "string"},
                "descending": {"type": "boolean"},
                "limit": LIMIT,
            },
        ),
        _tool("count_rows", "Counts the rows that meet conditions.", count, {"where": CONDITIONS}),
        _tool(
            "aggregate",
            "Works out a figure of a column over all rows, or for each group of rows; the largest groups come first.",
            aggregate,
            {
                "function": {"type": "string", "enum": [*COUNTS, *FUNCTIONS]},
                "column": {"type": "string"},
                "group_by": NAMES,
                "where": CONDITIONS,
                "ascending": {"type": "boolean"},
                "limit": LIMIT,
            },
            required=("function",),
        ),
        _tool(
            "describe",
            "Says what is in columns: empty cells, different and commonest values, spread of numbers.",
            describe,
            {"columns": NAMES, "where": CONDITIONS},
        ),
    ]


def _tool(
    name: str,
    description: str,
    work_out: Callable[[Mapping[str, Any]], Any],
    properties: Mapping[str, Any],
    required: tuple[str, ...] = (),
) -> FunctionTool:
    async def call(given: Mapping[str, Any]) -> str:
        # In a thread: a hundred thousand rows take longer than the loop may stand still.
        result = orjson.dumps(await asyncio.to_thread(work_out, given)).decode()
        if len(result) > LONGEST_RESULT:
            raise NodeInputError("The result is too long to be shown: ask for fewer rows or columns.")
        return result

    schema = {"type": "object", "properties": properties, "required": list(required)}
    return FunctionTool(ToolSpec(name, description, schema), call)


def _names(given: Mapping[str, Any], name: str) -> list[str]:
    """Column names; models write one by itself as often as in a list."""
    names = given.get(name) or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise NodeInputError(f"{name} must be a list of column names.")
    return names


def _limit(given: Mapping[str, Any]) -> int:
    limit = values.integer(given, "limit")
    return MOST_SHOWN if limit is None else max(1, min(limit, MOST_SHOWN))


NODES = (NodeType(CSV_AGENT, moderated(run_csv), check=check_code),)
