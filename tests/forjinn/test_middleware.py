"""What every request passes, and what only pages pass."""

from __future__ import annotations

from contextlib import closing

import pytest
from django.test import AsyncClient, Client

from tests.cast import Api
from tests.factories import make_user, make_workspace
from workspaces.models import Membership
from workspaces.services import add_member

pytestmark = pytest.mark.django_db

PAGE = "/admin/login/"
API_CALL = "/api/v1/chatflows"


@pytest.mark.parametrize("header", ["Request-Id", "X-Request-Id"])
def test_a_sane_request_id_is_kept(nobody: Api, header: str) -> None:
    assert nobody.get("/chatflows", **{header: "abc-123_DEF.4"}).headers["Request-Id"] == "abc-123_DEF.4"


@pytest.mark.parametrize("sent", ["", "short", "a" * 65, "has space here", "line\u0085break", "<script>alert</script>"])
def test_any_other_is_replaced(nobody: Api, sent: str) -> None:
    response = nobody.get("/chatflows", Request_Id=sent)

    assert len(response.headers["Request-Id"]) == 36


def test_a_page_passes_the_page_middleware_and_an_api_call_does_not() -> None:
    page, call = Client().get(PAGE), Client().get(API_CALL)

    assert page.status_code == 200
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "csrftoken" in page.cookies
    assert "X-Frame-Options" not in call.headers
    assert not call.cookies


async def test_both_are_the_same_under_asgi() -> None:
    page, call = await AsyncClient().get(PAGE), await AsyncClient().get(API_CALL)

    assert page.status_code == 200
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "csrftoken" in page.cookies
    assert call.status_code == 401
    assert "X-Frame-Options" not in call.headers


def test_a_page_is_protected_against_forged_requests() -> None:
    response = Client(enforce_csrf_checks=True).post(PAGE, {"username": "a", "password": "b"})

    assert response.status_code == 403


async def test_a_page_is_protected_against_forged_requests_under_asgi() -> None:
    response = await AsyncClient(enforce_csrf_checks=True).post(PAGE, {"username": "a", "password": "b"})

    assert response.status_code == 403


def test_static_files_are_served_as_pages() -> None:
    with closing(Client().get("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css")) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/css")


def test_people_sign_in_with_their_address_in_any_case() -> None:
    make_user("ann@example.com", password="correct horse battery")

    assert Client().login(username="Ann@Example.COM", password="correct horse battery")
    assert not Client().login(username="ann@example.com", password="wrong horse")


def test_a_session_opens_api_calls_of_the_persons_workspaces_alone() -> None:
    alone, member, user = Client(), Client(), make_user()
    add_member(workspace=make_workspace(), user=user, role=Membership.Role.VIEWER)
    alone.force_login(make_user())
    member.force_login(user)

    assert [client.get(API_CALL).status_code for client in (Client(), alone, member)] == [401, 403, 200]


def test_a_page_may_call_the_api_from_another_origin() -> None:
    response = Client().options(
        API_CALL,
        headers={
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
