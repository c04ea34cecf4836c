"""Writes take the fields that are documented and no others, whatever else stands beside these in the body."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import psycopg
import pytest
from drf_spectacular.generators import SchemaGenerator

from forjinn.core.permissions import SIGNED_IN
from tests.journeys.stage import service_url
from tests.platform import Platform
from tests.predictions import drawing
from tests.predictions.conftest import Inside
from tests.security.walk import Call, World, calls

WRITES = [call for call in calls() if call.method in ("POST", "PUT", "PATCH")]
TEXT = {"loaderId": "plainText", "loaderConfig": {"text": "Text of {new}"}}
STORES = "/api/v1/document-store"
TRIGGER = {"name": "{new}", "triggerMessage": "x"}
HOOK = {"name": "{new}", "enabled": False}
TOOL = {"name": "{new}", "description": "x", "schema": "[]", "func": "return 1"}

# What each call says when it is right: `{new}` is another word each time, `{store_id}` what there is of that.
BODIES: dict[str, Any] = {
    "PATCH /api/stepflow/": {},
    "POST /api/stepflow/": {},
    "PUT /api/stepflow/": {},
    "POST /api/stepflow/notify/{event_id}": {"said": "{new}"},
    "POST /api/stepflow/trigger/{workflow_id}": {"said": "{new}"},
    "POST /api/v1/agentflows": {"name": "{new}", "flowData": drawing.flow([drawing.start()], [])},
    "PUT /api/v1/agentflows/{chatflow_id}": {"description": "{new}"},
    "POST /api/v1/chatflows": {"name": "{new}", "flowData": drawing.flow([], [])},
    "PUT /api/v1/chatflows/{chatflow_id}": {"description": "{new}"},
    "PUT /api/v1/chatmessage/abort/{chatflow_id}/{chat_id}": {},
    f"PUT {STORES}/chunks/{{store_id}}/{{loader_id}}/{{chunk}}": {"pageContent": "{new}"},
    f"POST {STORES}/loader/preview": {"storeId": "{store_id}", **TEXT},
    f"POST {STORES}/loader/process/{{loader_id}}": {"storeId": "{store_id}"},
    f"POST {STORES}/loader/save": {"storeId": "{store_id}", **TEXT},
    f"POST {STORES}/refresh/{{store_id}}": {"items": []},
    f"POST {STORES}/store": {"name": "{new}"},
    f"PUT {STORES}/store/{{store_id}}": {"description": "{new}"},
    f"POST {STORES}/upsert/{{store_id}}": {"metadata": {"said": "{new}"}},
    f"POST {STORES}/vectorstore/insert": {"storeId": "{store_id}"},
    f"POST {STORES}/vectorstore/query": {"storeId": "{store_id}", "query": "{new}"},
    f"POST {STORES}/vectorstore/save": {"storeId": "{store_id}", "embeddingName": "openAIEmbeddings"},
    f"POST {STORES}/vectorstore/update": {"storeId": "{store_id}", "embeddingName": "openAIEmbeddings"},
    "POST /api/v1/events/{event}": {"said": "{new}"},
    "POST /api/v1/executions/{execution_id}/cancel": {},
    "POST /api/v1/executions/{execution_id}/fork": {},
    "POST /api/v1/executions/{execution_id}/pause": {},
    "POST /api/v1/executions/{execution_id}/resume": {},
    "POST /api/v1/executions/{execution_id}/retry": {},
    "POST /api/v1/hook-deliveries/{delivery_id}/redeliver": {},
    "POST /api/v1/hook-subscriptions": {**HOOK, "url": "https://example.com/x", "events": ["run.completed"]},
    "PUT /api/v1/hook-subscriptions/{subscription_id}": HOOK,
    "POST /api/v1/hook-subscriptions/{subscription_id}/test": {},
    "POST /api/v1/prediction/{chatflow_id}": {"question": "{new}"},
    "POST /api/v1/runs": {"input": {"said": "{new}"}},
    "POST /api/v1/runs/{run_id}/messages": {"content": "{new}"},
    "POST /api/v1/runs/{run_id}/tokens": {"role": "customer"},
    "POST /api/v1/tools": TOOL,
    "PUT /api/v1/tools/{tool_id}": {"name": "{new}"},
    "POST /api/v1/triggers": {**TRIGGER, "type": "webhook", "chatflowId": "{chatflow_id}"},
    "PUT /api/v1/triggers/{trigger_id}": TRIGGER,
    "POST /api/v1/triggers/{trigger_id}/rotate": {},
    "POST /api/v1/vector/internal-upsert/{chatflow_id}": {},
    "POST /api/v1/vector/upsert/{chatflow_id}": {},
    "PATCH /api/v1/webhook/{chatflow_id}": {"said": "{new}"},
    "POST /api/v1/webhook/{chatflow_id}": {"said": "{new}"},
    "PUT /api/v1/webhook/{chatflow_id}": {"said": "{new}"},
    "POST /api/webhooks/{token}": {"said": "{new}"},
    "PUT /api/v1/account": {"name": "{new}"},
    "POST /api/v1/apikey": {"keyName": "{new}", "permissions": ["chatflows:view"]},
    "PUT /api/v1/apikey/{key_id}": {"keyName": "{new}"},
    "POST /api/v1/apikey/{key_id}/rotate": {"overlapSeconds": 60},
    "POST /api/v1/end-user-secret": {"overlapSeconds": 60},
    "POST /api/v1/invitations/accept": {"token": "{invitation}"},
    "PUT /api/v1/retention": {"days": 36000, "store": False},
    "PUT /api/v1/retention/{chatflow_id}": {"days": 36000, "store": False},
    "POST /api/v1/roles": {"name": "{new}", "permissions": ["tools:view"]},
    "PUT /api/v1/roles/{role_id}": {"description": "{new}"},
    "POST /api/v1/workspaces": {"name": "{new}"},
    "PUT /api/v1/workspaces/{workspace_id}": {"name": "{new}"},
    "POST /api/v1/workspaces/{workspace_id}/invitations": {"email": "spare@example.com"},
    "PUT /api/v1/workspaces/{workspace_id}/members/{user_id}": {"role": "viewer"},
    "POST /api/v1/workspaces/{workspace_id}/members/{user_id}/suspension": {},
    "POST /api/v1/workspaces/{workspace_id}/restore": {},
    "POST /api/v1/workspaces/{workspace_id}/service-accounts": {"name": "{new}"},
    "POST /api/v1/workspaces/{workspace_id}/switch": {},
    "PUT /api/v1/limits": {"eachKey": {"callsPerMinute": 100000}},
    "POST /workflows/v1/workflow-runs": {"workflow_id": "{workflow_id}", "run_input": {"message": "{new}"}},
    "POST /workflows/v1/workflows/{workflow_id}/execute": {"run_input": {"message": "{new}"}},
    "POST /workflows/v1/workflows/{workflow_id}/runs/{run_id}/pump-companions": {},
}
# What is refused, as there is nothing here that it could be done to: these take no field that is kept.
REFUSED = {
    "POST /api/stepflow/notify/{event_id}": 404,
    "POST /api/v1/events/{event}": 404,
    "POST /api/v1/executions/{execution_id}/cancel": 409,
    "POST /api/v1/executions/{execution_id}/pause": 409,
    "POST /api/v1/executions/{execution_id}/resume": 409,
    "POST /api/v1/executions/{execution_id}/retry": 409,
    "POST /api/v1/hook-deliveries/{delivery_id}/redeliver": 409,
    "POST /api/v1/hook-subscriptions/{subscription_id}/test": 409,
    "POST /api/v1/runs/{run_id}/messages": 409,
    f"POST {STORES}/refresh/{{store_id}}": 422,
    f"POST {STORES}/upsert/{{store_id}}": 422,
    f"POST {STORES}/vectorstore/insert": 422,
    f"POST {STORES}/vectorstore/query": 422,
    "POST /api/v1/vector/internal-upsert/{chatflow_id}": 422,
    "POST /api/v1/vector/upsert/{chatflow_id}": 422,
    "PATCH /api/v1/webhook/{chatflow_id}": 405,
    "PUT /api/v1/webhook/{chatflow_id}": 405,
    "PATCH /api/stepflow/": 404,
    "POST /api/stepflow/": 404,
    "PUT /api/stepflow/": 404,
}
SERVERS = {"workspaceId", "createdDate", "updatedDate", "digest", "isSuperuser", "isStaff", "author"}

NAMES = (
    "id", "workspaceId", "workspace", "createdDate", "updatedDate", "created_at", "isSuperuser", "isStaff", "role",
    "roles", "permissions", "digest", "revoked_at", "owner", "ownerId", "userId", "user", "password", "tenantId",
    "organizationId", "quota", "credentialId", "status", "version", "versionId",
)  # fmt: skip
# What callers say is kept here as they have said it, and what came of it.
SPOKEN = {
    "predictions_execution": {"chat_id", "session_id", "request", "question", "output", "flow_state", "checkpoint"},
    "predictions_chatmessage": {"chat_id", "session_id", "content", "extra"},
    "predictions_noderun": {"entry", "changes"},
}
# Written by others at any time.
BESIDES = re.compile(r"predictions_|hooks_hook(delivery|attempt)|limits_spending|triggers_firing")
# One for each time that an invitation is accepted, which each can be once.
GUESTS = """
from django.core import mail
from django.test import override_settings
from tests.factories import make_user
from tests.sessions import session_for
from workspaces.invitations import invite
from workspaces.members import access_of_membership
from workspaces.models import Membership
owner = access_of_membership(Membership.objects.filter(workspace={workspace_id!r}, role="owner").first())
def guest():
    user = make_user()
    invite(access=owner, email=user.email, role="viewer")
    return session_for(user), mail.outbox[-1].body.partition("/invitations/")[2].split()[0]
