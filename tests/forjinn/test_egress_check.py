"""A wrong EGRESS_ALLOW is named before anything starts."""

from __future__ import annotations

from pytest_django import Settings

from forjinn.checks import check_egress


def test_an_entry_that_is_no_host_is_named(settings: Settings) -> None:
    settings.EGRESS_ALLOW = ["localhost:11434", "http://localhost", "10.0.0.0/8"]

    problems = check_egress()

    assert [problem.id for problem in problems] == ["forjinn.E008"]
    assert "'http://localhost'" in problems[0].msg


def test_hosts_ports_and_networks_pass(settings: Settings) -> None:
    settings.EGRESS_ALLOW = ["localhost", "models.internal:8080", "10.0.0.0/8", "[::1]:80"]

    assert check_egress() == []
