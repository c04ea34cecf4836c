"""What a run may still spend of its limits; runs inside it spend from the same."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import RunLimitExceeded


@dataclass(slots=True)
class Budget:
    """Both bounds end the run that reaches them."""

    most_executions: int  # of nodes
    bytes_left: int  # of outputs and tokens
    executions: int = 0

    def execute(self) -> None:
        """Count a node that is about to run. Raises RunLimitExceeded if no more may."""
        if self.executions >= self.most_executions:
            raise RunLimitExceeded(
                f"Maximum iteration limit reached: a run may execute {self.most_executions} nodes. "
                "Check what ends its loops."
            )
        self.executions += 1

    def spend(self, size_bytes: int) -> None:
        """Raises RunLimitExceeded when the run has put out more than it may."""
        self.bytes_left -= size_bytes
        if self.bytes_left < 0:
            raise RunLimitExceeded("The run put out more than it may: let its nodes answer more briefly, or end loops.")