mail.outbox = []
with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
    print(json.dumps([guest() for _ in range(4)]))
"""
SAID = "mallory"
LONG_AGO = "1999-12-31T23:59:59+00:00"
NUMBER = 31337


Written = tuple[str, dict[str, Any]]  # table and row


class Rows:
    """What calls leave in the platform's database."""

    def __init__(self, connection: psycopg.Connection[Any], world: World) -> None:
        self._connection = connection
        self._callers = (world.keys["all"], world.keys["deployment"])
        self._workspaces = (None, world.workspace_id, world.foreign_workspace_id)
        columns = connection.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        ).fetchall()
        self.columns: dict[str, str] = {name: kind for _, name, kind in columns}
        self._written = " UNION ALL ".join(
            f"SELECT '{table}', to_jsonb(t) FROM {table} t WHERE xmin::text::bigint >= %(since)s"
            for table in sorted({table for table, _, _ in columns})
        )

    def mark(self) -> int:
        [[found]] = self._connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchall()
        return int(found)

    def since(self, mark: int) -> list[Written]:
        """Rows written since the mark, but for other tests' and the note that a caller's key is in use."""
        rows = self._connection.execute(self._written, {"since": mark}).fetchall()
        made = {row["id"] for table, row in rows if table == "workspaces_workspace"}
        return [(table, timeless(row)) for table, row in rows if self._is_of_this(table, row, made)]

    def _is_of_this(self, table: str, row: dict[str, Any], made: set[str]) -> bool:
        is_caller = table == "apikeys_apikey" and any(key.startswith(row["prefix"]) for key in self._callers)
        workspace_id = row.get("workspace_id")
        return (workspace_id in self._workspaces or workspace_id in made) and not is_caller


