import pytest

from engine.errors import NodeError, NodeInputError
from engine.nodes.request_tools import METHODS, NODES, run_method
from tests.engine.node_world import NodeWorld
from tests.engine.web_server import web_server

GET, POST, PUT, DELETE = METHODS
ITEM = '{"id": {"type": "string", "in": "path", "description": "Which."}, "limit": {"type": "number"}}'
EVENT = '{"name": {"type": "string", "required": true, "description": "Its name."}, "day": {"type": "string"}}'


async def test_a_get_fills_in_path_and_query(nodes: NodeWorld) -> None:
    async with web_server((200, "found")) as server:
        inputs = {
            "requestsGetUrl": f"{server.url}/events",
            "requestsGetName": "get_events",
            "requestsGetDescription": "Gets events.",
            "requestsGetHeaders": '{"X-Team": 7}',
            "requestsGetQueryParamsSchema": ITEM,
        }
        tool = (await run_method(GET)(nodes.context(), inputs)).value

        answer = await tool.call({"id": "a/b", "limit": 5})

    (received,) = server.received
    assert answer == "found"
    assert (received.method, received.path, received.query) == ("GET", "/events/a/b", {"limit": "5"})
    assert received.headers["x-team"] == "7"
    assert (tool.spec.name, tool.spec.description) == ("get_events", "Gets events.")
    assert tool.spec.parameters["required"] == ["id"]


@pytest.mark.parametrize("place", [":id", "{id}"])
async def test_a_path_has_places_for_its_parts(nodes: NodeWorld, place: str) -> None:
    async with web_server() as server:
        inputs = {"requestsDeleteUrl": f"{server.url}/items/{place}/now", "requestsDeleteQueryParamsSchema": ITEM}
        tool = (await run_method(DELETE)(nodes.context(), inputs)).value

        await tool.call({"id": 7})

    assert (server.received[0].method, server.received[0].path) == ("DELETE", "/items/7/now")


async def test_a_path_is_filled_in_by_whole_names(nodes: NodeWorld) -> None:
    schema = {"id": {"in": "path"}, "idOfPart": {"in": "path"}, "more": {"in": "path"}}
    async with web_server() as server:
        url = f"{server.url}/items/:id/:idOfPart?page=1"
        inputs = {"requestsGetUrl": url, "requestsGetQueryParamsSchema": schema}
        tool = (await run_method(GET)(nodes.context(), inputs)).value

        await tool.call({"id": "a:idOfPart", "idOfPart": "b", "more": True})

    (received,) = server.received
    assert (received.path, received.query) == ("/items/a:idOfPart/b/true", {"page": "1"})


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, "needs 'id'"), ({"id": ""}, "takes no '' as 'id'"), ({"id": ".."}, "takes no '..' as 'id'")],
)
async def test_a_call_whose_path_would_be_another_is_refused(
    nodes: NodeWorld, given: dict[str, str], told: str
) -> None:
    async with web_server() as server:
        inputs = {"requestsDeleteUrl": f"{server.url}/items/:id", "requestsDeleteQueryParamsSchema": ITEM}
        tool = (await run_method(DELETE)(nodes.context(), inputs)).value

        with pytest.raises(NodeInputError, match=told):
            await tool.call(given)

    assert server.received == []


async def test_what_is_no_text_stands_in_a_query_as_apis_expect_it(nodes: NodeWorld) -> None:
    schema = {"open": {"type": "boolean"}, "tags": {"type": "array"}, "box": {"type": "object"}}
    async with web_server() as server:
        inputs = {"requestsGetUrl": server.url, "requestsGetQueryParamsSchema": schema}
        tool = (await run_method(GET)(nodes.context(), inputs)).value

        await tool.call({"open": True, "tags": ["a", 1], "box": {"x": None}})

    assert server.received[0].query == {"open": "true", "tags": "a,1", "box": '{"x":null}'}


async def test_without_a_schema_the_model_gives_the_query(nodes: NodeWorld) -> None:
    async with web_server() as server:
        tool = (await run_method(GET)(nodes.context(), {"requestsGetUrl": f"{server.url}/x?a=1"})).value

        await tool.call({"queryParams": {"q": "rain", "empty": None}})

    assert "queryParams" in tool.spec.parameters["properties"]
    assert server.received[0].query == {"a": "1", "q": "rain"}


