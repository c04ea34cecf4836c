from importlib.metadata import EntryPoint
from typing import Any

import pytest

from engine import registry as registry_module
from engine.errors import EngineError
from engine.registry import Registry, load_registry
from engine.spec import NodeSpec, NodeType, Param
from tests.engine.drawing import echoes


def node_type(name: str, *params: Param) -> NodeType:
    return NodeType(NodeSpec(name, name, 1, "Tools", params=params), echoes)


EXTRA = (node_type("extra"),)
TWICE = (node_type("chatOpenAI"),)


@pytest.fixture(params=["EXTRA"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers the types of one name in this module."""
    point = EntryPoint("mine", f"{__name__}:{request.param}", registry_module.ENTRY_POINTS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.value.rpartition(":")[2]])
    monkeypatch.setattr(registry_module, "entry_points", lambda *, group: [point] if group == point.group else [])


def test_every_built_in_type_is_found_by_its_name() -> None:
    registry = load_registry()

    found: list[Any] = [registry.get(node_type.spec.name) for node_type in registry]
    assert found == list(registry)
    assert len(registry) > 20
    assert {"chatOpenAI", "conversationChain", "llmChain", "startAgentflow"} <= {t.spec.name for t in registry}


def test_a_name_that_nobody_has_gives_nothing() -> None:
    registry = load_registry()

    assert registry.get("gone") is None
    assert "gone" not in registry


def test_two_types_of_one_name_are_an_error() -> None:
    with pytest.raises(EngineError, match="Two node types are named 'a': rename one"):
        Registry([node_type("a"), node_type("b"), node_type("a")])


@pytest.mark.usefixtures("installed")
def test_installed_packages_add_types() -> None:
    assert "extra" in load_registry()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("installed", ["TWICE"], indirect=True)
def test_an_installed_type_cannot_take_the_place_of_a_built_in_one() -> None:
    with pytest.raises(EngineError, match="Two node types are named 'chatOpenAI'"):
        load_registry()


def test_names_of_passwords_are_known_as_secrets() -> None:
    registry = Registry([node_type("a", Param("token", "password"), Param("text", "string"))])

    assert registry.secrets == {"credential", "FLOWISE_CREDENTIAL_ID", "token"}
