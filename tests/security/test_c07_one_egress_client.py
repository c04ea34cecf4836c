"""C7: whatever a flow calls goes through one client, which judges every address, whoever wrote it and however."""

from __future__ import annotations

from typing import Any

import pytest

from engine.egress import Egress
from engine.errors import NodeError, NodeInputError, ProviderError
from engine.http import HttpClient
from engine.nodes.mcp_tools import run_custom
from engine.registry import load_registry
from tests.engine.node_world import NodeWorld
from tests.engine.web_server import web_server
from tests.security.source import imports

LOOPBACK = (
    *("127.0.0.1", "127.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "127.0.0.1."),
    *("0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::7f00:1]", "[64:ff9b::7f00:1]"),
    *("①②⑦.⓪.⓪.①", "127。0。0。1", "user:pass@127.0.0.1", "example.org:80@127.0.0.1"),
)
INTERNAL = (
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200", "169.254.169.254", "0xa9fea9fe"),
    *("2852039166", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "224.0.0.1"),
    *("255.255.255.255", "168.63.129.16", "[2002:7f00:1::1]", "metadata.google.internal", "METADATA.google.internal."),
)
NAMES = ("localhost", "localhost.", "LOCALHOST", "foo.localhost")
SCHEMES = ("file:///etc/passwd", "ftp://example.org/", "gopher://127.0.0.1:6379/_x", "dict://127.0.0.1/", "data:,x")

CLIENTS = {
    *("aiohttp", "httpx", "httpx2", "requests", "urllib3", "websockets", "websocket", "smtplib", "ftplib", "telnetlib"),
    *("pycurl", "boto3", "botocore", "paramiko", "selenium", "playwright", "openai", "anthropic", "httplib2"),
}
CLIENT_PARTS = ("http.client", "urllib.request", "xmlrpc.client", "asyncio.open_connection")
CONNECTING = {
    "engine/http.py": "the client itself",
    "engine/providers/httpx_way.py": "hands requests of vendors' packages to it",
    "engine/nodes/anthropic.py": "a vendor's package, given that way out",
    "engine/nodes/bedrock.py": "a vendor's package that calls AWS alone: the region in its hosts is checked",
    "chatflows/stub_model.py": "a server, for trials",
    "forjinn/core/mail.py": "names an error of the operator's own server for mail",
    "forjinn/core/refusals.py": "names an error of the package that asks the operator's own provider of accounts",
    "forjinn/embedded/doors.py": "asks the operator's own services whether they run",
    "forjinn/embedded/model.py": "asks the operator's own model whether it runs",
    "forjinn/embedded/parts.py": "asks the operator's own services whether they run",
}


def test_nothing_else_of_ours_opens_connections() -> None:
    clients = (path for path, name in imports() if name.partition(".")[0] in CLIENTS or name.startswith(CLIENT_PARTS))
    found = set(clients)

    assert found == set(CONNECTING)


@pytest.mark.parametrize("host", [*LOOPBACK, *INTERNAL])
async def test_no_way_to_write_an_internal_address_leads_there(host: str) -> None:
    async with HttpClient() as http:
        with pytest.raises(NodeInputError, match="EGRESS_ALLOW="):
            await http.request("GET", f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_for_this_machine_is_judged_by_what_it_means(name: str) -> None:
    async with web_server() as server, HttpClient() as http:
        port = server.url.rpartition(":")[2]
        with pytest.raises((NodeInputError, ProviderError), match=r"EGRESS_ALLOW|Could not connect"):
            await http.request("GET", f"http://{name}:{port}/")

    assert server.received == []


@pytest.mark.parametrize("url", SCHEMES)
async def test_only_http_leaves_whatever_is_allowed(url: str) -> None:
    async with HttpClient(Egress(["0.0.0.0/0", "::/0"])) as http:
        with pytest.raises(NodeInputError, match="must begin with http"):
            await http.request("GET", url)


async def test_a_chain_of_redirects_does_not_end_at_the_metadata(http: HttpClient) -> None:
    async with web_server((302, "/a"), (307, "/b"), (301, "http://169.254.169.254/latest/")) as server:
        with pytest.raises(NodeInputError, match="EGRESS_ALLOW"):
            await http.request("GET", server.url)

    assert [request.path for request in server.received] == ["/", "/a", "/b"]


def addressed() -> list[tuple[str, str]]:
    """Every node type that is given an address, by what it is called."""
    return [
        (node_type.spec.name, param.name)
        for node_type in load_registry()
        for param in node_type.spec.params
        if param.name.lower() in ("url", "basepath", "baseurl", "requestsgeturl", "requestsposturl", "endpoint")
    ]


@pytest.mark.parametrize(("name", "param"), addressed(), ids=str)
async def test_no_node_calls_this_machine_because_a_flow_says_so(name: str, param: str) -> None:
    async with web_server() as server, HttpClient() as closed:
        inputs: dict[str, Any] = {param: server.url, "modelName": "m", "method": "GET", "input": "x"}
        node_type = load_registry().get(name)
        assert node_type is not None
        try:
            made = (await node_type.run(NodeWorld(closed).context(), inputs)).value
            if hasattr(made, "call"):
                await made.call({"url": server.url, "input": "x"})
        except (NodeError, ImportError):
            pass  # refused, or lacks what is none of this test's business

    assert server.received == []


async def test_a_server_of_tools_is_called_by_the_same_rules() -> None:
    async with web_server() as server, HttpClient() as closed:
        with pytest.raises(NodeInputError, match="EGRESS_ALLOW"):
            await run_custom(NodeWorld(closed).context(), {"mcpServerConfig": {"url": server.url}})

    assert server.received == []
