"""`manage.py keys create`: keys for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command

from apikeys.models import ApiKey
from apikeys.services import revoke_api_key
from chatflows.deployments import afind_deployment
from chatflows.models import Deployment
from chatflows.services import update_chatflow
from tests.cast import Api
from tests.factories import graph_text, make_chatflow, make_workspace
from workspaces.models import Workspace


def make_key(*args: str) -> str:
    out = StringIO()
    call_command("keys", "create", *args, stdout=out)
    return out.getvalue().strip()


def make_key_for_programs(*args: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(make_key(*args, "--json"))
    return made


def test_a_workspace_key_opens_its_workspace(workspace: Workspace) -> None:
    made = make_key_for_programs("--workspace", workspace.name, "--name", "deployer")

    assert made["apiKey"].startswith("fj-")
    assert (made["kind"], made["keyName"], made["workspaceId"]) == ("workspace", "deployer", str(workspace.pk))
    assert Api(made["apiKey"]).get("/chatflows").status_code == 200


def test_without_json_the_key_alone_is_printed(workspace: Workspace) -> None:
    assert Api(make_key("--workspace", str(workspace.pk))).get("/chatflows").status_code == 200


def test_a_deployment_key_stands_for_the_version_of_its_moment(workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Greeter")
    assert flow.version is not None

    made = make_key_for_programs("--workspace", workspace.name, "--flow", "greeter")
    update_chatflow(workspace_id=workspace.pk, chatflow_id=flow.pk, author="me", flow_data=graph_text())

    found = async_to_sync(afind_deployment)(made["apiKey"])
    assert made["apiKey"].startswith("cf_")
    assert found is not None
    assert (found.chatflow_id, found.version_id) == (flow.pk, flow.version.pk)


def test_a_deployment_key_opens_nothing_else(workspace: Workspace) -> None:
    make_chatflow(workspace, name="Greeter")

    made = make_key_for_programs("--workspace", workspace.name, "--flow", "Greeter")

    assert Api(made["apiKey"]).get("/chatflows").status_code == 401


def test_a_key_is_limited_as_it_is_told(workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Greeter")

    made = make_key_for_programs(
        "--workspace", workspace.name, "--permissions", "chatflows:view,chatflows:execute", "--flows", "greeter",
        "--environments", "staging,production", "--expires", "2999-01-31",
    )  # fmt: skip

    key = ApiKey.objects.get(pk=made["id"])
    assert (key.permissions, key.flows) == (["chatflows:execute", "chatflows:view"], [flow.pk])
    assert key.environments == ["production", "staging"]
    assert key.expires_at == datetime(2999, 1, 31, tzinfo=UTC)
    assert [found["name"] for found in Api(made["apiKey"]).get("/chatflows").json()] == ["Greeter"]


def test_a_publishable_key_asks_one_flow_from_its_pages(workspace: Workspace) -> None:
    flow = make_chatflow(workspace, name="Greeter", kind="AGENTFLOW")

    made = make_key_for_programs(
        "--workspace", workspace.name, "--publishable", "--flows", "Greeter", "--origins", "https://Shop.example/"
    )

    key = ApiKey.objects.get(pk=made["id"])
    assert (made["kind"], made["apiKey"][:3]) == ("publishable", "pk-")
    assert (key.permissions, key.flows) == (["agentflows:execute"], [flow.pk])
    assert key.origins == ["https://shop.example"]


def test_a_revoked_deployment_key_stands_for_nothing(workspace: Workspace) -> None:
    make_chatflow(workspace, name="Greeter")
    made = make_key_for_programs("--workspace", workspace.name, "--flow", "greeter")

    revoke_api_key(key=ApiKey.objects.get(pk=made["id"]))

    assert async_to_sync(afind_deployment)(made["apiKey"]) is None


@pytest.mark.django_db(transaction=True)
def test_a_key_ends_with_the_flow_that_it_stands_for() -> None:
    flow = make_chatflow(make_workspace("Here"), name="Greeter")
    made = make_key_for_programs("--workspace", "Here", "--flow", "greeter")
    assert async_to_sync(afind_deployment)(made["apiKey"]) is not None

    flow.delete()

    assert async_to_sync(afind_deployment)(made["apiKey"]) is None
    assert ApiKey.objects.get(pk=made["id"]).revoked_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("which", ["workspace", "key"])
def test_what_has_a_deployment_key_can_be_deleted(which: str) -> None:
    workspace = make_workspace("Here")
    make_chatflow(workspace, name="Greeter")
    made = make_key_for_programs("--workspace", "Here", "--flow", "greeter")
    assert async_to_sync(afind_deployment)(made["apiKey"]) is not None

    gone = workspace if which == "workspace" else ApiKey.objects.get(pk=made["id"])
    gone.delete()

    assert async_to_sync(afind_deployment)(made["apiKey"]) is None
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--workspace", "Nowhere"), "There is no workspace 'Nowhere'"),
        (("--workspace", "Twice"), "There are several of workspace 'Twice': give the id"),
        (("--workspace", "Here", "--name", "n" * 201), "name: expected 1 to 200 characters, got 201"),
        (("--workspace", "Here", "--flow", "absent"), "There is no flow 'absent' in Here"),
        (("--workspace", "Here", "--kind", "deployment"), "--flow is for the first"),
        (("--workspace", "Here", "--flow", "absent", "--origins", "https://a.example"), "--origins is for other keys"),
        (("--workspace", "Here", "--flows", "absent"), "There is no flow 'absent' in Here"),
        (("--workspace", "Here", "--permissions", "chatflows:fly"), "permissions: there is no chatflows:fly"),
        (("--workspace", "Here", "--publishable"), "origins: a publishable key lists the origins of its pages"),
        (("--workspace", "Here", "--expires", "2001-01-31"), "expiresAt: must be in the future"),
        (("--workspace", "Here", "--expires", "soon"), "'soon' is no date and no time"),
        (("--workspace", "Here", "--flow", "absent", "--kind", "workspace"), "--flow is for the first"),
    ],
)
@pytest.mark.django_db
def test_what_cannot_be_made_is_named(args: tuple[str, ...], told: str) -> None:
    for name in ("Here", "Twice", "Twice"):
        make_workspace(name)

    with pytest.raises(CommandError, match=told):
        make_key(*args)
