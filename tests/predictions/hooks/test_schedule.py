"""When a message that was not taken is sent again."""

from __future__ import annotations

from itertools import count, takewhile
from random import Random

import pytest

from predictions.hooks.schedule import pause_after, read_wish

DAY_S = 24 * 3600
NOW = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def pauses(seed: int) -> list[float]:
    random = Random(seed)
    found = (pause_after(tries, wish_s=0, random=random) for tries in count(1))
    return [pause for pause in takewhile(lambda pause: pause is not None, found) if pause is not None]


@pytest.mark.parametrize("seed", range(5))
def test_tries_grow_rare_and_end_after_about_three_days(seed: int) -> None:
    waited = pauses(seed)

    assert waited[0] < 6
    assert waited[:7] == sorted(waited[:7])
    assert 2.5 * DAY_S < sum(waited) < 3.2 * DAY_S


def test_receivers_that_failed_together_are_not_met_together() -> None:
    assert len({pauses(seed)[0] for seed in range(5)}) == 5


def test_a_receivers_wish_is_heeded_within_a_day() -> None:
    random = Random(1)

    assert pause_after(1, wish_s=3600, random=random) == 3600
    assert pause_after(1, wish_s=7 * DAY_S, random=random) == DAY_S
    assert pause_after(1, wish_s=1, random=random) != 1


@pytest.mark.parametrize(
    ("text", "wish_s"),
    [
        ("120", 120),
        ("Thu, 01 Jan 2026 12:02:00 GMT", 120),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("9" * 400, DAY_S),
    ],
)
def test_a_wish_is_a_number_or_a_date(text: str, wish_s: float) -> None:
    assert read_wish(text, now=NOW) == wish_s
