"""Embedded documents go with their workspace; their tables have no model that would see to it."""

from __future__ import annotations

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
