from typing import Any

import orjson
import pytest

from engine.errors import FlowError
from engine.events import RunFinished
from engine.flow import parse_flow
from engine.nodes import values
from engine.plan import plan_for
from engine.providers.base import Message
from engine.providers.fake import calling
from tests.engine.node_world import NodeWorld
from tests.engine.team import Team

DETAILS = {"chatModel": {"name": "fakeChat"}, "instruction": "Be kind.", "tools": [{"name": "shoutTool"}]}


@pytest.fixture
def team(nodes: NodeWorld) -> Team:
    return Team(nodes)


async def ask(team: Team, details: Any, question: str = "hi") -> str:
    events = await team.run(parse_flow(orjson.dumps(details)), question)
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].text


async def test_an_assistant_uses_its_tools_and_follows_its_instruction(team: Team) -> None:
    team.model.script(calling("shout", {"input": "hey"}), "HEY it is.")

    answer = await ask(team, DETAILS)

    assert answer == "HEY it is."
    assert team.shouted == ["hey"]
    assert team.model.calls[0].messages[0] == Message("system", "Be kind.")


async def test_an_assistant_remembers_the_session(team: Team) -> None:
    team.nodes.history.sessions["s1"] = [Message("user", "I am Ann"), Message("assistant", "Hi Ann")]

    await ask(team, DETAILS, "Who am I?")

    assert [message.content for message in team.model.calls[0].messages[1:]] == ["I am Ann", "Hi Ann", "Who am I?"]


async def test_the_graph_in_an_assistants_settings_is_what_runs(team: Team) -> None:
    flow = parse_flow(orjson.dumps(DETAILS))
    drawn = {"nodes": [{"id": n.id, "data": {"name": n.name, "inputs": dict(n.inputs)}} for n in flow.nodes.values()]}

    answer = await ask(team, {"chatModel": {"name": "another"}, "flowData": orjson.dumps(drawn).decode()})

    assert answer == "You said: hi"


def test_settings_may_stand_under_inputs_or_beside_the_name() -> None:
    nested = {"chatModel": {"name": "chatOpenAI", "inputs": {"modelName": "m"}, "credential": "c"}}
    flat = {"chatModel": {"name": "chatOpenAI", "modelName": "m", "FLOWISE_CREDENTIAL_ID": "c"}}

    one, other = (parse_flow(orjson.dumps(details)).nodes["chatOpenAI_0"] for details in (nested, flat))

    assert one.inputs["modelName"] == other.inputs["modelName"] == "m"
    assert one.credential == other.credential == "c"


def test_document_stores_become_tools_that_look_something_up() -> None:
    stores = [{"id": "d1", "name": "My Manual", "description": "All about it.", "returnSourceDocuments": True}]

    flow = parse_flow(orjson.dumps({**DETAILS, "documentStores": stores}))

    assert flow.nodes["documentStoreVS_0"].inputs["selectedStore"] == "d1"
    assert flow.nodes["retrieverTool_0"].inputs == {
        "name": "my_manual",
        "description": "All about it.",
        "returnSourceDocuments": True,
        "retriever": "{{documentStoreVS_0.data.instance}}",
    }
    assert "{{retrieverTool_0.data.instance}}" in flow.nodes["toolAgent_0"].inputs["tools"]


@pytest.mark.parametrize("said", ["false", False, None, ""])
def test_sources_are_shown_only_where_somebody_wants_them(said: object) -> None:
    stores = [{"id": "d1", "name": "My Manual", "returnSourceDocuments": said}]

    flow = parse_flow(orjson.dumps({**DETAILS, "documentStores": stores}))

    assert not values.flag(flow.nodes["retrieverTool_0"].inputs, "returnSourceDocuments")


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"chatModel": {}}, "no chat model"),
        ({**DETAILS, "tools": [{"inputs": {}}]}, "A tool of the assistant has no name"),
        ({**DETAILS, "tools": "calculator"}, "tools must be a list"),
        ({**DETAILS, "documentStores": [{"name": "x"}]}, "document store of the assistant has no id"),
        ({**DETAILS, "flowData": "{oops"}, "flowData is not valid JSON"),
        ({**DETAILS, "flowData": "[]"}, "flowData must be a graph"),
    ],
)
def test_settings_that_make_no_sense_say_what_to_do(details: Any, told: str) -> None:
    with pytest.raises(FlowError, match=told):
        parse_flow(orjson.dumps(details))


def test_tools_that_are_not_installed_are_named(team: Team) -> None:
    flow = parse_flow(orjson.dumps({**DETAILS, "tools": [{"name": "moonTool"}]}))

    with pytest.raises(FlowError, match="moonTool"):
        plan_for(flow, team.registry())
