"""The one client for outgoing requests: what it connects to, and what it takes along."""

from __future__ import annotations

import ast
import socket
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from engine.egress import Egress
from engine.errors import NodeInputError, ProviderError
from engine.http import HttpClient, Patience
from tests.engine.web_server import WebServer, web_server

ENGINE = Path(__file__).resolve().parents[2] / "engine"
# Modules that could open a connection; `engine/http.py` is where they may be, and what goes through it.
CLIENTS = {
    "aiohttp",
    "ftplib",
    "httpx",
    "httpx2",
    "requests",
    "smtplib",
    "socketserver",
    "telnetlib",
    "urllib3",
    "websockets",
}
CLIENT_PARTS = {"http.client", "urllib.request", "xmlrpc.client"}


class Names(AbstractResolver):
    """Answers each look-up with the next addresses; the last ones stay."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = deque(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return [_place(host, address, port) for address in addresses]

    async def close(self) -> None:
        pass


def _place(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


def _port(server: WebServer) -> str:
    return server.url.rpartition(":")[2]


async def test_a_name_that_means_an_internal_address_is_not_called() -> None:
    async with web_server() as server, HttpClient(resolver=Names(["127.0.0.1"])) as http:
        with pytest.raises(NodeInputError, match=r"innocent\.test is not a public host"):
            await http.request("GET", f"http://innocent.test:{_port(server)}/")

    assert server.received == []


async def test_of_several_addresses_only_those_that_may_be_called_are() -> None:
    async with web_server() as server:
        names = Names(["127.0.0.2", "::1", "127.0.0.1"])
        async with HttpClient(Egress(["127.0.0.1"]), resolver=names) as http:
            answer = await http.request("GET", f"http://mixed.test:{_port(server)}/")

    assert answer.status == 200


async def test_a_name_is_looked_up_once_for_a_connection_and_what_it_means_later_changes_nothing() -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with web_server() as server, HttpClient(Egress(["127.0.0.1"]), resolver=names) as http:
        for _ in range(3):
            await http.request("GET", f"http://rebinding.test:{_port(server)}/")

    assert names.asked == ["rebinding.test"]
    assert len(server.received) == 3


async def test_a_name_that_changes_to_an_internal_address_is_refused_when_it_is_looked_up_again() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with web_server() as server:
        egress, url = Egress(["127.0.0.1"]), f"http://rebinding.test:{_port(server)}/"
        async with HttpClient(egress, resolver=names) as first:
            await first.request("GET", url)
        async with HttpClient(egress, resolver=names) as second:
            with pytest.raises(NodeInputError, match="EGRESS_ALLOW"):
                await second.request("GET", url)


async def test_a_stream_is_judged_like_a_request() -> None:
    async with HttpClient() as http:
        with pytest.raises(NodeInputError, match="EGRESS_ALLOW"):
            async with http.stream("POST", "http://127.0.0.1/v1", headers={}, body=b"", patience=Patience()):
                pytest.fail("it must not be called")


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/", "http://127.0.0.2/", "http://[::1]/", "//0x7f.2/"])
async def test_a_redirect_to_an_internal_address_is_not_followed(http: HttpClient, place: str) -> None:
    async with web_server((302, place)) as server:
        with pytest.raises(NodeInputError, match="EGRESS_ALLOW"):
            await http.request("GET", server.url)


async def test_a_chain_of_redirects_ends_at_the_first_internal_address(http: HttpClient) -> None:
    async with web_server((302, "/a"), (307, "/b"), (301, "http://10.0.0.1/")) as server:
        with pytest.raises(NodeInputError, match=r"10\.0\.0\.1"):
            await http.request("GET", server.url)

    assert [request.path for request in server.received] == ["/", "/a", "/b"]


async def test_redirects_on_one_host_keep_their_headers(http: HttpClient) -> None:
    async with web_server((302, "/next?page=2")) as server:
        await http.request("GET", server.url, headers={"Authorization": "Bearer secret"})

    assert server.received[-1].query == {"page": "2"}
    assert server.received[-1].headers["authorization"] == "Bearer secret"


async def test_a_redirect_to_another_host_takes_no_key_along() -> None:
    async with web_server() as server:
        server.answers.append((302, f"http://other.test:{_port(server)}/"))
        sent = {"Authorization": "Bearer secret", "X-Api-Key": "secret", "Cookie": "a=secret", "Accept": "text/plain"}
        async with HttpClient(Egress(["127.0.0.1"]), resolver=Names(["127.0.0.1"])) as http:
            await http.request("GET", f"http://first.test:{_port(server)}/", headers=sent)

    first, second = (request.headers for request in server.received)
    assert first["x-api-key"] == "secret"
    assert second["accept"] == "text/plain"
    assert not [name for name, value in second.items() if "secret" in value]


@pytest.mark.parametrize(
    ("status", "method", "kept"),
    [(301, "GET", False), (302, "GET", False), (303, "GET", False), (307, "POST", True), (308, "POST", True)],
)
async def test_a_redirected_post_becomes_what_its_status_says(
    http: HttpClient, status: int, method: str, kept: bool
) -> None:
    async with web_server((status, "/next")) as server:
        await http.request("POST", server.url, json={"a": 1}, headers={"X-Key": "k", "Content-Language": "en"})

    headers = server.received[-1].headers
    assert headers["x-key"] == "k"
    assert ("content-type" in headers, "content-language" in headers) == (kept, kept)
    assert server.received[-1].method == method
    assert (server.received[-1].body == {"a": 1}) is kept


async def test_five_redirects_are_followed_and_not_one_more(http: HttpClient) -> None:
    async with web_server(*[(302, "/again")] * 5) as server:
        assert (await http.request("GET", server.url)).status == 200

    async with web_server(*[(302, "/again")] * 6) as server:
        with pytest.raises(ProviderError, match="redirected more than 5 times"):
            await http.request("GET", server.url)


async def test_a_redirect_is_an_answer_to_whoever_does_not_follow(http: HttpClient) -> None:
    async with web_server((302, "http://10.0.0.1/")) as server:
        answer = await http.request("GET", server.url, follow=False)

    assert answer.status == 302


async def test_an_answer_longer_than_allowed_is_refused(http: HttpClient) -> None:
    async with web_server((200, "x" * 1001)) as server:
        with pytest.raises(ProviderError, match="more than the 1000 bytes"):
            await http.request("GET", server.url, limit=1000)


@pytest.mark.parametrize(
    "sent",
    [
        *({"headers": {"X-Note": "two\r\nlines"}}, {"headers": {"X\n": "a"}}, {"headers": {"X-Note": "a\0"}}),
        *({"method": "GET /other"}, {"body": "half \ud800"}, {"json": {"a": 2**64}}),
    ],
)
async def test_what_http_cannot_carry_is_the_callers_mistake(http: HttpClient, sent: dict[str, Any]) -> None:
    async with web_server() as server:
        with pytest.raises(NodeInputError, match=r"cannot be (sent|written)"):
            await http.request(**{"method": "POST", "url": server.url, **sent})

    assert server.received == []


async def test_a_redirect_to_what_is_no_host_is_refused(http: HttpClient) -> None:
    async with web_server((302, "http://a..b/")) as server:
        with pytest.raises(NodeInputError, match="no name that a host can have"):
            await http.request("GET", server.url)


@pytest.mark.parametrize("url", ["ftp://me:secret@host/?key=secret", "http://me:secret@[bad/", "http://me:secret@h:x/"])
async def test_a_url_that_cannot_be_called_is_shown_without_its_secrets(http: HttpClient, url: str) -> None:
    with pytest.raises(NodeInputError) as refused:
        await http.request("GET", url)

    assert "URL" in refused.value.message
    assert "secret" not in refused.value.message


def test_nothing_else_in_the_engine_opens_connections() -> None:
    found = [
        f"{path.relative_to(ENGINE)} imports {name}"
        for path in ENGINE.rglob("*.py")
        for name in _imports(path)
        if name.partition(".")[0] in CLIENTS or name in CLIENT_PARTS
    ]

    assert found
    assert [line for line in found if not line.startswith(("http.py ", "providers/httpx_way.py "))] == []


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
