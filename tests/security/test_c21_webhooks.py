"""C21: a call from outside counts when it is signed, fresh and new; what is sent out can be verified."""

from __future__ import annotations

import ast
import json
import time

import pytest

from tests.predictions.calls import Caller
from tests.predictions.test_webhooks import ORDER, Hook, sign
from tests.security.source import calls, trees

SECRET = "s3cret"
BODY = json.dumps(ORDER).encode()


@pytest.fixture
def hook(holder: Caller, agent: str) -> Hook:
    return Hook(holder, agent, triggerMessage="Hi", webhookSecret=SECRET)


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (BODY, ""),
        (BODY, sign("wrong", BODY)),
        (BODY, sign(SECRET, BODY)[:-1]),
        (BODY, sign(SECRET, BODY).upper()[:10]),
        (BODY + b" ", sign(SECRET, BODY)),
        (json.dumps(ORDER, indent=1).encode(), sign(SECRET, BODY)),  # the same JSON in other bytes
    ],
)
def test_a_call_that_is_not_signed_over_its_bytes_starts_nothing(hook: Hook, body: bytes, signature: str) -> None:
    headers = {"X_Webhook_Signature": signature} if signature else {}

    assert hook.call(body, **headers).status_code == 401
    assert hook.count == 0


def test_a_signed_call_counts_once_and_for_minutes(hook: Hook) -> None:
    def call(moment: int, delivery: str) -> int:
        signed = sign(SECRET, f"{moment}.".encode() + BODY)
        headers = {"X_Webhook_Timestamp": str(moment), "X_Webhook_Id": delivery, "X_Webhook_Signature": signed}
        return hook.call(BODY, **headers).status_code

    now = int(time.time())

    assert [call(now, "d-1"), call(now, "d-1")] == [202, 202]
    assert [call(now - 600, "d-2"), call(now + 600, "d-3")] == [401, 401]
    assert hook.count == 1


def test_a_webhooks_address_cannot_be_guessed(hook: Hook) -> None:
    token = hook.url.rsplit("/", 1)[1]

    assert len(token) == 40
    assert token not in json.dumps(hook.holder.http.get(f"/triggers/{hook.id}").json())


def test_signatures_are_compared_in_constant_time() -> None:
    comparing = {path for path, name, _ in calls() if name.endswith("compare_digest")}
    equal = [
        node
        for path, tree in trees().items()
        if path.endswith("signatures.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and "signature" in ast.unparse(node).lower()
        and isinstance(node.ops[0], ast.Eq)
    ]

    assert "predictions/triggers/signatures.py" in comparing
    assert equal == []
