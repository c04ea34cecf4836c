"""A credential in clear, and the hosts that it may be sent to: a flow's base URL does not decide that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from yarl import URL

from engine.egress import Egress, HostList
from engine.errors import NodeInputError


class Secret(dict[str, str]):
    """A credential's fields. `hosts` may be sent them, beside the hosts of the vendor that the credential is for.

    `hidden` are the texts that must be told nowhere.
    """

    def __init__(self, fields: Mapping[str, str], hosts: Iterable[str] = (), hidden: Iterable[str] = ()) -> None:
        super().__init__(fields)
        self.hosts = HostList(hosts)
        self.hidden = frozenset(hidden)

    def __repr__(self) -> str:
        return f"Secret({', '.join(self)})"  # names alone: it may end up in a log


def check_destination(fields: Mapping[str, str], url: str, *, own_url: str, egress: Egress) -> None:
    """Whether a credential may be sent to `url`; `own_url` is its vendor's, empty if it has none.

    A credential without fields may go anywhere. Raises NodeInputError that names the way out.
    """
    try:
        target = URL(url)
    except ValueError as exc:
        raise NodeInputError("The address that the credential is for is no URL: check how it is written.") from exc
    host, port = target.raw_host or "", target.port or 0
    hosts = fields.hosts if isinstance(fields, Secret) else HostList()
    if not fields or _is_same_place(target, own_url) or hosts.names(host, port) or egress.allowed.names(host, port):
        return
    raise NodeInputError(
        f"This credential may not be sent to {host}{_instead(own_url)}. If it belongs there, add {host} to the "
        "credential's allowed hosts; if that server needs no key, disconnect the credential."
    )


def _is_same_place(target: URL, own_url: str) -> bool:
    """The scheme counts, too: over HTTP a key could be read on its way."""
    own = URL(own_url)
    return bool(own_url) and (target.scheme, target.raw_host, target.port) == (own.scheme, own.raw_host, own.port)


def _instead(own_url: str) -> str:
    return f", only to {URL(own_url).host}" if own_url else ""
