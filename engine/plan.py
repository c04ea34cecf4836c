"""A flow and the node types it runs on: everything that is the same in all its runs, worked out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.endings import category_of, endings_of
from engine.errors import FlowError, NodeInputError
from engine.flow import Flow, Node
from engine.graph import Graph
from engine.multiagent import arrange
from engine.registry import Registry
from engine.retry import ERROR_HANDLE, Fallback, Policy, read_policy
from engine.scope import READERS, is_shared
from engine.spec import NodeRun, NodeSpec, NodeType, Param
from engine.templating import (
    COMPILED,
    UPDATES,
    Compiled,
    Reference,
    Scope,
    agentflow_text,
    classic_text,
    compile_value,
    resolve,
)
from engine.trace import without_secrets

MEMORY = "Memory"
REMEMBERS = "EnableMemory"  # how the params of AgentFlow v2 end that switch memory on


@dataclass(frozen=True, slots=True)
class Step:
    """A node with its type, ready to run."""

    node: Node
    type: NodeType
    static: Mapping[str, Any]  # inputs that are the same in every run
    dynamic: tuple[tuple[str, Compiled], ...]
    shown: Mapping[str, Any]  # `static` as the trace shows it
    policy: Policy
    is_last: bool
    reads: frozenset[str]  # nodes that its references name
    may_run_ahead: bool  # beside nodes that are ready before it
    parts: tuple[Step, ...] = ()  # in a multi-agent graph, what has to be built before it runs, in this order

    @property
    def spec(self) -> NodeSpec:
        return self.type.spec

    def inputs(self, scope: Scope) -> dict[str, Any]:
        """Its inputs in this run."""
        return {**self.static, **{name: value.resolve(scope) for name, value in self.dynamic}}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the runner needs of a flow."""

    flow: Flow
    registry: Registry
    graph: Graph  # of the nodes that run
    steps: Mapping[str, Step]
    first: tuple[str, ...]  # ready at the start, in this order
    ranks: Mapping[str, int] = field(default_factory=dict)  # classic: of the ready nodes the lowest goes first
    endings: tuple[str, ...] = ()  # the nodes whose value is a classic flow's answer: several only behind a decision
    memory_type: str = ""  # label of the memory node
    reads_history: bool = False
    has_company: bool = False  # some steps may run ahead of their turn
    blocks: Mapping[str, Plan] = field(default_factory=dict)  # what runs inside steps, by their ids
    most_executions: int | None = None  # of nodes, if the flow itself bounds them


def plan_for(flow: Flow, registry: Registry) -> Plan:
    """The flow's plan, kept with it.

    Raises MissingTypes with all node types that it needs and this server lacks, FlowError if it has no valid ending,
    lacks a connection that a node needs, or has a policy that makes no sense.
    """
    if flow.plan is None or flow.plan.registry is not registry:
        plans = {"CHATFLOW": _plan_classic, "AGENTFLOW": _plan_agentflow, "MULTIAGENT": _plan_multiagent}
        flow.plan = plans[flow.kind](flow, registry)
    return flow.plan


def _plan_agentflow(flow: Flow, registry: Registry) -> Plan:
    components = [name for node in flow.nodes.values() for name in components_in(node.inputs)]
    fallbacks = [name for node in flow.nodes.values() for name in fallbacks_in(node)]
    registry.require([*(node.name for node in flow.nodes.values()), *components, *fallbacks])
    return _part(flow, registry, flow.graph)


def _part(flow: Flow, registry: Registry, graph: Graph) -> Plan:
    """The plan of the whole flow, or of what stands inside one of its iterations."""
    blocks = {n: _part(flow, registry, flow.blocks[n]) for n in graph.ids if n in flow.blocks}
    steps = {
        node_id: _agentflow_step(flow.nodes[node_id], registry, blocks.get(node_id), is_last=_is_last(node_id, graph))
        for node_id in graph.ids
    }
    return Plan(
        flow,
        registry,
        graph,
        steps,
        graph.roots,
        reads_history=any(map(_reads_history, steps.values())) or any(block.reads_history for block in blocks.values()),
        has_company=any(step.may_run_ahead for step in steps.values()),
        blocks=blocks,
    )


def _agentflow_step(node: Node, registry: Registry, block: Plan | None, *, is_last: bool) -> Step:
    node_type = _type(node, registry)
    accepted = _accepted(node, node_type.spec)
    inputs = {
        name: compile_value(value, _updates if name.endswith(UPDATES) else agentflow_text)
        if name in accepted
        else value
        for name, value in with_defaults(node_type.spec, node.inputs).items()
    }
    if node.parent and node_type.may_pause is not None and node_type.may_pause(node.inputs):
        raise FlowError(
            f"{node.label} ({node.id}) would wait for a person, which nothing inside an iteration can: place it "
            "outside."
        )
    step = _step(node, node_type, inputs, registry, is_last=is_last)
    inner = block.steps.values() if block else ()
    return replace(step, reads=step.reads.union(*(inside.reads for inside in inner))) if inner else step


