"""C13: values reach databases as values; what a model writes is read, once, and bounded."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from engine.errors import NodeError
from tests.cast import Api
from tests.factories import make_chatflow
from tests.predictions.calls import Caller
from tests.workspaces.test_databases import WRITES, read
from workspaces.models import Workspace

QUOTES = ["' OR '1'='1", "'; DROP TABLE chatflows_chatflow; --", '" OR 1=1', "%", "\\", "$1", "%(x)s", "{}"]
OPERATORS = [{"$ne": None}, {"$gt": ""}, ["a"], 7, True]


@pytest.mark.django_db
@pytest.mark.parametrize("text", QUOTES)
def test_what_is_looked_for_is_a_value(api: Api, workspace: Workspace, text: str) -> None:
    flow = make_chatflow(workspace)
    sent = quote(text, safe="")

    assert api.get(f"/executions?sessionId={sent}").json() == []
    assert api.get(f"/chatmessage/{flow.pk}?sessionId={sent}&chatId={sent}").json() == []
    assert api.get(f"/chatflows/{sent}").status_code == 404
    assert api.get(f"/chatflows?type={sent}").status_code == 400
    assert api.get(f"/audit?actor={sent}").json() == []
    assert api.get(f"/end-users?after={sent}").json() == []


@pytest.mark.parametrize("value", OPERATORS, ids=str)
def test_an_id_is_text_and_no_operator(holder: Caller, chat: str, value: object) -> None:
    for body in ({"chatId": value}, {"sessionId": value}, {"overrideConfig": {"sessionId": value}}):
        assert holder.predict(chat, "Hi", **body).status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", WRITES)
async def test_a_statement_that_a_model_writes_reads_and_is_one(workspace: Workspace, statement: str) -> None:
    with pytest.raises(NodeError):
        await read(statement)

    rows = await read("SELECT name FROM workspaces_workspace")
    assert [row["name"] for row in rows.rows] == [workspace.name]
