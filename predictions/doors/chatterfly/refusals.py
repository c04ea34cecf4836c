"""What this API refuses: `{"error": ...}`; an input that does not fit: `{"errors": [...]}`, one entry a problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forjinn.core.errors import AppError
from predictions.inputs import Problem


class InputUnfit(AppError):
    """The run is not started: what is wrong with its input, field by field."""

    status = 422
    code = "input_unfit"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = problems


class UpgradeNeeded(AppError):
    """The stream is a WebSocket."""

    status = 426
    code = "upgrade_required"


def shape(error: AppError, request: Any) -> Mapping[str, Any]:
    """The body of a refusal."""
    if isinstance(error, InputUnfit):
        return {"errors": [{"field": problem.field, "message": problem.message} for problem in error.problems]}
    return {"error": error.message}
