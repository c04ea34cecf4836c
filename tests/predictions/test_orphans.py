"""Runs that their worker knows nothing of, while it lives."""

from __future__ import annotations

import psycopg

from tests.journeys.stage import service_url, wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions.calls import Caller, Listening

# As a claim leaves it whose answer never arrived.
CLAIMED = """
UPDATE predictions_execution
SET state = 'RUNNING', output = NULL, finished_at = NULL, started_at = now() - interval '1m' WHERE id = %s
"""


def test_a_run_that_its_worker_does_not_hold_is_started_again(platform: Platform, holder: Caller, chat: str) -> None:
    execution_id = holder.answer(chat, "Hi")["executionId"]
    with psycopg.connect(service_url(platform, "postgres")) as connection:
        connection.execute(CLAIMED, [execution_id])

    wait_for(lambda: run_of(holder, execution_id)["state"] == "FINISHED", "the end of the run")

    assert run_of(holder, execution_id)["attempt"] == 2


def test_a_run_that_its_worker_holds_is_left_to_it(
    platform: Platform, holder: Caller, chat: str, model: ScriptedModel
) -> None:
    model.script(Reply("one two", stall_after=1))
    with holder.http.stream("POST", f"/prediction/{chat}", json={"question": "Hi", "streaming": True}) as response:
        execution_id = response.headers["X-Execution-Id"]
        listening = Listening(response)
        listening.until("token")
        orphan = holder.answer(chat, "Another")["executionId"]
        with psycopg.connect(service_url(platform, "postgres")) as connection:
            connection.execute(
                "UPDATE predictions_execution SET started_at = now() - interval '1m' WHERE id = %s", [execution_id]
            )
            connection.execute(CLAIMED, [orphan])

        wait_for(lambda: run_of(holder, orphan)["state"] == "FINISHED", "the end of a run that is not held")
        model.release()
        list(listening)

    assert run_of(holder, execution_id)["attempt"] == 1


def run_of(holder: Caller, execution_id: str) -> dict[str, object]:
    found: dict[str, object] = holder.http.get(f"/executions/{execution_id}").json()
    return found
