"""Nodes by themselves: is their type here, is what it needs filled in, connected and installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from engine.checks.problem import Problem
from engine.errors import FlowError, LeftOut, NodeInputError
from engine.flow import Drawing, Node
from engine.graph import Graph
from engine.plan import asked_model
from engine.registry import Registry
from engine.retry import read_policy
from engine.spec import NodeSpec, Param

# Why some types that other servers have are not here, and what does their work instead.
WHY_NOT: Mapping[str, str] = {
    "airtableAgent": "it runs Python that a model writes; export the table for a CSV Agent, which runs none",
    "readFile": "it would read files of the server; upload the file, or load it with a document loader",
    "writeFile": "it would write files of the server; let the flow answer with the text",
}
ADDRESS = re.compile(r"url|basepath|endpoint|apibase", re.IGNORECASE)
NOT_EXPORTED = frozenset({"file", "folder", "password"})
FALLBACK = "policy.fallbackModel"
CREDENTIALS = ("FLOWISE_CREDENTIAL_ID", "credential")


@dataclass(frozen=True, slots=True)
class Place:
    """A node, or a component that it configures, with what there is to check of it."""

    node: Node
    name: str  # of the type
    inputs: Mapping[str, Any]
    credential: str
    field: str = ""  # of a component: the param that chose it
    connected: frozenset[str] = frozenset()  # anchors that an edge leads to
    unasked: frozenset[str] = frozenset()  # params that may be empty
    is_used: bool = True

    @property
    def who(self) -> str:
        return f"{self.node.label} ({self.node.id})" + (f", {self.field}" if self.field else "")

    def problem(self, message: str, fix: str = "", *, field: str = "", **more: Any) -> Problem:
        path = ".".join(filter(None, (self.field, field)))
        found = Problem(f"{self.who}: {message}", fix, self.node.id, path, **more)
        # What no answer depends on harms nobody.
        return found if self.is_used else replace(found, severity="warning")


def node_problems(drawing: Drawing, registry: Registry) -> Iterator[Problem]:
    """Types, components, required inputs, options, credentials and extras of every node."""
    used = _used(drawing)
    for node in drawing.nodes.values():
        place = Place(
            node=node,
            name=node.name,
            inputs=node.inputs,
            credential=node.credential,
            connected=frozenset(edge.input for edge in drawing.edges if edge.target == node.id),
            unasked=drawing.unasked[node.id],
            is_used=node.id in used,
        )
        yield from _check(place, registry)
        for field, name, config in configured(node.inputs):
            chosen = next((str(config[key]) for key in CREDENTIALS if config.get(key)), "")
            yield from _check(Place(node, name, config, chosen, field), registry)
        yield from _policy_problems(place, registry)


def places_of(drawing: Drawing) -> Iterator[Place]:
    """Every node, each followed by the components that it configures: for checks that look at inputs alone."""
    for node in drawing.nodes.values():
        yield Place(node, node.name, node.inputs, "")
        yield from (Place(node, name, config, "", path) for path, name, config in configured(node.inputs))


def _policy_problems(place: Place, registry: Registry) -> Iterator[Problem]:
    """What is wrong with the node's policy, and with the model that it names to stand in."""
    node_type = registry.get(place.name)
    try:
        policy = read_policy(place.node.policy, place.node.label)
    except FlowError as exc:
        yield place.problem(exc.message, field="policy")
        return
    if (fallback := policy.fallback) is None:
        return
    if node_type is not None and not asked_model(node_type.spec):
        yield place.problem(
            "fallbackModel works in nodes that ask a model themselves",
            "set it at the agent, chain or LLM node that asks",
            field=FALLBACK,
        )
    chosen = next((str(fallback.config[key]) for key in CREDENTIALS if fallback.config.get(key)), "")
    stands_in = replace(place, name=fallback.name, inputs=fallback.config, credential=chosen, field=FALLBACK)
    yield from _check(replace(stands_in, connected=frozenset(), unasked=frozenset()), registry)


