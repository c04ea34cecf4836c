"""What a flow's SQL may do to a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.conf import settings

from engine.databases import Address, Rows
from engine.egress import Egress
from engine.errors import NodeError, NodeInputError, NodeTimeout
from workspaces import databases
from workspaces.databases import ReadOnlyDatabases
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db(transaction=True)


def own_address() -> Address:
    """The tests' own database."""
    its = {name: str(value) for name, value in settings.DATABASES["default"].items()}
    return Address(its["HOST"], int(its["PORT"]), its["NAME"], its["USER"], its["PASSWORD"])


async def read(statement: str, *, most_rows: int = 100, address: Address | None = None) -> Rows:
    there = address or own_address()
    return await ReadOnlyDatabases(Egress([f"{there.host}:{there.port}"])).read(there, statement, most_rows=most_rows)


async def test_rows_are_read_as_json(workspace: Workspace) -> None:
    rows = await read(
        "SELECT name, 1.5::numeric AS n, now()::date - now()::date AS d, ARRAY[1] AS a FROM workspaces_workspace;"
    )

    assert rows.columns == ("name", "n", "d", "a")
    assert rows.rows == [{"name": workspace.name, "n": "1.5", "d": 0, "a": "[1]"}]
    assert not rows.is_cut


async def test_no_more_rows_are_read_than_were_asked_for() -> None:
    rows = await read("SELECT generate_series(1, 1000) AS n", most_rows=3)

    assert [row["n"] for row in rows.rows] == [1, 2, 3]
    assert rows.is_cut


WRITES = [
    "DELETE FROM workspaces_workspace",
    "WITH gone AS (DELETE FROM workspaces_workspace RETURNING name) SELECT * FROM gone",
    "SELECT 1; DELETE FROM workspaces_workspace",
    "SELECT 1; COMMIT; DELETE FROM workspaces_workspace; BEGIN",
    "SELECT set_config('transaction_read_only', 'off', false); DELETE FROM workspaces_workspace",
    "SELECT name INTO copied FROM workspaces_workspace",
    "SELECT * FROM workspaces_workspace FOR UPDATE",
    "COPY workspaces_workspace TO PROGRAM 'cat'",
    "SELECT nextval('django_migrations_id_seq')",
    "SELECT lo_create(4711)",
]


@pytest.mark.parametrize("statement", WRITES)
async def test_nothing_can_be_written(workspace: Workspace, statement: str) -> None:
    with pytest.raises(NodeError, match="refused the statement"):
        await read(statement)

    assert await Workspace.objects.filter(pk=workspace.pk).aexists()


async def test_a_transaction_cannot_be_made_to_write(workspace: Workspace) -> None:
    with pytest.raises(NodeError, match="must be set before any query"):
        await read("SELECT set_config('transaction_read_only', 'off', false)")


async def test_a_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "STATEMENT_S", 0.05)

    with pytest.raises(NodeTimeout, match="took longer than"):
        await read("SELECT pg_sleep(30)")


async def test_a_mistake_in_the_statement_is_told_in_the_databases_words() -> None:
    with pytest.raises(NodeError, match='refused the statement: relation "nowhere" does not exist'):
        await read("SELECT * FROM nowhere")


async def test_a_host_that_nobody_has_allowed_is_not_asked() -> None:
    there = own_address()

    with pytest.raises(NodeInputError, match=rf"EGRESS_ALLOW={there.host}:{there.port}"):
        await ReadOnlyDatabases(Egress()).read(there, "SELECT 1", most_rows=1)


async def test_a_public_host_has_to_be_allowed_as_well() -> None:
    there = replace(own_address(), host="db.example.org")

    with pytest.raises(NodeInputError, match=r"EGRESS_ALLOW=db\.example\.org"):
        await ReadOnlyDatabases(Egress()).read(there, "SELECT 1", most_rows=1)


async def test_a_wrong_password_is_told_without_it() -> None:
    there = replace(own_address(), password="wr0ng-pass")

    with pytest.raises(NodeError, match="cannot be asked") as refused:
        await read("SELECT 1", address=there)

    assert "wr0ng" not in refused.value.message
    assert "wr0ng" not in repr(there)
