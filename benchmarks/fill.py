"""Bring a table up to a size, straight in the database.

    python -m benchmarks.fill flows|messages|keys|neighbour COUNT WORKSPACE [FLOW]

Runs as a process of its own, in the measured platform's environment.
"""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "forjinn.settings")

WORKSPACES = 1000


def fill_flows(count: int, workspace_id: str) -> None:
    from chatflows.models import Chatflow
    from chatflows.services import create_chatflow
    from workspaces.models import Workspace

    own = Workspace.objects.get(pk=workspace_id)
    if count > 100 and Workspace.objects.count() < WORKSPACES:
        Workspace.objects.bulk_create(
            [Workspace(name=f"Bench {n}") for n in range(WORKSPACES - Workspace.objects.count())]
        )
    missing = count - Chatflow.objects.count()
    if missing <= 0:
        return
    template = create_chatflow(
        workspace_id=own.pk, author="bench", flow_data='{"nodes":[],"edges":[]}', name="template"
    )
    spaces = [own] if count <= 100 else list(Workspace.objects.all())
    copy_rows(template.pk, [space.pk for space in spaces], missing)


def copy_rows(template_id: object, spaces: list[object], count: int) -> None:
    """Copies of a flow and its version, spread over the workspaces."""
    from django.db import connection

    from chatflows.models import Chatflow, ChatflowVersion

    flow_table, version_table = Chatflow._meta.db_table, ChatflowVersion._meta.db_table
    flow_columns = [f.column for f in Chatflow._meta.concrete_fields]
    version_columns = [f.column for f in ChatflowVersion._meta.concrete_fields]
    version_link = Chatflow._meta.get_field("version").column
    replaced = {
        "id": "new.id",
        "slug": "new.id",
        "object_id": "left(replace(new.id::text, '-', ''), 24)",
        "workspace_id": "new.space",
        version_link: "NULL",
    }
    chosen = ", ".join(replaced.get(column, f"old.{column}") for column in flow_columns)
    version_replaced = {"id": "new.version", "chatflow_id": "new.id"}
    version_chosen = ", ".join(version_replaced.get(column, f"old.{column}") for column in version_columns)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE new AS SELECT gen_random_uuid() AS id, gen_random_uuid() AS version,"
            " (%s::uuid[])[1 + n %% %s] AS space FROM generate_series(1, %s) n",
            [spaces, len(spaces), count],
        )
        cursor.execute(
            f"INSERT INTO {flow_table} ({', '.join(flow_columns)}) SELECT {chosen}"
            f" FROM new, {flow_table} old WHERE old.id = %s",
            [template_id],
        )
        cursor.execute(
            f"INSERT INTO {version_table} ({', '.join(version_columns)}) SELECT {version_chosen}"
            f" FROM new, {version_table} old WHERE old.chatflow_id = %s",
            [template_id],
        )
        cursor.execute(f"UPDATE {flow_table} flow SET {version_link} = new.version FROM new WHERE flow.id = new.id")
        cursor.execute(f"VACUUM ANALYZE {flow_table}")  # as autovacuum would, later


def fill_messages(count: int, workspace_id: str, flow_id: str) -> None:
    """One conversation, `long`, brought up to `count` messages."""
    from django.db import connection

    from predictions.models import ChatMessage
    from predictions.speakers import VISITOR

    missing = count - ChatMessage.objects.filter(chatflow_id=flow_id, session_id="long").count()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO predictions_chatmessage (id, workspace_id, chatflow_id, role, content, chat_id, session_id,"
            " end_user, chat_type, memory_type, lead_email, error, extra)"
            " SELECT uuidv7(), %s, %s, CASE WHEN n %% 2 = 0 THEN 'apiMessage' ELSE 'userMessage' END, 'Message ' || n,"
            " 'long', 'long', %s, 'EXTERNAL', '', '', '', '{}' FROM generate_series(1, %s) n",
            [workspace_id, flow_id, VISITOR, missing],
        )
        cursor.execute("ANALYZE predictions_chatmessage")


def copy_to_neighbour(flow_id: str) -> tuple[str, str]:
    """The flow in a workspace that has nothing else; returns the ids of both."""
    from chatflows.models import Chatflow
    from workspaces.models import Workspace

    neighbour = Workspace.objects.create(name="Bench neighbour")
    copy_rows(flow_id, [neighbour.pk], 1)
    return str(neighbour.pk), str(Chatflow.objects.get(workspace=neighbour).pk)


def make_keys(count: int) -> list[str]:
    """Raw keys, each of another workspace."""
    from apikeys.services import create_api_key
    from workspaces.models import Workspace

    spaces = Workspace.objects.filter(name__startswith="Bench")[:count]
    return [create_api_key(workspace=space, name="bench")[1] for space in spaces]


def main() -> None:
    django.setup()
    what, count, workspace_id, *flow = sys.argv[1:]
    if what == "keys":
        print("\n".join(make_keys(int(count))))
    elif what == "neighbour":
        print(*copy_to_neighbour(flow[0]))
    elif what == "flows":
        fill_flows(int(count), workspace_id)
    else:
        fill_messages(int(count), workspace_id, flow[0])


if __name__ == "__main__":
    main()