def configured(inputs: Any, field: str = "") -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The components that a v2 node configures: the param that chooses one, its name, its own inputs."""
    if isinstance(inputs, Mapping):
        for name, held in inputs.items():
            path = f"{field}.{name}" if field else name
            config = inputs.get(f"{name}Config")
            if isinstance(held, str) and held and isinstance(config, Mapping):
                yield path, held, config
            yield from configured(held, path)
    elif isinstance(inputs, list):
        for index, item in enumerate(inputs):
            yield from configured(item, f"{field}[{index}]")


def _used(drawing: Drawing) -> set[str]:
    """Of a classic graph, what its endings need; other nodes lie about on the canvas."""
    nodes = drawing.nodes
    if any(node.name.endswith("Agentflow") for node in nodes.values()):
        return set(nodes)
    graph = Graph.of(nodes, drawing.edges)
    ends = [node_id for node_id in nodes if not graph.outgoing[node_id] and graph.incoming[node_id]]
    return {found for end in ends for found in graph.ancestors(end)} or set(nodes)


def _check(place: Place, registry: Registry) -> Iterator[Problem]:
    node_type = registry.get(place.name)
    if _starts_program(place.inputs):
        yield place.problem(
            "it would start a program on the server, which flows may not do",
            "use the server's HTTP address",
            field="mcpServerConfig",
        )
    if node_type is None:
        why = WHY_NOT.get(place.name, "")
        yield place.problem(
            f"the type {place.name!r} is not available here" + (f": {why}" if why else ""),
            "replace it, or install a package that brings it",
            code="missing_type",
            subject=place.name,
        )
        return
    spec = node_type.spec
    yield from _needs(place, spec)
    yield from _empty(place, spec)
    yield from _choices(place, spec.params, place.inputs, "")
    if node_type.check is not None:
        try:
            node_type.check(place.inputs)
        except LeftOut as exc:
            yield place.problem(exc.message, field=exc.name, severity="warning", code="needs_value", subject=exc.name)
        except NodeInputError as exc:
            yield place.problem(exc.message)


def _needs(place: Place, spec: NodeSpec) -> Iterator[Problem]:
    if spec.extra is not None and not spec.extra.is_installed:
        yield place.problem(
            f"{spec.label} needs the extra {spec.extra.name!r}, which is not installed",
            f"pip install 'forjinn[{spec.extra.name}]'",
            severity="warning",
            code="needs_extra",
            subject=spec.extra.name,
        )
    param = spec.param("credential")
    if param is None or param.optional or place.credential or _has_own_address(place, spec) or not place.is_used:
        return
    kinds = " or ".join(repr(kind) for kind in spec.credentials)
    yield place.problem(
        f"{spec.label} has no credential",
        f"connect one of kind {kinds}",
        field="credential",
        severity="warning",
        code="needs_credential",
        subject=spec.credentials[0],
    )


def _has_own_address(place: Place, spec: NodeSpec) -> bool:
    """A node that names another server than its vendor's may need no key."""
    addresses = (param for param in spec.params if param.kind == "string" and ADDRESS.search(param.name))
    return any(place.inputs.get(param.name) not in (None, "", param.default) for param in addresses)


def _empty(place: Place, spec: NodeSpec) -> Iterator[Problem]:
    for param in spec.params:
        if param.optional or param.name in place.unasked or param.kind == "credential":
            continue
        held = place.inputs.get(param.name)
        if held not in (None, "", []) or param.default is not None or param.name in place.connected:
            continue
        label = param.label or param.name
        if param.kind in NOT_EXPORTED:
            yield place.problem(
                f"{label} is missing: exports leave such values out",
                f"fill in {label}",
                field=param.name,
                severity="warning",
                code="needs_value",
                subject=param.name,
            )
            continue
        if param.is_anchor:
            yield place.problem(f"{label} is missing", f"connect a node to its {param.name!r}", field=param.name)
        else:
            missing = {"code": "needs_value", "subject": param.name}
            yield place.problem(f"{label} is missing", f"fill in {label}", field=param.name, **missing)


def _choices(place: Place, params: tuple[Param, ...], inputs: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """Values outside the list of an option, on every level of the inputs."""
    for param in params:
        held = inputs.get(param.name)
        field = f"{path}{param.name}"
        for value in _chosen(param, held):
            if param.options and value not in param.options:
                yield place.problem(
                    f"{param.label or param.name} is {value!r}, which this server does not know",
                    f"choose one of {', '.join(param.options)}",
                    field=field,
                    severity="warning",
                    code="doubtful",
                    subject=value,
                )
        if param.fields and isinstance(held, list):
            for index, row in enumerate(held):
                if isinstance(row, Mapping):
                    yield from _choices(place, param.fields, row, f"{field}[{index}].")


def _chosen(param: Param, held: Any) -> list[str]:
    """The values chosen; references are known only when the flow runs."""
    if param.kind == "multiOptions" and isinstance(held, str) and held.startswith("["):
        try:
            held = orjson.loads(held)
        except orjson.JSONDecodeError:
            return []
    values = held if isinstance(held, list) else [held]
    if param.kind not in ("options", "multiOptions"):
        return []
    return [value for value in values if isinstance(value, str) and value and "{{" not in value]


def _starts_program(inputs: Mapping[str, Any]) -> bool:
    """MCP servers are reached over HTTP here; a `command` would run on this machine, with this server's rights."""
    config = inputs.get("mcpServerConfig")
    return '"command"' in config if isinstance(config, str) else isinstance(config, Mapping) and "command" in config
