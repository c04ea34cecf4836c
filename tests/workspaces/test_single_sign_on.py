"""People sign in through a provider: as whom it names by issuer and subject, and as nobody by their address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from pytest_django import Settings

from forjinn.env import EnvError, oidc_apps
from tests.factories import make_user
from tests.workspaces.browser import PASSWORD, Browser
from tests.workspaces.oidc_server import CLIENT_ID, OidcServer
from workspaces.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> User:
    """The first person, whose account no provider makes."""
    return make_user("operator@example.com")


@pytest.fixture
def provider(settings: Settings, operator: User) -> Iterator[OidcServer]:
    cache.clear()
    with OidcServer() as server:
        apps = oidc_apps(issuer=server.issuer, client_id=CLIENT_ID, secret="s", name="Work")
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": apps}}
        yield server


def sign_in(provider: OidcServer, browser: Browser, **person: Any) -> Any:
    """The way of a browser: here, to the provider, and back with a code. Returns the last answer."""
    provider.person = person
    [app] = browser.account("GET", "/config").json()["data"]["socialaccount"]["providers"]
    data = {"provider": app["id"], "process": "login", "callback_url": "/"}
    token = browser.client.cookies["csrftoken"].value
    away = browser.client.post("/_allauth/browser/v1/auth/provider/redirect", {**data, "csrfmiddlewaretoken": token})
    state = parse_qs(urlsplit(away["Location"]).query)["state"][0]
    return browser.client.get(f"/accounts/oidc/{app['id']}/login/callback/", {"code": "any", "state": state})


def test_somebody_new_has_an_account_and_no_workspace(provider: OidcServer) -> None:
    browser = Browser()

    sign_in(provider, browser, sub="17", email="ann@example.com", email_verified=True)
    account = browser.get("/account").json()

    assert (account["email"], account["workspaces"], account["permissions"]) == ("ann@example.com", [], [])
    assert browser.get("/chatflows").status_code == 403
    assert "code_verifier" in provider.tokens_asked[0]


def test_the_same_subject_is_the_same_person_whatever_their_address(provider: OidcServer) -> None:
    sign_in(provider, Browser(), sub="17", email="ann@example.com", email_verified=True)
    browser = Browser()

    sign_in(provider, browser, sub="17", email="ann@married.example.com", email_verified=True)

    assert browser.get("/account").json()["email"] == "ann@example.com"
    assert User.objects.exclude(email="operator@example.com").count() == 1


def test_an_address_alone_opens_nobodys_account(provider: OidcServer) -> None:
    ann = make_user("ann@example.com", password=PASSWORD)
    browser = Browser()

    sign_in(provider, browser, sub="666", email="ann@example.com", email_verified=True)

    assert browser.get("/account").status_code == 401
    assert not SocialAccount.objects.filter(user=ann).exists()


def test_an_address_that_the_provider_does_not_vouch_for_is_not_believed(provider: OidcServer) -> None:
    browser = Browser()
    browser.client.defaults["HTTP_X_SETUP_SECRET"] = "junk"

    sign_in(provider, browser, sub="17", email="ann@example.com", email_verified=False)

    assert browser.get("/account").status_code == 401
    assert not EmailAddress.objects.filter(email="ann@example.com", verified=True).exists()


@pytest.mark.parametrize(("claim", "is_in"), [("true", 200), ("false", 401), ("yes", 401), (None, 401)])
def test_an_address_is_vouched_for_in_a_text_as_well(provider: OidcServer, claim: str | None, is_in: int) -> None:
    browser = Browser()

    sign_in(provider, browser, sub="17", email="ann@example.com", email_verified=claim)

    assert browser.get("/account").status_code == is_in


def test_no_provider_makes_the_first_account(provider: OidcServer, operator: User) -> None:
    operator.delete()
    browser = Browser()

    sign_in(provider, browser, sub="17", email="ann@example.com", email_verified=True)

    assert browser.get("/account").status_code == 401
    assert not User.objects.exists()


def test_a_provider_that_is_away_is_no_failure_of_the_servers(provider: OidcServer, settings: Settings) -> None:
    apps = oidc_apps(issuer="http://127.0.0.1:1", client_id=CLIENT_ID, secret="s", name="Gone")
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": apps}}
    browser = Browser()
    name, token = apps[0]["provider_id"], browser.client.cookies["csrftoken"].value
    form = {"provider": name, "process": "login", "callback_url": "/", "csrfmiddlewaretoken": token}

    away = browser.client.post("/_allauth/browser/v1/auth/provider/redirect", form)
    given = {"provider": name, "process": "login", "token": {"client_id": CLIENT_ID, "id_token": "e30.e30.e30"}}
    refused = browser.account("POST", "/auth/provider/token", given)

    assert (away.status_code, away.json()["code"]) == (503, "unavailable")
    assert refused.status_code == 400


def test_a_code_that_nobody_here_asked_for_opens_nothing(provider: OidcServer) -> None:
    provider.person = {"sub": "17", "email": "ann@example.com", "email_verified": True}
    browser = Browser()
    [app] = browser.account("GET", "/config").json()["data"]["socialaccount"]["providers"]

    browser.client.get(f"/accounts/oidc/{app['id']}/login/callback/", {"code": "any", "state": "made-up"})

    assert browser.get("/account").status_code == 401
    assert provider.tokens_asked == []


def test_another_issuer_is_another_provider() -> None:
    one, other = (
        oidc_apps(issuer=issuer, client_id="c", secret="s", name="n")[0]["provider_id"]
        for issuer in ("https://id.example.com", "https://id.example.org/")
    )

    assert one != other


def test_half_a_provider_is_refused() -> None:
    assert oidc_apps(issuer="", client_id="", secret="", name="") == []
    with pytest.raises(EnvError, match="OIDC_CLIENT_ID"):
        oidc_apps(issuer="https://id.example.com", client_id="", secret="", name="")
