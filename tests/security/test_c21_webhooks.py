"""C21: a call from outside counts when it is signed, fresh and new; what is sent out can be verified."""

from __future__ import annotations

import ast
import base64
import hmac
import json
import re
import time
from collections.abc import Iterator
from random import Random
from uuid import uuid4

import pytest
from pytest_django import Settings

from engine.egress import Egress
from engine.http import HttpClient
from forjinn.core.crypto import seal
from forjinn.core.errors import Unauthenticated
from predictions.hooks.outbox import ClaimedDelivery
from predictions.hooks.sending import deliver
from predictions.triggers.signatures import PLATFORMS, check_signature
from tests.cast import Api
from tests.predictions.calls import Caller
from tests.predictions.hooks.receiver import Reaction, Receiver
from tests.predictions.test_webhooks import ORDER, Hook, sign
from tests.security.source import calls, trees

SECRET = "s3cret"
OUTGOING = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = json.dumps(ORDER).encode()


@pytest.fixture
def hook(holder: Caller, agent: str) -> Hook:
    return Hook(holder, agent, triggerMessage="Hi", webhookSecret=SECRET)


class TestComingIn:
    @pytest.mark.parametrize(
        ("body", "signature"),
        [
            (BODY, ""),
            (BODY, sign("wrong", BODY)),
            (BODY, sign(SECRET, BODY)[:-1]),
            (BODY, sign(SECRET, BODY).upper()[:10]),
            (BODY, SECRET),
            (BODY + b" ", sign(SECRET, BODY)),
            (json.dumps(ORDER, indent=1).encode(), sign(SECRET, BODY)),  # the same JSON in other bytes
        ],
    )
    def test_a_call_that_is_not_signed_over_its_bytes_starts_nothing(
        self, hook: Hook, body: bytes, signature: str
    ) -> None:
        headers = {"X_Webhook_Signature": signature} if signature else {}

        assert hook.call(body, **headers).status_code == 401
        assert hook.count == 0

    def test_a_signed_call_counts_once_and_for_minutes(self, hook: Hook) -> None:
        def call(moment: int, delivery: str, said: int | None = None) -> int:
            signed = sign(SECRET, f"{moment}.".encode() + BODY)
            headers = {"X_Webhook_Id": delivery, "X_Webhook_Signature": signed}
            return hook.call(BODY, X_Webhook_Timestamp=str(said or moment), **headers).status_code

        now = int(time.time())

        assert [call(now, "d-1"), call(now, "d-1")] == [202, 202]
        assert [call(now - 600, "d-2"), call(now + 600, "d-3")] == [401, 401]
        assert call(now - 600, "d-4", said=now) == 401  # the time is under the signature
        assert hook.count == 1

    def test_a_webhooks_address_cannot_be_guessed(self, hook: Hook) -> None:
        token = hook.url.rsplit("/", 1)[1]

        assert len(token) == 40
        assert token not in json.dumps(hook.holder.http.get(f"/triggers/{hook.id}").json())

    @pytest.mark.parametrize("platform", [*PLATFORMS, "anything else"])
    def test_what_a_platform_signs_with_is_asked_of_its_calls(self, platform: str) -> None:
        header, kind = PLATFORMS.get(platform, ("X-Webhook-Signature", "hmac-sha256"))
        digest = hmac.digest(SECRET.encode(), BODY, "sha256")
        good = {"hmac-sha256": digest.hex(), "base64": base64.b64encode(digest).decode(), "plain-token": SECRET}[kind]

        check_signature({header: good}, BODY, [SECRET], header, kind)

        for wrong in (good[:-1], good + "0", good[::-1], f"{good} {good}", "0" * len(good), ""):
            with pytest.raises(Unauthenticated):
                check_signature({header: wrong}, BODY, [SECRET], header, kind)
        with pytest.raises(Unauthenticated):
            check_signature({header: good}, BODY + b" ", ["another"], header, kind)
        with pytest.raises(Unauthenticated):
            check_signature({header: hmac.digest(b"", BODY, "sha256").hex()}, BODY, [""], header, kind)


# Comparisons of what is no secret by itself, though its name or its module might say so.
NO_SECRETS = {
    "digest == self.previous_digest",  # which of two, of a key that has been found by its digest
    "row[1] in runs",
    "name in headers",
    "str(name).lower() not in secret",
    "key not in secrets",
    "_signer().unsign(f'{run_id.hex}:{token.removeprefix(PREFIX)}') == run_id.hex",  # an id; the library has judged
}
WORDS = re.compile(r"secret|token|digest|signature|password|proof", re.I)


