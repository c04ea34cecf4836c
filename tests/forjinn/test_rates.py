"""Counting calls in windows of time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from django.conf import settings
from pytest_django import Settings
from redis.asyncio import Redis

from forjinn.core import rates
from forjinn.core.errors import Unavailable
from forjinn.core.rates import RateLimited, Window, acount, begin_tally, count, network_of, tally_of_call

AWAY = "redis://127.0.0.1:1/0"


@pytest_asyncio.fixture
async def redis() -> AsyncIterator[Redis]:
    async with Redis.from_url(settings.REDIS_URL) as client:
        yield client


def window(most: int, *, period_s: int = 60) -> Window:
    return Window(uuid4().hex, most, f"at most {most}", period_s)


async def is_let_through(redis: Redis, *windows: Window) -> bool:
    try:
        await acount(redis, windows, is_known=True)
    except RateLimited:
        return False
    return True


async def test_of_fifty_calls_at_once_exactly_ten_get_through(redis: Redis) -> None:
    ten = window(10)

    let_through = await asyncio.gather(*(is_let_through(redis, ten) for _ in range(50)))

    assert sum(let_through) == 10


async def test_a_call_that_one_window_refuses_counts_in_no_other(redis: Redis) -> None:
    wide, narrow = window(3), window(1)

    mixed = [await is_let_through(redis, wide, narrow) for _ in range(5)]
    alone = [await is_let_through(redis, wide) for _ in range(3)]

    assert mixed == [True, False, False, False, False]
    assert alone == [True, True, False]


async def test_who_is_refused_hears_of_the_window_that_makes_them_wait_longest(redis: Redis) -> None:
    minute, hour = window(1), window(1, period_s=3600)
    await acount(redis, [minute, hour], is_known=True)

    with pytest.raises(RateLimited) as refused:
        await acount(redis, [minute, hour], is_known=True)

    assert refused.value.window == hour
    assert refused.value.message == "at most 1"
    assert refused.value.headers == {
        "RateLimit-Limit": "1",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(refused.value.retry_after_s),
    }
    assert 3590 < (refused.value.retry_after_s or 0) <= 3600


async def test_who_gets_through_hears_of_the_window_with_least_room(redis: Redis) -> None:
    begin_tally()
    await acount(redis, [window(100), window(5), window(50)], is_known=True)

    tally = tally_of_call()

    assert tally is not None
    assert (tally.most, tally.left) == (5, 4)
    assert 1 <= tally.reset_s <= 60


async def test_a_window_opens_again_when_its_time_is_over(redis: Redis) -> None:
    short = window(1, period_s=1)
    assert await is_let_through(redis, short)
    assert not await is_let_through(redis, short)

    await redis.pexpire(f"rate:{short.name}", 1)
    while await redis.exists(f"rate:{short.name}"):
        await asyncio.sleep(0)

    assert await is_let_through(redis, short)


def test_threads_and_tasks_count_in_the_same_windows() -> None:
    two = window(2)

    async def ask() -> bool:
        async with Redis.from_url(settings.REDIS_URL) as client:
            return await is_let_through(client, two)

    count([two], is_known=True)

    assert asyncio.run(ask())
    with pytest.raises(RateLimited):
        count([two], is_known=True)


async def test_with_redis_away_strangers_are_refused_and_may_come_back(caplog: pytest.LogCaptureFixture) -> None:
    async with Redis.from_url(AWAY) as away:
        with pytest.raises(Unavailable) as refused:
            await acount(away, [window(1)], is_known=False)

    assert (refused.value.status, refused.value.retry_after_s) == (503, 2)


async def test_with_redis_away_keys_pass_and_the_log_says_so_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.REDIS_URL = AWAY
    monkeypatch.setattr(rates, "_warnings", rates._Warnings())
    full = [window(1)]

    with caplog.at_level(logging.WARNING, logger="forjinn.core.rates"):
        async with Redis.from_url(AWAY) as away:
            for _ in range(5):
                await acount(away, full, is_known=True)
                count(full, is_known=True)

    assert [record.message for record in caplog.records] == ["calls are not counted"]


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("unix:", "unix:"),
        ("", ""),
    ],
)
def test_all_addresses_of_one_subscriber_count_as_one(address: str, counted: str) -> None:
    assert network_of(address) == counted
