"""Visitors whom a page's server has named: each has conversations of their own, and can be exported and erased."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from tests.model_server import ScriptedModel
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow

CANARY = "zymurgy-7f3a"
EVERYWHERE = """
from django.db import connection
from django.conf import settings
from redis import Redis
found = []
with connection.cursor() as cursor:
    cursor.execute("SELECT quote_ident(table_name) FROM information_schema.tables "
        "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'")
    for (table,) in cursor.fetchall():
        cursor.execute(f"SELECT count(*) FROM {table} t WHERE to_jsonb(t)::text LIKE %s", ["%" + needle + "%"])
        found += [table] * cursor.fetchone()[0]
redis = Redis.from_url(settings.REDIS_URL)
for key in redis.scan_iter():
    kind = redis.type(key)
    value = redis.xrange(key) if kind == b"stream" else redis.get(key) if kind == b"string" else key
    found += ["redis"] if needle.encode() in repr(value).encode() else []
print(json.dumps(found))
"""


class Page:
    """The server of a page: it names its visitors."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        self.secret = secret

    def token(self, subject: str = "ann", **claims: Any) -> str:
        return jwt.encode({"sub": subject, "exp": int(time.time()) + 300, **claims}, self.secret, algorithm="HS256")

    def ask(self, flow_id: str, question: str, subject: str = "", *, token: str = "", **body: Any) -> httpx.Response:
        """As the visitor of this name; as nobody without one."""
        sent = token or (self.token(subject) if subject else "")
        headers = {"X-End-User": sent} if sent else {}
        asked = {"question": question, **body}
        return httpx.post(f"{self.url}/api/v1/prediction/{flow_id}", json=asked, headers=headers, timeout=30)


@pytest.fixture
def page(platform: Platform, holder: Caller) -> Page:
    made = holder.http.post("/end-user-secret", json={"overlapSeconds": 60})
    assert made.status_code == 201
    return Page(platform.url, made.json()["secret"])


@pytest.fixture
def public(new_flow: NewFlow, model: ScriptedModel) -> str:
    return new_flow(drawing.conversation(model.url), isPublic=True)


def asked_of(model: ScriptedModel) -> str:
    """What the model was sent the last time, as text."""
    return str(model.requests[-1])


def test_a_conversation_is_nobody_elses(page: Page, public: str, holder: Caller, model: ScriptedModel) -> None:
    page.ask(public, f"My word is {CANARY}", "ann", chatId="c1")

    for other in ("bob", ""):
        page.ask(public, "What is my word?", other, chatId="c1")
        assert CANARY not in asked_of(model), other or "nobody"
    holder.answer(public, "What is my word?", chatId="c1")
    assert CANARY not in asked_of(model)
    page.ask(public, "What is my word?", "ann", chatId="c1")

    assert CANARY in asked_of(model)


def test_a_visitor_reads_nothing_of_what_a_key_said_under_the_same_id(
    page: Page, public: str, holder: Caller, model: ScriptedModel
) -> None:
    holder.answer(public, f"Customer 42 says {CANARY}", overrideConfig={"sessionId": "42"})

    page.ask(public, "What did I say?", overrideConfig={"sessionId": "42"})

    assert CANARY not in asked_of(model)


@pytest.mark.parametrize("limits", [{"permissions": ["variables:view"]}, {"flows": True}])
def test_a_key_that_may_not_execute_a_public_flow_is_a_visitor_there(
    platform: Platform, public: str, chat: str, holder: Caller, model: ScriptedModel, limits: dict[str, Any]
) -> None:
    holder.answer(public, f"Customer 43 says {CANARY}", overrideConfig={"sessionId": "43"})
    of_another_flow = {"flows": [chat]} if "flows" in limits else limits
    made = holder.http.post("/apikey", json={"keyName": "of something else", **of_another_flow}).json()

    with Caller(platform.url, made["apiKey"]) as limited:
        limited.answer(public, "What did I say?", overrideConfig={"sessionId": "43"})

    assert CANARY not in asked_of(model)


def test_two_end_users_who_hit_on_one_idempotency_key_do_not_meet(page: Page, public: str) -> None:
    def ask(subject: str) -> httpx.Response:
        headers = {"X-End-User": page.token(subject), "Idempotency-Key": "1"}
        return httpx.post(f"{page.url}/api/v1/prediction/{public}", json={"question": "Hi"}, headers=headers)

    first, other, again = ask("ann"), ask("bob"), ask("ann")

    assert first.json()["executionId"] != other.json()["executionId"]
    assert again.json() == first.json()


