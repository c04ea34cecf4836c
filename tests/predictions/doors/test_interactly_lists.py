"""What lists of runs cost: indexes of the named runs alone are read, however many other runs there are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from chatflows.models import Chatflow
from predictions.doors.interactly.reading import RunFilter
from predictions.doors.interactly.sessions import list_statements
from tests.factories import make_chatflow
from workspaces.access import Access
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db

MANY = """
INSERT INTO predictions_execution (id, object_id, workspace_id, chatflow_id, version_id, state, chat_id, session_id,
    chat_type, question, request, is_streaming, reply_to, attempt, dispatches, stop_requested, error, error_code,
    input_tokens, output_tokens)
SELECT gen_random_uuid(), CASE WHEN n %% 2 = 0 THEN substr(md5(random()::text), 1, 24) END, %s, %s, %s,
    'COMPLETED', '', '', 'EXTERNAL', '', '{}', false, '', 1, 1, false, '', '', 0, 0
FROM generate_series(1, %s) n
"""


@pytest.fixture
def chatflow(workspace: Workspace, stranger: Workspace) -> Chatflow:
    """One with a thousand runs, half of which have names, beside one with as many and a neighbour's with more."""
    made = make_chatflow(workspace)
    with connection.cursor() as cursor:
        for flow, runs in ((made, 1000), (make_chatflow(workspace), 1000), (make_chatflow(stranger), 20000)):
            cursor.execute(MANY, [flow.workspace_id, flow.pk, flow.version_id, runs])
        cursor.execute("ANALYZE predictions_execution")
    return made


def plans(chatflow: Chatflow, **chosen: Any) -> tuple[str, str]:
    """How PostgreSQL makes the page and the count."""
    nothing = dict.fromkeys(("workflow_id", "status", "start", "end"))
    chatflow_id = chosen.pop("chatflow_id", None)
    wanted = RunFilter(**{"page": 1, "size": 20, **nothing, **chosen})
    access = Access(id=chatflow.pk, workspace_id=chatflow.workspace_id, name="a key", grants=())
    page, count, names = list_statements(access, chatflow_id, wanted)
    found = []
    with connection.cursor() as cursor:
        for statement in (page, count):
            cursor.execute(f"EXPLAIN {statement}", names)
            found.append("\n".join(row[0] for row in cursor.fetchall()))
    return found[0], found[1]


def test_a_workspaces_list_reads_the_named_runs_alone(chatflow: Chatflow) -> None:
    page, count = plans(chatflow)

    assert "named_execution_by_workspace" in page
    assert "named_execution_by_workspace" in count


def test_a_workflows_list_reads_its_named_runs_alone(chatflow: Chatflow) -> None:
    page, count = plans(chatflow, chatflow_id=chatflow.pk, status="failed")

    assert "named_execution_by_flow" in page
    assert "named_execution_by_flow" in count
