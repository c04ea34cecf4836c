"""The administration: who gets in, what operators see there, and what nobody sees."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.test import Client

from apikeys.models import ApiKey
from chatflows.models import Chatflow
from forjinn.core.ids import uuid7
from predictions.models import ChatMessage, Execution, NodeRun
from tests.factories import make_api_key, make_chatflow, make_user
from workspaces.models import Credential, User, Workspace
from workspaces.services import create_credential

SECRET = "sk-live-0123456789abcdef"


@pytest.fixture
def operator(db: None) -> Client:
    """A superuser who has signed in."""
    client = Client()
    client.force_login(User.objects.create_superuser("operator@example.com", None))
    return client


def make_execution(chatflow: Chatflow, *, question: str = "How are you?") -> Execution:
    assert chatflow.version is not None
    return Execution.objects.create(
        id=uuid7(),
        workspace_id=chatflow.workspace_id,
        chatflow=chatflow,
        version=chatflow.version,
        state=Execution.State.COMPLETED,
        chat_id="chat",
        session_id="chat",
        question=question,
    )


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.content.decode()


@pytest.mark.django_db
def test_whoever_has_not_signed_in_is_asked_to() -> None:
    response = Client().get("/admin/", follow=True)

    assert response.redirect_chain == [("/admin/login/?next=/admin/", 302)]
    assert b'name="password"' in response.content


def test_a_person_who_is_no_staff_is_kept_out(db: None) -> None:
    client = Client()
    client.force_login(make_user())

    assert client.get("/admin/chatflows/chatflow/").status_code == 302


def test_an_operator_signs_in_through_the_page(db: None) -> None:
    User.objects.create_superuser("ann@example.com", "correct horse battery")

    response = Client().post("/admin/login/?next=/admin/", {"username": "ann@example.com", "password": "wrong"})
    welcome = Client().post(
        "/admin/login/?next=/admin/", {"username": "ann@example.com", "password": "correct horse battery"}
    )

    assert response.status_code == 200
    assert (welcome.status_code, welcome.headers["Location"]) == (302, "/admin/")


def test_an_operator_sees_every_workspaces_flows(operator: Client, workspace: Workspace, stranger: Workspace) -> None:
    make_chatflow(workspace, name="Support bot")
    make_chatflow(stranger, name="Sales bot")

    listed = page(operator, "/admin/chatflows/chatflow/")

    assert "Support bot" in listed
    assert "Sales bot" in listed


def test_an_operator_undeploys_a_flow(operator: Client, workspace: Workspace) -> None:
    chatflow = make_chatflow(workspace, name="Bot", deployed=True)
    path = f"/admin/chatflows/chatflow/{chatflow.pk}/change/"
    assert "Bot" in page(operator, path)
    versions = {"versions-TOTAL_FORMS": "1", "versions-INITIAL_FORMS": "1"}
    versions |= {"versions-0-id": str(chatflow.version_id), "versions-0-chatflow": str(chatflow.pk)}

    response = operator.post(path, {"name": "Bot", **versions})

    chatflow.refresh_from_db()
    assert response.status_code == 302, response.content
    assert not chatflow.deployed


@pytest.mark.parametrize(
    ("field", "told"),
    [("api_config", "Expected JSON text of an object"), ("apikey", "This key opens another workspace")],
)
def test_an_operator_saves_no_flow_that_nobody_could_call(
    operator: Client, workspace: Workspace, stranger: Workspace, field: str, told: str
) -> None:
    flow = make_chatflow(workspace, name="Bot")
    bad = {"api_config": "{", "apikey": str(make_api_key(stranger)[0].pk)}[field]

    form = {"name": "Renamed", "versions-TOTAL_FORMS": 0, "versions-INITIAL_FORMS": 0, field: bad}
    response = operator.post(f"/admin/chatflows/chatflow/{flow.pk}/change/", form)

    assert told in response.content.decode()
    flow.refresh_from_db()
    assert flow.name == "Bot"


def test_an_operator_looks_at_a_run_and_what_was_said(operator: Client, workspace: Workspace) -> None:
    execution = make_execution(make_chatflow(workspace), question="Where is my parcel?")
    NodeRun.objects.create(
        execution=execution, attempt=1, seq=2, node_id="llm_0", label="Ask", status="FINISHED", entry={}, duration_ms=3
    )
    ChatMessage.objects.create(
        workspace_id=workspace.pk,
        chatflow_id=execution.chatflow_id,
        execution=execution,
        role=ChatMessage.Role.USER,
        content="Where is my parcel?",
        chat_id="chat",
        session_id="chat",
        chat_type="EXTERNAL",
    )

    assert "Where is my parcel?" in page(operator, "/admin/predictions/execution/")
    assert "Ask" in page(operator, f"/admin/predictions/execution/{execution.pk}/change/")
    assert "Where is my parcel?" in page(operator, "/admin/predictions/chatmessage/")


@pytest.mark.parametrize("model", ["execution", "chatmessage", "workerlease"])
def test_what_happened_cannot_be_made_up(operator: Client, model: str) -> None:
    assert operator.get(f"/admin/predictions/{model}/add/").status_code == 403


def test_keys_are_listed_by_their_first_characters_only(operator: Client, workspace: Workspace) -> None:
    key, raw = make_api_key(workspace, name="pipeline")

    listed = page(operator, "/admin/apikeys/apikey/")

    assert "pipeline" in listed
    assert key.prefix in listed
    assert raw not in listed
    assert key.digest not in listed


def test_a_new_key_is_shown_once(operator: Client, workspace: Workspace) -> None:
    response = operator.post(
        "/admin/apikeys/apikey/add/", {"workspace": str(workspace.pk), "name": "widget"}, follow=True
    )

    key = ApiKey.objects.get(name="widget")
    assert f"it is not shown again: {key.prefix}" in response.content.decode()
    assert "it is not shown again" not in page(operator, "/admin/apikeys/apikey/")


def test_a_key_is_revoked_from_the_list(operator: Client, workspace: Workspace) -> None:
    key, _ = make_api_key(workspace)

    operator.post("/admin/apikeys/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})

    key.refresh_from_db()
    assert key.revoked_at is not None


def credential_of(workspace: Workspace) -> UUID:
    return create_credential(workspace=workspace, name="OpenAI", kind="openAIApi", fields={"openAIApiKey": SECRET}).pk


def test_a_credentials_secret_is_never_shown(operator: Client, workspace: Workspace) -> None:
    credential_id = credential_of(workspace)

    listed = page(operator, "/admin/workspaces/credential/")
    form = page(operator, f"/admin/workspaces/credential/{credential_id}/change/")
    history = page(operator, f"/admin/workspaces/credential/{credential_id}/history/")

    assert "OpenAI" in listed
    assert "OpenAI" in form
    assert not any(SECRET[:12] in text for text in (listed, form, history))


def test_a_credential_says_where_else_it_may_be_sent(operator: Client, workspace: Workspace) -> None:
    path = f"/admin/workspaces/credential/{credential_of(workspace)}/change/"
    form = {"name": "OpenAI", "kind": "openAIApi", "fulfillment": "stored", "fields_in_clear": ""}

    refused = operator.post(path, {**form, "allowed_hosts": "http://models.example.org"})
    saved = operator.post(path, {**form, "allowed_hosts": "models.example.org:8443,10.1.0.0/16"})

    assert "is no host" in refused.content.decode()
    assert saved.status_code == 302, saved.content
    assert Credential.objects.get().allowed_hosts == ["models.example.org:8443", "10.1.0.0/16"]


def test_a_credential_saved_without_a_secret_keeps_it(operator: Client, workspace: Workspace) -> None:
    credential_id = credential_of(workspace)

    response = operator.post(
        f"/admin/workspaces/credential/{credential_id}/change/",
        {"name": "Renamed", "kind": "openAIApi", "fulfillment": "stored", "fields_in_clear": ""},
    )

    credential = Credential.objects.get(pk=credential_id)
    assert response.status_code == 302, response.content
    assert credential.name == "Renamed"
    assert credential.open() == {"openAIApiKey": SECRET}
