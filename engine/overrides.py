"""What a caller may change of a flow for one run: only what its owner has enabled, of its own type, as plain values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.flow import Flow, Node
from engine.override_values import (
    Misfit,
    can_be_opened,
    config_value,
    is_open,
    joined,
    opened_by,
    state_rows,
    typed,
    with_state,
)
from engine.registry import Registry
from engine.spec import Param

CONFIG = "Config"  # how the params end that hold a chosen component's own inputs
STATE = "startState"
MAX_NAMES = 20  # that one warning repeats
MAX_NAME = 80  # characters of each


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is accepted, and in `warnings` what is not, and why."""

    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by node id: params and their values
    variables: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """A flow's `apiConfig.overrideConfig`, read."""

    fields: Mapping[str, frozenset[str]]  # by node label
    variables: frozenset[str]

    @classmethod
    def read(cls, api_config: Mapping[str, Any]) -> Rules:
        """Nothing is enabled unless the whole is: `status` must be true."""
        rules = _mapping(api_config.get("overrideConfig"))
        if rules.get("status") not in (True, "true"):
            return cls({}, frozenset())
        nodes = _mapping(rules.get("nodes"))
        return cls(
            {str(label): frozenset(_enabled(rows)) for label, rows in nodes.items()},
            frozenset(_enabled(rules.get("variables"))),
        )

    def allow(self, node: Node, name: str) -> bool:
        return name in self.fields.get(node.label, ())


def apply_overrides(
    flow: Flow,
    override: Mapping[str, Any],
    api_config: Mapping[str, Any],
    registry: Registry,
    *,
    opened: Collection[str] = (),
) -> Overrides:
    """Hold a request's `overrideConfig` against the flow's rules. Raises nothing: what is refused is a warning.

    A value may be a scalar or an array for every node that has the param, or an object by node id for these nodes;
    arrays are added to the present one, objects merged over it. Texts are taken as they are: what looks like a
    reference in them is not resolved. `opened` names protected inputs, such as `chatOpenAI.basepath`, that the server's
    administrator leaves to the flows' rules.
    """
    accepting = _Accepting(flow, Rules.read(api_config), registry, opened)
    for key, value in override.items():
        if key == "vars":
            accepting.take_variables(value)
        elif key != "sessionId":  # that one belongs to the conversation, not to a node
            accepting.take(key, value)
    return accepting.result()


def with_overrides(flow: Flow, overrides: Overrides) -> Flow:
    """The flow as this run sees it. The flow that was given, and its plan, stay as they are."""
    if not overrides.inputs:
        return flow
    changed = {
        node_id: replace(flow.nodes[node_id], inputs={**flow.nodes[node_id].inputs, **inputs})
        for node_id, inputs in overrides.inputs.items()
    }
    return replace(flow, nodes={**flow.nodes, **changed}, plan=None)


def node_params(node: Node, registry: Registry, opened: Collection[str] = ()) -> Iterator[tuple[str, Param]]:
    """What of a node can be overridden at all: its params by the names that rules and requests use.

    A chosen component's inputs go by `<param>Config`; the choice itself stays, as its credential belongs to it.
    """
    node_type = registry.get(node.name)
    if node_type is None:
        return
    for param in node_type.spec.params:
        if isinstance(node.inputs.get(f"{param.name}{CONFIG}"), Mapping):
            yield f"{param.name}{CONFIG}", param
        elif is_open(node_type.spec, param, opened):
            yield param.name, param


def everything(
    flow: Flow, override: Mapping[str, Any], registry: Registry, *, opened: Collection[str] = ()
) -> dict[str, Any]:
    """Rules under which a flow's author may change what a caller could at most."""
    nodes: dict[str, list[dict[str, Any]]] = {}
    for node in flow.nodes.values():
        named = [name for name, _ in node_params(node, registry, opened) if name in override]
        nodes.setdefault(node.label, []).extend({"name": name, "enabled": True} for name in named)
    given = override.get("vars")
    variables = [{"name": name, "enabled": True} for name in given] if isinstance(given, Mapping) else []
    return {"overrideConfig": {"status": True, "nodes": nodes, "variables": variables}}


