"""C15: which pages may call: by a flow's origins, by a key's, and with a person's cookie none but our own."""

from __future__ import annotations

import json

import httpx
import pytest

from predictions.admission import _is_of
from tests.cast import Api
from tests.factories import make_api_key, make_user
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.conftest import NewFlow
from tests.workspaces.browser import PASSWORD, Browser
from workspaces.models import Membership, Workspace
from workspaces.services import add_member

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("origin", "entry", "is_of"),
    [
        (SHOP, SHOP, True),
        (SHOP, "shop.example", True),
        (SHOP, "HTTPS://SHOP.example/", True),
        ("http://shop.example", "shop.example", True),
        ("http://shop.example", SHOP, False),
        ("https://shop.example:8443", SHOP, False),
        ("https://shop.example.evil.com", SHOP, False),
        ("https://evil.com/shop.example", "shop.example", False),
        ("https://evilshop.example", "shop.example", False),
        ("https://shop.example@evil.com", "shop.example", False),
        ("null", SHOP, False),
        ("null", "null", False),
        ("", SHOP, False),
    ],
)
def test_an_origin_is_what_an_entry_names_to_the_letter(origin: str, entry: str, is_of: bool) -> None:
    assert _is_of(origin, entry) is is_of


@pytest.mark.parametrize("call", ["prediction", "config", "abort"])
def test_a_page_of_another_site_gets_nothing_of_a_flow(
    platform: Platform, new_flow: NewFlow, model: ScriptedModel, call: str
) -> None:
    config = json.dumps({"allowedOrigins": [SHOP], "allowedOriginsError": "Only from our shop."})
    flow_id = new_flow(drawing.conversation(model.url), isPublic=True, chatbotConfig=config)
    method, path = {
        "prediction": ("POST", f"/api/v1/prediction/{flow_id}"),
        "config": ("GET", f"/api/v1/public-chatbotConfig/{flow_id}"),
        "abort": ("PUT", f"/api/v1/chatmessage/abort/{flow_id}/c"),
    }[call]

    def status(origin: str) -> int:
        body = {"question": "Hi"} if method == "POST" else None
        headers = {"Origin": origin} if origin else {}
        return httpx.request(method, platform.url + path, json=body, headers=headers, timeout=30).status_code

    assert [status(origin) for origin in (SHOP, "")] == [200, 200]
    assert [status(origin) for origin in ("https://evil.example", "http://shop.example", "null")] == [403] * 3


@pytest.mark.django_db
class TestCookies:
    """What a person's browser sends by itself opens nothing to another site's page."""

    @pytest.fixture
    def browser(self, workspace: Workspace) -> Browser:
        person = make_user(password=PASSWORD)
        add_member(workspace=workspace, user=person, role=Membership.Role.OWNER)
        return Browser(person)

    def test_no_answer_lets_another_sites_page_read_with_cookies(self, browser: Browser) -> None:
        for path in ("/api/v1/account", "/_allauth/browser/v1/auth/session"):
            answer = browser.call("GET", path, Origin="https://evil.example")
            assert "Access-Control-Allow-Credentials" not in answer.headers
            assert answer.headers.get("Access-Control-Allow-Origin") in (None, "*")

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example"])
    def test_a_write_of_another_sites_page_is_refused_even_with_the_token(self, browser: Browser, origin: str) -> None:
        refused = browser.call("POST", "/api/v1/tools", {"name": "t", "func": "return 1"}, Origin=origin)

        assert refused.status_code == 403
        assert browser.get("/tools").json() == []

    def test_a_write_of_our_own_page_is_taken(self, browser: Browser) -> None:
        made = browser.call("POST", "/api/v1/tools", {"name": "t", "func": "return 1"}, Origin="http://testserver")

        assert made.status_code == 200


@pytest.mark.django_db
def test_a_preflight_says_what_a_page_may_send_and_no_cookie(workspace: Workspace) -> None:
    asked = {
        "Origin": SHOP,
        "Access_Control_Request_Method": "DELETE",
        "Access_Control_Request_Headers": "authorization",
    }

    answer = Api(make_api_key(workspace)[1]).call("OPTIONS", "/chatflows", **asked)

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
