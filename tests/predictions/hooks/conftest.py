"""The cast of hooks: a receiver of each test's own, and the holder of a workspace where nobody else's runs happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pytest

from tests.journeys.stage import service_url, wait_for
from tests.platform import Platform
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside
from tests.predictions.hooks.receiver import Receiver

EVENTS = ("run.started", "run.completed", "run.failed", "run.cancelled", "run.waiting")
MAKE_KEY = """
from tests.factories import make_api_key, make_workspace
print(json.dumps(make_api_key(make_workspace("Hooks"))[1]))
"""

Subscribe = Callable[..., dict[str, Any]]
Statement = Callable[..., None]


class Author(Caller):
    """Somebody who keeps flows and hooks."""

    @property
    def key(self) -> str:
        return str(self.http.headers["Authorization"].removeprefix("Bearer "))

    def new_flow(self, flow_data: str, **fields: Any) -> str:
        created = self.http.post("/chatflows", json={"name": "Test flow", "flowData": flow_data, **fields})
        assert created.status_code == 200, created.text
        flow_id = str(created.json()["id"])
        assert self.http.put(f"/chatflows/{flow_id}", json={"deployed": True}).status_code == 200
        return flow_id

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        read: dict[str, Any] = self.http.get(f"/hook-deliveries/{delivery_id}").json()
        return read

    def tried(self, delivery_id: str, times: int) -> dict[str, Any]:
        """The delivery, once so many tries of it are written down."""
        wait_for(lambda: len(self.delivery(delivery_id)["log"]) >= times, f"{times} tries")
        return self.delivery(delivery_id)

    def subscription(self, subscription_id: str) -> dict[str, Any]:
        read: dict[str, Any] = self.http.get(f"/hook-subscriptions/{subscription_id}").json()
        return read


@pytest.fixture(scope="session")
def author(platform: Platform, inside: Inside) -> Iterator[Author]:
    caller = Author(platform.url, inside(MAKE_KEY))
    yield caller
    caller.http.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as listening:
        yield listening


@pytest.fixture
def subscribe(author: Author, receiver: Receiver) -> Iterator[Subscribe]:
    """Subscribes the test's receiver to all events, unless told otherwise."""
    made: list[str] = []

    def create(**fields: Any) -> dict[str, Any]:
        body = {"name": "Test", "url": receiver.url, "events": EVENTS, **fields}
        created = author.http.post("/hook-subscriptions", json=body)
        assert created.status_code == 200, created.text
        made.append(created.json()["id"])
        subscription: dict[str, Any] = created.json()
        return subscription

    yield create
    for subscription_id in made:
        author.http.delete(f"/hook-subscriptions/{subscription_id}")


@pytest.fixture
def execute(platform: Platform) -> Statement:
    """Runs a statement on the platform's database: time that passes, for one."""

    def run(statement: str, values: Sequence[Any] = ()) -> None:
        with psycopg.connect(service_url(platform, "postgres"), autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    return run
