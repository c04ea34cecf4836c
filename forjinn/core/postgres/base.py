"""Connections that tell PostgreSQL the scope of the code that uses them (`forjinn.core.scopes`); ENGINE names this."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base
from psycopg import Connection
from psycopg.errors import InvalidParameterValue
from psycopg.pq import TransactionStatus

from forjinn.core.scopes import SET_SCOPE, SYSTEM, TENANT_ROLE, Scope, current

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]

NO_ROLE = f"The database has no role {TENANT_ROLE}: bring it up to date with `manage.py migrate`"


class DatabaseWrapper(base.DatabaseWrapper):
    """What PostgreSQL was told last is remembered, and said anew when other code has another scope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told: Scope | None = None  # None: not known
        self.execute_wrappers.append(self._in_scope)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection[Any]:
        connection: Connection[Any] = super().get_new_connection(conn_params)
        self._told = SYSTEM
        return connection

    def is_usable(self) -> bool:
        """Asked before the first statement of a request. A server that goes away closes the connection, and that can be
        seen from here: while there is nothing to read, it need not be asked."""
        return self._is_quiet() or super().is_usable()

    def _is_quiet(self) -> bool:
        if self.connection is None or self.connection.closed or self.errors_occurred:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    def _in_scope(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self._tell(current(), sql)
        try:
            return execute(sql, params, many, context)
        finally:
            if str(sql).startswith("ROLLBACK"):
                self._told = None

    def _tell(self, scope: Scope, sql: Any) -> None:
        connection = self.connection
        # After an error nothing can be said until the rollback, and nothing can be read.
        if self._told == scope or connection.info.transaction_status == TransactionStatus.INERROR:
            return
        # Who asks is for the audit trail, and each request is somebody: reads do not pay for it.
        if self._told and self._told.shows_as(scope) and str(sql).startswith("SELECT"):
            return
        self._told = None
        with self.wrap_database_errors:
            try:
                connection.execute(SET_SCOPE, scope.settings())
            except InvalidParameterValue as exc:
                raise ImproperlyConfigured(NO_ROLE) from exc
        self._told = scope

    # PostgreSQL takes settings back with the transaction that made them. The stubs do not know these two.

    def _rollback(self) -> None:
        self._told = None
        super()._rollback()  # type: ignore[misc]

    def _commit(self) -> None:
        if self.connection is not None and self.connection.info.transaction_status == TransactionStatus.INERROR:
            self._told = None
        super()._commit()  # type: ignore[misc]
