"""An answer to a waiting run that no worker can be told of: the run waits on, whatever it was before."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from django.utils import timezone
from redis.asyncio import Redis

from chatflows.models import Chatflow
from forjinn.core.errors import Unavailable
from predictions.checkpoints import Checkpoint
from predictions.models import Execution, Wait
from predictions.pool import open_pool
from predictions.requests import HumanAnswer
from predictions.reservations import Payer
from predictions.resumes import WaitingRun, resume_prediction
from predictions.web import WebProcess
from tests.factories import make_chatflow, make_workspace
from tests.predictions.test_reaper import make_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def flow() -> Chatflow:
    return make_chatflow(make_workspace())


async def answer(run: WaitingRun) -> None:
    pool = open_pool(name="test")
    await pool.open()
    hub = SimpleNamespace(is_connected=True, channel="nobody's")
    process = SimpleNamespace(pool=pool, hub=hub, redis=Redis.from_url("redis://127.0.0.1:1"))
    try:
        with pytest.raises(Unavailable):
            await resume_prediction(
                cast(WebProcess, process), run=run, answer=HumanAnswer("proceed"), is_streaming=False
            )
    finally:
        await pool.close()


@pytest.mark.parametrize("state", ["FAILED", "WAITING"])
async def test_it_waits_for_its_answer_with_an_end_to_that(flow: Chatflow, state: str) -> None:
    checkpoint = Checkpoint({"paused_at": "human_0"}, [], {})
    run_id = await make_run(flow, state=state, attempt=1, checkpoint=checkpoint.written())
    if state == "WAITING":
        await Wait.objects.acreate(
            workspace_id=flow.workspace_id,
            execution_id=run_id,
            kind="human",
            due_at=timezone.now() + timedelta(minutes=5),
            goes_on=True,
        )

    payer = Payer(flow.workspace_id, flow.pk, None)
    await answer(WaitingRun(run_id, state, 1, checkpoint, "human", "", payer))

    wait = await Wait.objects.select_related("execution").aget(execution_id=run_id)
    assert (wait.execution.state, wait.kind) == (Execution.State.WAITING, "human")
    assert wait.goes_on == (state == "WAITING")
    assert wait.due_at > timezone.now()
