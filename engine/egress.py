"""Where flows may send requests: to every public host, and to what the administrator allows beside them."""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

from engine.errors import NodeInputError

SCHEMES = ("http", "https")
CACHED_VERDICTS = 4096

# IANA's registries of special-purpose addresses, and multicast. 168.63.129.16 looks public, but is the machine's own
# metadata service on Azure.
CLOSED = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24"),
            *("192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            # Protocol assignments with Teredo and ORCHID, documentation, 6to4: the last two also hide IPv4 addresses.
            *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
        ),
    )
)
GLOBAL_UNICAST = ip_network("2000::/3")  # nothing else in IPv6 is a public host
NAT64 = ip_network("64:ff9b::/96")  # how a host with IPv6 alone reaches IPv4
METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})

LABEL = re.compile(r"[a-z0-9_-]{1,63}")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
LONGEST_NAME = 253  # characters, as DNS has it

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of an administrator's list: a network, or a host's name; with a port, on that port alone."""

    network: IPv4Network | IPv6Network | None = None
    name: str = ""
    port: int | None = None

    def covers_address(self, address: Address, port: int) -> bool:
        return self.network is not None and self.port in (None, port) and address in self.network

    def covers_name(self, name: str, port: int) -> bool:
        return self.name == name and bool(name) and self.port in (None, port)


class HostList:
    """Hosts, host:port pairs and networks that somebody named."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Raises ValueError for an entry that is none of the three."""
        self._allowances = tuple(map(read_allowance, entries))

    def names(self, host: str, port: int) -> bool:
        """Whether the list has it: the host itself, or a network that its literal address is in."""
        plain = _plain(host)
        literal = read_address(plain)
        if literal is not None:
            return self.covers(literal, port)
        return any(allowance.covers_name(plain, port) for allowance in self._allowances)

    def covers(self, address: Address, port: int) -> bool:
        """Whether an entry that is an address or a network has it."""
        return any(allowance.covers_address(address, port) for allowance in self._allowances)


class Egress:
    """The rules for one server's outgoing requests. Ports are not ruled: a public host may serve on any."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        """`allow`: what is not public and may be called, as in `HostList`. Raises ValueError for what is no entry."""
        self.allowed = HostList(allow)
        self._refusal = functools.lru_cache(CACHED_VERDICTS)(self._find_refusal)

    def check(self, url: URL) -> None:
        """Refuse a URL for what it says. Raises NodeInputError that names the way out.

        A name that is not refused here is looked up later: `admits` then judges each of its addresses.
        """
        if refusal := self._refusal(url.scheme, url.raw_host or "", url.port or 0):
            raise NodeInputError(refusal)

    def admits(self, name: str, port: int, address: str) -> bool:
        """Whether a connection to this address of a host of that name may be opened."""
        if self.allowed.names(name, port):
            return True
        literal = read_address(address)
        return literal is not None and (is_public(literal) or self.allowed.covers(literal, port))

    def _find_refusal(self, scheme: str, host: str, port: int) -> str:
        if scheme not in SCHEMES or not host:
            return f"A URL must begin with http:// or https:// and name a host, not {scheme!r} and {host!r}."
        plain = _plain(host)
        literal = read_address(plain)
        if literal is None:
            if not is_name(plain):
                return f"{host[: LONGEST_NAME + 1]!r} is no name that a host can have: check how it is written."
            refused = plain in METADATA_NAMES and not self.allowed.names(host, port)
            return not_public(host, port) if refused else ""
        if not is_public(literal) and not self.allowed.covers(literal, port):
            return not_public(host, port)
        if isinstance(literal, IPv4Address) and host != str(literal):
            return f"{host!r} is an odd way to write an address: write {literal}."
        return ""


def not_public(host: str, port: int) -> str:
    """Why a host was refused, and the way out. It says nothing of the host's addresses: they may be a secret."""
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{host} is not a public host, so flows may not call it. If they are meant to, this server's administrator "
        f"allows it with EGRESS_ALLOW={shown}:{port}."
    )


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could reach it. An IPv4 address in an IPv6 one is judged as the IPv4 address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in GLOBAL_UNICAST:
            return False
    return not any(address in network for network in CLOSED)


def read_address(host: str) -> Address | None:
    """The address that a host is, in any spelling that a resolver would take for one: decimal, octal, hex, short."""
    try:
        return ip_address(host.partition("%")[0])  # a zone such as %eth0 makes no difference
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def is_name(host: str) -> bool:
    """Whether a host is a name in DNS. What ends in a number is meant as an address, and clients treat it as one:
    they would not look it up, so nobody would judge what it stands for."""
    labels = host.split(".")
    return len(host) <= LONGEST_NAME and all(map(LABEL.fullmatch, labels)) and not NUMBER.fullmatch(labels[-1])


def read_allowance(entry: str) -> Allowance:
    """An entry such as `10.0.0.0/8`, `localhost`, `models.internal:8080` or `[::1]:8080`. Raises ValueError."""
    try:
        return Allowance(network=ip_network(entry, strict=False))
    except ValueError:
        pass
    try:
        url = URL(f"http://{entry}")
        host = _plain(url.raw_host or "")
        literal = read_address(host)
        is_entry = url == url.origin() and (literal is not None or is_name(host))
    except ValueError:
        is_entry = False
    if not is_entry:
        raise ValueError(f"{entry!r} is no host, host:port or network.")
    if literal is not None:
        return Allowance(network=ip_network(str(literal)), port=url.explicit_port)
    return Allowance(name=host, port=url.explicit_port)


def _plain(host: str) -> str:
    return host.removesuffix(".").lower()
