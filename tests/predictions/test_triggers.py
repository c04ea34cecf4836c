"""Triggers as their owners keep them."""

from __future__ import annotations

from typing import Any

import pytest

from predictions.triggers.models import Trigger
from tests.cast import Api
from tests.factories import make_chatflow
from tests.predictions import drawing
from workspaces.models import Workspace

SPEC = {
    "id", "name", "chatflowId", "nodeId", "type", "cronExpression", "enabled", "webhookPlatform", "webhookSecret",
    "webhookBotToken", "triggerMessage", "executionCount", "maxExecutions", "timeout", "lastExecuted", "nextExecution",
    "notificationEmail", "createdDate",
}  # fmt: skip
MODEL = "http://127.0.0.1:1/v1"


@pytest.fixture
def flow_id(workspace: Workspace) -> str:
    return str(make_chatflow(workspace, flow_data=drawing.agentflow(MODEL), kind="AGENTFLOW", deployed=True).pk)


def cron(flow_id: str, **fields: Any) -> dict[str, Any]:
    return {"name": "Report", "chatflowId": flow_id, "type": "cron", "cronExpression": "30 9 * * *", **fields}


def hook(flow_id: str, **fields: Any) -> dict[str, Any]:
    return {"name": "Orders", "chatflowId": flow_id, "type": "webhook", **fields}


def test_a_schedule_says_when_it_is_due(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", cron(flow_id, timezone="Asia/Tokyo", triggerMessage="What is new?"))

    assert made.status_code == 201
    body = made.json()
    assert set(body) == SPEC | {"timezone", "inputMapping", "webhookUrl"}
    assert body["nextExecution"].endswith("T00:30:00.000Z")
    assert body["nodeId"] == "startAgentflow_0"
    assert body["webhookUrl"] is None
    assert (body["enabled"], body["timeout"], body["executionCount"]) == (True, 300, 0)
    del body["webhookUrl"]
    assert api.get(f"/triggers/{body['id']}").json() == body
    assert api.get("/triggers").json() == [body]


@pytest.mark.parametrize(
    ("preset", "expression"),
    [
        ("everyMinute", "* * * * *"),
        ("hourly", "0 * * * *"),
        ("daily", "0 9 * * *"),
        ("weekly", "0 9 * * 1"),
        ("monthly", "0 9 1 * *"),
    ],
)
def test_presets_stand_for_expressions(api: Api, flow_id: str, preset: str, expression: str) -> None:
    assert api.post("/triggers", cron(flow_id, cronExpression=preset)).json()["cronExpression"] == expression


def test_the_address_of_a_webhook_is_told_once(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", hook(flow_id)).json()

    token = made["webhookUrl"].rpartition("/api/webhooks/")[2]
    assert len(token) == 40
    assert token not in str(api.get(f"/triggers/{made['id']}").json())
    assert token not in str(Trigger.objects.values())


def test_secrets_are_written_and_not_read(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", hook(flow_id, webhookSecret="s3cret")).json()

    assert made["webhookSecret"] == "********"
    assert "s3cret" not in str(Trigger.objects.values())
    api.put(f"/triggers/{made['id']}", {"webhookSecret": "********", "name": "Other"})
    assert Trigger.objects.get().open() == {"secret": "s3cret"}
    assert api.put(f"/triggers/{made['id']}", {"webhookSecret": None}).json()["webhookSecret"] is None
    assert Trigger.objects.get().open() == {}


def test_what_is_left_out_keeps_its_value(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", cron(flow_id, maxExecutions=5, triggerMessage="Hi")).json()

    changed = api.put(f"/triggers/{made['id']}", {"cronExpression": "0 0 1 1 *"}).json()

    assert (changed["triggerMessage"], changed["maxExecutions"], changed["timezone"]) == ("Hi", 5, "UTC")
    assert changed["nextExecution"].endswith("-01-01T00:00:00.000Z")


def test_what_is_switched_off_is_not_due(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", cron(flow_id)).json()

    assert api.put(f"/triggers/{made['id']}", {"enabled": False}).json()["nextExecution"] is None
    assert api.put(f"/triggers/{made['id']}", {"enabled": True}).json()["nextExecution"] == made["nextExecution"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"cronExpression": "61 * * * *"}, "cronExpression"),
        ({"cronExpression": ""}, "cronExpression"),
        ({"cronExpression": None}, "cronExpression"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"nodeId": "llmAgentflow_0"}, "nodeId"),
        ({"type": "email"}, "type"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "300"}, "timeout"),
        ({"maxExecutions": 0}, "maxExecutions"),
        ({"name": ""}, "name"),
        ({"inputMapping": {"a": 1}}, "inputMapping"),
        ({"inputMapping": []}, "inputMapping"),
        ({"notificationEmail": "nobody"}, "notificationEmail"),
        ({"chatflowId": "x"}, "chatflowId"),
    ],
)
def test_what_is_wrong_is_named(api: Api, flow_id: str, fields: dict[str, Any], named: str) -> None:
    refused = api.post("/triggers", cron(flow_id, **fields))

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(f"{named}:")
    assert not Trigger.objects.exists()


