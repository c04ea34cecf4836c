"""HTTP nodes call a URL and hand its answer on."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from engine.errors import NodeError, NodeInputError, ProviderError
from engine.nodes.agentflow_http import run_request
from tests.engine.drawing import Board, echoes, entry_of
from tests.engine.node_world import MemoryCredentials, NodeWorld


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """A server that says what it was sent; `/teapot` is one, `/bytes` sends bytes."""

    async def answer(request: web.Request) -> web.Response:
        form = await request.post() if "form" in request.content_type else {}
        return web.json_response(
            {
                "method": request.method,
                "query": dict(request.query),
                "query_string": request.query_string,
                "headers": {name.lower(): value for name, value in request.headers.items()},
                "body": None if form else (await request.text()),
                "form": {name: str(value) for name, value in form.items()},
                "fields": [[name, str(value)] for name, value in form.items()],
            },
            status=418 if request.path == "/teapot" else 200,
        )

    async def send_bytes(request: web.Request) -> web.Response:
        return web.Response(body=b"\xff\x00", content_type="application/octet-stream")

    app = web.Application()
    app.router.add_get("/bytes", send_bytes)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def called(nodes: NodeWorld, credential: str = "", **inputs: Any) -> Any:
    result = await run_request(nodes.context(credential=credential), inputs)
    return result.output["http"]


def rows(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


async def test_the_answer_is_handed_on(nodes: NodeWorld, echo: str) -> None:
    answer = await called(nodes, method="GET", url=f"{echo}/x?a=1", queryParams=rows(b="2 3"), headers=rows(X="y"))

    assert (answer["status"], answer["statusText"]) == (200, "OK")
    assert answer["headers"]["content-type"].startswith("application/json")
    assert answer["data"]["query"] == {"a": "1", "b": "2 3"}
    assert answer["data"]["headers"]["x"] == "y"


@pytest.mark.parametrize(
    ("kind", "body", "sent", "content_type"),
    [
        ("json", '{"a": 1}', '{"a":1}', "application/json"),
        ("json", "{a: 'x', /* why */ b: [1,],}", '{"a":"x","b":[1]}', "application/json"),
        ("json", {"a": 1}, '{"a":1}', "application/json"),
        ("json", {}, "{}", "application/json"),
        ("json", 0, "0", "application/json"),
        ("raw", "plain <b>", "plain <b>", "text/plain"),
        ("raw", {"a": [1]}, '{"a":[1]}', "text/plain"),
        ("", "ignored", "", None),
        ("json", "", "", None),
    ],
)
async def test_a_body_is_sent_as_its_type_says(
    nodes: NodeWorld, echo: str, kind: str, body: Any, sent: str, content_type: str | None
) -> None:
    answer = await called(nodes, method="POST", url=echo, bodyType=kind, body=body)

    assert answer["data"]["body"] == sent
    if content_type:
        assert answer["data"]["headers"]["content-type"].split(";")[0] == content_type


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("xWwwFormUrlencoded", "application/x-www-form-urlencoded"), ("formData", "multipart/form-data")],
)
async def test_a_form_is_sent_as_its_type_says(nodes: NodeWorld, echo: str, kind: str, content_type: str) -> None:
    answer = await called(nodes, method="PUT", url=echo, bodyType=kind, body=rows(a="1 & 2", b="ü"))

    assert answer["data"]["form"] == {"a": "1 & 2", "b": "ü"}
    assert answer["data"]["headers"]["content-type"].startswith(content_type)


@pytest.mark.parametrize("kind", ["xWwwFormUrlencoded", "formData"])
@pytest.mark.parametrize("body", ["{a: '1 & 2', n: 0}", {"a": "1 & 2", "n": 0}])
async def test_a_form_may_be_an_object(nodes: NodeWorld, echo: str, kind: str, body: Any) -> None:
    answer = await called(nodes, method="POST", url=echo, bodyType=kind, body=body)

    assert answer["data"]["form"] == {"a": "1 & 2", "n": "0"}


async def test_a_name_may_occur_again(nodes: NodeWorld, echo: str) -> None:
    tags = [{"key": "tag", "value": "a"}, {"key": "tag", "value": "b"}]

    asked = await called(nodes, method="GET", url=echo, queryParams=tags)
    sent = await called(nodes, method="POST", url=echo, bodyType="xWwwFormUrlencoded", body=tags)

    assert asked["data"]["query_string"] == "tag=a&tag=b"
    assert sent["data"]["fields"] == [["tag", "a"], ["tag", "b"]]


@pytest.mark.parametrize(("value", "sent"), [(None, ""), (True, "true"), (0, "0"), ({"a": 1}, '{"a":1}')])
async def test_values_that_are_no_text_are_sent_as_json_and_nothing_as_nothing(
    nodes: NodeWorld, echo: str, value: Any, sent: str
) -> None:
    row = [{"key": "x", "value": value}]

    answer = await called(nodes, method="GET", url=echo, queryParams=row, headers=row)

    assert (answer["data"]["query"]["x"], answer["data"]["headers"]["x"]) == (sent, sent)


async def test_a_get_has_no_body(nodes: NodeWorld, echo: str) -> None:
    answer = await called(nodes, method="GET", url=echo, bodyType="json", body="{}")

    assert answer["data"]["body"] == ""


async def test_the_authors_content_type_stays(nodes: NodeWorld, echo: str) -> None:
    answer = await called(
        nodes,
        method="POST",
        url=echo,
        bodyType="raw",
        body="<x/>",
        headers=[{"key": "content-type", "value": "text/xml"}],
    )

    assert answer["data"]["headers"]["content-type"] == "text/xml"


@pytest.mark.parametrize(
    ("credential", "header", "sent"),
    [
        (
            {"basicAuthUsername": "ann", "basicAuthPassword": "pw"},
            "authorization",
            f"Basic {b64encode(b'ann:pw').decode()}",
        ),
        ({"basicAuthPassword": "pw"}, "authorization", f"Basic {b64encode(b':pw').decode()}"),
        ({"token": "t-1"}, "authorization", "Bearer t-1"),
        ({"key": "X-Key", "value": "k-1"}, "x-key", "k-1"),
    ],
)
async def test_a_credential_becomes_a_header(
    nodes: NodeWorld, echo: str, credential: dict[str, str], header: str, sent: str
) -> None:
    nodes.credentials = MemoryCredentials({"c1": credential})

    answer = await called(nodes, credential="c1", method="GET", url=echo)

    assert answer["data"]["headers"][header] == sent


@pytest.mark.parametrize(
    ("kind", "data"), [("arraybuffer", "/wA="), ("base64", "/wA="), ("text", "\ufffd\0"), ("json", "\ufffd\0")]
)
async def test_an_answer_is_read_as_its_type_says(nodes: NodeWorld, echo: str, kind: str, data: str) -> None:
    answer = await called(nodes, method="GET", url=f"{echo}/bytes", responseType=kind)

    assert answer["data"] == data


async def test_a_refusal_is_an_answer(nodes: NodeWorld, echo: str) -> None:
    answer = await called(nodes, method="GET", url=f"{echo}/teapot")

    assert (answer["status"], answer["statusText"]) == (418, "I'm a Teapot")


async def test_a_refusal_fails_the_node_if_the_author_wants_that(nodes: NodeWorld, echo: str) -> None:
    with pytest.raises(NodeError, match="The server answered 418"):
        await called(nodes, method="GET", url=f"{echo}/teapot", failOnStatus=True)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"url": ""}, "no URL"),
        ({"url": "ftp://x.y"}, "must begin with http"),
        ({"method": "BREW"}, "no method 'BREW'"),
        ({"method": "POST", "bodyType": "json", "body": "{"}, "no JSON"),
        ({"method": "POST", "bodyType": "json", "body": {"a": 2**70}}, "cannot be written as JSON"),
        ({"method": "POST", "bodyType": "formData", "body": "a=1"}, "no JSON"),
        ({"method": "POST", "bodyType": "smoke", "body": "x"}, "no body type 'smoke'"),
        ({"responseType": "smoke"}, "no response type 'smoke'"),
        ({"headers": [{"key": "X", "value": "a\r\nY: b"}]}, "header 'X' cannot be sent"),
    ],
)
async def test_a_request_that_cannot_be_sent_is_refused(
    nodes: NodeWorld, echo: str, inputs: dict[str, Any], told: str
) -> None:
    with pytest.raises(NodeInputError, match=told):
        await called(nodes, **{"method": "GET", "url": echo, **inputs})


async def test_no_answer_is_an_error(nodes: NodeWorld) -> None:
    with pytest.raises(ProviderError, match="Could not connect"):
        await called(nodes, method="GET", url="http://127.0.0.1:1")


async def test_a_reference_to_the_node_is_its_data_and_it_says_nothing(
    board: Board, nodes: NodeWorld, echo: str
) -> None:
    board.world = nodes.world
    board.types["call"] = "httpAgentflow"
    board.inputs |= {
        "call": {"method": "GET", "url": f"{echo}/{{{{ question }}}}"},
        "end": {"text": "{{ call.output.http.status }} {{ call }}"},
    }
    board.does["end"] = echoes

    events = await board.run("start -> call -> end")

    assert entry_of(events, "end")["data"]["output"]["content"].startswith('200 {"method":"GET"')
    assert "content" not in entry_of(events, "call")["data"]["output"]


async def test_the_trace_shows_what_was_called(board: Board, echo: str) -> None:
    board.types["call"] = "httpAgentflow"
    board.inputs["call"] = {"method": "GET", "url": f"{echo}/{{{{ question }}}}"}

    events = await board.run("start -> call", question="x")

    assert entry_of(events, "call")["data"]["input"]["url"] == f"{echo}/x"
