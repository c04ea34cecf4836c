"""What a workspace's vector stores hold goes with it, and with no other."""

from __future__ import annotations

import pytest
from django.db import connection

from workspaces.models import Workspace

pytestmark = pytest.mark.django_db


def remember(workspace: Workspace) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO chatflows_vector VALUES (%s, 'c', 'd', 'text', '{}', '[1,2]')", [workspace.pk])
        cursor.execute("INSERT INTO chatflows_vectorrecord VALUES (%s, 'n', 'd', 's')", [workspace.pk])


def owners(table: str) -> list[object]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT workspace_id FROM {table}")
        return [row[0] for row in cursor.fetchall()]


def test_a_deleted_workspace_leaves_no_vectors(workspace: Workspace, stranger: Workspace) -> None:
    remember(workspace)
    remember(stranger)

    workspace.delete()

    assert owners("chatflows_vector") == [stranger.pk]
    assert owners("chatflows_vectorrecord") == [stranger.pk]
