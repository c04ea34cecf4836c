"""C2: what is asked for by an id is looked for in one's own workspace, among what one may reach, by its own kind."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.utils import timezone

from chatflows.models import Chatflow
from forjinn.core.models import ScopedQuerySet, WorkspaceScoped
from predictions.models import ChatMessage, Execution
from tests.cast import Api
from tests.factories import make_api_key, make_chatflow
from tests.model_server import ScriptedModel
from tests.predictions import drawing
from tests.predictions.calls import Caller
from tests.predictions.conftest import Inside, NewFlow
from tests.security.source import calls
from workspaces.models import Workspace

ANSWERS = [("GET", None), ("PUT", {"name": "Mine"}), ("DELETE", None)]


def key_for(workspace: Workspace, *permissions: str, flows: list[Chatflow] | None = None) -> Api:
    limited = None if flows is None else [flow.pk for flow in flows]
    return Api(make_api_key(workspace, permissions=permissions or None, flows=limited)[1])


def make_run(flow: Chatflow, state: str = "COMPLETED") -> Execution:
    version = flow.versions.latest("number")
    run: Execution = Execution.objects.create(
        workspace_id=flow.workspace_id,
        chatflow=flow,
        version=version,
        chat_id="c",
        session_id="c",
        question="Hi",
        state=state,
        finished_at=timezone.now(),
    )
    ChatMessage.objects.create(
        workspace_id=flow.workspace_id,
        chatflow=flow,
        execution=run,
        role="userMessage",
        content="Hi",
        chat_id="c",
        session_id="c",
        chat_type="EXTERNAL",
    )
    return run


class TestTheFunnel:
    """Rows of workspaces have one way in."""

    def test_every_model_of_a_workspace_has_the_funnel(self) -> None:
        models = [model for model in apps.get_models() if issubclass(model, WorkspaceScoped)]

        assert len(models) >= 15
        assert not [model for model in models if not isinstance(model._default_manager.all(), ScopedQuerySet)]

    def test_nothing_gets_a_row_past_the_funnel_but_the_administration(self) -> None:
        scoped = {model.__name__ for model in apps.get_models() if issubclass(model, WorkspaceScoped)}

        found = {path for path, name, _ in calls() if name.endswith(".objects.get") and name.split(".")[0] in scoped}

        assert found == {"apikeys/admin.py"}


@pytest.mark.django_db
class TestKinds:
    """Flows of two kinds share a table and addresses; what one may do with one kind says nothing of the other."""

    @pytest.fixture
    def agent(self, workspace: Workspace) -> Chatflow:
        return make_chatflow(workspace, kind="AGENTFLOW")

    @pytest.fixture
    def flow(self, workspace: Workspace) -> Chatflow:
        return make_chatflow(workspace)

    def test_the_right_for_one_kind_deletes_no_other(
        self, workspace: Workspace, flow: Chatflow, agent: Chatflow
    ) -> None:
        of_agents, of_chats = key_for(workspace, "agentflows:delete"), key_for(workspace, "chatflows:delete")

        answers = [
            of_agents.delete(f"/chatflows/{flow.pk}").status_code,
            of_agents.delete(f"/agentflows/{flow.pk}").status_code,
            of_chats.delete(f"/chatflows/{agent.pk}").status_code,
            of_chats.delete(f"/agentflows/{agent.pk}").status_code,
        ]

        assert answers == [403, 404, 403, 403]
        assert Chatflow.objects.filter(pk__in=[flow.pk, agent.pk]).count() == 2
        assert of_agents.delete(f"/chatflows/{agent.pk}").status_code == 200

    def test_a_list_shows_the_kinds_that_may_be_seen(
        self, workspace: Workspace, flow: Chatflow, agent: Chatflow
    ) -> None:
        seen = key_for(workspace, "agentflows:view").get("/chatflows").json()

        assert [one["id"] for one in seen] == [str(agent.pk)]

    def test_a_flow_of_another_kind_is_not_made_by_the_way(self, workspace: Workspace) -> None:
        body = {"name": "Mine", "type": "AGENTFLOW", "flowData": '{"nodes":[],"edges":[]}'}

        refused = key_for(workspace, "chatflows:create").post("/chatflows", body)

        assert refused.status_code == 403
        assert "agentflows:create" in refused.json()["message"]
        assert not Chatflow.objects.exists()

    @pytest.mark.parametrize("opening", [{"deployed": True}, {"isPublic": True}, {"apikeyid": None}])
    def test_who_may_edit_a_flow_may_not_open_it(
        self, workspace: Workspace, flow: Chatflow, opening: dict[str, Any]
    ) -> None:
        tied, _ = make_api_key(workspace)
        Chatflow.objects.filter(pk=flow.pk).update(apikey=tied)
        editor = key_for(workspace, "chatflows:edit", "chatflows:view")

        refused = editor.put(f"/chatflows/{flow.pk}", opening)

        assert refused.status_code == 403
        assert "chatflows:deploy" in refused.json()["message"]
        assert editor.put(f"/chatflows/{flow.pk}", {"name": "New"}).status_code == 200


@pytest.mark.django_db
class TestFlowsOfAKey:
    """A key that is limited to some flows reaches these, their runs and their messages."""

    @pytest.fixture
    def flow(self, workspace: Workspace) -> Chatflow:
        return make_chatflow(workspace)

    @pytest.fixture
    def other(self, workspace: Workspace) -> Chatflow:
        return make_chatflow(workspace)

    @pytest.fixture
    def limited(self, workspace: Workspace, flow: Chatflow) -> Api:
        return key_for(workspace, flows=[flow])

    def test_another_flow_is_not_there(self, limited: Api, flow: Chatflow, other: Chatflow) -> None:
        paths = ("/chatflows/{}", "/chatflows/{}/problems", "/flow-config/{}", "/chatmessage/{}")

        assert [limited.get(path.format(flow.pk)).status_code for path in paths] == [200] * 4
        assert [limited.get(path.format(other.pk)).status_code for path in paths] == [404] * 4
        assert [one["id"] for one in limited.get("/chatflows").json()] == [str(flow.pk)]

    def test_runs_of_another_flow_are_not_there(self, limited: Api, flow: Chatflow, other: Chatflow) -> None:
        own, foreign = make_run(flow), make_run(other)

        deleted = limited.delete(f"/executions?executionIds={own.pk}&executionIds={foreign.pk}").json()

        assert limited.get("/executions").json() == []
        assert limited.get(f"/executions/{foreign.pk}").status_code == 404
        assert limited.delete(f"/executions/{foreign.pk}").status_code == 404
        assert deleted["deletedCount"] == 1
        assert Execution.objects.filter(pk=foreign.pk).exists()

    def test_what_belongs_to_all_of_the_workspace_is_out_of_reach(self, limited: Api) -> None:
        paths = ("/tools", "/triggers", "/hook-subscriptions", "/apikey", "/audit", "/document-store/store", "/roles")

        assert {path: limited.get(path).status_code for path in paths} == dict.fromkeys(paths, 403)

    def test_it_makes_no_flow(self, limited: Api) -> None:
        body = {"name": "Mine", "flowData": '{"nodes":[],"edges":[]}'}

        assert limited.post("/chatflows", body).status_code == 403


@pytest.mark.django_db
class TestForeignIds:
    """A stranger's thing answers as one that does not exist."""

    def test_the_answer_is_that_for_an_unknown_id_to_the_word(self, api: Api, stranger: Workspace) -> None:
        foreign, unknown = str(make_chatflow(stranger).pk), str(uuid4())

        for method, body in ANSWERS:
            told = []
            for flow_id in (foreign, unknown):
                answer = api.call(method, f"/chatflows/{flow_id}", body)
                told.append((answer.status_code, answer.json()["message"].replace(flow_id, "ID")))
            assert told[0] == told[1]
            assert told[0][0] == 404

    def test_a_list_of_mixed_ids_touches_the_own_ones_alone(
        self, api: Api, workspace: Workspace, stranger: Workspace
    ) -> None:
        own, foreign = make_run(make_chatflow(workspace)), make_run(make_chatflow(stranger))

        deleted = api.delete(f"/executions?executionIds={own.pk}&executionIds={foreign.pk}").json()

        assert deleted["deletedCount"] == 1
        assert Execution.objects.filter(pk=foreign.pk).exists()

    def test_a_flow_is_not_tied_to_a_strangers_key(self, api: Api, workspace: Workspace, stranger: Workspace) -> None:
        flow = make_chatflow(workspace)
        foreign, _ = make_api_key(stranger)

        refused = api.put(f"/chatflows/{flow.pk}", {"apikeyid": str(foreign.pk)})

        assert refused.status_code == 400
        assert "no API key" in refused.json()["message"]

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/triggers", {"name": "T", "type": "webhook", "triggerMessage": "x"}),
            ("/hook-subscriptions", {"name": "H", "url": "https://example.com/h", "events": ["run.failed"]}),
        ],
    )
    def test_nothing_is_hung_on_a_strangers_flow(
        self, api: Api, stranger: Workspace, path: str, body: dict[str, Any]
    ) -> None:
        foreign = make_chatflow(stranger)

        refused = api.post(path, {**body, "chatflowId": str(foreign.pk)})

        assert refused.status_code in (400, 404)
        assert api.get(path).json() == []


MAKE_CREDENTIAL = """
from apikeys.models import ApiKey, hash_key
from workspaces.services import create_credential
workspace = ApiKey.objects.get(digest=hash_key({raw!r})).workspace
made = create_credential(workspace=workspace, name="theirs", kind="openAIApi", fields={{"openAIApiKey": "sk-theirs"}})
print(json.dumps(str(made.pk)))
"""


def test_a_strangers_credential_in_a_node_is_not_used(
    holder: Caller, neighbour: Caller, inside: Inside, new_flow: NewFlow, model: ScriptedModel
) -> None:
    raw = neighbour.http.headers["Authorization"].removeprefix("Bearer ")
    credential = inside(MAKE_CREDENTIAL.format(raw=raw))
    flow_id = new_flow(drawing.conversation(model.url, credential=credential))

    failed = holder.predict(flow_id, "Hi")

    assert failed.status_code in (404, 422, 500)
    assert "not found" in failed.json()["message"].lower()
    assert model.requests == []