def _is_last(node_id: str, graph: Graph) -> bool:
    """A way out for failures alone does not make more of the path."""
    return all(graph.edges[index].output == ERROR_HANDLE for index in graph.outgoing[node_id])


def _updates(text: str) -> Any:
    return agentflow_text(text, is_update=True)


def _plan_classic(flow: Flow, registry: Registry) -> Plan:
    return _towards(flow, registry, endings_of(flow, registry))


def part_plan(flow: Flow, registry: Registry, node_id: str, ending: NodeRun) -> Plan:
    """What leads to a node of a classic flow, and at its end `ending` instead of what the node does in a prediction.

    Raises MissingTypes and FlowError as `plan_for` does.
    """
    plan = _towards(flow, registry, (node_id,))
    step = plan.steps[node_id]
    return replace(plan, steps={**plan.steps, node_id: replace(step, type=replace(step.type, run=ending))})


def _towards(flow: Flow, registry: Registry, endings: tuple[str, ...]) -> Plan:
    graph = flow.graph.part(set().union(*map(flow.graph.ancestors, endings)))
    needed = [flow.nodes[node_id] for node_id in graph.ids]
    registry.require([*(node.name for node in needed), *(name for node in needed for name in fallbacks_in(node))])
    steps = {
        node_id: _classic_step(flow.nodes[node_id], flow, registry, is_last=node_id in endings) for node_id in graph.ids
    }
    distances: Counter[str] = Counter()
    for ending in endings:
        distances |= graph.distances(ending)
    # From afar towards the end; at one distance, what others lead to goes first: it may set what the rest reads.
    ranks = {n: 2 * (len(graph.ids) - distances[n]) + (n in graph.roots) for n in graph.ids}
    memories = [e.source for e in graph.edges if category_of(flow.nodes[e.source], registry) == MEMORY]
    reads_history = any(is_history(found) for step in steps.values() for found in _references(step))
    return Plan(
        flow,
        registry,
        graph,
        steps,
        tuple(sorted(graph.roots, key=ranks.__getitem__)),
        ranks=ranks,
        endings=endings,
        memory_type=flow.nodes[memories[0]].label if memories else "",
        reads_history=bool(memories) and reads_history,
        has_company=any(step.may_run_ahead for step in steps.values()),
    )


def _plan_multiagent(flow: Flow, registry: Registry) -> Plan:
    """Agents take turns; what is connected to them is built when the first of them needs it."""
    drawn = arrange(flow, registry)
    needed = dict.fromkeys(part for parts in drawn.parts.values() for part in parts)
    built = {n: _classic_step(flow.nodes[n], flow, registry, is_last=False) for n in needed}
    steps = {
        node.id: replace(
            _classic_step(node, flow, registry, is_last=False),
            parts=tuple(built[n] for n in drawn.parts[node.id]),
            # Agents that stand side by side do not hear each other.
            may_run_ahead=True,
        )
        for node in drawn.nodes.values()
    }
    return Plan(
        flow,
        registry,
        drawn.graph,
        steps,
        (drawn.first,),
        memory_type=drawn.memory_type,
        reads_history=any(
            is_history(found) for step in (*built.values(), *steps.values()) for found in _references(step)
        ),
        has_company=True,
        most_executions=drawn.most_turns,
    )


def _classic_step(node: Node, flow: Flow, registry: Registry, *, is_last: bool) -> Step:
    node_type = _type(node, registry)
    spec = node_type.spec
    accepted = _accepted(node, spec)
    texts = node.json | {param.name for param in spec.params if param.kind == "json"}
    inputs = {
        name: compile_value(value, _classic(name in accepted, name in texts and isinstance(value, str)))
        for name, value in with_defaults(spec, node.inputs).items()
    }
    step = _step(node, node_type, inputs, registry, is_last=is_last)
    if step.policy.on_error != "fail":
        raise FlowError(f"The policy of {node.label} is wrong: onError works in AgentFlow v2 only.")
    for name, value in step.dynamic:
        for reference in value.references():
            if reference.root not in READERS and reference.root not in flow.nodes:
                raise FlowError(
                    f"{node.label} ({node.id}) takes {name!r} from {reference.root}, which is not in the flow: "
                    "connect it again."
                )
    for param in spec.params:
        if param.is_anchor and not param.optional and not inputs.get(param.name):
            raise FlowError(
                f"{node.label} ({node.id}) needs {param.label or param.name}: connect a node to its {param.name!r}."
            )
    return step