def test_a_trigger_stays_what_it_is(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", cron(flow_id)).json()

    assert api.put(f"/triggers/{made['id']}", {"type": "webhook"}).status_code == 400
    assert api.post(f"/triggers/{made['id']}/rotate").status_code == 409


def test_a_stranger_sees_no_triggers(api: Api, stranger_api: Api, nobody: Api, flow_id: str) -> None:
    made = api.post("/triggers", hook(flow_id)).json()
    path = f"/triggers/{made['id']}"

    calls = [("GET", path), ("PUT", path), ("DELETE", path), ("POST", f"{path}/rotate"), ("GET", f"{path}/executions")]
    assert {stranger_api.call(method, where, {}).status_code for method, where in calls} == {404}
    assert {nobody.call(method, where, {}).status_code for method, where in calls} == {401}
    assert stranger_api.get("/triggers").json() == []
    assert stranger_api.post("/triggers", hook(flow_id)).status_code == 404
    assert api.get(path).status_code == 200


def test_a_deleted_trigger_is_gone(api: Api, flow_id: str) -> None:
    made = api.post("/triggers", hook(flow_id)).json()

    assert api.delete(f"/triggers/{made['id']}").json() == {"affected": 1}
    assert api.get(f"/triggers/{made['id']}").status_code == 404


def scheduled(**inputs: Any) -> str:
    start = {"startInputType": "scheduleInput", "scheduleType": "cronExpression", "scheduleCronExpression": "0 9 * * *"}
    return drawing.flow([drawing.start(**{**start, **inputs}), drawing.reply(0, "Done")], [])


class TestFlowsOwn:
    """The trigger that a flow brings along."""

    @pytest.mark.parametrize(
        ("inputs", "expression"),
        [
            ({}, "0 9 * * *"),
            ({"scheduleCronExpression": "30 0 9 * * *"}, "0 9 * * *"),
            ({"scheduleType": "visualPicker", "scheduleFrequency": "hourly", "scheduleOnMinute": 5}, "5 * * * *"),
            ({"scheduleType": "", "scheduleFrequency": "daily", "scheduleOnTime": "09:30"}, "30 9 * * *"),
            (
                {
                    "scheduleType": "visualPicker",
                    "scheduleFrequency": "weekly",
                    "scheduleOnTime": "09:30",
                    "scheduleOnDayOfWeek": "1,3",
                },
                "30 9 * * 1,3",
            ),
            (
                {
                    "scheduleType": "visualPicker",
                    "scheduleFrequency": "monthly",
                    "scheduleOnTime": "00:00",
                    "scheduleOnDayOfMonth": [1, 15],
                },
                "0 0 1,15 * *",
            ),
        ],
    )
    def test_it_says_what_the_start_node_says(
        self, workspace: Workspace, api: Api, inputs: dict[str, Any], expression: str
    ) -> None:
        make_chatflow(workspace, flow_data=scheduled(**inputs), kind="AGENTFLOW", deployed=True)

        [own] = api.get("/triggers").json()

        assert (own["type"], own["cronExpression"], own["nodeId"]) == ("cron", expression, "startAgentflow_0")
        assert own["nextExecution"] is not None

    def test_it_is_due_while_the_flow_is_deployed(self, workspace: Workspace, api: Api) -> None:
        flow = make_chatflow(workspace, flow_data=scheduled(), kind="AGENTFLOW")
        assert api.get("/triggers").json()[0]["nextExecution"] is None

        api.put(f"/chatflows/{flow.pk}", {"deployed": True})
        assert api.get("/triggers").json()[0]["nextExecution"] is not None

        api.put(f"/chatflows/{flow.pk}", {"deployed": False})
        assert api.get("/triggers").json()[0]["nextExecution"] is None

    def test_it_follows_the_flow(self, workspace: Workspace, api: Api) -> None:
        flow = make_chatflow(workspace, flow_data=scheduled(), kind="AGENTFLOW", deployed=True)
        [before] = api.get("/triggers").json()

        api.put(f"/chatflows/{flow.pk}", {"flowData": scheduled(scheduleTimezone="Asia/Tokyo")})
        [after] = api.get("/triggers").json()
        api.put(f"/chatflows/{flow.pk}", {"flowData": drawing.agentflow(MODEL)})

        assert after["id"] == before["id"]
        assert after["timezone"] == "Asia/Tokyo"
        assert after["nextExecution"] != before["nextExecution"]
        assert api.get("/triggers").json() == []

    def test_saving_a_flow_that_is_due_forgets_nothing(self, workspace: Workspace, api: Api) -> None:
        flow = make_chatflow(workspace, flow_data=scheduled(), kind="AGENTFLOW", deployed=True)
        Trigger.objects.update(next_execution="2026-01-01T09:00:00Z")

        api.put(f"/chatflows/{flow.pk}", {"name": "Another"})

        assert api.get("/triggers").json()[0]["nextExecution"] == "2026-01-01T09:00:00.000Z"

    @pytest.mark.parametrize(
        "inputs",
        [{"scheduleCronExpression": "nonsense"}, {"scheduleEndDate": "2020-01-01"}, {"scheduleTimezone": "Mars/X"}],
    )
    def test_a_schedule_that_says_nothing_is_never_due(
        self, workspace: Workspace, api: Api, inputs: dict[str, Any]
    ) -> None:
        make_chatflow(workspace, flow_data=scheduled(**inputs), kind="AGENTFLOW", deployed=True)

        assert api.get("/triggers").json()[0]["nextExecution"] is None

    def test_only_what_the_start_node_does_not_say_can_be_changed(self, workspace: Workspace, api: Api) -> None:
        make_chatflow(workspace, flow_data=scheduled(), kind="AGENTFLOW", deployed=True)
        [own] = api.get("/triggers").json()
        path = f"/triggers/{own['id']}"

        assert api.put(path, {**own, "maxExecutions": 3}).json()["maxExecutions"] == 3
        assert api.put(path, {"cronExpression": "* * * * *"}).status_code == 409
        assert api.delete(path).status_code == 409
