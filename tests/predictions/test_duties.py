"""Background tasks that nobody watches."""

from __future__ import annotations

import asyncio

import pytest

from predictions.duties import forever


class Duty:
    """Breaks as often as it is told to, then goes on until it is let go."""

    def __init__(self, *, breaks: int) -> None:
        self.begun = 0
        self.goes_on = asyncio.Event()
        self.is_over = asyncio.Event()
        self._breaks = breaks

    async def __call__(self) -> None:
        self.begun += 1
        if self.begun <= self._breaks:
            raise KeyError("nobody thought of this")
        self.goes_on.set()
        await self.is_over.wait()


async def test_a_duty_that_breaks_is_told_and_begun_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("predictions.duties.PAUSE_S", 0)
    duty = Duty(breaks=2)

    task = asyncio.create_task(forever(duty))
    await asyncio.wait_for(duty.goes_on.wait(), 5)
    duty.is_over.set()
    await task

    assert duty.begun == 3
    assert caplog.text.count("a duty broke and begins again") == 2


async def test_a_duty_that_is_cancelled_ends() -> None:
    duty = Duty(breaks=0)
    task = asyncio.create_task(forever(duty))
    await duty.goes_on.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert duty.begun == 1
