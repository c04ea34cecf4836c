"""What JavaScript written for Node.js finds in the sandbox: requests, timers, bytes, URLs, a console."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from engine.errors import NodeError
from engine.sandbox import MODULES
from tests.engine.javascript import JavaScript
from tests.engine.web_server import web_server

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_console_is_kept_in_order(javascript: JavaScript) -> None:
    returned = await javascript.returned(
        "console.log('a', 1, { b: [2] }); console.warn('careful');"
        "console.error(new TypeError('no')); console.info(null)"
    )

    assert returned.console == ('a 1 {"b":[2]}', "warning: careful", "error: TypeError: no", "null")


async def test_a_flood_of_lines_is_cut_off(javascript: JavaScript) -> None:
    returned = await javascript.returned("for (let i = 0; i < 1000; i++) console.log('x'.repeat(5000)); return 1")

    assert len(returned.console) == 201
    assert {len(line) for line in returned.console[:200]} == {2000}


@pytest.mark.parametrize("module", ["require('node-fetch')", "fetch", "require('node-fetch').default"])
async def test_fetch_sends_and_reads(javascript: JavaScript, module: str) -> None:
    async with web_server((201, '{"saved": true}')) as server:
        value = await javascript.run(
            f"const call = {module};"
            "const options = { method: 'post', headers: { 'Content-Type': 'application/json', 'X-Key': 'k' },"
            "  body: JSON.stringify({ a: 'ü' }) };"
            "const answer = await call(`${$url}/items?page=1`, options);"
            "const type = answer.headers.get('Content-Type');"
            "return [answer.status, answer.ok, answer.statusText, type, await answer.json()]",
            url=server.url,
        )

    assert value == [201, True, "Created", "text/plain; charset=utf-8", {"saved": True}]
    sent = server.received[0]
    assert (sent.method, sent.path, sent.query, sent.body) == ("POST", "/items", {"page": "1"}, {"a": "ü"})
    assert sent.headers["x-key"] == "k"


async def test_headers_in_another_encoding_are_answered_all_the_same(javascript: JavaScript) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: caf\xe9\r\nConnection: close\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        code = "const said = await fetch($url); return [said.headers.get('X-Name'), await said.text()]"
        value = await asyncio.wait_for(javascript.run(code, url=f"http://{host}:{port}/"), 10)

    assert value == ["caf\ufffd", "ok"]


async def test_half_characters_are_replaced(javascript: JavaScript) -> None:
    value = await javascript.run(r"console.log('a\ud800'); return ['\ud83d!', { 'k\udc00': '\\ud83d' }, '😀']")

    assert value == ["\ufffd!", {"k\ufffd": "\\ud83d"}, "😀"]


async def test_a_refused_request_is_the_functions_to_handle(javascript: JavaScript) -> None:
    said = await javascript.run(
        "try { await fetch('http://10.0.0.1/') } catch (error) { return [error instanceof TypeError, error.message] }"
    )

    assert said[0] is True
    assert said[1].startswith("fetch failed: 10.0.0.1 is not a public host")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org", "YOUR-WEBHOOK-URL", "", "javascript:1"])
async def test_only_http_is_fetched(javascript: JavaScript, url: str) -> None:
    with pytest.raises(NodeError, match="fetch failed: A URL must begin with http"):
        await javascript.run("return await fetch($url)", url=url)


async def test_requests_of_one_function_are_bounded(javascript: JavaScript) -> None:
    async with web_server() as server:
        with pytest.raises(NodeError, match="a function may make 100 requests, not more"):
            await javascript.run("for (let i = 0; i <= 100; i++) await fetch($url)", url=server.url)

    assert len(server.received) == 100


async def test_requests_run_at_the_same_time(javascript: JavaScript) -> None:
    async with web_server(*[(200, str(number)) for number in range(5)]) as server:
        texts = await javascript.run(
            "return await Promise.all([1, 2, 3, 4, 5].map(async () => (await fetch($url)).text()))", url=server.url
        )

    assert sorted(texts) == ["0", "1", "2", "3", "4"]


async def test_a_request_can_be_given_up(javascript: JavaScript) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        value = await javascript.run(
            "const controller = new AbortController();"
            "setTimeout(() => controller.abort(), 10);"
            "try { await fetch($url, { signal: controller.signal }) } catch (error) { return error.name }",
            url=f"http://127.0.0.1:{silent.getsockname()[1]}",
        )

    assert value == "AbortError"


async def test_timers_can_be_stopped(javascript: JavaScript) -> None:
    first = "const id = setTimeout(go, 1, 'late'); clearTimeout(id); setTimeout(go, 20, 'in time')"
    third = "let n = 0; const id = setInterval(() => { if (++n === 3) { clearInterval(id); go(n) } }, 1)"

    assert await javascript.run(f"return await new Promise((go) => {{ {first} }})") == "in time"
    assert await javascript.run(f"return await new Promise((go) => {{ {third} }})") == 3


AXIOS = "const axios = require('axios');"


async def test_axios_gets_with_params_and_reads_json(javascript: JavaScript) -> None:
    async with web_server((200, '{"n": 1}')) as server:
        value = await javascript.run(
            f"{AXIOS} const answer = await axios.get($url, {{ params: {{ q: 'a b', n: 1, none: null }} }});"
            "return [answer.status, answer.data, answer.headers['content-type']]",
            url=server.url,
        )

    assert value == [200, {"n": 1}, "text/plain; charset=utf-8"]
    assert server.received[0].query == {"q": "a b", "n": "1"}


@pytest.mark.parametrize(
    "call",
    [
        "axios.post($url, { a: 1 }, { headers: { 'X-Key': 'k' } })",
        "axios({ method: 'post', url: $url, data: { a: 1 }, headers: { 'X-Key': 'k' } })",
        "axios.request({ method: 'POST', url: $url, data: { a: 1 }, headers: { 'X-Key': 'k' } })",
        "axios.create({ baseURL: $url, headers: { 'X-Key': 'k' } }).post('/', { a: 1 })",
    ],
)
async def test_axios_posts_json(javascript: JavaScript, call: str) -> None:
    async with web_server((200, "plain")) as server:
        assert await javascript.run(f"{AXIOS} return (await {call}).data", url=server.url) == "plain"

    sent = server.received[0]
    assert (sent.method, sent.body, sent.headers["x-key"]) == ("POST", {"a": 1}, "k")
    assert sent.headers["content-type"] == "application/json"


async def test_axios_throws_for_what_is_no_success(javascript: JavaScript) -> None:
    async with web_server((404, '{"why": "gone"}')) as server:
        value = await javascript.run(
            f"{AXIOS} try {{ await axios.get($url) }} catch (error) {{"
            "  return [axios.isAxiosError(error), error.message, error.response.status, error.response.data] }",
            url=server.url,
        )

    assert value == [True, "Request failed with status code 404", 404, {"why": "gone"}]


async def test_axios_sends_forms_and_passwords(javascript: JavaScript) -> None:
    async with web_server() as server:
        await javascript.run(
            f"{AXIOS} await axios.delete($url, {{ auth: {{ username: 'me', password: 'pass' }} }})", url=server.url
        )

    assert server.received[0].method == "DELETE"
    assert server.received[0].headers["authorization"] == "Basic bWU6cGFzcw=="


EXPRESSIONS: list[tuple[str, Any]] = [
    ("Buffer.from('aGVsbG8', 'base64').toString()", "hello"),
    ("Buffer.from('hé€😀').toString('base64')", "aMOp4oKs8J+YgA=="),
    ("Buffer.from('4oKs', 'base64').toString('utf8')", "€"),
    ("Buffer.from('ff00', 'hex').toString('base64url')", "_wA"),
    ("Buffer.concat([Buffer.from('a'), Buffer.from('b')]).toString('hex')", "6162"),
    ("JSON.stringify(Buffer.from('a'))", '{"type":"Buffer","data":[97]}'),
    ("atob(btoa('plain'))", "plain"),
    ("new TextDecoder().decode(new TextEncoder().encode('ü€😀'))", "ü€😀"),
    ("new TextDecoder().decode(new Uint8Array([104, 195, 40]))", "h�("),
    ("new URL('https://u:p@Example.org:443/a/../b c?x=1#h').href", "https://u:p@example.org/b%20c?x=1#h"),
    ("new URL('../c?d', 'https://example.org/a/b/x').href", "https://example.org/a/c?d"),
    ("new URL('//other.test/x', 'https://example.org').href", "https://other.test/x"),
    ("new URL('http://[::1]:8080/').host", "[::1]:8080"),
    (
        "(() => { const u = new URL('https://a.b/?x=1'); u.searchParams.set('y', 'a&c'); return u })()",
        "https://a.b/?x=1&y=a%26c",
    ),
    ("URL.canParse('not a url')", False),
    ("new URLSearchParams({ a: '1 2', b: 'ü' }).toString()", "a=1+2&b=%C3%BC"),
    ("[...new URLSearchParams('?a=1&a=2&b=%20')].map(([k, v]) => k + v)", ["a1", "a2", "b "]),
    ("new URLSearchParams('a=1&a=2').getAll('a')", ["1", "2"]),
    ("structuredClone({ a: [1] })", {"a": [1]}),
    ("require('buffer').Buffer === Buffer && require('node:url').URL === URL", True),
    ("new Date(0).toISOString()", "1970-01-01T00:00:00.000Z"),
    ("await new Promise((go) => setTimeout((...given) => go(given), 1, 'a', 'b'))", ["a", "b"]),
    ("$text.length + typeof $missing", "5undefined"),
    ("[$vars.tone, $flow.state]", ["dry", {"n": 1}]),
]


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS, ids=[row[0][:40] for row in EXPRESSIONS])
async def test_expressions_mean_what_they_mean_elsewhere(javascript: JavaScript, expression: str, value: Any) -> None:
    seen = {"text": "hello", "vars": {"tone": "dry"}, "flow": {"state": {"n": 1}}}

    assert await javascript.run(f"return {expression}", **seen) == value


@pytest.mark.parametrize(
    "value", ["text", 1, 1.5, True, None, [], {}, {"a": [None, {"b": "ü😀\u2028"}]}, "x" * 100_000]
)
async def test_json_goes_in_and_comes_out_unchanged(javascript: JavaScript, value: Any) -> None:
    assert await javascript.run("return $value", value=value) == value


async def test_what_is_no_json_becomes_json(javascript: JavaScript) -> None:
    value = await javascript.run("return { date: new Date(0), not: undefined, nan: NaN, set: new Set([1]), f() {} }")

    assert json.loads(json.dumps(value)) == {"date": "1970-01-01T00:00:00.000Z", "nan": None, "set": {}}


async def test_what_the_sandbox_has_is_what_the_checks_of_flows_know(javascript: JavaScript) -> None:
    for module in MODULES:
        assert await javascript.run(f"return typeof require('{module}')") in ("object", "function")

    with pytest.raises(NodeError, match=f"has {', '.join(MODULES)}$"):
        await javascript.run("require('typeorm')")
