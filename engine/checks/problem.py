"""One thing that is wrong with a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
Code = Literal[
    "broken",  # it cannot run as it is drawn or filled in
    "missing_type",  # it needs a node type that is not here
    "needs_credential",
    "needs_value",  # an input is empty: a warning if exports leave such out, as they do with files and passwords
    "needs_extra",  # it needs an optional dependency
    "doubtful",  # it runs, though perhaps not as its author meant
]


@dataclass(frozen=True, slots=True)
class Problem:
    """`node_id` is "" for the flow as a whole, `field` for the node as a whole.

    `subject` is what is missing: the type's name, the credential's kind, the extra's name.
    """

    message: str
    fix: str = ""
    node_id: str = ""
    field: str = ""
    severity: Severity = "error"
    code: Code = "broken"
    subject: str = ""
