"""Deliveries are kept for a while, and no longer."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async

from predictions.hooks.models import HookAttempt, HookDelivery
from predictions.hooks.outbox import forget
from predictions.pool import open_pool
from tests.factories import make_workspace
from workspaces.models import Workspace

HOUR_MS = 3_600_000


def make_delivery(workspace: Workspace, age_ms: int, *, is_open: bool = False) -> HookDelivery:
    now = datetime.now(UTC)
    made: HookDelivery = HookDelivery.objects.create(
        id=UUID(int=(int(time.time() * 1000) - age_ms << 80) + age_ms),
        workspace=workspace,
        event="ping",
        payload={},
        next_try_at=now if is_open else None,
        delivered_at=None if is_open else now,
    )
    HookAttempt.objects.create(delivery=made, number=1, began_at=now, duration_ms=1)
    return made


@pytest.mark.django_db(transaction=True)
async def test_what_has_ended_long_ago_is_forgotten_a_few_at_a_time() -> None:
    workspace = await sync_to_async(make_workspace)()
    old = [await sync_to_async(make_delivery)(workspace, (4 - n) * HOUR_MS) for n in range(2)]
    due = await sync_to_async(make_delivery)(workspace, 5 * HOUR_MS, is_open=True)
    fresh = await sync_to_async(make_delivery)(workspace, HOUR_MS)
    before = UUID(int=int(time.time() * 1000) - 2 * HOUR_MS << 80)
    pool = open_pool(name="test")
    await pool.open()

    try:
        first = await forget(pool, before=before, most=1)
        left = {row.pk async for row in HookDelivery.objects.all()}
        rest = await forget(pool, before=before, most=10)
    finally:
        await pool.close()

    assert (first, rest) == (1, 1)
    assert left == {old[1].pk, due.pk, fresh.pk}
    assert {row.delivery_id async for row in HookAttempt.objects.all()} == {due.pk, fresh.pk}
