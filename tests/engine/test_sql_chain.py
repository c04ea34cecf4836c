import pytest

from engine.databases import Address, read_address
from engine.errors import NodeError, NodeInputError, NodeTimeout
from engine.nodes import sql_chain
from engine.nodes.sql_chain import check_database, run_chain
from engine.nodes.tools import run_chain_tool
from engine.providers.fake import FakeChatModel
from tests.engine.node_world import NodeWorld
from tests.engine.scripted_database import ScriptedDatabase

URL = "postgresql://reader:p%40ss@db.example.org/shop"


@pytest.fixture
def database(nodes: NodeWorld) -> ScriptedDatabase:
    nodes.databases = lent = ScriptedDatabase()
    return lent


async def test_the_model_writes_a_query_and_answers_from_its_rows(nodes: NodeWorld, database: ScriptedDatabase) -> None:
    model = FakeChatModel(["```sql\nSELECT sum(amount) AS n FROM shop.sales\n```", "Seven."])

    result = await run_chain(nodes.context("How much?", streams=True), {"model": model, "url": URL})

    writing, answering = (call.messages[0].content for call in model.calls)
    assert result.output == {"content": "Seven.", "query": "SELECT sum(amount) AS n FROM shop.sales"}
    assert 'CREATE TABLE "shop"."sales" (\n  "amount" integer,\n  "day" date\n)' in writing
    assert "How much?" in writing
    assert '[{"n":7}]' in answering
    assert database.asked == ["SELECT sum(amount) AS n FROM shop.sales"]
    assert database.addresses[0] == Address("db.example.org", 5432, "shop", "reader", "p@ss")
    assert nodes.seen.tokens == ["Seven."]


async def test_a_chain_that_another_node_uses_asks_nothing_before_it_is_asked(
    nodes: NodeWorld, database: ScriptedDatabase
) -> None:
    model = FakeChatModel(["SQLQuery: SELECT sum(amount) AS n FROM shop.sales", "Seven."])
    ctx = nodes.context("unasked", is_last=False)
    chain = (await run_chain(ctx, {"model": model, "url": URL})).value
    tool = (await run_chain_tool(ctx, {"name": "sales", "baseChain": chain})).value

    assert model.calls == []
    assert await tool.call({"input": "How much?"}) == "Seven."
    assert "How much?" in model.calls[0].messages[0].content


@pytest.mark.parametrize("tables", [{"includesTables": "staff"}, {"ignoreTables": "sales, other"}])
async def test_the_model_sees_the_chosen_tables_alone(
    nodes: NodeWorld, database: ScriptedDatabase, tables: dict[str, str]
) -> None:
    model = FakeChatModel(["SELECT 1", "One."])

    await run_chain(nodes.context("?"), {"model": model, "url": URL, **tables})

    assert "staff" in model.calls[0].messages[0].content
    assert "sales" not in model.calls[0].messages[0].content


async def test_the_model_is_shown_sample_rows_if_wanted(nodes: NodeWorld, database: ScriptedDatabase) -> None:
    model = FakeChatModel(["SELECT 1", "One."])

    inputs = {"model": model, "url": URL, "sampleRowsInTableInfo": "2", "includesTables": "staff"}
    await run_chain(nodes.context("?"), inputs)

    assert database.asked[0] == 'SELECT * FROM "shop"."staff"'
    assert 'Rows of it: [{"n":7}]' in model.calls[0].messages[0].content


async def test_samples_end_where_the_prompt_is_full(
    nodes: NodeWorld, database: ScriptedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_chain, "LONGEST_SAMPLES", 5)
    model = FakeChatModel(["SELECT 1", "One."])

    await run_chain(nodes.context("?"), {"model": model, "url": URL, "sampleRowsInTableInfo": 2})

    prompt = model.calls[0].messages[0].content
    assert database.asked == ['SELECT * FROM "shop"."sales"', "SELECT 1"]
    assert '"staff"' in prompt
    assert prompt.count('Rows of it: [{"n"\n') == prompt.count("Rows of it") == 1


async def test_a_refused_query_is_written_once_more(nodes: NodeWorld, database: ScriptedDatabase) -> None:
    database.answers = {"SELECT wrong": NodeError("no such column")}
    model = FakeChatModel(["SELECT wrong", "SQLQuery: SELECT right", "Seven."])

    result = await run_chain(nodes.context("?"), {"model": model, "url": URL})

    assert result.output["query"] == "SELECT right"
    assert "no such column" in model.calls[1].messages[-1].content


@pytest.mark.parametrize("failure", [NodeError("no"), NodeTimeout("too long"), NodeInputError("not allowed")])
async def test_what_a_second_query_cannot_mend_ends_the_run(
    nodes: NodeWorld, database: ScriptedDatabase, failure: NodeError
) -> None:
    database.answers = {"SELECT wrong": failure}

    with pytest.raises(type(failure)):
        await run_chain(nodes.context("?"), {"model": FakeChatModel(["SELECT wrong"] * 2), "url": URL})


async def test_an_authors_prompt_is_filled_in(nodes: NodeWorld, database: ScriptedDatabase) -> None:
    model = FakeChatModel(["SELECT 1", "One."])
    prompt = "{dialect}, {top_k} rows, {table_info}: {input}"

    await run_chain(nodes.context("How much?"), {"model": model, "url": URL, "customPrompt": prompt, "topK": 3})

    asked = model.calls[0].messages[0].content
    assert asked.startswith("PostgreSQL, 3 rows, CREATE TABLE")
    assert asked.endswith(": How much?")


@pytest.mark.parametrize("chosen", ["sqlite", "mysql", "mssql"])
def test_other_databases_are_refused_by_name(chosen: str) -> None:
    with pytest.raises(NodeInputError, match=f"PostgreSQL databases .* not '{chosen}'"):
        check_database({"database": chosen})


async def test_a_host_without_databases_says_so(nodes: NodeWorld) -> None:
    with pytest.raises(NodeInputError, match="this server lends none"):
        await run_chain(nodes.context("?"), {"model": FakeChatModel(), "url": URL})


UNUSABLE = [
    ("", "Only PostgreSQL"),
    ("mysql://u:p@h/d", "Only PostgreSQL"),
    ("/etc/passwd", "Only PostgreSQL"),
    ("postgresql://u:p@h/d?sslrootcert=/etc/passwd", "may hold no sslrootcert"),
    ("postgresql://u:p@h/d?host=/tmp", "may hold no host"),
    ("postgresql://u:p@h/d?sslmode=verify-full", "sslmode must be one of"),
    ("postgresql://u@h/d", "needs all of"),
    ("postgresql://u:p@h", "needs all of"),
    ("postgresql:///d", "needs all of"),
    ("postgresql://u:p@a,b/d", "one host"),
    ("postgresql://u:p@h:port/d", "cannot be read"),
]


@pytest.mark.parametrize(("url", "told"), UNUSABLE)
def test_a_url_that_cannot_be_used_is_refused(url: str, told: str) -> None:
    with pytest.raises(NodeInputError, match=told):
        read_address(url)
