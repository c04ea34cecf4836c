"""What a process remembers of flows, and how long."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflows.records import find_flow
from chatflows.services import delete_chatflow, update_chatflow
from tests.factories import make_chatflow, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_warm_flow_asks_no_database() -> None:
    chatflow = make_chatflow(make_workspace())
    first = find_flow(chatflow.pk)

    with CaptureQueriesContext(connection) as queries:
        second = find_flow(chatflow.pk)

    assert second is first
    assert not queries.captured_queries


def test_a_change_is_seen_at_once() -> None:
    chatflow = make_chatflow(make_workspace(), deployed=True)
    before = find_flow(chatflow.pk)

    update_chatflow(
        workspace_id=chatflow.workspace_id,
        chatflow_id=chatflow.pk,
        author="test",
        deployed=False,
        chatbot_config='{"starterPrompts":{}}',
    )

    after = find_flow(chatflow.pk)
    assert before is not None
    assert after is not None
    assert (before.deployed, after.deployed) == (True, False)
    assert after.chatbot_config == {"starterPrompts": {}}
    assert after.version_id == before.version_id


def test_a_new_text_is_another_version() -> None:
    chatflow = make_chatflow(make_workspace())
    before = find_flow(chatflow.pk)

    update_chatflow(
        workspace_id=chatflow.workspace_id,
        chatflow_id=chatflow.pk,
        author="test",
        flow_data='{"nodes":[{"id":"s","data":{"name":"startAgentflow","inputs":{"startInputType":"chatInput"}}}],"edges":[]}',
    )

    after = find_flow(chatflow.pk)
    assert before is not None
    assert after is not None
    assert after.version_id != before.version_id
    assert after.digest != before.digest
    assert after.start_input_type == "chatInput"


def test_a_deleted_flow_is_gone_at_once() -> None:
    chatflow = make_chatflow(make_workspace())
    find_flow(chatflow.pk)

    delete_chatflow(workspace_id=chatflow.workspace_id, chatflow_id=chatflow.pk)

    assert find_flow(chatflow.pk) is None


def test_a_flow_deleted_with_its_workspace_is_gone_at_once() -> None:
    chatflow = make_chatflow(make_workspace())
    find_flow(chatflow.pk)

    chatflow.workspace.delete()

    assert find_flow(chatflow.pk) is None
