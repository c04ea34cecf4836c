"""Signatures that other libraries verify."""

from __future__ import annotations

import pytest

from predictions.hooks.signatures import signed_headers


def test_a_signature_is_that_of_the_specifications_libraries() -> None:
    """The values are from their own tests."""
    headers = signed_headers(
        delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", ["between us", "whsec_no base64"])
def test_any_text_will_do_for_a_secret(secret: str) -> None:
    headers = signed_headers(delivery_id="1", timestamp=1, body=b"{}", secret=secret)

    assert headers["webhook-signature"].startswith("v1,")


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in signed_headers(delivery_id="1", timestamp=1, body=b"{}", secret=None)
