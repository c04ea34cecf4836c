"""The turn API over HTTP: its client, and the workflows that it takes turns of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import NewFlow

SAMPLE = json.loads((Path(__file__).parent / "interactly_sample.json").read_text())
STATUSES = {
    "not_started",
    "started",
    "running",
    "failed",
    "completed",
    "paused",
    "waiting_for_user_input",
    "cancelled",
    "aborted_looping_risk",
}
TERMINAL = {"completed", "failed", "cancelled", "aborted_looping_risk"}
Body = dict[str, Any]


class TurnClient:
    """A client: with a key, or with none."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=f"{url}/workflows/v1", headers=headers, timeout=60)

    def __enter__(self) -> TurnClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def execute(
        self,
        workflow_id: str,
        run_id: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        version: int | str | None = None,
        **run_input: Any,
    ) -> httpx.Response:
        body = {"run_input": run_input, **({} if run_id is None else {"run_id": run_id})}
        query = {} if version is None else {"version": version}
        return self.http.post(f"/workflows/{workflow_id}/execute", json=body, headers=headers, params=query)

    def turn(self, workflow_id: str, run_id: str | None = None, said: str | None = None, **fields: Any) -> Body:
        """The answer to a turn that is taken; it is held against what holds of every answer."""
        if said is not None:
            fields |= {"thread_to_node_inputs": human(said), "command": "data" if run_id else "start"}
        response = self.execute(workflow_id, run_id, **fields)
        assert response.status_code == 200, response.text
        body: Body = response.json()
        assert_consistent(body)
        return body

    def record(self, run_id: str) -> Body:
        response = self.http.get(f"/workflow-runs/{run_id}")
        assert response.status_code == 200, response.text
        record: Body = response.json()["workflow_run"]
        return record


class Workflows:
    """Makes flows, and knows them by the ids of this API."""

    def __init__(self, holder: Caller, new_flow: NewFlow) -> None:
        self._holder = holder
        self._new_flow = new_flow

    def new(self, flow_data: str, **fields: Any) -> str:
        return self.named(self._new_flow(flow_data, **{"type": "AGENTFLOW", **fields}))

    def named(self, flow_id: str) -> str:
        return str(self._holder.http.get(f"/chatflows/{flow_id}").json()["objectId"])

    def replies(self, *texts: str) -> str:
        """Direct replies, one after the other."""
        return self.new(replies(*texts))

    def asking(self, question: str = "Which city?", answer: str = "On to {{ askUserAgentflow_0 }}") -> str:
        return self.new(drawing.waiting_flow("askUserAgentflow", {"askQuestion": question}, answer))

    def approving(self) -> str:
        return self.new(drawing.approval_flow("Sent", "Kept: {{ humanInputAgentflow_0 }}"))

    def awaiting(self) -> tuple[str, str]:
        """A flow that waits for an event, and the event's name."""
        event = f"paid-{uuid4().hex}"
        return self.new(drawing.waiting_flow("waitForEventAgentflow", {"waitEventName": event}, "Paid")), event

    def sleeping(self, for_: str) -> str:
        nodes = [drawing.start(), drawing.step("sleepAgentflow_0", "Nap", {"sleepMode": "for", "sleepFor": for_})]
        nodes.append(drawing.reply(0, "Awake"))
        return self.new(drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))

    def looping(self) -> str:
        """One that would never end."""
        back = {"loopBackToNode": "directReplyAgentflow_0-Reply 0", "maxLoopCount": 100000}
        nodes = [drawing.start(), drawing.reply(0, "Again"), drawing.step("loopAgentflow_0", "Back", back)]
        return self.new(drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes))))


def replies(*texts: str) -> str:
    nodes = [drawing.start(), *(drawing.reply(number, text) for number, text in enumerate(texts))]
    return drawing.flow(nodes, drawing.path(*(node["id"] for node in nodes)))


def human(text: str) -> Body:
    messages = [{"type": "human", "content": text}]
    return {"0": {"node_run_inputs": [{"type": "llm", "messages": messages}]}}


def names(body: Body) -> list[str]:
    return [event["type"] for event in body["events"]]


def said(body: Body) -> list[str]:
    return [event["content"] for event in body["events"] if event["type"] == "assistant_response"]


def assert_consistent(body: Body) -> None:
    """What holds of every answer to a turn."""
    assert body.keys() >= {"run_id", "status", "turn_number", "events", "is_waiting_for_input", "is_completed"}
    assert len(body["run_id"]) == 24
    assert set(body["run_id"]) <= set("0123456789abcdef")
    assert body["status"] in STATUSES
    assert body["is_completed"] == (body["status"] in TERMINAL)
    assert body["is_waiting_for_input"] == (body["status"] == "waiting_for_user_input")
    assert (body["next_input_hint"] is not None) == body["is_waiting_for_input"]
    assert (body["error"] is not None) == (body["status"] in ("failed", "aborted_looping_risk"))
    ids = [event["logical_id"] for event in body["events"]]
    assert len(set(ids)) == len(ids)
    times = [event["timestamp"] for event in body["events"]]
    assert all(isinstance(moment, float) for moment in times)
    assert times == sorted(times)
    assert all(event["thread_reference_id"] == "0" for event in body["events"])
