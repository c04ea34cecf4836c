"""C15: which pages may call: by a flow's origins, by a key's, and with a person's cookie none but our own."""

from __future__ import annotations

import json

import httpx
import pytest

from forjinn.core.permissions import BY_FLOW, OWN, PUBLIC
from predictions.admission import _is_of
from tests.cast import Api
from tests.factories import make_api_key, make_user
from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.security.walk import Call, World, calls
from tests.workspaces.browser import PASSWORD, Browser
from workspaces.models import Membership, Workspace
from workspaces.services import add_member

SHOP = "https://shop.example"
FOREIGN = ("https://evil.example", "https://shop.example.evil.example", "https://evilshop.example")
CALLS = calls()


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


class TestPublishableKeys:
    """A key that stands in a page is good for the origins that it lists."""

    @pytest.fixture
    def key(self, holder: Caller, chat: str) -> str:
        body = {"keyName": "page", "kind": "publishable", "flows": [chat], "origins": [SHOP]}
        return str(holder.http.post("/apikey", json=body).json()["apiKey"])

    def ask(self, platform: Platform, key: str, flow_id: str, origin: str, **body: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", **({"Origin": origin} if origin else {})}
        url = f"{platform.url}/api/v1/prediction/{flow_id}"
        return httpx.post(url, json={"question": "Hi", **body}, headers=headers, timeout=30)

    @pytest.mark.parametrize("is_streaming", [False, True])
    def test_a_listed_page_asks_and_may_read_the_answer(
        self, platform: Platform, chat: str, key: str, is_streaming: bool
    ) -> None:
        answer = self.ask(platform, key, chat, SHOP, streaming=is_streaming)

        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == ("text/event-stream" if is_streaming else "application/json")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers

    @pytest.mark.parametrize("origin", [*FOREIGN, "http://shop.example", "https://shop.example:8443", "null", ""])
    def test_any_other_page_is_refused_and_so_is_a_call_of_no_page(
        self, platform: Platform, model: ScriptedModel, chat: str, key: str, origin: str
    ) -> None:
        refused = self.ask(platform, key, chat, origin)

        assert refused.status_code == 403
        assert "pages of the origins that it lists" in refused.json()["message"]
        assert refused.headers.get("Access-Control-Allow-Origin") == ("*" if origin else None)  # to read why
        assert model.requests == []

    def test_an_answer_is_followed_from_listed_pages_alone(self, platform: Platform, chat: str, key: str) -> None:
        run = self.ask(platform, key, chat, SHOP).json()["executionId"]

        def follow(origin: str) -> int:
            headers = {"Authorization": f"Bearer {key}", "Origin": origin}
            url = f"{platform.url}/api/v1/executions/{run}/stream"
            return httpx.get(url, headers=headers, timeout=30).status_code

        assert [follow(origin) for origin in (SHOP, *FOREIGN)] == [200, *([403] * len(FOREIGN))]


@pytest.mark.django_db
class TestCookies:
    """What a person's browser sends by itself opens nothing to another site's page."""

    @pytest.fixture
    def browser(self, workspace: Workspace) -> Browser:
        person = make_user(password=PASSWORD)
        add_member(workspace=workspace, user=person, role=Membership.Role.OWNER)
        return Browser(person)

    @pytest.mark.parametrize("call", CALLS, ids=str)
    def test_a_page_of_another_site_reads_and_writes_nothing_with_them(self, world: World, call: Call) -> None:
        ids = world.ids_for(call) if call.rule == BY_FLOW else {}

        for origin in (FOREIGN[0], f"{world.url}.evil.example", "null"):
            answer = world.call(call, None, ids=ids, body={}, session=world.people["owner"], origin=origin)

            assert answer.headers.get("Access-Control-Allow-Origin") in (None, "*")
            assert "Access-Control-Allow-Credentials" not in answer.headers
            if call.method != "GET" and call.rule not in (PUBLIC, OWN) and answer.status_code != 405:
                # That one API knows keys alone.
                assert answer.status_code == (401 if call.path.startswith("/api/stepflow/") else 403), answer.text

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
