"""C16: keys are strong, can be changed, and are those that what is stored was sealed with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apikeys.models import hash_key
from forjinn import asgi, rotation
from forjinn.core.crypto import SealBroken, seal, unseal
from predictions.hooks.models import HookDelivery, HookSubscription
from predictions.models import Execution
from predictions.triggers.models import Trigger
from tests.factories import make_api_key, make_chatflow, make_user
from tests.platform import ROOT
from workspaces.audit.models import AuditEntry
from workspaces.models import Credential, KeyCheck, Workspace
from workspaces.seals import check_keys
from workspaces.services import create_credential

SECRET = "sk-live-0123456789abcdef"

# Modules that seal, and the columns where that is kept.
SEALERS = {
    "workspaces/models.py": "workspaces_credential.sealed",
    "workspaces/seals.py": "workspaces_keycheck.sealed",
    "predictions/triggers/models.py": "triggers_trigger.sealed",
    "predictions/hooks/services.py": "hooks_hooksubscription.secret",
    "predictions/hooks/run_hooks.py": "predictions_execution.request",
    "predictions/doors/chatterfly/connections.py": "predictions_execution.request",
    "forjinn/rotation.py": "workspaces_credential.sealed",
    "workspaces/end_users.py": "workspaces_endusersecret.sealed",
}


def new_key() -> str:
    return Fernet.generate_key().decode()


def rotate(*options: str) -> str:
    """What the command says."""
    told = StringIO()
    call_command("rotate_keys", *options, stdout=told)
    return told.getvalue()


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def sealed_texts() -> dict[str, str]:
    """Every sealed text of the database, by where it is."""
    run = Execution.objects.get()
    return {
        "credential": Credential.objects.get().sealed,
        "trigger": Trigger.objects.get().sealed,
        "subscription": HookSubscription.objects.get().secret,
        "delivery": HookDelivery.objects.get().secret,
        "connection": run.request["connections"]["model"],
        "hook": run.request["hooks"][0]["secret"],
        "check": KeyCheck.objects.get().sealed,
    }


@pytest.fixture
def everywhere(workspace: Workspace) -> Credential:
    """A secret in each place that keeps some, and the credential among them."""
    flow = make_chatflow(workspace)
    assert flow.version is not None
    credential = create_credential(workspace=workspace, name="OpenAI", kind="openAIApi", fields={"openAIApiKey": "x"})
    Trigger.objects.create(workspace=workspace, chatflow=flow, node_id="start", kind="WEBHOOK", sealed=seal(SECRET))
    HookSubscription.objects.create(
        workspace=workspace, name="Billing", url="https://example.com", events=[], secret=seal(SECRET)
    )
    HookDelivery.objects.create(workspace=workspace, secret=seal(SECRET), event="ping", payload={})
    hooks = [{"url": "https://example.com", "secret": seal(SECRET)}, {"url": "https://example.org"}]
    request = {"connections": {"model": seal(SECRET)}, "hooks": hooks, "history": ["kept"]}
    Execution.objects.create(workspace=workspace, chatflow=flow, version=flow.version, chat_id="c", request=request)
    check_keys()
    return credential


@pytest.mark.usefixtures("everywhere")
def test_after_a_rotation_the_old_key_can_go(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]

    told = rotate()
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]

    assert all(map(unseal, sealed_texts().values()))
    assert Credential.objects.get().open() == {"openAIApiKey": "x"}
    assert Execution.objects.get().request["history"] == ["kept"]
    assert "6 of 6 rows were sealed with the first key" in told
    check_keys()


@pytest.mark.usefixtures("everywhere")
def test_a_dry_run_only_counts(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]
    before = sealed_texts()

    told = rotate("--dry-run")

    assert sealed_texts() == before
    assert "6 of 6 rows would be sealed" in told


@pytest.mark.usefixtures("everywhere")
def test_a_rotation_that_was_interrupted_goes_on_where_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]

    with monkeypatch.context() as patch:
        patch.setattr(rotation.RunSecrets, "read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            rotate()

    assert "1 of 6 rows were sealed" in rotate()
    assert "0 of 6 rows were sealed" in rotate()


def test_a_secret_that_nothing_opens_is_named_and_keeps_nothing_else_back(
    everywhere: Credential, settings: Settings
) -> None:
    everywhere.sealed = Fernet(new_key()).encrypt(b"{}").decode()
    everywhere.save()
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]

    with pytest.raises(CommandError, match=rf"workspaces_credential\.sealed: 1 \({everywhere.pk}\)"):
        rotate()

    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert unseal(sealed_texts()["trigger"]) == SECRET


def test_a_secret_that_is_saved_meanwhile_is_not_overwritten(everywhere: Credential, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]
    place = rotation.Column(Credential, "sealed")
    ((row_id, read),) = place.read(None)
    everywhere.close({"openAIApiKey": "newer"})
    everywhere.save()

    place.write(row_id, read, place.renewed(read))

    assert Credential.objects.get().open() == {"openAIApiKey": "newer"}


def test_the_audit_trail_tells_of_it(everywhere: Credential, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]

    rotate()

    entry = AuditEntry.objects.filter(row_id=str(everywhere.pk)).latest("id")
    assert (entry.action, set(entry.after or {})) == ("updated", {"sealed"})


def test_whatever_is_sealed_is_found_by_a_rotation() -> None:
    calls = re.compile(r"(?<![\w.])seal\(")
    folders = ("apikeys", "chatflows", "engine", "forjinn", "predictions", "workspaces")
    modules = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if calls.search(path.read_text().replace("def seal(", ""))
    }

    assert modules == set(SEALERS), "name the column, a SealedTextField, in SEALERS; forjinn/rotation.py must know it"
    assert set(SEALERS.values()) <= {place.name for place in rotation.places()}


@pytest.mark.usefixtures("everywhere")
def test_other_keys_than_the_stored_secrets_are_refused(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [new_key()]

    with pytest.raises(SealBroken, match=r"^ENCRYPTION_KEYS lacks the key .* Put it back, behind the present ones"):
        check_keys()


def test_other_keys_are_refused_where_nothing_was_ever_checked(workspace: Workspace, settings: Settings) -> None:
    create_credential(workspace=workspace, name="OpenAI", kind="openAIApi", fields={"openAIApiKey": "x"})
    settings.ENCRYPTION_KEYS = [new_key()]

    with pytest.raises(SealBroken, match="ENCRYPTION_KEYS"):
        check_keys()

    assert not KeyCheck.objects.exists()


@pytest.mark.usefixtures("everywhere")
def test_a_loss_can_be_accepted(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [new_key()]

    told = rotate("--accept-loss")

    check_keys()
    assert "workspaces_credential.sealed: 1" in told


@pytest.mark.django_db(transaction=True)
def test_a_web_process_with_other_keys_does_not_start(settings: Settings) -> None:
    check_keys()
    settings.ENCRYPTION_KEYS = [new_key()]
    said: list[Mapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Mapping[str, Any]) -> None:
        said.append(message)

    async_to_sync(asgi.Handler())({"type": "lifespan"}, receive, send)

    assert [message["type"] for message in said] == ["lifespan.startup.failed"]
    assert said[0]["message"].startswith("ENCRYPTION_KEYS lacks the key")


def test_passwords_are_kept_as_argon2_hashes(workspace: Workspace) -> None:
    person = make_user(password=SECRET)

    assert person.password.startswith("argon2$argon2id$")


def test_api_keys_are_random_and_kept_as_keyed_hashes(workspace: Workspace, settings: Settings) -> None:
    (first, raw), (_, other) = make_api_key(workspace), make_api_key(workspace)

    assert raw != other
    assert len(raw) == len("fj-") + 40  # 240 bits
    assert raw not in str(vars(first))
    settings.API_KEY_PEPPER = "another pepper"
    assert hash_key(raw) != first.digest
