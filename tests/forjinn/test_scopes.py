"""Connections follow the scope of the code that uses them, and leave none behind."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ForeignKey, Model

from forjinn.core.scopes import CONFINED, SYSTEM, current, enter, in_scope, request_scope, system_scope, tenant
from tests.factories import make_chatflow, make_workspace
from workspaces.models import User, Variable, Workspace

READ_ONLY = {"workspaces_user"}
POLICY = """
SELECT class.relrowsecurity, array(SELECT polname::text FROM pg_policy WHERE polrelid = class.oid)
FROM pg_class class WHERE class.oid = to_regclass(%s)
"""
GRANTED = (
    "SELECT has_table_privilege('forjinn_tenant', %s, 'SELECT'), has_table_privilege('forjinn_tenant', %s, 'UPDATE')"
)


def names() -> set[str]:
    return set(Variable.objects.values_list("name", flat=True))


def read_and_fail() -> None:
    assert names() == {"mine"}
    raise ZeroDivisionError


@pytest.fixture
def mine(workspace: Workspace, stranger: Workspace) -> UUID:
    """The workspace's id; in it is the variable `mine`, in the stranger's `foreign`."""
    Variable.objects.create(workspace=workspace, name="mine")
    Variable.objects.create(workspace=stranger, name="foreign")
    return workspace.pk


def test_a_workspace_sees_its_rows_without_any_filter(mine: UUID) -> None:
    with tenant(mine):
        seen = names()

    assert seen == {"mine"}
    assert names() == {"mine", "foreign"}


def test_a_request_that_has_not_entered_sees_nothing(mine: UUID) -> None:
    with request_scope():
        before = names()
        enter(mine)
        after = names()

    assert (before, after) == (set(), {"mine"})


def test_a_workspace_cannot_write_into_another(mine: UUID, stranger: Workspace) -> None:
    with tenant(mine):
        with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
            Variable.objects.create(workspace_id=stranger.pk, name="smuggled")
        changed = Variable.objects.filter(name="foreign").update(value="stolen")
        deleted, _ = Variable.objects.filter(name="foreign").delete()

    assert (changed, deleted) == (0, 0)
    assert names() == {"mine", "foreign"}


def test_what_hangs_on_a_row_follows_it(workspace: Workspace, stranger: Workspace) -> None:
    own, foreign = make_chatflow(workspace), make_chatflow(stranger)

    with tenant(workspace.pk):
        flow_model = apps.get_model("chatflows", "ChatflowVersion")
        seen = set(flow_model.objects.values_list("chatflow_id", flat=True))

    assert seen == {own.pk}
    assert foreign.pk not in seen


def test_members_can_be_read_and_nobody_else(workspace: Workspace, stranger: Workspace) -> None:
    with tenant(workspace.pk):
        seen = set(User.objects.values_list("pk", flat=True))
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            User.objects.update(is_staff=True)

    assert seen == set(workspace.members.values_list("pk", flat=True))


def test_an_exception_leaves_no_scope_behind(mine: UUID) -> None:
    with pytest.raises(ZeroDivisionError), tenant(mine):
        read_and_fail()

    assert current() == SYSTEM
    assert names() == {"mine", "foreign"}


def test_a_transaction_that_failed_takes_no_scope_along(mine: UUID) -> None:
    with pytest.raises(IntegrityError), transaction.atomic(), tenant(mine):
        Variable.objects.create(workspace_id=mine, name="mine")

    assert names() == {"mine", "foreign"}
    with tenant(mine):
        assert names() == {"mine"}


def test_a_rollback_that_takes_the_setting_back_is_noticed(mine: UUID) -> None:
    with tenant(mine):
        with system_scope():
            assert names() == {"mine", "foreign"}
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            read_and_fail()  # told within the savepoint, which is undone
        seen = names()

    assert seen == {"mine"}


def test_threads_inherit_the_scope(mine: UUID) -> None:
    async def ask() -> set[str]:
        return await in_scope(mine, names)

    assert async_to_sync(ask)() == {"mine"}


def test_one_request_is_of_one_workspace(mine: UUID, stranger: Workspace) -> None:
    with request_scope():
        enter(mine, actor="{}")
        enter(mine, actor='{"name": "ci"}')

        with pytest.raises(RuntimeError, match="cannot enter"):
            enter(stranger.pk)


def test_only_a_request_can_enter_a_workspace() -> None:
    with pytest.raises(RuntimeError, match="cannot enter"):
        enter(uuid4())

    with request_scope():
        assert current() == CONFINED


def test_a_write_says_who_is_behind_it(mine: UUID) -> None:
    with tenant(mine, actor='{"name": "ci"}'), connection.cursor() as cursor:
        cursor.execute("UPDATE workspaces_variable SET value = current_setting('forjinn.actor') WHERE name = 'mine'")

    assert Variable.objects.get(name="mine").value == '{"name": "ci"}'


def hangs_on_a_workspace(model: type[Model], seen: tuple[type[Model], ...] = ()) -> bool:
    parents = [field.related_model for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    return Workspace in parents or any(
        hangs_on_a_workspace(parent, (*seen, model)) for parent in parents if parent not in (*seen, model)
    )


@pytest.mark.django_db
def test_every_table_of_tenants_has_a_policy() -> None:
    tables = {model._meta.db_table for model in apps.get_models() if hangs_on_a_workspace(model)}
    tables |= {"workspaces_workspace", "workspaces_user", "chatflows_vector", "chatflows_vectorrecord"}

    bare = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(POLICY, [table])
            if cursor.fetchone() not in ((True, ["tenancy"]), None):
                bare.append(table)

    assert len(tables) > 20
    assert bare == []


@pytest.mark.django_db
def test_nothing_else_can_be_reached_from_within_a_workspace() -> None:
    reachable, writable = set(), set()
    others = [model for model in apps.get_models(include_auto_created=True) if not hangs_on_a_workspace(model)]
    with connection.cursor() as cursor:
        for table in [model._meta.db_table for model in others if model is not Workspace]:
            cursor.execute(GRANTED, [table, table])
            may_read, may_write = cursor.fetchone()
            reachable |= {table} if may_read else set()
            writable |= {table} if may_write else set()

    assert (reachable, writable) == (READ_ONLY, set())


def test_a_second_workspace_on_the_same_connection_sees_only_its_own(mine: UUID) -> None:
    other = make_workspace()
    Variable.objects.create(workspace=other, name="other")

    with tenant(mine):
        first = names()
    with tenant(other.pk):
        second = names()

    assert (first, second) == ({"mine"}, {"other"})
