"""Databases that flows may read: how one is addressed, and what the host lends to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote

from yarl import URL

from engine.errors import NodeInputError

SCHEMES = ("postgres", "postgresql")
PORT = 5432
SSL_MODES = ("disable", "allow", "prefer", "require")  # the others read certificates from the server's own files


@dataclass(frozen=True, slots=True)
class Address:
    """Where a PostgreSQL database is, and who asks."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    ssl_mode: str = "prefer"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement gave. Cells are JSON. `is_cut`: there were more rows than were asked for."""

    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    is_cut: bool = False


class Databases(Protocol):
    """Reads databases, and does nothing else to them."""

    async def read(self, address: Address, statement: str, *, most_rows: int) -> Rows:
        """The rows of one SELECT.

        Raises NodeInputError for a host that the administrator has not allowed, NodeError if it cannot be reached or
        refuses the statement, NodeTimeout.
        """
        ...


def read_address(url: str) -> Address:
    """`postgresql://user:password@host:port/database`, with `?sslmode=` if need be.

    Only these parts are read: a driver takes many more, of which some name files of this server.
    Raises NodeInputError that repeats nothing of the URL but its scheme.
    """
    try:
        parsed = URL(url.strip(), encoded=True)
        scheme, host, port = parsed.scheme, parsed.host, parsed.port
    except ValueError as exc:
        raise NodeInputError("The database's URL cannot be read: write postgresql://user:password@host/name.") from exc
    if scheme not in SCHEMES:
        raise NodeInputError(f"Only PostgreSQL databases can be asked, by a URL of postgresql://…, not {scheme!r}.")
    if unknown := set(parsed.query) - {"sslmode"}:
        raise NodeInputError(f"The database's URL may hold no {', '.join(sorted(unknown))}: only sslmode is taken.")
    ssl_mode = parsed.query.get("sslmode", "prefer")
    if ssl_mode not in SSL_MODES:
        raise NodeInputError(f"sslmode must be one of {', '.join(SSL_MODES)}.")
    user, password = unquote(parsed.raw_user or ""), unquote(parsed.raw_password or "")
    database = unquote(parsed.raw_path.strip("/"))
    # Without one of them the driver would take what the server's own environment holds.
    if not (host and user and password and database):
        raise NodeInputError("The database's URL needs all of user, password, host and name of the database.")
    if "," in host or host.startswith(("/", "@")):
        raise NodeInputError("The database's URL must name one host.")
    return Address(host, port or PORT, database, user, password, ssl_mode)
