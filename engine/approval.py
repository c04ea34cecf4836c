"""Asking a person before a run goes on: what they are shown, and what they may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from engine.errors import NodeInputError
from engine.flow import Node

PROCEED, REJECT = "proceed", "reject"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said: to go on or not, and perhaps why."""

    kind: str  # PROCEED or REJECT
    feedback: str = ""

    @property
    def is_yes(self) -> bool:
        return self.kind == PROCEED


def read_answer(given: Mapping[str, Any]) -> Answer:
    """The answer in `humanInput` as clients send it: {type, feedback?}. Raises NodeInputError for any other type."""
    kind = given.get("type")
    if kind not in (PROCEED, REJECT):
        raise NodeInputError(f"The answer's type must be {PROCEED!r} or {REJECT!r}, not {kind!r}.")
    return Answer(kind, str(given.get("feedback") or ""))


def action_for(node: Node, shown: Mapping[str, Any], rng: Random) -> dict[str, Any]:
    """The action object that chat clients draw two buttons from. `shown` is what they see of the node's input."""
    return {
        "id": str(UUID(int=rng.getrandbits(128), version=4)),
        "mapping": {"approve": "Proceed", "reject": "Reject"},
        "elements": [
            {"type": "agentflowv2-approve-button", "label": "Proceed"},
            {"type": "agentflowv2-reject-button", "label": "Reject"},
        ],
        "data": {"nodeId": node.id, "nodeLabel": node.label, "input": dict(shown)},
    }
