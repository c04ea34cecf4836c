from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from engine.egress import Egress
from engine.http import HttpClient
from tests.engine.drawing import Board
from tests.engine.javascript import JavaScript, javascript_sandbox
from tests.engine.node_world import NodeWorld
from tests.model_server import ScriptedModel

LOOPBACK = "127.0.0.1"  # where the tests' own servers listen


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(Egress([LOOPBACK])) as client:
        yield client


@pytest.fixture
def nodes(http: HttpClient) -> NodeWorld:
    return NodeWorld(http)


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as running:
        yield running


@pytest.fixture
def board(nodes: NodeWorld) -> Board:
    return Board(nodes.world)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def javascript() -> AsyncIterator[JavaScript]:
    """For tests on the session's loop: `pytestmark = pytest.mark.asyncio(loop_scope="session")`."""
    async with javascript_sandbox(compute_s=1.0) as running:
        yield running
