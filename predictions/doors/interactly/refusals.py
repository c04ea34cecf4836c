"""How this API refuses: a request that cannot be read names all its faults, everything else says one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forjinn.core.errors import AppError, shape_errors

PREFIX = "/workflows"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where, in words, and as a stable name."""

    loc: tuple[str | int, ...]
    msg: str
    type: str
    ctx: Mapping[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": self.type, "loc": list(self.loc), "msg": self.msg}
        return shown if self.ctx is None else {**shown, "ctx": dict(self.ctx)}


class Unreadable(AppError):
    """The request does not have the form that the API describes; `faults` says all that is wrong."""

    status = 422
    code = "unreadable"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.msg for fault in faults))
        self.faults = tuple(faults)


class RuleBroken(AppError):
    """The request can be read, and asks for what the run's rules forbid; `category` is their heading."""

    status = 400
    code = "rule_broken"

    def __init__(self, category: str, message: str) -> None:
        super().__init__(message)
        self.category = category


def shape(exc: AppError, _request: Any) -> Mapping[str, Any]:
    """The body of any refusal below PREFIX."""
    match exc:
        case Unreadable():
            return {"detail": [fault.shown() for fault in exc.faults]}
        case RuleBroken():
            return {"message": exc.category, "error": exc.message}
        case AppError(status=422):
            where = "header" if exc.code.startswith("idempotency") else "body"
            return {"detail": [Fault((where,), exc.message, exc.code).shown()]}
        case AppError(status=400):
            return {"message": "Invalid request", "error": exc.message}
    return {"detail": exc.message}


shape_errors(PREFIX, shape)
