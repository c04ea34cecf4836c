"""How many SQL statements the hot calls take, exactly: what is read twice, or once for each row, is seen here.

Transactions and changes of scope count like any other statement: each is a way to the database and back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow
from tests.statements import Statements, watched_statements

ROWS = 3  # what is read once for each row of a list shows

# The scope's actor, the transaction's beginning and its end: what each write takes beside what it writes.
WRITE = 3


@pytest.fixture(scope="module")
def statements(platform: Platform) -> Iterator[Statements]:
    with watched_statements(platform) as watched:
        yield watched


@dataclass(frozen=True, slots=True)
class Hot:
    """What the hot calls are made with: a flow that has runs and messages, and its texts."""

    holder: Caller
    flow_id: str
    run_id: str
    texts: Iterator[str]  # a new one each time


@pytest.fixture(scope="module")
def hot(holder: Caller, new_flow: NewFlow, platform: Platform) -> Hot:
    graph = drawing.conversation(platform.model.url)
    flow_id = new_flow(graph)
    runs = [holder.answer(flow_id, "Hi", sessionId="hot")["executionId"] for _ in range(ROWS)]
    return Hot(holder, flow_id, runs[0], (graph + " " * number for number in itertools.count(1)))


def create(hot: Hot) -> httpx.Response:
    text = next(hot.texts)
    return hot.holder.http.post("/chatflows", json={"name": f"Flow {len(text)}", "flowData": text})


def change(hot: Hot, **fields: object) -> httpx.Response:
    return hot.holder.http.put(f"/chatflows/{hot.flow_id}", json=fields)


CALLS: dict[str, tuple[int, Callable[[Hot], httpx.Response]]] = {
    "list flows": (2, lambda hot: hot.holder.http.get("/chatflows")),
    "get a flow": (1, lambda hot: hot.holder.http.get(f"/chatflows/{hot.flow_id}")),
    "create a flow": (WRITE + 2, create),
    "create a flow of a name that is taken": (
        2 * WRITE + 4,  # PostgreSQL says so, and it is tried anew under another slug
        lambda hot: hot.holder.http.post("/chatflows", json={"name": "Taken", "flowData": next(hot.texts)}),
    ),
    "rename a flow": (WRITE + 2, lambda hot: change(hot, name=f"Flow {len(next(hot.texts))}")),
    "save a flow as it is": (3, lambda hot: change(hot, deployed=True)),
    "save a flow's new text": (WRITE + 5, lambda hot: change(hot, flowData=next(hot.texts))),
    "list runs": (3, lambda hot: hot.holder.http.get("/executions")),
    "get a run": (2, lambda hot: hot.holder.http.get(f"/executions/{hot.run_id}")),
    "list messages": (3, lambda hot: hot.holder.http.get(f"/chatmessage/{hot.flow_id}")),
    "predict": (3, lambda hot: hot.holder.predict(hot.flow_id, "Hi")),
    "predict with memory": (4, lambda hot: hot.holder.predict(hot.flow_id, "Hi", sessionId="hot")),
    "predict as a stream": (3, lambda hot: hot.holder.predict(hot.flow_id, "Hi", streaming=True)),
}


# The worker reads memory as the run's workspace, and goes back to what it does for all of them. Whether it has to say
# so to PostgreSQL depends on what the connection that it is given did before.
CHANGES_OF_SCOPE = {"predict with memory": 2}


@pytest.mark.parametrize("name", CALLS)
def test_a_hot_call_takes_as_many_statements_as_it_did(name: str, hot: Hot, statements: Statements) -> None:
    budget, call = CALLS[name]

    taken = statements.each(lambda: call(hot).raise_for_status())

    most = CHANGES_OF_SCOPE.get(name, 0)
    changes = [statement for statement in taken if most and "set_config" in statement]
    assert len(taken) - len(changes) == budget, "\n".join(taken)
    assert len(changes) <= most, "\n".join(taken)