def plain_comparisons() -> Iterator[tuple[str, str]]:
    """(path, text) of what is compared with ==, != or in where secrets are: modules of hmac, names that say so."""
    for path, tree in trees().items():
        is_of_hmac = any(name == "hmac" for node in ast.walk(tree) for name in imported(node))
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                sides = (node.left, node.comparators[0])
                text = ast.unparse(node)
                if (is_of_hmac or WORDS.search(text)) and not any(is_constant(side) for side in sides):
                    yield path, text


def imported(node: ast.AST) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def is_constant(side: ast.expr) -> bool:
    """A literal, or a name in capitals."""
    return bool(re.fullmatch(r"""[rbf]?['"\d(\[{].*|(\w+\.)*[A-Z][A-Z_]+(\.\w+)?""", ast.unparse(side)))


def test_signatures_are_compared_in_constant_time() -> None:
    timed = {path for path, name, _ in calls() if name.endswith(("compare_digest", "constant_time_compare"))}

    assert timed >= {"predictions/triggers/signatures.py", "workspaces/accounts.py"}
    assert [(path, text) for path, text in plain_comparisons() if text not in NO_SECRETS] == []


class TestGoingOut:
    """Messages to receivers of events."""

    @pytest.fixture
    def receiver(self) -> Iterator[Receiver]:
        with Receiver() as listening:
            yield listening

    async def test_a_message_is_signed_over_its_id_its_time_and_its_bytes(self, receiver: Receiver) -> None:
        async with HttpClient(Egress(["127.0.0.1"])) as http:
            report = await deliver(http, delivery(receiver.url), random=Random(1))
        message = receiver.next()

        assert report.is_taken
        assert message.is_signed_with(OUTGOING)
        assert not message.is_signed_with(SECRET)
        assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 60
        assert message.body == BODY

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, receiver: Receiver, status: int) -> None:
        receiver.script(Reaction(status, headers={"Location": receiver.url}))

        async with HttpClient(Egress(["127.0.0.1"])) as http:
            report = await deliver(http, delivery(receiver.url), random=Random(1))
        receiver.next()

        assert (report.is_taken, report.status) == (False, status)
        assert "redirects are not followed" in report.error
        assert receiver.is_empty()

    async def test_a_receiver_that_flows_may_not_call_is_not_called(self, receiver: Receiver) -> None:
        async with HttpClient() as http:
            report = await deliver(http, delivery(receiver.url), random=Random(1))

        assert (report.is_taken, report.status) == (False, None)
        assert "EGRESS_ALLOW" in report.error
        assert receiver.is_empty()

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        "url",
        [
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://[::ffff:169.254.169.254]/latest",
            "http://example.com/x",
            "https://key@example.com/x",
            "file:///etc/passwd",
        ],
    )
    def test_a_subscription_names_a_public_address(self, api: Api, settings: Settings, url: str) -> None:
        settings.EGRESS_ALLOW = []
        good = {"name": "H", "url": "https://example.com/x", "events": ["run.failed"]}
        made = api.post("/hook-subscriptions", good).json()

        answers = [
            api.post("/hook-subscriptions", {**good, "url": url}),
            api.put(f"/hook-subscriptions/{made['id']}", {"url": url}),
        ]

        assert [answer.status_code for answer in answers] == [400, 400]
        assert [one["url"] for one in api.get("/hook-subscriptions").json()] == [good["url"]]

    @pytest.mark.django_db
    def test_the_secret_is_told_once(self, api: Api) -> None:
        made = api.post("/hook-subscriptions", {"name": "H", "url": "https://example.com/x", "events": ["run.failed"]})
        secret, path = made.json()["secret"], f"/hook-subscriptions/{made.json()['id']}"
        tested = api.post(f"{path}/test").json()["id"]

        told = [
            api.get("/hook-subscriptions"),
            api.get(path),
            api.put(path, {"name": "New"}),
            api.get(f"{path}/deliveries"),
            api.get(f"/hook-deliveries/{tested}"),
            api.get("/audit?limit=100"),
        ]

        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
        assert [answer.status_code for answer in told] == [200] * len(told)
        assert [answer for answer in told if secret in answer.content.decode()] == []


def delivery(url: str) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=uuid4(), url=url, secret=seal(OUTGOING), body=BODY.decode(), number=1, tries=1, is_over=False
    )
