"""The API against its own description: whatever is sent, the answer is one that the document tells of."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, negative_data_rejection, positive_data_acceptance
from schemathesis.core.result import Ok

from tests.platform import Answer, Platform
from tests.predictions import drawing
from tests.predictions.conftest import Inside
from tests.predictions.doors.chatterfly_calls import Client, Deployer
from tests.sessions import headers_of

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Call = Case[Any]

# Of each operation, well-formed and malformed each. The same ones every time, unless it is said how many.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
OF_NOBODY = max(1, EXAMPLES // 2)
IS_REPEATED = "FUZZ_EXAMPLES" not in os.environ

# Workspaces of its own: what calls change there, limits and rules and receivers, is nothing to other tests.
MAKE_CALLERS = """
from tests.factories import make_api_key, make_workspace
from tests.sessions import session_of
own = make_workspace()
print(json.dumps([make_api_key(own)[1], make_api_key(make_workspace())[1], session_of(own, "owner")]))
"""
# After these calls others may be answered otherwise.
BINDING = ("PUT /api/v1/limits", "PUT /api/v1/retention")

CONFIG: dict[str, Any] = {
    "generation": {"with-security-parameters": False, "allow-extra-parameters": False, "allow-x00": False},
    # What a call meets, and no description can foretell: another revision, a flow that cannot run or does not wait.
    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "304", 404, 409, 412, 422]}},
}
SMALL = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
GRAPHS = st.fixed_dictionaries({"nodes": st.lists(SMALL, max_size=2)}, optional={"viewport": st.none()})
# Texts that must hold JSON are generated as such: that they must is for words to say.
JSON_TEXTS = {
    "flowData": GRAPHS.map(lambda graph: json.dumps({"edges": [], **graph})),
    "chatbotConfig": SMALL.map(json.dumps),
    "apiConfig": SMALL.map(json.dumps),
    "schema": st.lists(st.fixed_dictionaries({"property": st.text(min_size=1, max_size=5)}), max_size=2).map(
        json.dumps
    ),
    "url": st.just("https://127.0.0.1:9/hooks"),  # a receiver of hooks: nobody's
}


def describe(document: dict[str, Any]) -> dict[str, Operation]:
    """The operations by name."""
    for name, texts in JSON_TEXTS.items():
        schemathesis.openapi.format(name, texts)
    for schema in document["components"]["schemas"].values():
        for name in JSON_TEXTS.keys() & schema.get("properties", {}).keys():
            schema["properties"][name]["format"] = name
    config = schemathesis.Config.from_dict(CONFIG)
    found = schemathesis.openapi.from_dict(document, config=config).get_all_operations()
    return {result.ok().label: result.ok() for result in found if isinstance(result, Ok)}


# The library has no types.
DOCUMENT = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
OPERATIONS = describe(copy.deepcopy(DOCUMENT))
POINTED = (
    "{chatflow_id}",
    "{execution_id}",
    "{raw_key}",
    "{store_id}",
    "{tool_id}",
    "{run_id}",
    "{workflow_id}",
)  # what `Things` has


def can_be_malformed(operation: Operation) -> bool:
    """Whether anything is said of what is sent: any text will do for a name in the path."""
    definition = operation.definition.raw
    parameters = [parameter for parameter in definition.get("parameters", ()) if "format" in parameter["schema"]]
    others = [parameter for parameter in definition.get("parameters", ()) if parameter["in"] != "path"]
    bodies = definition.get("requestBody", {}).get("content", {}).values()
    return bool(parameters or others or any(body["schema"] for body in bodies))


WELL_FORMED = [(label, GenerationMode.POSITIVE) for label in OPERATIONS]
MALFORMED = [(label, GenerationMode.NEGATIVE) for label, found in OPERATIONS.items() if can_be_malformed(found)]
CALLS = [*WELL_FORMED, *MALFORMED]


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A workspace that is there for this alone."""

    platform: Platform
    key: str
    other_key: str  # of another one, for what binds those who call after it
    session: str  # of its owner

    def call(self, method: str, path: str, body: object = None) -> Answer:
        return self.platform.call(method, path, body, key=self.key)


