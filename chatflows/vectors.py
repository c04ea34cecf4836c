"""Embedded documents go with their workspace; their tables have no model that would see to it."""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.db.models.signals import post_delete
from django.dispatch import receiver

from workspaces.models import Workspace

TABLES = ("chatflows_vector", "chatflows_vectorrecord")


@receiver(post_delete, sender=Workspace)
def _forget(instance: Workspace, **_: object) -> None:
    present = set(connection.introspection.table_names())  # without pgvector there is no table of vectors
    with connection.cursor() as cursor:
        for table in TABLES:
            if table in present:
                cursor.execute(f"DELETE FROM {table} WHERE workspace_id = %s", [instance.pk])  # noqa: S608


def forget_store(workspace_id: UUID, store_id: UUID) -> None:
    """Delete what a document store's own table holds, and what is remembered of where its documents are."""
    with connection.cursor() as cursor:
        if "chatflows_vector" in connection.introspection.table_names():
            own_table = "DELETE FROM chatflows_vector WHERE workspace_id = %s AND collection = %s"
            cursor.execute(own_table, [workspace_id, str(store_id)])
        records = "DELETE FROM chatflows_vectorrecord WHERE workspace_id = %s AND namespace LIKE %s"
        cursor.execute(records, [workspace_id, f"%{store_id}/%"])
