"""Whose rows the database may show: one workspace's, nobody's, or, where code says so, everybody's.

A scope belongs to the code that runs, like its stack, and threads that the code hands work to inherit it
(`sync_to_async`, tasks of asyncio). Connections follow it: each one remembers which scope PostgreSQL was told last, and
says another one before the next statement that needs it (`forjinn.core.postgres`). Leaving a scope costs nothing, and
neither an exception nor a connection that is used again can carry one along. What the scopes then mean is in the
policies of the tables (`forjinn.core.policies`, docs/adr/0011-row-level-security.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from uuid import UUID

from asgiref.sync import sync_to_async

P = ParamSpec("P")
T = TypeVar("T")

TENANT_ROLE = "forjinn_tenant"
# One statement, one round trip. Not local to a transaction: most statements have none of their own.
SET_SCOPE = (
    "SELECT set_config('role', %s, false), set_config('forjinn.workspace', %s, false), "
    "set_config('forjinn.actor', %s, false)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a statement may see, and who is behind it: `actor` is JSON text for the audit trail, or empty.

    Without a workspace nothing is to be seen, except by the system, which sees all.
    """

    workspace_id: UUID | None = None
    is_system: bool = False
    actor: str = ""

    def settings(self) -> list[str]:
        """The values of SET_SCOPE."""
        role = "none" if self.is_system else TENANT_ROLE
        return [role, str(self.workspace_id or ""), self.actor]

    def shows_as(self, other: Scope) -> bool:
        """Whether both see the same rows, whoever is behind them."""
        return self.is_system == other.is_system and self.workspace_id == other.workspace_id


SYSTEM = Scope(is_system=True)  # for duties that concern many tenants at once, or find out whose a row is
CONFINED = Scope()

_entered: ContextVar[Scope | None] = ContextVar("scope", default=None)


def current() -> Scope:
    """The scope of the code that asks: the system's outside of requests and runs, as for commands and migrations."""
    return _entered.get() or SYSTEM


@contextlib.contextmanager
def _within(scope: Scope) -> Iterator[None]:
    # Set back, not reset by a token: a view that goes through threads may leave in another context than it entered.
    before = _entered.get()
    _entered.set(scope)
    try:
        yield
    finally:
        _entered.set(before)


def tenant(workspace_id: UUID, actor: str = "") -> contextlib.AbstractContextManager[None]:
    """For this workspace: no other one's rows are seen, and none can be written.

    Do not yield from an asynchronous generator within it: who consumes that would be in the scope as well.
    """
    return _within(Scope(workspace_id, actor=actor))


def system_scope(actor: str = "") -> contextlib.AbstractContextManager[None]:
    """For all workspaces. Every use says why in a comment."""
    return _within(Scope(is_system=True, actor=actor))


def request_scope() -> contextlib.AbstractContextManager[None]:
    """For one request: nothing is seen until `enter` says whose it is. What was entered ends with it."""
    return _within(CONFINED)


def enter(workspace_id: UUID, actor: str = "") -> None:
    """The request is this workspace's, from here to the end of its `request_scope`; `actor` is who makes it.

    Entering twice only changes the actor. Raises RuntimeError outside a request, and for another workspace.
    """
    present = current()
    if present.is_system or present.workspace_id not in (None, workspace_id) or _entered.get() is None:
        raise RuntimeError(f"cannot enter workspace {workspace_id} from {present}")
    _entered.set(Scope(workspace_id, actor=actor))


async def in_scope(scope: Scope | UUID, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function`, which uses the ORM, returns in a thread, in the scope of a workspace or in SYSTEM."""
    with _within(as_scope(scope)):
        return await sync_to_async(function)(*args, **kwargs)


def as_scope(scope: Scope | UUID) -> Scope:
    return scope if isinstance(scope, Scope) else Scope(scope)
