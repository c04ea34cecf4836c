"""Node types as data: what the editor, the catalogue, the validator and the docs read, and the function that runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from engine.providers.base import Message, Usage

if TYPE_CHECKING:
    from engine.context import NodeContext

# Kinds that are filled in on the node itself. Any other kind names the base class that an edge must bring:
# then the parameter is an anchor.
FIELD_KINDS = frozenset(
    (
        "asyncOptions",
        "asyncMultiOptions",
        "options",
        "multiOptions",
        "array",
        "datagrid",
        "string",
        "number",
        "boolean",
        "password",
        "json",
        "code",
        "date",
        "file",
        "folder",
        "tabs",
        "conditionFunction",
        "timePicker",
        "weekDaysPicker",
        "monthDaysPicker",
        "datePicker",
        "credential",
    )
)

Inputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """One input of a node type."""

    name: str
    kind: str
    label: str = ""
    default: Any = None
    optional: bool = False
    help: str = ""
    options: tuple[str, ...] = ()
    fields: tuple[Param, ...] = ()  # kind `array`: the columns of one item
    is_list: bool = False  # an anchor that takes several edges
    variables: bool = False  # `acceptVariable`: {{ references }} are resolved before the node runs

    @property
    def is_anchor(self) -> bool:
        return self.kind not in FIELD_KINDS


@dataclass(frozen=True, slots=True)
class Extra:
    """An optional dependency: its name in `pip install forjinn[name]`, and a module that only it brings."""

    name: str
    module: str

    @property
    def is_installed(self) -> bool:
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:  # not even the package around it
            return False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node type. `name` is what exported flows carry: never rename one, raise its version."""

    name: str
    label: str
    version: float
    category: str
    base_classes: tuple[str, ...] = ()
    help: str = ""
    params: tuple[Param, ...] = ()
    outputs: tuple[str, ...] = ()  # selectable outputs of a classic node; the first is the default
    credentials: tuple[str, ...] = ()  # names of the credential kinds it takes
    role: Literal["component", "ending", "step", "start", "member", "note"] = "step"
    # component: builds a value for others (a model, a memory); ending: a chain or agent that a classic flow may end in;
    # step, start: AgentFlow v2; member: takes turns in a multi-agent graph; note: never runs
    is_decision: bool = False  # only the output handles in NodeResult.taken are followed
    is_free: bool = False  # to run it twice costs and does nothing more than to run it once
    extra: Extra | None = None  # what has to be installed besides

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the params that are never shown."""
        return frozenset(param.name for param in self.params if param.kind == "password")

    def param(self, name: str) -> Param | None:
        return next((p for p in self.params if p.name == name), None)


@dataclass(frozen=True, slots=True)
class Append:
    """A state update that goes behind what the state holds there, instead of replacing it."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """What a paused node waits for: a person's decision, the user's next message, an event by its name, a time.

    `order`: no node waits; the run was told to pause, and goes on when it is told so.

    After `for_s` seconds the node is asked again with the answer `{"type": "timeout"}`; without them it waits for as
    long as the server keeps runs that wait.
    """

    kind: Literal["human", "message", "event", "timer", "order"] = "human"
    event: str = ""
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Asks the runner to stop here until somebody answers; `action` is shown to them as it is.

    `kept` is plain JSON that the node wants back when it is asked again, in `NodeContext.kept`.
    """

    text: str
    action: Mapping[str, Any]
    kept: Any = None
    wait: Wait = Wait()


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What running a node gives.

    `output` is what references and the trace see, `value` what edges of a classic graph carry (a model, a chain, a
    text). `state` entries are merged over the run's state; `messages` are appended to the run's messages.
    """

    output: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None
    input: Any = None  # what the trace shows as the node's input; None: its resolved inputs
    state: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    usage: Usage = field(default_factory=Usage)
    taken: frozenset[int] | None = None  # a decision's outcome: the output indexes that are followed
    taken_output: str = ""  # likewise for a decision of a classic graph: the name of the output
    published: Mapping[str, Any] = field(default_factory=dict)  # shown beside the answer: `flowVariables`
    jump_to: str | None = None  # a loop: run that node again, whatever its joins say
    pause: Pause | None = None
    inner: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # outputs of nodes inside it, for references
    reasoning: Mapping[str, Any] | None = None  # a step that `AgentReasoned` shows
    next_agent: str = ""  # the title of the agent that it chose


NodeRun = Callable[["NodeContext", Inputs], Awaitable[NodeResult]]


@dataclass(frozen=True, slots=True)
class NodeType:
    """A spec and the function that runs it."""

    spec: NodeSpec
    run: NodeRun
    # Whether a node with these inputs (not yet resolved) uses nothing of the run but what its references name: neither
    # messages nor state. Then it may run beside nodes that are ready before it. None: never.
    is_independent: Callable[[Inputs], bool] | None = None
    # Raises NodeInputError for inputs (not yet resolved) with which the node cannot run here, before anything runs.
    check: Callable[[Inputs], None] | None = None
    # Whether a node with these inputs (not yet resolved) may wait for a person: then it cannot stand in an iteration.
    may_pause: Callable[[Inputs], bool] | None = None
    # A vector store: what runs instead when the flow's documents are to be stored in it (`engine.upsert`).
    upsert: NodeRun | None = None
