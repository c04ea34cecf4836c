"""C12: sign-up, sign-in, sessions, reset of passwords: who somebody is, and for how long."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from forjinn.checks import check_secrets
from tests.factories import make_user, make_workspace
from tests.journeys.stage import wait_for
from tests.workspaces.browser import PASSWORD, Browser
from workspaces.accounts import setup_secret
from workspaces.models import Membership, User
from workspaces.services import add_member

pytestmark = pytest.mark.django_db

NEW = "another horse battery"


@pytest.fixture(autouse=True)
def _no_earlier_tries() -> None:
    cache.clear()


@pytest.fixture
def ann() -> User:
    user = make_user("ann@example.com", password=PASSWORD)
    add_member(workspace=make_workspace(), user=user, role=Membership.Role.OWNER)
    return user


def is_in(browser: Browser) -> bool:
    return bool(browser.get("/account").status_code == 200)


def at_the_administration(user: User, password: str) -> Any:
    return Client().post("/admin/login/?next=/admin/", {"username": user.email, "password": password})


def sign_up(email: str = "new@example.com", **headers: str) -> int:
    return int(Browser().account("POST", "/auth/signup", {"email": email, "password": NEW}, **headers).status_code)


def test_sign_up_is_closed(ann: User) -> None:
    assert sign_up() == 403
    assert sign_up(X_Setup_Secret=setup_secret()) == 403  # there is somebody already
    assert sign_up(X_Invitation="guess") == 403
    assert User.objects.filter(email="new@example.com").count() == 0


def test_the_first_person_shows_the_secret_of_the_console() -> None:
    assert sign_up(X_Setup_Secret="guess") == 403
    browser = Browser()
    made = browser.account(
        "POST", "/auth/signup", {"email": "first@example.com", "password": NEW}, X_Setup_Secret=setup_secret()
    )

    assert made.status_code == 200
    assert User.objects.get(email="first@example.com").is_superuser
    assert is_in(browser)
    assert sign_up("second@example.com", X_Setup_Secret=setup_secret()) == 403


@pytest.mark.parametrize(("secret", "is_refused"), [("", False), ("letmein", True), ("a" * 40, True)])
def test_a_secret_that_can_be_guessed_stops_the_start(settings: Settings, secret: str, is_refused: bool) -> None:
    settings.SETUP_SECRET = secret

    assert ("forjinn.E011" in [problem.id for problem in check_secrets()]) is is_refused


def test_what_is_not_counted_tells_no_guess_of_the_secret_from_another() -> None:
    told = [Browser().account("GET", "/config", X_Setup_Secret=secret).content for secret in ("guess", setup_secret())]

    assert told[0] == told[1]


def test_an_address_that_is_not_proved_opens_nothing(ann: User) -> None:
    EmailAddress.objects.filter(user=ann).update(verified=False)
    browser = Browser()

    assert browser.sign_in(ann).status_code == 401
    assert not is_in(browser)


def test_an_account_that_there_is_and_one_that_there_is_not_look_alike(ann: User) -> None:
    browser = Browser()
    wrong = browser.account("POST", "/auth/login", {"email": ann.email, "password": NEW})
    unknown = browser.account("POST", "/auth/login", {"email": "nobody@example.com", "password": NEW})
    reset = [
        browser.account("POST", "/auth/password/request", {"email": email}).content
        for email in (ann.email, "nobody@example.com")
    ]

    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert reset[0] == reset[1]
    assert [message.to for message in mail.outbox] == [[ann.email]]


def test_a_server_for_mail_that_is_away_tells_of_no_account(
    ann: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "forjinn.core.mail.Backend"
    settings.MAIL_TRANSPORT, settings.EMAIL_PORT = "django.core.mail.backends.smtp.EmailBackend", 1

    answers = [
        Browser().account("POST", "/auth/password/request", {"email": email})
        for email in (ann.email, "nobody@example.com")
    ]

    assert [(answer.status_code, answer.content) for answer in answers] == [(200, answers[0].content)] * 2
    wait_for(lambda: "mail not sent" in caplog.messages, "the mail that is not sent")


def test_a_mail_is_sent_behind_the_answer(ann: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "forjinn.core.mail.Backend"
    settings.MAIL_TRANSPORT = "django.core.mail.backends.locmem.EmailBackend"

    Browser().account("POST", "/auth/password/request", {"email": ann.email})

    wait_for(lambda: [message.to for message in mail.outbox] == [[ann.email]], "the mail")


def test_signing_in_makes_a_new_session(ann: User) -> None:
    browser = Browser()
    browser.client.cookies["sessionid"] = "planted-by-somebody-else-0000000"

    browser.sign_in(ann)

    assert browser.client.cookies["sessionid"].value != "planted-by-somebody-else-0000000"
    assert is_in(browser)


def test_signing_out_ends_the_session_on_the_server(ann: User) -> None:
    browser = Browser(ann)
    stolen = browser.client.cookies["sessionid"].value

    browser.account("DELETE", "/auth/session")
    thief = Browser()
    thief.client.cookies["sessionid"] = stolen

    assert not is_in(thief)
    assert not Session.objects.filter(session_key=stolen).exists()


def test_another_password_ends_every_other_session(ann: User) -> None:
    here, there = Browser(ann), Browser(ann)

    wrong = here.account("POST", "/account/password/change", {"current_password": NEW, "new_password": NEW})
    changed = here.account("POST", "/account/password/change", {"current_password": PASSWORD, "new_password": NEW})

    assert (wrong.status_code, changed.status_code) == (400, 200)
    assert is_in(here)
    assert not is_in(there)


def test_a_reset_link_is_good_once_and_ends_all_sessions(ann: User) -> None:
    inside, outside = Browser(ann), Browser()
    outside.account("POST", "/auth/password/request", {"email": ann.email}, Host="evil.example")
    link = str(mail.outbox[-1].body)
    found = re.search(r"/password/reset/(\S+)", link)
    assert found

    nothing = [
        outside.account("POST", "/auth/password/reset", {"key": key, "password": NEW}).status_code
        for key in ("", None, "null", "undefined", f"{found[1]}x")
    ]
    outside.account("POST", "/auth/password/reset", {"key": found[1], "password": NEW})
    again = outside.account("POST", "/auth/password/reset", {"key": found[1], "password": PASSWORD}).status_code

    assert nothing == [400] * 5
    assert again == 400
    assert "evil.example" not in link
    assert not is_in(inside)
    assert outside.sign_in(ann, NEW).status_code == 200


def test_passwords_that_are_tried_again_and_again_are_not_looked_at_any_more(ann: User) -> None:
    browser = Browser()

    answers = [browser.sign_in(ann, NEW).status_code for _ in range(12)]

    assert answers[-1] != 200
    assert browser.sign_in(ann).status_code != 200  # not even the right one


def test_no_header_makes_tries_anybody_elses(ann: User) -> None:
    browser = Browser()
    names = ("Host", "X_Forwarded_For", "X_Forwarded_Host", "Forwarded", "X_Real_IP", "User_Agent")

    for number in range(5):
        body = {"email": ann.email.title(), "password": NEW}
        browser.account("POST", "/auth/login", body, **dict.fromkeys(names, f"10.0.0.{number}"))

    assert browser.sign_in(ann).json()["errors"][0]["code"] == "too_many_login_attempts"


def test_tries_at_the_administration_are_counted_with_all_others(ann: User) -> None:
    operator = make_user("operator@example.com", password=PASSWORD)
    User.objects.filter(pk__in=(ann.pk, operator.pk)).update(is_staff=True)

    wrong = [at_the_administration(ann, NEW) for _ in range(4)]
    right = [at_the_administration(operator, PASSWORD) for _ in range(5)]
    assert (wrong[-1].status_code, [one.status_code for one in right]) == (200, [302] * 5)
    at_the_administration(ann, NEW)

    refused = at_the_administration(ann, PASSWORD)

    assert (refused.status_code, "Too many failed login attempts" in refused.content.decode()) == (200, True)
    assert Browser().sign_in(ann).status_code != 200


def test_a_session_alone_changes_no_address(ann: User) -> None:
    thief = Browser()
    thief.client.force_login(ann)
    new = {"email": "eve@example.com"}

    refused = thief.account("POST", "/account/email", new)
    wrong = thief.account("POST", "/auth/reauthenticate", {"password": NEW})
    thief.account("POST", "/auth/reauthenticate", {"password": PASSWORD})
    allowed = thief.account("POST", "/account/email", new)

    assert [answer.status_code for answer in (refused, wrong, allowed)] == [401, 400, 200]


def test_whose_password_is_changed_hears_of_it(ann: User) -> None:
    Browser(ann).account("POST", "/account/password/change", {"current_password": PASSWORD, "new_password": NEW})

    assert [message.to for message in mail.outbox] == [[ann.email]]
    assert NEW not in str(mail.outbox[0].body)


def test_an_address_that_an_operator_has_replaced_opens_nothing(ann: User) -> None:
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator@example.com"))

    saved = operator.post(f"/admin/workspaces/user/{ann.pk}/change/", {"email": "ann@work.example.com", "name": "Ann"})
    Browser().account("POST", "/auth/password/request", {"email": "ann@example.com"})

    assert saved.status_code == 302
    assert mail.outbox == []
    assert [one.email for one in EmailAddress.objects.filter(user=ann)] == ["ann@work.example.com"]
    taken = operator.post(f"/admin/workspaces/user/{ann.pk}/change/", {"email": "operator@example.com", "name": ""})
    assert taken.status_code == 200


def test_an_operator_who_changes_something_else_proves_no_address(ann: User) -> None:
    EmailAddress.objects.filter(user=ann).update(verified=False)
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator@example.com"))

    operator.post(f"/admin/workspaces/user/{ann.pk}/change/", {"email": ann.email, "name": "Ann", "is_active": "on"})

    assert User.objects.get(pk=ann.pk).name == "Ann"
    assert not EmailAddress.objects.get(user=ann).verified


def test_nobody_becomes_a_service_account_by_any_password(ann: User) -> None:
    bot = make_user("0@service.invalid", password=PASSWORD)
    User.objects.filter(pk=bot.pk).update(is_service=True, is_staff=True)
    browser = Browser()
    browser.client.force_login(bot)

    browser.account("POST", "/auth/password/request", {"email": bot.email})

    assert not is_in(browser)
    assert Browser().sign_in(bot).status_code != 200
    assert "sessionid" not in at_the_administration(bot, PASSWORD).cookies
    assert mail.outbox == []


def test_weak_passwords_are_refused(ann: User) -> None:
    browser = Browser(ann)

    for weak in ("short", "password123", ""):
        answer = browser.account(
            "POST", "/account/password/change", {"current_password": PASSWORD, "new_password": weak}
        )
        assert answer.status_code == 400, weak


def test_a_suspended_account_is_out_at_once_and_cannot_come_back(ann: User) -> None:
    browser = Browser(ann)

    ann.is_active = False
    ann.save()

    assert not is_in(browser)
    assert Browser().sign_in(ann).status_code != 200


def test_sessions_are_listed_and_revoked(ann: User) -> None:
    here, there = Browser(ann), Browser(ann)
    sessions = here.account("GET", "/auth/sessions").json()["data"]
    other = next(one for one in sessions if not one["is_current"])

    here.account("DELETE", "/auth/sessions", {"sessions": [other["id"]]})

    assert len(sessions) == 2
    assert (is_in(here), is_in(there)) == (True, False)


def test_sessions_of_the_administration_are_listed_and_revoked_as_well(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    here, there = Browser(ann), Client()
    there.post("/admin/login/?next=/admin/", {"username": ann.email, "password": PASSWORD})
    before = there.get("/admin/").status_code
    sessions = here.account("GET", "/auth/sessions").json()["data"]

    here.account("DELETE", "/auth/sessions", {"sessions": [one["id"] for one in sessions if not one["is_current"]]})

    assert (before, len(sessions)) == (200, 2)
    assert there.get("/admin/").status_code == 302


def test_cookies_stay_with_the_site(ann: User, settings: Settings) -> None:
    cookie = Browser(ann).client.cookies["sessionid"]

    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert settings.SESSION_COOKIE_SECURE is settings.PRODUCTION


def test_no_answer_holds_a_hash_or_a_token(ann: User) -> None:
    browser = Browser(ann)
    membership = Membership.objects.get(user=ann)

    told = "".join(
        browser.get(path).content.decode()
        for path in ("/account", "/workspaces", f"/workspaces/{membership.workspace_id}/members", "/roles")
    )
    told += browser.account("GET", "/auth/session").content.decode()

    assert ann.password not in told
    assert "argon2" not in told
    assert browser.client.cookies["sessionid"].value not in told
