"""What a run that waits for a person needs to go on, in another process and another week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from engine.encoding import encode


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Written down in the transaction that says that the run waits."""

    snapshot: Mapping[str, Any]  # the engine's own: state, queue, joins, loops, messages, and what was asked at first
    trace: Sequence[Mapping[str, Any]]  # the entries so far; that of the node that waits is the last
    action: Mapping[str, Any]  # what was shown to the person

    @property
    def node_id(self) -> str:
        """The node that waits."""
        return str(self.snapshot["paused_at"])

    @property
    def done(self) -> list[Mapping[str, Any]]:
        """The trace of what is behind the run: the node that waits is still to come."""
        waits = bool(self.trace) and self.trace[-1].get("status") == "STOPPED"
        return list(self.trace[:-1] if waits else self.trace)

    def written(self) -> str:
        """As JSON text, which `read_checkpoint` reads."""
        return encode({"snapshot": self.snapshot, "trace": self.trace, "action": self.action}).decode()


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in the text that it wrote."""
    return Checkpoint(**orjson.loads(text))