def test_a_run_is_followed_by_its_own_end_user_alone(page: Page, public: str) -> None:
    run = page.ask(public, "Hi", "ann").json()["executionId"]

    def follow(**headers: str) -> int:
        with httpx.stream("GET", f"{page.url}/api/v1/executions/{run}/stream", headers=headers, timeout=30) as answer:
            return answer.status_code

    assert follow(**{"X-End-User": page.token("ann")}) == 200
    assert follow(**{"X-End-User": page.token("bob")}) == 404
    assert follow() == 404


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": 99999999999}, "24 hours"),
        ({"sub": ""}, "sub"),
        ({"sub": 7}, "not a token"),
    ],
)
def test_a_token_that_is_not_good_is_refused_with_the_reason(
    page: Page, public: str, claims: dict[str, Any], words: str
) -> None:
    refused = page.ask(public, "Hi", token=page.token(**{"subject": "ann", **claims}))

    assert refused.status_code == 401
    assert words in refused.json()["message"]


@pytest.mark.parametrize("token", ["nonsense", jwt.encode({"sub": "ann", "exp": 99999999999}, "x" * 32, "HS256")])
def test_a_token_that_nobody_signed_is_refused(page: Page, public: str, token: str) -> None:
    assert page.ask(public, "Hi", token=token).status_code == 401


def test_a_token_without_a_signature_is_refused(page: Page, public: str) -> None:
    unsigned = jwt.encode({"sub": "ann", "exp": int(time.time()) + 60}, "", algorithm="none")

    assert page.ask(public, "Hi", token=unsigned).status_code == 401


def test_a_flow_may_take_named_visitors_only(page: Page, new_flow: NewFlow, model: ScriptedModel) -> None:
    strict = new_flow(drawing.conversation(model.url), isPublic=True, apiConfig='{"endUsers": {"required": true}}')

    assert page.ask(strict, "Hi").status_code == 401
    assert page.ask(strict, "Hi", "ann").status_code == 200
    assert page.ask(strict, "Hi", endUserToken=page.token("ann")).status_code == 200


def test_somebody_who_is_erased_is_nowhere_any_more(
    page: Page, public: str, holder: Caller, inside: Inside, model: ScriptedModel
) -> None:
    page.ask(public, f"I am {CANARY}", "erased-soon")
    page.ask(public, "I stay", "stays")
    own = "/end-users/erased-soon"
    listed = {one["id"] for one in holder.http.get("/end-users").json()}
    exported = holder.http.get(f"{own}/export").text

    erased = holder.http.delete(own)

    assert {"erased-soon", "stays"} <= listed
    assert exported.count(CANARY) >= 2
    assert '"kind":"message"' in exported
    assert erased.json() == {"executions": 1, "messages": 2}
    assert inside(f"needle = {f'I am {CANARY}'!r}\n{EVERYWHERE}") == []
    assert holder.http.get(own).status_code == 404
    assert holder.http.get("/end-users/stays").status_code == 200


def test_what_was_said_in_runs_that_are_gone_is_erased_as_well(page: Page, public: str, holder: Caller) -> None:
    run = page.ask(public, f"I said {CANARY}", "half-gone").json()["executionId"]
    assert holder.http.delete(f"/executions/{run}").status_code == 200

    listed = {one["id"] for one in holder.http.get("/end-users").json()}
    exported = holder.http.get("/end-users/half-gone/export").text
    erased = holder.http.delete("/end-users/half-gone")

    assert "half-gone" in listed
    assert CANARY in exported
    assert erased.json() == {"executions": 0, "messages": 2}
    assert CANARY not in holder.http.get(f"/chatmessage/{public}").text


@pytest.mark.parametrize("suffix", ["", "/export"])
def test_a_name_that_no_row_can_hold_is_nobodys(holder: Caller, suffix: str) -> None:
    assert holder.http.get(f"/end-users/%00{suffix}").status_code == 404


def test_an_end_user_of_a_strangers_workspace_is_not_there(page: Page, public: str, neighbour: Caller) -> None:
    page.ask(public, "Hi", "ann")

    assert neighbour.http.get("/end-users").json() == []
    assert neighbour.http.get("/end-users/ann").status_code == 404
    assert neighbour.http.delete("/end-users/ann").status_code == 404
