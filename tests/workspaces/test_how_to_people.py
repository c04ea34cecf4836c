"""The calls that the page on people tells to make, made by a shell as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from forjinn.env import oidc_apps
from tests.platform import ROOT
from tests.workspaces.browser import PASSWORD
from workspaces.accounts import setup_secret
from workspaces.models import User

PAGE = ROOT / "docs" / "how-to" / "people.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OTHER = "another horse battery"

pytestmark = pytest.mark.django_db(transaction=True)


class Shell:
    """One person's, with a folder for their cookies."""

    def __init__(self, folder: Path, prelude: str, **known: str) -> None:
        self._folder, self._prelude, self._known = folder, prelude, known
        folder.mkdir()
        self.run("true")

    def run(self, script: str, **known: str) -> Any:
        """What each of the script's calls was answered with."""
        prepared = f"{self._prelude.strip()} > /dev/null\n{script}".replace(
            "curl ", "curl --silent --fail-with-body -w '\\n' ", 1
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", prepared],
            env={"PATH": os.environ["PATH"], **self._known, **known},
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]


@pytest.fixture
def url(live_server: LiveServer, settings: Settings) -> Iterator[str]:
    cache.clear()
    apps = oidc_apps(issuer="https://id.example.com", client_id="forjinn", secret="s", name="Example")
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": apps}}
    yield live_server.url
    cache.clear()


def mailed(before_it: str) -> str:
    found = re.search(rf"{before_it}/(\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_the_pages_calls_do_what_it_says(url: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    prelude, set_up, make, sign_in, invite, join, accept, members, role, give, explain = blocks[:11]
    switch, sessions, revoke, forget, reset, suspend, account, key, providers = blocks[11:]
    own = {"URL": url, "EMAIL": "olive@example.com", "PASSWORD": PASSWORD, "GUEST": "guy@example.com"}
    olive, guy = Shell(tmp_path / "olive", prelude, **own), Shell(tmp_path / "guy", prelude, **own)

    olive.run(set_up, SECRET=setup_secret())
    [workspace] = olive.run(make)
    in_it = {"WORKSPACE": workspace["id"]}
    signed_out, signed_in = olive.run(sign_in)
    olive.run(invite, **in_it)
    token = mailed("invitations")
    guy.run(join, TOKEN=token)
    [joined] = guy.run(accept, TOKEN=token)
    guest = {**in_it, "MEMBER": str(User.objects.get(email="guy@example.com").pk)}
    [listed, viewer] = olive.run(members, **guest)
    [auditor] = olive.run(role)
    olive.run(give, **guest, ROLE=auditor["id"])
    [explained] = olive.run(explain, **guest)
    [switched] = guy.run(switch, **in_it)

    assert (signed_out["meta"]["is_authenticated"], signed_in["meta"]["is_authenticated"]) == (False, True)
    assert (joined["role"], len(listed), viewer["role"]) == ("editor", 2, "viewer")
    assert explained["why"] == "the role Auditor allows audit:view"
    assert switched["isActive"] is True

    elsewhere = Shell(tmp_path / "elsewhere", prelude, **{**own, "EMAIL": "guy@example.com"})
    elsewhere.run(sign_in)
    [places] = guy.run(sessions)
    other = next(str(one["id"]) for one in places["data"] if not one["is_current"])
    guy.run(revoke, SESSION=other)
    assert elsewhere.run("call $URL/api/v1/account || true")[0]["code"] == "unauthenticated"
    elsewhere.run(forget)
    elsewhere.run(reset, RESET=mailed("reset"), OTHER_PASSWORD=OTHER)
    assert guy.run("call $URL/api/v1/account || true")[0]["code"] == "unauthenticated"
    assert elsewhere.run(sign_in, PASSWORD=OTHER)[1]["meta"]["is_authenticated"]

    [suspended] = olive.run(suspend, **guest)
    [program] = olive.run(account, **in_it)
    [made] = olive.run(key, ACCOUNT=program["id"])
    [found] = olive.run(providers.replace("jq ", "jq -c "))
    assert (suspended["status"], program["isService"], made["apiKey"][:3]) == ("suspended", True, "fj-")
    assert elsewhere.run("call $URL/api/v1/tools || true")[0]["code"] == "forbidden"
    assert [one["name"] for one in found] == ["Example"]