def _classic(accepts_variables: bool, is_json: bool) -> Callable[[str], Any]:
    return lambda text: classic_text(text, accepts_variables=accepts_variables, is_json=is_json)


def _check_inputs(node: Node, node_type: NodeType) -> None:
    if node_type.check is None:
        return
    try:
        node_type.check(node.inputs)
    except NodeInputError as exc:
        raise FlowError(f"{node.label} ({node.id}) cannot run here: {exc.message}") from exc


def _step(node: Node, node_type: NodeType, inputs: Mapping[str, Any], registry: Registry, *, is_last: bool) -> Step:
    _check_inputs(node, node_type)
    static = {name: value for name, value in inputs.items() if not isinstance(value, COMPILED)}
    dynamic = tuple((name, value) for name, value in inputs.items() if isinstance(value, COMPILED))
    references = [reference for _, value in dynamic for reference in value.references()]
    policy = read_policy(node.policy, node.label)
    if policy.fallback is not None:
        _check_fallback(policy.fallback, node, node_type.spec, registry)
    is_independent = node_type.is_independent is not None and node_type.is_independent(node.inputs)
    return Step(
        node,
        node_type,
        static,
        dynamic,
        without_secrets(static, registry.secrets | node.secrets | node_type.spec.secrets),
        policy,
        is_last,
        frozenset(reference.root for reference in references if reference.root not in READERS),
        may_run_ahead=policy.concurrent or (is_independent and not any(map(is_shared, references))),
    )


def _check_fallback(fallback: Fallback, node: Node, spec: NodeSpec, registry: Registry) -> None:
    registry.require([fallback.name])
    if not asked_model(spec):
        raise FlowError(
            f"The policy of {node.label} is wrong: fallbackModel works in nodes that ask a model themselves, such as "
            "agents, chains and LLM nodes."
        )


def asked_model(spec: NodeSpec) -> str:
    """The param that holds the model which a node of this type asks when it runs; empty if it asks none.

    Components only hand a model on: who runs with them asks it.
    """
    params = () if spec.role == "component" else spec.params
    names = (p.name for p in params if (p.name == "model" and p.is_anchor) or _chooses_model(p))
    return next(names, "")


def _chooses_model(param: Param) -> bool:
    return param.kind == "asyncOptions" and param.name.endswith("Model")


def fallbacks_in(node: Node) -> list[str]:
    """The type of the model that the node's policy names, if it does."""
    fallback = node.policy.get("fallbackModel")
    name = fallback.get("name") if isinstance(fallback, Mapping) else None
    return [name] if isinstance(name, str) and name else []


def _accepted(node: Node, spec: NodeSpec) -> set[str]:
    """Params whose references are resolved: those that the type's spec names, and those that the exported node does.

    Both, because a flow may be older or newer than the type here, and a reference left as it is would reach a model.
    """
    return {param.name for param in spec.params if param.variables} | node.variables


def with_defaults(spec: NodeSpec, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the editor would have filled in: flows that were not drawn there leave inputs out."""
    missing = {p.name: p.default for p in spec.params if p.default is not None and p.name not in inputs}
    return {**missing, **inputs}


def resolved_config(spec: NodeSpec, config: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The inputs of a component that a v2 node configures: it says itself which of them take references."""
    accepted = {param.name for param in spec.params if param.variables}
    return {
        name: resolve(compile_value(value, agentflow_text), scope) if name in accepted else value
        for name, value in with_defaults(spec, config).items()
    }


def components_in(value: Any) -> Iterator[str]:
    """Names of the components that a v2 node configures: a param is one if it has a `<param>Config` beside it."""
    if isinstance(value, Mapping):
        for name, held in value.items():
            if isinstance(held, str) and held and isinstance(value.get(f"{name}Config"), Mapping):
                yield held
            yield from components_in(held)
    elif isinstance(value, list):
        for item in value:
            yield from components_in(item)


def is_history(reference: Reference) -> bool:
    return reference.root == "chat_history" or (reference.root == "$flow" and reference.path == ("chatHistory",))


def _reads_history(step: Step) -> bool:
    remembers = any(
        name.endswith(REMEMBERS) and value not in (False, "false", "") for name, value in step.static.items()
    )
    return remembers or any(is_history(found) for found in _references(step))


def _references(step: Step) -> Iterator[Reference]:
    return (reference for _, value in step.dynamic for reference in value.references())


def _type(node: Node, registry: Registry) -> NodeType:
    node_type = registry.get(node.name)
    assert node_type is not None, "types are checked before steps are made"
    return node_type