class _Accepting:
    """One request against one flow."""

    def __init__(self, flow: Flow, rules: Rules, registry: Registry, opened: Collection[str]) -> None:
        self._flow = flow
        self._rules = rules
        self._registry = registry
        self._opened = opened
        self._inputs: dict[str, dict[str, Any]] = {}
        self._variables: dict[str, str] = {}
        self._disabled: list[str] = []
        self._refused: list[str] = []

    def take(self, key: str, value: Any) -> None:
        by_node = isinstance(value, Mapping) and any(name in self._flow.nodes for name in value)
        if not by_node:
            nodes = [node for node in self._flow.nodes.values() if self._rules.allow(node, key)]
            if not nodes:
                self._disabled.append(key)
            for node in nodes:
                self._set(node, key, value, shown=key)
            return
        for node_id, held in value.items():
            found = self._flow.nodes.get(node_id)
            if found is None or not self._rules.allow(found, key):
                self._disabled.append(f"{key}.{node_id}")
            else:
                self._set(found, key, held, shown=f"{key}.{node_id}")

    def take_variables(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            self._refused.append("vars: expected an object of names and values")
            return
        for name, held in value.items():
            if name not in self._rules.variables:
                self._disabled.append(f"vars.{name}")
            elif isinstance(held, Mapping | list) or held is None:
                self._refused.append(f"{_short(f'vars.{name}')}: expected text")
            else:
                self._variables[name] = str(held).lower() if isinstance(held, bool) else str(held)

    def result(self) -> Overrides:
        warnings = [f"overrideConfig: ignored {text}" for text in self._refused]
        if self._disabled:
            names = sorted(self._disabled)
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            listed = ", ".join(map(_short, names[:MAX_NAMES]))
            warnings.insert(0, f"overrideConfig: not enabled for this flow, ignored: {listed}{more}")
        return Overrides(self._inputs, self._variables, tuple(warnings))

    def _set(self, node: Node, key: str, value: Any, *, shown: str) -> None:
        param = dict(node_params(node, self._registry, self._opened)).get(key)
        if param is None:
            self._refused.append(f"{_short(shown)}: {self._why_not(node, key)}")
            return
        try:
            self._inputs.setdefault(node.id, {})[key] = self._value(node, key, param, value)
        except Misfit as exc:
            self._refused.append(f"{_short(shown)}: {exc}")
        if not self._inputs.get(node.id):
            self._inputs.pop(node.id, None)

    def _value(self, node: Node, key: str, param: Param, value: Any) -> Any:
        present = node.inputs.get(key, param.default)
        if key == STATE:
            return with_state(present, typed(param, state_rows(value)))
        if key != param.name:
            component = self._registry.get(str(node.inputs.get(param.name)))
            return joined(present, config_value(component.spec if component else None, value, self._opened))
        return joined(present, typed(param, value))

    def _why_not(self, node: Node, key: str) -> str:
        node_type = self._registry.get(node.name)
        param = node_type.spec.param(key) if node_type else None
        if node_type is None or param is None:
            return f"{node.label} has no such input"
        if isinstance(node.inputs.get(f"{key}{CONFIG}"), Mapping) or not can_be_opened(param):
            return "what leads to secrets or files, and the choice of a component, can never be overridden"
        name = opened_by(node_type.spec, param)
        return f"it leads to code or other servers; the server's administrator can open {name!r} (OVERRIDABLE_FIELDS)"


def _enabled(rows: Any) -> Iterator[str]:
    for row in rows if isinstance(rows, Sequence) and not isinstance(rows, str) else ():
        if isinstance(row, Mapping) and row.get("enabled") in (True, "true"):
            yield str(row.get("name"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
