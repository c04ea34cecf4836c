"""The page that people open first."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import make_chatflow
from workspaces.models import Workspace

pytestmark = pytest.mark.django_db


def index(client: Client) -> str:
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    return response.content.decode()


def test_the_index_leads_to_public_chats_docs_and_admin(client: Client, workspace: Workspace) -> None:
    open_flow = make_chatflow(workspace, name="Ask <us>", description="Hours & places", is_public=True, deployed=True)

    text = index(client)

    assert f'href="/chat/{open_flow.pk}"' in text
    assert "Ask &lt;us&gt;" in text
    assert "Hours &amp; places" in text
    assert all(f'href="{path}"' in text for path in ("/api/docs", "/api/docs/redoc", "/api/v1/openapi.json", "/admin/"))


def test_the_index_names_no_flow_that_is_private_or_not_deployed(client: Client, workspace: Workspace) -> None:
    make_chatflow(workspace, name="Private bot", deployed=True)
    make_chatflow(workspace, name="Unfinished bot", is_public=True)

    text = index(client)

    assert "Private bot" not in text
    assert "Unfinished bot" not in text
    assert "No public flow is listed here" in text


def test_of_several_tenants_none_is_shown(client: Client, workspace: Workspace, stranger: Workspace) -> None:
    make_chatflow(workspace, name="Ours", is_public=True, deployed=True)
    make_chatflow(stranger, name="Theirs", is_public=True, deployed=True)

    text = index(client)

    assert "Ours" not in text
    assert "Theirs" not in text
