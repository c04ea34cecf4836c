"""SQL chains: a model writes a query, the database answers it, the model puts the rows into words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from engine.answering import Answered, Ask, silently
from engine.context import NodeContext
from engine.databases import Address, Databases, Rows, read_address
from engine.errors import NodeError, NodeInputError, NodeTimeout
from engine.moderation import MODERATION, moderated
from engine.nodes import values
from engine.nodes.asking import aloud
from engine.prompts import Prompt
from engine.providers.base import ChatModel, Message, Usage
from engine.spec import Inputs, NodeResult, NodeSpec, NodeType, Param

DATABASES = ("sqlite", "postgres", "mssql", "mysql")
DIALECT = "postgres"
TOP_K = 10
MOST_ROWS = 200
MOST_COLUMNS = 1000  # of all tables together
LONGEST_RESULT = 20_000  # characters of rows that the model is shown
MOST_SAMPLES = 10  # rows of one table
LONGEST_SAMPLES = 20_000  # characters of rows of all tables together, each of which takes a connection
FENCED = re.compile(r"```(?:sql)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
COLUMNS = (
    "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY table_schema, table_name, ordinal_position"
)
WRITE = (
    "Given an input question, create a syntactically correct {dialect} query to run: one SELECT statement and nothing "
    "else. Unless the question asks for a number of examples, query for at most {top_k} results with a LIMIT clause, "
    "and order them so that the most interesting ones come first. Ask only for the columns that are needed, and use "
    "only the tables and columns below.\n\n{table_info}\n\nQuestion: {input}\nSQLQuery:"
)
CORRECT = "The database refused that query: {problem}\nWrite another one: one SELECT statement and nothing else."
ANSWER = (
    "Question: {question}\n\nThis query answers it:\n{query}\n\nIts result{cut}:\n{rows}\n\nAnswer the question from "
    "the result, in a sentence or two or a short table."
)

CHAIN = NodeSpec(
    name="sqlDatabaseChain",
    label="Sql Database Chain",
    version=5,
    category="Chains",
    base_classes=("SqlDatabaseChain", "BaseChain", "Runnable"),
    help=(
        "Answers questions from a PostgreSQL database. What the model writes runs in a transaction that cannot write, "
        "for a few seconds, on hosts that this server's administrator has allowed; give it a user that sees only what "
        "it may tell."
    ),
    params=(
        Param("model", "BaseLanguageModel", "Language Model", help="Which model writes and answers."),
        Param(
            "database", "options", "Database", default=DIALECT, options=DATABASES, help="Only postgres can be asked."
        ),
        Param("url", "password", "Connection string", help="postgresql://user:password@host:5432/name"),
        Param("includesTables", "string", "Include Tables", optional=True, help="The only ones it sees, by commas."),
        Param("ignoreTables", "string", "Ignore Tables", optional=True, help="Those that it does not, by commas."),
        Param(
            "sampleRowsInTableInfo",
            "number",
            "Sample table's rows info",
            optional=True,
            help="How many rows of each table the model is shown before it writes a query; none unless given.",
        ),
        Param("topK", "number", "Top Keys", default=TOP_K, optional=True, help="Results that it is to ask for."),
        Param(
            "customPrompt",
            "string",
            "Custom Prompt",
            optional=True,
            help="How it is told to write a query; with {dialect}, {table_info}, {top_k} and {input}.",
        ),
        MODERATION,
    ),
    role="ending",
)


@dataclass(frozen=True, slots=True)
class Database:
    """One database, as this node asks it."""

    databases: Databases
    address: Address

    async def read(self, statement: str, most_rows: int = MOST_ROWS) -> Rows:
        return await self.databases.read(self.address, statement, most_rows=most_rows)


def check_database(inputs: Inputs) -> None:
    """Raises NodeInputError for databases that cannot be asked here."""
    chosen = values.text(inputs, "database", DIALECT)
    if chosen != DIALECT:
        raise NodeInputError(f"A SQL chain asks PostgreSQL databases ('postgres') here, not {chosen!r}.")


@dataclass(frozen=True, slots=True)
class SqlChain:
    """Has a model write a query, and answer from its rows; implements `Answerer`."""

    model: ChatModel
    database: Database
    inputs: Inputs  # how the query is to be written

    async def answer(self, question: str, ask: Ask = silently) -> Answered:
        """See `Answerer.answer`. A query that the database refuses is written once more."""
        return (await self.query(question, ask))[0]

    async def query(self, question: str, ask: Ask) -> tuple[Answered, str]:
        """The answer, and which query's rows it is from."""
        asked = await _prompt(self.inputs, self.database, question)
        query, rows, usage = await _queried(self.model, asked, self.database)
        shown = orjson.dumps(list(rows.rows)).decode()[:LONGEST_RESULT]
        cut = f" (only the first {len(rows.rows)} rows)" if rows.is_cut else ""
        told = ANSWER.format(question=question, query=query, cut=cut, rows=shown)
        completion = await ask(self.model, [Message("user", told)])
        return Answered(completion.text, usage=usage + completion.usage), query


