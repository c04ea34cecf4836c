"""What a run's credentials hold is cut out of its events."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from engine.credential_kinds import hidden_texts
from engine.credentials import Secret
from engine.events import NodeFinished, NodeJournalled, RunFailed
from predictions.redaction import Redactor

KEY = "canary-0123456789"


def redactor(*hidden: str) -> Redactor:
    made = Redactor()
    made.learn(Secret({}, hidden=hidden))
    return made


def finished(entry: Mapping[str, object]) -> NodeFinished:
    return NodeFinished(1, "http_0", "Call", entry, 1.0)


def test_a_secret_is_cut_out_however_deep_it_is() -> None:
    event = redactor(KEY).event(finished({"data": [{"headers": {"sent": f"Bearer {KEY}."}}], "status": "FINISHED"}))

    assert isinstance(event, NodeFinished)
    assert event.entry == {"data": [{"headers": {"sent": "Bearer [secret]."}}], "status": "FINISHED"}


def test_what_has_no_secret_is_handed_on_as_it_is() -> None:
    event = finished({"data": [{"text": "Hello"}]})

    assert redactor(KEY).event(event) is event
    assert Redactor().event(finished({"data": KEY})) == finished({"data": KEY})


def test_an_entry_that_comes_twice_stays_one() -> None:
    entry = {"data": KEY}
    cut = redactor(KEY)

    journalled = cut.event(NodeJournalled(1, "http_0", "Call", entry, 1.0, {}, True))
    done = cut.event(finished(entry))

    assert isinstance(journalled, NodeJournalled)
    assert isinstance(done, NodeFinished)
    assert journalled.entry is done.entry


def test_the_longer_of_two_secrets_is_cut_out_whole() -> None:
    event = redactor(KEY, f"{KEY}-and-more").event(RunFailed(1, f"refused {KEY}-and-more", "provider"))

    assert event == RunFailed(1, "refused [secret]", "provider")


def test_of_a_login_the_password_is_hidden_and_the_header_made_of_it() -> None:
    hidden = hidden_texts("httpBasicAuth", {"basicAuthUsername": "administrator", "basicAuthPassword": KEY})

    assert hidden == {KEY, b64encode(f"administrator:{KEY}".encode()).decode()}


def test_of_an_unknown_kind_everything_is_hidden_that_is_no_short_word() -> None:
    assert hidden_texts("somethingNew", {"secretOfIt": KEY, "region": "eu"}) == {KEY}
