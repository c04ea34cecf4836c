"""For walks of all routes: two workspaces on a running platform, one of each thing in the first, keys of every size."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote

import httpx
import jwt
from django.urls import get_resolver
from rest_framework.schemas.generators import EndpointEnumerator

from forjinn.core.permissions import Rule, alternatives, routes
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.conftest import Inside
from tests.sessions import headers_of
from workspaces.permissions import PERMISSIONS

UNKNOWN = "00000000-0000-7000-8000-000000000000"
CANARY = "yzzyva"  # in the name of each thing
PARAMETER = re.compile(r"\{(\w+)\}")

MAKE = """
from chatflows.deployments import deploy
from tests.factories import make_api_key, make_chatflow, make_workspace
from tests.predictions.drawing import approval_flow
from tests.sessions import session_of
from workspaces.permissions import BUILT_IN, PERMISSIONS
own, foreign = make_workspace(), make_workspace()
sizes = {{"all": None, **BUILT_IN, **{{one: [one] for one in PERMISSIONS}}}}
sizes.update({{"no " + " ".join(those): PERMISSIONS.difference(those) for those in {needed!r}}})
people = {{role: session_of(own, role) for role in BUILT_IN}}
keys = {{name: make_api_key(own, name, permissions=permissions)[1] for name, permissions in sizes.items()}}
deployed = make_chatflow(own, name="Zyzzyva deployed", flow_data=approval_flow("Sent"), kind="AGENTFLOW")
keys["deployment"] = deploy(chatflow=deployed, name="zyzzyva")[1]
spaces = [str(own.pk), str(foreign.pk)]
print(json.dumps({{"keys": keys, "people": people, "foreign": make_api_key(foreign)[1], "workspaces": spaces}}))
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One method of one route."""

    path: str  # as in documents: "/api/v1/chatflows/{chatflow_id}"
    method: str
    rule: Rule

    @property
    def permissions(self) -> tuple[str, ...]:
        """Those of which one is needed; () where words decide alone."""
        return tuple(asked for asked in alternatives(self.rule) if asked in PERMISSIONS)

    @property
    def is_of_agents(self) -> bool:
        return "/agentflows" in self.path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def calls() -> list[Call]:
    """Every method of every route that is served."""
    found = {
        (EndpointEnumerator().get_path_from_regex(route.path), method): rule
        for route in routes(get_resolver().url_patterns)
        for method, rule in route.needs.items()
    }
    return [Call(path, method, rule) for (path, method), rule in sorted(found.items())]


def addressed(call: Call, ids: Mapping[str, str]) -> str:
    """The route's address with these ids in it; what has none is of no meaning."""
    return PARAMETER.sub(lambda match: quote(ids.get(match[1], UNKNOWN), safe=""), call.path)


class World:
    """One of each thing, in the workspace `own`; `foreign` is another one's key, for everything there."""

    def __init__(self, platform: Platform) -> None:
        self.url = platform.url
        self.model_url = platform.model.url
        # One for all: each takes longer to make than a call. It keeps nobody's cookies for the next caller.
        self._http = httpx.Client(timeout=30, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])))
        needed = sorted({call.permissions for call in calls() if call.permissions})
        made = Inside(platform)(MAKE.format(needed=needed))
        self.keys: dict[str, str] = made["keys"]
        self.people: dict[str, str] = made["people"]
        self.foreign: str = made["foreign"]
        self.workspace_id, self.foreign_workspace_id = made["workspaces"]
        self.ids = self._made()

    def call(
        self,
        call: Call,
        key: str | None,
        *,
        ids: Mapping[str, str],
        body: Any = None,
        session: str = "",
        query: Mapping[str, str] | None = None,
        origin: str = "",
    ) -> httpx.Response:
        """As the holder of a key, or as the person of a session, or as nobody; from a page of that origin."""
        headers = {"Authorization": f"Bearer {key}"} if key else headers_of(session) if session else {}
        headers |= {"Origin": origin} if origin else {}
        url = f"{self.url}{addressed(call, ids)}"
        with self._http.stream(call.method, url, params=query, json=body, headers=headers) as response:
            if "event-stream" not in response.headers.get("Content-Type", ""):
                response.read()
            return response

    def close(self) -> None:
        self._http.close()

    def _made(self) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.keys['all']}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=30) as http:
            return {**one_of_each(http, self.model_url, self.keys["all"]), **self.people_of(http)}

    def people_of(self, http: httpx.Client) -> dict[str, str]:
        """Those of the first workspace, by the names of parameters."""
        workspace = self.workspace_id
        people = f"/api/v1/workspaces/{workspace}"
        member = http.post(f"{people}/service-accounts", json={"name": "Zyzzyva bot"}).json()
        invited = http.post(f"{people}/invitations", json={"email": "zyzzyva@example.com"}).json()
        role = http.post("/api/v1/roles", json={"name": "Zyzzyva role", "permissions": []}).json()
        key = http.post("/api/v1/apikey", json={"keyName": "Zyzzyva key"}).json()
        ids = {"user_id": member["id"], "invitation_id": invited["id"], "role_id": role["id"]}
        return {"workspace_id": workspace, "key_id": key["id"], **ids}

    def ids_for(self, call: Call) -> dict[str, str]:
        """What stands in the addresses of this route."""
        special = {}
        if call.is_of_agents:
            special["chatflow_id"] = self.ids["agent"]
        if "/webhook/" in call.path:
            special["chatflow_id"] = self.ids["webhook"]
        special["run_id"] = self.ids["session" if call.path.startswith("/workflows") else "run"]
        return {**self.ids, **special}