async def test_flows_of_the_first_version_have_shorter_names(nodes: NodeWorld) -> None:
    async with web_server() as server:
        inputs = {
            "url": f"{server.url}/old",
            "description": "Makes things.",
            "headers": '{"X-Key": "k"}',
            "body": '{"kind": "old"}',
        }
        tool = (await run_method(POST)(nodes.context(), inputs)).value

        await tool.call({"body": {"name": "new"}})

    (received,) = server.received
    assert (received.path, received.headers["x-key"], received.body) == ("/old", "k", {"kind": "old", "name": "new"})
    assert tool.spec.description == "Makes things."


async def test_a_post_sends_what_the_author_and_the_model_say(nodes: NodeWorld) -> None:
    async with web_server() as server:
        inputs = {
            "requestsPostUrl": f"{server.url}/events",
            "requestPostBody": '{"source": "chat", "name": "?"}',
            "requestsPostBodySchema": EVENT,
        }
        tool = (await run_method(POST)(nodes.context(), inputs)).value

        await tool.call({"name": "Party", "day": None})

    assert server.received[0].body == {"source": "chat", "name": "Party"}
    assert tool.spec.parameters["required"] == ["name"]


async def test_without_a_schema_the_model_gives_a_body_and_without_a_url_the_url(nodes: NodeWorld) -> None:
    async with web_server() as server:
        tool = (await run_method(PUT)(nodes.context(), {})).value

        await tool.call({"url": f"{server.url}/x", "body": {"a": 1}})

    assert (server.received[0].method, server.received[0].path, server.received[0].body) == ("PUT", "/x", {"a": 1})
    assert tool.spec.name == "requests_put"
    assert tool.spec.parameters["required"] == ["url"]


async def test_long_answers_are_cut(nodes: NodeWorld) -> None:
    async with web_server((200, "x" * 100)) as server:
        inputs = {"requestsGetUrl": server.url, "requestsGetMaxOutputLength": "10"}
        tool = (await run_method(GET)(nodes.context(), inputs)).value

        assert await tool.call({}) == "x" * 10


async def test_an_empty_answer_is_told_by_its_status(nodes: NodeWorld) -> None:
    async with web_server((204, "")) as server:
        tool = (await run_method(DELETE)(nodes.context(), {"requestsDeleteUrl": server.url})).value

        assert await tool.call({}) == "The server answered 204 without a text."


async def test_a_status_that_is_no_success_fails_the_call(nodes: NodeWorld) -> None:
    async with web_server((404, "no such event")) as server:
        tool = (await run_method(GET)(nodes.context(), {"requestsGetUrl": server.url})).value

        with pytest.raises(NodeError, match="The server answered 404: no such event"):
            await tool.call({})


async def test_what_is_no_url_fails_the_call(nodes: NodeWorld) -> None:
    tool = (await run_method(GET)(nodes.context(), {})).value

    with pytest.raises(NodeInputError, match="must begin with http"):
        await tool.call({"url": "file:///etc/passwd"})


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"requestsGetHeaders": "X-Team: 7"}, "requestsGetHeaders must be JSON"),
        ({"requestsGetQueryParamsSchema": '{"id": "text"}'}, "'id' must be described as"),
        ({"requestsGetQueryParamsSchema": '{"id": {"in": "cookie"}}'}, "one of path, query, body"),
    ],
)
async def test_a_configuration_that_makes_no_sense_is_refused(
    nodes: NodeWorld, inputs: dict[str, str], told: str
) -> None:
    with pytest.raises(NodeInputError, match=told):
        await run_method(GET)(nodes.context(), inputs)


def test_the_four_methods_carry_the_names_of_exported_flows() -> None:
    names = {node.spec.name: [param.name for param in node.spec.params] for node in NODES}

    assert names["requestsPost"] == [
        "requestsPostUrl",
        "requestsPostName",
        "requestsPostDescription",
        "requestsPostHeaders",
        "requestPostBody",
        "requestsPostBodySchema",
        "requestsPostMaxOutputLength",
    ]
    assert set(names) == {"requestsGet", "requestsPost", "requestsPut", "requestsDelete"}
