"""What can go wrong in a flow.

EngineError
├── FlowError: the graph is wrong; found before anything runs
│   └── MissingTypes: it names node types that are not installed here
├── RunLimitExceeded: a bound on the whole run was reached
│   └── BudgetExceeded: what pays for the run has nothing left
└── NodeError(node_id, node_label): one node failed; ends the run unless its policy says otherwise
    ├── NodeInputError: its inputs are missing or do not fit
    │   └── LeftOut(name): exports leave this input out, so whoever imports the flow gives it anew
    ├── NodeTimeout
    └── ProviderError(retryable, status): a vendor refused, or never answered

Messages name the thing and the way out, and never carry a secret: they reach the caller as they are.
"""

from __future__ import annotations

from collections.abc import Sequence


class EngineError(Exception):
    """Base of every failure that the engine can explain; `code` is stable, clients switch on it."""

    code = "engine_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class FlowError(EngineError):
    """The graph cannot run as it is drawn."""

    code = "flow_invalid"


class MissingTypes(FlowError):
    """The flow uses node types that this server does not have; `names` lists each once, sorted."""

    code = "missing_node_types"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(sorted(set(names)))
        super().__init__(f"This flow needs node types that are not available here: {', '.join(self.names)}")


class RunLimitExceeded(EngineError):
    """A bound on the run (node executions, time, output, tokens of models) was reached."""

    code = "run_limit"


class BudgetExceeded(RunLimitExceeded):
    """What the run's models may cost was spent, by this run and others; the message names the budget."""

    code = "budget_exceeded"


class NodeError(EngineError):
    """One node failed. The runner fills in `node_id` and `node_label` when a node raises without them."""

    code = "node_failed"

    def __init__(self, message: str, *, node_id: str = "", node_label: str = "") -> None:
        super().__init__(message)
        self.node_id = node_id
        self.node_label = node_label

    def within(self, place: str) -> None:
        """Say in front of the message where it happened, such as "Error in LLM node"."""
        self.message = f"{place}: {self.message}"
        self.args = (self.message,)


class NodeInputError(NodeError):
    """An input is missing or malformed; running again with the same input fails again."""

    code = "node_input"


class LeftOut(NodeInputError):
    """An input is missing that exported flows do not carry: the flow is whole, and only to be filled in."""

    def __init__(self, message: str, *, name: str) -> None:
        super().__init__(message)
        self.name = name


class NodeTimeout(NodeError):
    """The node's own time limit passed."""

    code = "node_timeout"


class ProviderError(NodeError):
    """A vendor's refusal or silence, classified once by its adapter.

    `retryable` says whether the same call may succeed later; `status` is the vendor's HTTP status, 0 when no
    answer came; `retry_after_s` is what the vendor asked for.
    """

    code = "provider_error"

    def __init__(
        self, message: str, *, retryable: bool, status: int = 0, retry_after_s: float | None = None, node_id: str = ""
    ) -> None:
        super().__init__(message, node_id=node_id)
        self.retryable = retryable
        self.status = status
        self.retry_after_s = retry_after_s
        self.model_name = ""  # of the chat model that failed; empty for any other service