def told(answer: httpx.Response) -> str:
    """What was answered; of a stream nothing."""
    return answer.text if answer.is_stream_consumed else ""


def secrets_in(answer: httpx.Response, ids: Mapping[str, str]) -> list[str]:
    """What an answer tells of the first workspace; ids that the caller knew are told to nobody."""
    text = told(answer)
    unsaid = [ids[name] for name in ("chatflow_id", "agent", "store_id") if ids[name] not in str(answer.url)]
    return [word for word in (CANARY, *(unsaid if answer.is_success else ())) if word in text]


def end_user_token(secret: str, subject: str) -> str:
    """As the server of a page signs it."""
    return jwt.encode({"sub": subject, "exp": int(time.time()) + 300}, secret, algorithm="HS256")


def one_of_each(http: httpx.Client, model_url: str, key: str) -> dict[str, str]:
    """Make one of each thing; what the parameters of addresses are then, by name."""

    def post(path: str, body: Any = None) -> Any:
        answer = http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def new_flow(kind: str, name: str, flow_data: str) -> str:
        flow_id = post(f"/api/v1/{kind}", {"name": name, "flowData": flow_data})["id"]
        assert http.put(f"/api/v1/{kind}/{flow_id}", json={"deployed": True}).is_success
        return str(flow_id)

    stores, hooks = "/api/v1/document-store", "/api/v1/hook-subscriptions"
    flow = new_flow("chatflows", "Zyzzyva flow", drawing.conversation(model_url))
    agent = new_flow("agentflows", "Zyzzyva agent", drawing.agentflow(model_url))
    webhook = drawing.flow([drawing.start(startInputType="webhookTrigger")], [])
    run = post(f"/api/v1/prediction/{agent}", {"question": "Zyzzyva question"})["executionId"]
    workflow = http.get(f"/api/v1/agentflows/{agent}").json()["objectId"]
    turn = post(f"/workflows/v1/workflows/{workflow}/execute", {"run_input": {"message": "Zyzzyva"}})
    store = post(f"{stores}/store", {"name": "Zyzzyva store"})["id"]
    text = {"loaderId": "plainText", "loaderConfig": {"text": "Zyzzyva text"}}
    loader = post(f"{stores}/loader/save", {"storeId": store, **text})["id"]
    post(f"{stores}/loader/process/{loader}", {"storeId": store})
    tool = {"name": "zyzzyva_tool", "description": "x", "schema": "[]", "func": "return 1"}
    trigger = {"name": "Zyzzyva trigger", "chatflowId": flow, "type": "webhook", "triggerMessage": "x"}
    hook = post(hooks, {"name": "Zyzzyva hook", "url": "https://example.com/x", "events": ["run.completed"]})["id"]
    token = end_user_token(post("/api/v1/end-user-secret")["secret"], "somebody")
    asked = http.post(f"/api/v1/prediction/{flow}", json={"question": "Zyzzyva"}, headers={"X-End-User": token})
    assert asked.is_success, asked.text
    return {
        "end_user_id": "somebody",
        "chatflow_id": flow,
        "agent": agent,
        "webhook": new_flow("agentflows", "Zyzzyva webhook", webhook),
        "workflow_id": workflow,
        "execution_id": run,
        "run": f"run_{run.replace('-', '')}",
        "session": turn["run_id"],
        "store_id": store,
        "loader_id": loader,
        "chunk": "1",
        "tool_id": post("/api/v1/tools", tool)["id"],
        "trigger_id": post("/api/v1/triggers", trigger)["id"],
        "subscription_id": hook,
        "delivery_id": post(f"{hooks}/{hook}/test")["id"],
        "key_id": post("/api/v1/apikey", {"keyName": "Zyzzyva key"})["id"],
        "raw_key": key,
        "chat_id": "zyzzyva-chat",
        "name": "llmAgentflow",
        "event": "an-event",
        "event_id": "an-event",
        "token": "x" * 40,
    }