@pytest.fixture(scope="module")
def fuzzed(platform: Platform) -> Fuzzed:
    return Fuzzed(platform, *Inside(platform)(MAKE_CALLERS))


@pytest.fixture(scope="module")
def deployed(fuzzed: Fuzzed) -> Iterator[Client]:
    """The holder of a deployment's key: runs have keys of their own."""
    body = {"name": "Fuzzed", "flowData": drawing.approval_flow("Sent")}
    flow_id = str(fuzzed.call("POST", "/api/v1/agentflows", body).json()["id"])
    with Deployer(fuzzed.platform) as deployer:
        client = Client(fuzzed.platform.url, deployer.deploy(flow_id), flow_id)
    with client.http:
        yield client


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may call: the holders of keys, and somebody who has signed in."""

    fuzzed: Fuzzed
    deployment_key: str

    @property
    def url(self) -> str:
        return self.fuzzed.platform.url

    def headers_for(self, label: str) -> dict[str, str]:
        if is_of_people(label):
            return headers_of(self.fuzzed.session)
        key = self.fuzzed.other_key if label in BINDING else self.fuzzed.key
        return {"Authorization": f"Bearer {self.deployment_key if is_deployed(OPERATIONS[label]) else key}"}


@pytest.fixture(scope="module")
def callers(fuzzed: Fuzzed, deployed: Client) -> Callers:
    return Callers(fuzzed, deployed.key)


class Things:
    """What is there to be asked for; calls that change or delete a flow get one of their own."""

    def __init__(self, fuzzed: Fuzzed, deployed: Client) -> None:
        self._fuzzed = fuzzed
        self._deployed = deployed
        self._flow_id = self._new_flow()
        answer = fuzzed.call("POST", f"/api/v1/prediction/{self._flow_id}", {"question": "Hi"})
        self._execution_id = str(answer.json()["executionId"])
        self._object_id = str(fuzzed.call("GET", f"/api/v1/chatflows/{self._flow_id}").json()["objectId"])
        turn = fuzzed.call("POST", f"/workflows/v1/workflows/{self._object_id}/execute", {"run_input": {}})
        self._run_object_id = str(turn.json()["run_id"])

    def _new_flow(self) -> str:
        graph = drawing.agentflow(self._fuzzed.platform.model.url)
        created = self._fuzzed.call("POST", "/api/v1/agentflows", {"name": "Fuzzed", "flowData": graph})
        flow_id = str(created.json()["id"])
        self._fuzzed.call("PUT", f"/api/v1/agentflows/{flow_id}", {"deployed": True})
        return flow_id

    def _new_tool(self) -> str:
        created = self._fuzzed.call("POST", "/api/v1/tools", {"name": "Fuzzed", "func": "return 1"})
        return str(created.json()["id"])

    def _new_store(self) -> str:
        return str(self._fuzzed.call("POST", "/api/v1/document-store/store", {"name": "Fuzzed"}).json()["id"])

    def _run_name(self, case: Call) -> str:
        """A run, as the API that the case calls spells it."""
        if is_deployed(case.operation):
            return self._deployed.start()
        by_turns = str(case.operation.path).startswith("/workflows/")
        return self._run_object_id if by_turns else f"run_{UUID(self._execution_id).hex}"

    def point(self, case: Call) -> None:
        """Give the case ids of things that are there."""
        changes = case.operation.method in ("put", "delete") and "flows/" in case.operation.path
        is_by_turns = case.operation.path.startswith("/workflows/")
        present: dict[str, Callable[[], str]] = {
            "chatflow_id": self._new_flow if changes else lambda: self._flow_id,
            "execution_id": lambda: self._execution_id,
            "run_id": lambda: self._run_name(case),
            "workflow_id": lambda: self._object_id if is_by_turns else self._flow_id,
            "store_id": self._new_store,
            "tool_id": self._new_tool,
            "raw_key": lambda: self._fuzzed.key,
        }
        for name in present.keys() & case.path_parameters.keys():
            case.path_parameters[name] = present[name]()
        if isinstance(case.body, MutableMapping) and isinstance(case.body.get("storeId"), str):
            case.body["storeId"] = self._new_store()


@pytest.fixture(scope="module")
def things(fuzzed: Fuzzed, deployed: Client) -> Things:
    return Things(fuzzed, deployed)


def is_deployed(operation: Operation) -> bool:
    """Whether the operation is on runs of a deployment."""
    return str(operation.path).startswith("/api/v1/runs")


def drop_guesses(case: Call) -> None:
    """Leave out what must fit to something else: keys and events that are there, files that are what they say."""
    guesses = (
        (case.body, "apikeyid"), (case.body, "uploads"), (case.body, "files"),
        (case.headers, "Last-Event-ID"), (case.query, "lastEventId"),
        (case.body, "workflow_id"), (case.body, "connections"), (case.body, "hooks"),
    )  # fmt: skip
    for part, name in guesses:
        if isinstance(part, MutableMapping):
            part.pop(name, None)
    if isinstance(case.body, MutableMapping) and "events" in case.body:
        case.body.pop("chatflowId", None)


def unjudged(case: Call) -> list[CheckFunction]:
    """Whether the malformed is refused is not asked where all that can be sent is text, and empty text is nothing."""
    query = case.query or {}
    has_empty = any(value in ("", [""], [], {}) for value in query.values())
    is_form = case.media_type == "multipart/form-data"
    if "/verify/" in case.operation.path:
        return [positive_data_acceptance]  # what is verified is no key, as a rule
    return [negative_data_rejection] if has_empty or is_form or query.keys() & {"keyonly", "chatType"} else []


def sent(examples: int) -> settings:
    """How many examples are sent; however long each takes."""
    return settings(
        max_examples=examples,
        derandomize=IS_REPEATED,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def is_of_people(label: str) -> bool:
    """Whether only somebody who has signed in may call, and no key."""
    return bool(OPERATIONS[label].definition.raw.get("security") == [{"sessionCookie": []}])


def exchange(label: str, mode: GenerationMode, prepare: Callable[[Call], None], callers: Callers) -> None:
    """Send what the operation's description allows, or what it does not, and hold the answer against it."""

    @sent(EXAMPLES)
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def send(case: Call) -> None:
        if mode is GenerationMode.POSITIVE:
            drop_guesses(case)
        prepare(case)
        case.call_and_validate(base_url=callers.url, headers=callers.headers_for(label), excluded_checks=unjudged(case))

    send()


def test_the_platform_serves_this_document(platform: Platform) -> None:
    assert platform.call("GET", "/api/v1/openapi.json", key=None).json() == json.loads(json.dumps(DOCUMENT))


@pytest.mark.parametrize(("label", "mode"), CALLS)
def test_any_call_is_answered_as_described(label: str, mode: GenerationMode, callers: Callers) -> None:
    exchange(label, mode, lambda case: None, callers)


@pytest.mark.parametrize(("label", "mode"), [call for call in CALLS if any(name in call[0] for name in POINTED)])
def test_a_call_for_what_is_there_is_answered_as_described(
    label: str, mode: GenerationMode, callers: Callers, things: Things
) -> None:
    exchange(label, mode, things.point, callers)


@pytest.mark.parametrize(("label", "mode"), CALLS)
def test_a_call_of_nobody_is_answered_as_described(label: str, mode: GenerationMode, platform: Platform) -> None:
    @sent(OF_NOBODY)
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def send(case: Call) -> None:
        case.call_and_validate(
            base_url=platform.url, excluded_checks=[positive_data_acceptance, negative_data_rejection]
        )

    send()