class Writer:
    """Makes each call as its right caller would, and sees what it has left."""

    def __init__(self, world: World, rows: Rows, http: httpx.Client, guests: Iterator[tuple[str, str]]) -> None:
        self.stranger = world.foreign_workspace_id
        self._world = world
        self._rows = rows
        self._http = http
        self._guests = guests
        self._numbers = itertools.count()
        self._run_id = self._made("deployment", "/api/v1/runs", {"input": {}})["run_id"]
        given = {**TRIGGER, "type": "webhook", "chatflowId": world.ids["chatflow_id"]}
        # A receiver that is not there: each try would be written down.
        hook = f"/api/v1/hook-subscriptions/{world.ids['subscription_id']}"
        self._made("all", hook, {"enabled": False}, method="PUT")
        self._token = str(self._made("all", "/api/v1/triggers", given)["webhookUrl"]).rpartition("/")[2]

    def write(self, call: Call, more: Mapping[str, Any]) -> tuple[httpx.Response, list[Written]]:
        ids = {**self._world.ids_for(call), "token": self._token}
        is_deployed = call.path.startswith("/api/v1/runs")
        if is_deployed:
            ids["run_id"] = self._run_id
        if "{chunk}" in call.path:
            ids["chunk"] = self._chunk(ids)
        session = self._world.people["owner"] if call.rule == SIGNED_IN else ""
        if call.path.endswith("/invitations/accept"):
            session, ids["invitation"] = next(self._guests)
        key = None if session else self._world.keys["deployment" if is_deployed else "all"]
        body = json.loads(self._filled(json.dumps(BODIES[str(call)]), ids))
        mark = self._rows.mark()
        answer = self._world.call(call, key, ids=ids, body={**more, **body}, session=session)
        return answer, self._rows.since(mark)

    def _filled(self, text: str, ids: Mapping[str, str]) -> str:
        new = f"zyzzyva {next(self._numbers)}"
        return re.sub(r"\{(\w+)\}", lambda name: new if name[1] == "new" else ids[name[1]], text)

    def _chunk(self, ids: Mapping[str, str]) -> str:
        path = f"{STORES}/loader/process/{ids['loader_id']}"
        return str(self._made("all", path, {"storeId": ids["store_id"]})["chunks"][0]["id"])

    def _made(self, key: str, path: str, body: Any, *, method: str = "POST") -> Any:
        headers = {"Authorization": f"Bearer {self._world.keys[key]}"}
        answer = self._http.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def rows(platform: Platform, world: World) -> Iterator[Rows]:
    with psycopg.connect(service_url(platform, "postgres"), autocommit=True) as connection:
        yield Rows(connection, world)


