"""What a run may still spend of its limits; runs inside it spend from the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.errors import RunLimitExceeded
from engine.providers.base import Usage

LOOPING = "Maximum iteration limit reached"  # how the message begins that tells of a run without an end


class Account(Protocol):
    """What pays for a run's models, it and other runs."""

    async def check(self) -> None:
        """Raises BudgetExceeded if nothing is left, so that no model is to be asked."""
        ...

    async def spend(self, model_name: str, usage: Usage) -> None:
        """A model was asked: write down what it read and wrote."""
        ...


@dataclass(slots=True)
class Budget:
    """Each of the bounds ends the run that goes beyond it."""

    most_executions: int  # of nodes
    bytes_left: int  # of outputs and tokens
    most_tokens: int  # of chat models, read and written
    executions: int = 0
    tokens: int = 0
    account: Account | None = None

    def execute(self) -> None:
        """Count a node that is about to run. Raises RunLimitExceeded if no more may."""
        if self.executions >= self.most_executions:
            raise RunLimitExceeded(
                f"{LOOPING}: a run may execute {self.most_executions} nodes. Check what ends its loops."
            )
        self.executions += 1

    def spend(self, size_bytes: int) -> None:
        """Raises RunLimitExceeded when the run has put out more than it may."""
        self.bytes_left -= size_bytes
        if self.bytes_left < 0:
            raise RunLimitExceeded("The run put out more than it may: let its nodes answer more briefly, or end loops.")

    def check_tokens(self) -> None:
        """Raises RunLimitExceeded if no model may be asked any more."""
        if self.tokens >= self.most_tokens:
            raise self._too_many_tokens()

    def spend_tokens(self, tokens: int) -> None:
        """Count what a model read and wrote. Raises RunLimitExceeded when that is more than the run may."""
        self.tokens += tokens
        if self.tokens > self.most_tokens:
            raise self._too_many_tokens()

    def _too_many_tokens(self) -> RunLimitExceeded:
        return RunLimitExceeded(
            f"The run's models have used {self.tokens} tokens of the {self.most_tokens} that a run may use: show them "
            "less, let them answer more briefly, or end loops."
        )
