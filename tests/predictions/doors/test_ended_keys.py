"""What was opened with a key that ends: streams tell nothing more a second later, and take no answer."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.journeys.stage import wait_for
from tests.model_server import ScriptedModel
from tests.model_wire import Reply
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.calls import Caller, Listening, text_of
from tests.predictions.conftest import Inside, NewFlow
from tests.predictions.doors import chatterfly_flows
from tests.predictions.doors.chatterfly_calls import Client, until
from tests.predictions.doors.conftest import Deploy
from tests.predictions.doors.stepflow_calls import Following, Stepflow
from tests.sessions import headers_of

REVOKE = """
from apikeys.models import ApiKey, hash_key
from apikeys.services import revoke_api_key
revoke_api_key(key=ApiKey.objects.get(digest=hash_key({key!r})))
"""


def wait_a_second() -> None:
    begun_at = time.monotonic()
    wait_for(lambda: time.monotonic() > begun_at + 1, "a second to be over")


def new_key(holder: Caller) -> tuple[str, str]:
    made = holder.http.post("/apikey", json={"keyName": "to be deleted"}).json()
    return made["id"], made["apiKey"]


def end(holder: Caller, key_id: str) -> None:
    assert holder.http.delete(f"/apikey/{key_id}").status_code == 200
    wait_a_second()


@pytest.fixture
def revoked(deploy: Deploy, inside: Inside) -> tuple[Client, str]:
    """A deployment, and its run that waits for somebody."""
    client = deploy(chatterfly_flows.approval())
    run_id = client.start({"question": "the letter"})
    client.until(run_id, "waiting_for_input")
    return client, run_id


def test_a_stream_of_tokens_stops(platform: Platform, holder: Caller, chat: str, model: ScriptedModel) -> None:
    key_id, key = new_key(holder)
    model.script(Reply("one two three four", stall_after=2))

    with (
        Caller(platform.url, key) as caller,
        caller.http.stream("POST", f"/prediction/{chat}", json={"question": "Hi", "streaming": True}) as response,
    ):
        listening = Listening(response)
        first = [next(listening) for _ in range(3)]
        end(holder, key_id)
        model.release()
        rest = listening.rest()

    assert text_of(first) == "one two"
    assert b"three" not in rest
    assert rest.endswith(b"retry: 500\n\n")


SIGN_IN = """
from tests.factories import make_workspace
from tests.sessions import session_of
from workspaces.models import Membership, Workspace
key = session_of(Workspace.objects.get(pk={workspace!r}), "editor")
person = Membership.objects.filter(workspace={workspace!r}).latest("pk").user
Membership.objects.create(workspace=make_workspace(), user=person, role="owner")
print(json.dumps([key, str(person.pk)]))
"""
SUSPEND = """
from workspaces.models import Membership
from django.utils import timezone
Membership.objects.filter(user={person!r}, workspace={workspace!r}).update(suspended_at=timezone.now())
"""


def test_a_stream_of_somebody_who_is_suspended_stops(
    platform: Platform, inside: Inside, chat: str, model: ScriptedModel
) -> None:
    workspace = platform.workspace_id
    session, person = inside(SIGN_IN.format(workspace=workspace))
    model.script(Reply("one two three four", stall_after=2))
    asked = {"question": "Hi", "streaming": True}

    with (
        httpx.Client(base_url=f"{platform.url}/api/v1", headers=headers_of(session), timeout=30) as http,
        http.stream("POST", f"/prediction/{chat}", json=asked) as response,
    ):
        listening = Listening(response)
        first = [next(listening) for _ in range(3)]
        inside(SUSPEND.format(workspace=workspace, person=person))
        wait_a_second()
        model.release()
        rest = listening.rest()

    assert text_of(first) == "one two"
    assert b"three" not in rest


def test_a_stream_of_steps_stops(platform: Platform, holder: Caller, new_flow: NewFlow) -> None:
    key_id, key = new_key(holder)
    flow_id = new_flow(drawing.approval_flow("Sent"), type="AGENTFLOW")

    with Stepflow(platform.url, key) as client:
        run_id = client.trigger(flow_id)["runId"]
        with client.http.stream("GET", f"/runs/{run_id}/stream") as response:
            following = Following(response)
            next(following)
            end(holder, key_id)
            execution_id = str(run_id).removeprefix("run_")
            holder.http.post(f"/executions/{execution_id}/resume", json={"humanInput": {"type": "proceed"}})
            rest = following.rest()

    assert b"Sent" not in rest
    assert rest.endswith(b"retry: 500\n\n")


def test_a_socket_takes_no_answer_and_tells_nothing_more(
    revoked: tuple[Client, str], holder: Caller, inside: Inside
) -> None:
    client, run_id = revoked
    with client.connect(run_id) as stream:
        until(stream, "run.waiting")
        inside(REVOKE.format(key=client.key))
        wait_for(lambda: client.http.get(f"/runs/{run_id}").status_code == 401, "the key to be known as revoked")

        stream.send(json.dumps({"type": "answer", "decision": "proceed"}))
        refused = json.loads(stream.recv(timeout=30))
        wait_a_second()
        execution_id = run_id.removeprefix("run_")
        going_on = holder.http.post(f"/executions/{execution_id}/resume", json={"humanInput": {"type": "proceed"}})
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=30)

    assert refused["type"] == "error"
    assert refused["payload"]["code"] == "unauthenticated"
    assert going_on.status_code == 202


def test_a_participants_token_ends_with_its_deployments_key(
    revoked: tuple[Client, str], platform: Platform, inside: Inside
) -> None:
    client, run_id = revoked
    token = client.token(run_id)
    with client.connect(run_id, key=None, query=f"?token={token}") as stream:
        until(stream, "run.waiting")
        inside(REVOKE.format(key=client.key))

        stream.send(json.dumps({"type": "answer", "decision": "proceed"}))

        assert json.loads(stream.recv(timeout=30))["payload"]["code"] == "unauthenticated"
    assert httpx.get(f"{platform.url}/api/v1/runs/{run_id}", params={"token": token}).status_code == 401