@pytest.fixture(scope="module")
def writer(platform: Platform, world: World, rows: Rows) -> Iterator[Writer]:
    guests = Inside(platform)(GUESTS.format(workspace_id=world.workspace_id))
    with httpx.Client(base_url=world.url, timeout=30) as http:
        yield Writer(world, rows, http, iter(guests))


# The library has no types.
DOCUMENT = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_every_write_is_known_here(call: Call) -> None:
    assert str(call) in BODIES, "say in BODIES what a right body is"


@pytest.mark.parametrize("call", [call for call in WRITES if str(call) in BODIES], ids=str)
def test_a_write_changes_what_is_documented_and_nothing_else(call: Call, writer: Writer, rows: Rows) -> None:
    answer, once = writer.write(call, {})
    _, again = writer.write(call, {})
    right = Shape(once, again)

    assert answer.is_success or answer.status_code == REFUSED.get(str(call)), answer.text
    for flag in (True, False):
        forced, written = writer.write(call, forged(call, rows.columns, writer.stranger, flag=flag))
        assert forced.status_code < 500
        if forced.status_code in (400, 422) and answer.is_success:
            assert written == []
        else:
            assert forced.status_code == answer.status_code, forced.text
            assert right.differences(written) == {}
        assert marks_in(written, writer.stranger) == []


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_no_write_documents_a_field_that_is_the_servers_to_set(call: Call) -> None:
    assert documented(call).isdisjoint(SERVERS)


class Shape:
    """What two right calls have left, but for what differs between them: ids, times, new words."""

    def __init__(self, once: list[Written], again: list[Written]) -> None:
        before, self._rows = by_table(once), by_table(again)
        self._changing = {
            table: {name for name in rows[0] if values(rows, name) != values(before.get(table, []), name)}
            for table, rows in self._rows.items()
        }

    def differences(self, written: list[Written]) -> dict[str, Any]:
        """By table: the rows that there should be, and those that there are."""
        found = by_table(written)
        pairs = {
            table: [self._kept(table, self._rows.get(table, [])), self._kept(table, found.get(table, []))]
            for table in found.keys() | self._rows.keys()
        }
        return {table: pair for table, pair in pairs.items() if pair[0] != pair[1]}

    def _kept(self, table: str, rows: list[dict[str, Any]]) -> list[str]:
        changing = self._changing.get(table, set())
        return sorted(json.dumps({k: v for k, v in row.items() if k not in changing}, sort_keys=True) for row in rows)


def by_table(written: list[Written]) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, row in written:
        if not BESIDES.match(table):
            tables.setdefault(table, []).append(row)
    return tables


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    """A session without its signature, which tells the second of it."""
    kept = row.get("session_data")
    return row if kept is None else {**row, "session_data": kept.partition(":")[0]}


def values(rows: list[dict[str, Any]], name: str) -> Counter[str]:
    return Counter(json.dumps(row[name]) for row in rows)


def marks_in(written: list[Written], stranger: str) -> list[str]:
    """Columns in which something stands that only the forged fields said."""
    marks = (SAID, LONG_AGO[:10], str(NUMBER), stranger)
    return [
        f"{table}.{name}"
        for table, row in written
        for name, value in row.items()
        if name not in SPOKEN.get(table, ()) and any(mark in json.dumps(value) for mark in marks)
    ]


def forged(call: Call, columns: Mapping[str, str], stranger: str, *, flag: bool) -> dict[str, Any]:
    """Every column that there is, in both spellings, but for the fields that the call documents."""
    given = {name: value_of(kind, stranger, flag=flag) for name, kind in columns.items()}
    also = {name: stranger if name.lower().endswith("id") else SAID for name in NAMES}
    spelled = {**{camel(name): value for name, value in given.items()}, **given, **also, "isSuperuser": flag}
    return {name: value for name, value in spelled.items() if name not in documented(call)}


def value_of(kind: str, stranger: str, *, flag: bool) -> Any:
    if kind == "boolean":
        return flag
    if kind == "uuid":
        return stranger
    if kind.startswith("timestamp") or kind == "date":
        return LONG_AGO
    if kind in ("smallint", "integer", "bigint", "double precision", "numeric"):
        return NUMBER
    return {SAID: SAID} if kind == "jsonb" else [SAID] if kind == "ARRAY" else SAID


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def documented(call: Call) -> set[str]:
    operation = DOCUMENT["paths"].get(call.path, {}).get(call.method.lower(), {})
    contents = operation.get("requestBody", {}).get("content", {}).values()
    return {name for content in contents for name in names_in(content["schema"])}


def names_in(schema: Mapping[str, Any]) -> Iterator[str]:
    if reference := schema.get("$ref"):
        schema = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    yield from schema.get("properties", {})
    for way in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(way, ()):
            yield from names_in(part)
