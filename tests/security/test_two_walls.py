"""Either wall keeps workspaces apart alone: the queries' own conditions, and PostgreSQL's policies."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from chatflows.models import Chatflow, Tool
from chatflows.tools import StoredTools
from engine.errors import NodeInputError
from forjinn.core import middleware
from forjinn.core.errors import NotFound
from forjinn.core.ids import uuid7
from forjinn.core.models import ScopedQuerySet
from forjinn.core.scopes import tenant
from predictions.controls import find_own_run
from predictions.models import Execution
from predictions.pool import open_pool
from predictions.services import find_run
from tests.cast import Api
from tests.factories import make_chatflow, make_workspace
from workspaces.models import Workspace
from workspaces.services import create_credential, set_variable, variable_values
from workspaces.world import WorkspaceCredentials


@pytest.fixture
def no_funnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries that forget whose rows they want."""

    def get_for(rows: Any, workspace_id: UUID, **lookup: Any) -> Any:
        try:
            return rows.get(**lookup)
        except rows.model.DoesNotExist:
            raise NotFound("not found") from None

    monkeypatch.setattr(ScopedQuerySet, "of", lambda rows, workspace_id: rows.all())
    monkeypatch.setattr(ScopedQuerySet, "get_for", get_for)


@pytest.fixture
def no_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that work as the owner of the tables, whom no policy holds."""
    monkeypatch.setattr(middleware, "_scope_of", lambda request: contextlib.nullcontext())
    monkeypatch.setattr("workspaces.access.enter", lambda workspace_id, actor: None)


@pytest.fixture(params=["no_funnel", "no_policies"])
def one_wall(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)


@pytest.mark.usefixtures("one_wall")
def test_a_strangers_flow_can_be_neither_read_nor_changed_nor_deleted(api: Api, stranger: Workspace) -> None:
    foreign = make_chatflow(stranger, name="Theirs")

    answers = [
        api.get(f"/chatflows/{foreign.pk}").status_code,
        api.put(f"/chatflows/{foreign.pk}", {"name": "Mine"}).status_code,
        api.delete(f"/chatflows/{foreign.pk}").status_code,
    ]

    assert answers == [404, 404, 404]
    assert Chatflow.objects.get(pk=foreign.pk).name == "Theirs"


@pytest.mark.usefixtures("one_wall")
def test_a_list_has_the_own_rows_and_no_strangers(api: Api, workspace: Workspace, stranger: Workspace) -> None:
    own = make_chatflow(workspace)
    make_chatflow(stranger)

    listed = api.get("/chatflows").json()

    assert [flow["id"] for flow in listed] == [str(own.pk)]


@pytest.mark.usefixtures("no_funnel")
def test_a_run_finds_no_strangers_tool_credential_or_variable(workspace: Workspace, stranger: Workspace) -> None:
    set_variable(workspace=stranger, name="theirs", value="secret")
    credential = create_credential(workspace=stranger, name="key", kind="openAIApi", fields={"openAIApiKey": "sk-1"})
    now = credential.created_at
    tool = Tool.objects.create(workspace=stranger, name="theirs", func="return 1", created_at=now, updated_at=now)

    with tenant(workspace.pk):
        variables = variable_values(workspace.pk)
        with pytest.raises(NodeInputError):
            async_to_sync(WorkspaceCredentials(workspace.pk).resolve)(str(credential.pk))
        with pytest.raises(NodeInputError):
            async_to_sync(StoredTools(workspace.pk).load)(str(tool.pk))

    assert variables == {}
    assert variable_values(stranger.pk) == {"theirs": "secret"}


@pytest.mark.usefixtures("no_funnel", "no_policies")
def test_without_both_walls_a_strangers_flow_would_be_there(api: Api, stranger: Workspace) -> None:
    foreign = make_chatflow(stranger)

    assert api.get(f"/chatflows/{foreign.pk}").status_code == 200


@pytest.mark.django_db(transaction=True)
async def test_a_statement_of_the_run_path_finds_no_strangers_run_whatever_it_asks_for() -> None:
    run = await sync_to_async(_make_run)()

    async with open_pool(name="test") as pool:
        with tenant(run.workspace_id):
            own = await find_run(pool, execution_id=run.pk)
        with tenant(uuid7()), pytest.raises(NotFound):
            await find_own_run(pool, execution_id=run.pk, workspace_id=run.workspace_id)
        with tenant(uuid7()), pytest.raises(NotFound):
            await find_run(pool, execution_id=run.pk)
        # And the connection, the only one, serves its next borrower in their own scope.
        with tenant(run.workspace_id):
            again = await find_run(pool, execution_id=run.pk)

    assert own.id == again.id == run.pk


def _make_run() -> Execution:
    flow = make_chatflow(make_workspace())
    version = flow.versions.latest("number")
    run: Execution = Execution.objects.create(
        workspace_id=flow.workspace_id, chatflow=flow, version=version, chat_id="c", session_id="c", question="Hi"
    )
    return run
