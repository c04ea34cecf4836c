"""Schedules as a real beat and a real worker fire them: made due in the database, then waited for."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from forjinn.embedded.own import BEAT
from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import ROOT, Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow

LONG_AGO = "2026-01-01T09:00:00Z"
MAKE_DUE = """
from predictions.triggers.models import Trigger
Trigger.objects.filter(chatflow_id={flow_id!r}).update(next_execution={moment!r})
"""
FIRE_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from django.db import connection
from predictions.triggers.models import Trigger
from predictions.triggers.schedules import fire_due
def fire(_):
    try:
        return [str(run) for run in fire_due()]
    finally:
        connection.close()
Trigger.objects.filter(chatflow_id={flow_id!r}).update(next_execution={moment!r})
with ThreadPoolExecutor(8) as pool:
    print(json.dumps([run for runs in pool.map(fire, range(8)) for run in runs]))
"""


class Schedules:
    """The triggers of one flow, and what they have started."""

    def __init__(self, holder: Caller, inside: Inside, flow_id: str) -> None:
        self._holder = holder
        self._inside = inside
        self.flow_id = flow_id

    def add(self, **fields: Any) -> str:
        body = {"name": "Tick", "chatflowId": self.flow_id, "type": "cron", "cronExpression": "0 0 1 1 *", **fields}
        made = self._holder.http.post("/triggers", json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def make_due(self, moment: str = LONG_AGO) -> None:
        self._inside(MAKE_DUE.format(flow_id=self.flow_id, moment=moment))

    def get(self, trigger_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._holder.http.get(f"/triggers/{trigger_id}").json()
        return found

    def own(self) -> dict[str, Any]:
        """The trigger that the flow brought along."""
        found = self._holder.http.get("/triggers", params={"limit": 1000}).json()
        [own] = [trigger for trigger in found if trigger["chatflowId"] == self.flow_id]
        return dict(own)

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._holder.http.get(
            "/executions", params={"agentflowId": self.flow_id, "limit": 1000}
        ).json()
        return found

    def ended(self, count: int = 1) -> list[dict[str, Any]]:
        """The flow's runs, once so many have ended."""
        wait_for(
            lambda: sum(run["state"] in ("FINISHED", "ERROR") for run in self.runs()) >= count, f"{count} runs to end"
        )
        return self.runs()

    def passed(self, trigger_id: str) -> None:
        """Wait until what was due is no longer."""
        wait_for(lambda: self.get(trigger_id)["nextExecution"] != "2026-01-01T09:00:00.000Z", "the tick to pass")


@pytest.fixture
def schedules(holder: Caller, inside: Inside, agent: str) -> Schedules:
    return Schedules(holder, inside, agent)


@contextmanager
def another_beat(platform: Platform) -> Iterator[None]:
    environment = {**platform.environment, "LOG_LEVEL": "DEBUG"}
    log = platform.var / "log" / "second-beat.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, *BEAT], cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            wait_for(lambda: "predictions.fire_schedules sent" in log.read_text(), "the second beat")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_what_is_due_runs_once(schedules: Schedules) -> None:
    trigger_id = schedules.add(triggerMessage="What is new?")
    assert schedules.runs() == []

    schedules.make_due()

    [run] = schedules.ended()
    after = schedules.get(trigger_id)
    assert run["output"]["text"] == "You said: What is new?"
    assert after["executionCount"] == 1
    assert after["lastExecuted"] is not None
    assert after["nextExecution"].endswith("-01-01T00:00:00.000Z")


def test_what_was_missed_for_long_is_one_run_and_no_burst(schedules: Schedules) -> None:
    trigger_id = schedules.add(cronExpression="* * * * *", triggerMessage="Hi", maxExecutions=1)

    schedules.make_due()

    schedules.passed(trigger_id)
    assert len(schedules.ended()) == 1


def test_however_many_look_at_once_a_tick_is_one_run(schedules: Schedules, inside: Inside) -> None:
    for _ in range(20):
        schedules.add(triggerMessage="Hi")

    inside(FIRE_AT_ONCE.format(flow_id=schedules.flow_id, moment=LONG_AGO))

    runs = schedules.ended(20)
    assert len(runs) == 20


def test_two_beats_start_no_more_runs_than_one(schedules: Schedules, platform: Platform) -> None:
    ids = [schedules.add(triggerMessage="Hi") for _ in range(10)]
    with another_beat(platform):
        for number in range(3):
            schedules.make_due(f"2026-01-0{number + 1}T09:00:00Z")
            wait_for(
                lambda expected=number + 1: all(schedules.get(one)["executionCount"] == expected for one in ids),  # type: ignore[misc]
                f"tick {number + 1}",
            )

    assert len(schedules.ended(30)) == 30


def test_a_tick_that_has_had_its_run_gets_no_other(schedules: Schedules) -> None:
    trigger_id = schedules.add(triggerMessage="Hi")
    schedules.make_due()
    schedules.ended()

    schedules.make_due()

    schedules.passed(trigger_id)
    assert (len(schedules.runs()), schedules.get(trigger_id)["executionCount"]) == (1, 1)


def test_a_schedule_starts_as_many_runs_as_it_may(schedules: Schedules) -> None:
    trigger_id = schedules.add(triggerMessage="Hi", maxExecutions=1)
    schedules.make_due()
    schedules.ended()
    assert schedules.get(trigger_id)["nextExecution"] is None

    schedules.make_due()

    schedules.passed(trigger_id)
    assert len(schedules.runs()) == 1


def test_what_is_switched_off_is_left_alone(schedules: Schedules, holder: Caller) -> None:
    off, on = schedules.add(triggerMessage="Off"), schedules.add(triggerMessage="On")
    holder.http.put(f"/triggers/{off}", json={"enabled": False})

    schedules.make_due()

    [run] = schedules.ended()
    assert run["question"] == "On"
    assert schedules.get(on)["executionCount"] == 1
    assert schedules.get(off)["executionCount"] == 0


def test_a_flow_that_is_not_deployed_is_passed_over(schedules: Schedules, holder: Caller) -> None:
    trigger_id = schedules.add(triggerMessage="Hi")
    holder.http.put(f"/chatflows/{schedules.flow_id}", json={"deployed": False})

    schedules.make_due()

    schedules.passed(trigger_id)
    assert schedules.runs() == []
    assert schedules.get(trigger_id)["executionCount"] == 0


def test_a_run_ends_with_its_triggers_time(schedules: Schedules, model: ScriptedModel) -> None:
    model.script(Reply("one two three", stall_after=0))
    schedules.add(triggerMessage="Hi", timeout=1)

    schedules.make_due()

    [run] = schedules.ended()
    model.release()
    assert run["state"] == "ERROR"
    assert "longer than" in run["error"]


class TestScheduleOfAFlow:
    """A flow whose start node says when it runs."""

    @pytest.mark.parametrize(
        ("inputs", "said"),
        [
            ({"scheduleDefaultInput": "Good morning"}, "Good morning"),
            (
                {
                    "scheduleInputMode": "form",
                    "scheduleFormInputTypes": [{"type": "number", "label": "Days", "name": "days"}],
                    "scheduleFormDefaults": '{"days": "7"}',
                },
                "7",
            ),
        ],
    )
    def test_it_begins_with_what_the_node_says(
        self, holder: Caller, inside: Inside, new_flow: NewFlow, inputs: dict[str, Any], said: str
    ) -> None:
        start = drawing.start(
            startInputType="scheduleInput",
            scheduleType="visualPicker",
            scheduleFrequency="monthly",
            scheduleOnDayOfMonth="1",
            scheduleOnTime="09:00",
            **inputs,
        )
        text = "{{ $form.days }}" if "scheduleInputMode" in inputs else "{{ startAgentflow_0.output.question }}"
        nodes = [start, drawing.reply(0, text)]
        drawn = drawing.flow(nodes, drawing.path("startAgentflow_0", "directReplyAgentflow_0"))
        schedules = Schedules(holder, inside, new_flow(drawn, type="AGENTFLOW"))

        schedules.make_due()

        [run] = schedules.ended()
        assert run["output"]["text"] == said
        assert schedules.own()["executionCount"] == 1

    def test_nobody_else_can_start_it(self, holder: Caller, new_flow: NewFlow) -> None:
        flow_id = new_flow(drawing.started_by("scheduleInput"), type="AGENTFLOW")

        refused = holder.predict(flow_id, "Hello")

        assert refused.status_code == 400
        assert "its schedule only" in refused.json()["message"]