async def run_chain(ctx: NodeContext, inputs: Inputs) -> NodeResult:
    """Answer the question; or hand on the chain, if this is not where the flow ends.

    Raises NodeInputError for a URL that cannot or may not be used, NodeError if no query of the model's works.
    """
    check_database(inputs)
    # mypy takes a protocol for no type that can be made, though all that is done here is isinstance.
    model = values.connected(inputs, "model", ChatModel, "A SQL chain needs a model")  # type: ignore[type-abstract]
    if ctx.world.databases is None:
        raise NodeInputError("Databases cannot be asked here: this server lends none to flows.")
    database = Database(ctx.world.databases, read_address(values.text(inputs, "url")))
    chain = SqlChain(model, database, inputs)
    if not ctx.is_last:
        return NodeResult(value=chain)
    answered, query = await chain.query(ctx.request.question, aloud(ctx))
    return NodeResult(output={"content": answered.text, "query": query}, value=answered.text, usage=answered.usage)


async def _prompt(inputs: Inputs, database: Database, question: str) -> list[Message]:
    known = {
        "dialect": "PostgreSQL",
        "table_info": await _table_info(inputs, database),
        "top_k": str(values.integer(inputs, "topK") or TOP_K),
        "input": question,
    }
    return Prompt((("user", values.text(inputs, "customPrompt") or WRITE),), known).fill(question)


async def _queried(model: ChatModel, asked: Sequence[Message], database: Database) -> tuple[str, Rows, Usage]:
    told = await model.complete(asked)
    query = _query(told.text)
    try:
        return query, await database.read(query), told.usage
    except (NodeInputError, NodeTimeout):
        raise
    except NodeError as exc:
        again = [*asked, Message("assistant", told.text), Message("user", CORRECT.format(problem=exc.message))]
    corrected = await model.complete(again)
    query = _query(corrected.text)
    return query, await database.read(query), told.usage + corrected.usage


def _query(said: str) -> str:
    """The statement in what a model says: what is fenced, or stands behind `SQLQuery:`. Raises NodeError for none."""
    fenced = FENCED.search(said)
    query = (fenced[1] if fenced else said.rpartition("SQLQuery:")[2].partition("SQLResult:")[0]).strip()
    if not query:
        raise NodeError("The model wrote no query.")
    return query


async def _table_info(inputs: Inputs, database: Database) -> str:
    """The tables and their columns, as statements that would create them; after each, rows of it if wanted."""
    included, ignored = _names(inputs, "includesTables"), _names(inputs, "ignoreTables")
    tables: dict[tuple[str, str], list[str]] = {}
    for row in (await database.read(COLUMNS, MOST_COLUMNS)).rows:
        schema, name = str(row["table_schema"]), str(row["table_name"])
        if (not included or name in included) and name not in ignored:
            tables.setdefault((schema, name), []).append(f"  {_quoted(row['column_name'])} {row['data_type']}")
    if not tables:
        raise NodeInputError("The database has no table that this user sees and the node includes.")
    samples = min(values.integer(inputs, "sampleRowsInTableInfo") or 0, MOST_SAMPLES)
    parts, room = [], LONGEST_SAMPLES
    for (schema, name), columns in tables.items():
        full = f"{_quoted(schema)}.{_quoted(name)}"
        parts.append(f"CREATE TABLE {full} (\n" + ",\n".join(columns) + "\n)")
        if samples > 0 and room > 0:
            rows = await database.read(f"SELECT * FROM {full}", samples)  # noqa: S608 -- names are quoted
            shown = orjson.dumps(list(rows.rows)).decode()[:room]
            room -= len(shown)
            parts.append(f"Rows of it: {shown}")
    return "\n\n".join(parts)


def _quoted(name: Any) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _names(inputs: Inputs, name: str) -> frozenset[str]:
    return frozenset(part.strip() for part in values.text(inputs, name).split(",") if part.strip())


NODES = (NodeType(CHAIN, moderated(run_chain), check=check_database),)
