"""Secrets of a workspace: sealed at rest, opened for its own runs only."""

from __future__ import annotations

from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from cryptography.fernet import Fernet
from pytest_django import Settings

from engine.errors import NodeInputError
from forjinn.core.errors import BadRequest
from workspaces.models import Credential, Workspace
from workspaces.services import create_credential, set_variable, variable_values
from workspaces.world import WorkspaceCredentials

FIELDS = {"openAIApiKey": "sk-live-0123456789abcdef"}


def make_credential(workspace: Workspace) -> Credential:
    return create_credential(workspace=workspace, name="OpenAI", kind="openAIApi", fields=FIELDS)


def resolve(workspace: Workspace, credential_id: object) -> dict[str, str]:
    """The fields, as a run of the workspace gets them."""
    return dict(async_to_sync(WorkspaceCredentials(workspace.pk).resolve)(str(credential_id)))


def test_a_secret_is_kept_sealed_and_opened_for_a_run(workspace: Workspace) -> None:
    credential = make_credential(workspace)

    assert FIELDS["openAIApiKey"] not in str(Credential.objects.filter(pk=credential.pk).values().get())
    assert resolve(workspace, credential.pk) == FIELDS


def test_a_neighbours_secret_is_as_unknown_as_one_that_is_not(workspace: Workspace, stranger: Workspace) -> None:
    theirs = make_credential(stranger).pk

    for unknown in (theirs, uuid4(), "no id", "a\0b", ""):
        with pytest.raises(NodeInputError, match="not found"):
            resolve(workspace, unknown)


def test_an_older_key_still_opens_what_it_sealed(workspace: Workspace, settings: Settings) -> None:
    credential = make_credential(workspace)

    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]

    assert resolve(workspace, credential.pk) == FIELDS


def test_a_secret_whose_key_is_gone_is_named_with_the_way_out(workspace: Workspace, settings: Settings) -> None:
    credential = make_credential(workspace)

    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(NodeInputError, match=r"'OpenAI' cannot be opened: .* ENCRYPTION_KEYS"):
        resolve(workspace, credential.pk)


def test_a_variable_is_made_and_changed(workspace: Workspace, stranger: Workspace) -> None:
    set_variable(workspace=stranger, name="town", value="Bergen")
    set_variable(workspace=workspace, name="town", value="Oslo")

    set_variable(workspace=workspace, name="town", value="Tromsø\n")

    assert variable_values(workspace.pk) == {"town": "Tromsø\n"}


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("n" * 101, "x"), ("two\nlines", "x"), ("nul", "\0")])
def test_a_variable_that_cannot_be_kept_is_refused(workspace: Workspace, name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=r"^(name|value): "):
        set_variable(workspace=workspace, name=name, value=value)

    assert variable_values(workspace.pk) == {}
