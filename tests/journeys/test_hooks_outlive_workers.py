"""A worker is killed while it sends a message to a receiver."""

from __future__ import annotations

import psycopg

from tests.journeys.stage import Stage, service_url, wait_for
from tests.predictions.hooks.receiver import Reaction, Receiver

LEASE_ENDS = "UPDATE hooks_hookdelivery SET next_try_at = now() WHERE delivered_at IS NULL"


def test_what_a_killed_worker_had_begun_is_sent_by_another(stage: Stage) -> None:
    with Receiver(Reaction(hangs=True)) as receiver:
        body = {"name": "Test", "url": receiver.url, "events": ["run.completed"]}
        path = (
            f"/api/v1/hook-subscriptions/{stage.platform.call('POST', '/api/v1/hook-subscriptions', body).json()['id']}"
        )
        stage.ask("Hi")
        begun = receiver.next()

        earlier = stage.platform.kill("worker")
        with psycopg.connect(service_url(stage.platform, "postgres"), autocommit=True) as connection:
            connection.execute(LEASE_ENDS)
        again = receiver.next()
        stage.platform.wait_restarted("worker", earlier)
        wait_for(
            lambda: stage.platform.call("GET", f"{path}/deliveries").json()[0]["state"] == "delivered", "the delivery"
        )

        [delivery] = stage.platform.call("GET", f"{path}/deliveries").json()
        assert (begun.headers["webhook-id"], begun.body) == (again.headers["webhook-id"], again.body)
        assert (delivery["id"], delivery["attempts"]) == (again.headers["webhook-id"], 2)
        stage.platform.call("DELETE", path)
