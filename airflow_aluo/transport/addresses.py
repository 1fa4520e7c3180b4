"""From which addresses a picture may be fetched: a result's address must not lead into a private network.

Anybody who can put an address into a record could otherwise have a worker ask what only the worker can
reach: a cloud's metadata, a database, the worker itself. The rule holds for the address that is really
connected to, so a name that resolves otherwise a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Self, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_aluo.protocol.account import Account

IP: TypeAlias = IPv4Address | IPv6Address

#: The part of IPv6 in which public hosts live; everything else has a purpose of its own.
#: Source: https://www.iana.org/assignments/ipv6-address-space (read 2026-11-25).
_PUBLIC: Final = IPv6Network("2000::/3")

#: IPv4 addresses within IPv6, for networks that have only IPv6. Source: RFC 6052, section 2.1.
_NAT64: Final = IPv6Network("64:ff9b::/96")

#: Private too, although ``is_global`` of some supported Pythons does not know it.
_ALSO_PRIVATE: Final = (
    IPv4Network("192.0.0.0/24"),  # IETF's, RFC 6890; Oracle's metadata is 192.0.0.192
    IPv4Network("192.88.99.0/24"),  # 6to4 relays, RFC 7526
    IPv6Network("3fff::/20"),  # documentation, RFC 9637
    # Azure's metadata lives at a public address.
    # Source: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    IPv4Network("168.63.129.16/32"),
)


def refused(ip: IP) -> bool:
    """Tell whether an address is none of a public host: private, loopback, link-local, metadata, multicast.

    An IPv6 address that stands for an IPv4 address is judged as that one.
    """
    if isinstance(ip, IPv6Address):
        inner = _inner(ip)
        if inner is not None:
            return refused(inner)
        if ip not in _PUBLIC:
            return True
    return not ip.is_global or ip.is_multicast or any(ip in network for network in _ALSO_PRIVATE)


def _inner(ip: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address for which an IPv6 address stands: mapped, NAT64 or 6to4."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


class AddressRefused(Exception):  # noqa: N818  # it never leaves the drivers
    """A picture is not fetched from there. Nothing was asked.

    :param why: where a picture leads to, and what is wrong with that.
    :param step: what a person can do.
    """

    def __init__(self, why: str, step: str) -> None:
        super().__init__(why)
        self.why, self.step = why, step

    @classmethod
    def at(cls, host: str, addresses: Iterable[str], conn_id: str | None) -> Self:
        """Return the refusal of a host that is found at these addresses.

        :param conn_id: the connection that says what is allowed; ``None`` where none is used.
        """
        found = list(dict.fromkeys(addresses))
        seen = ", ".join(f"{address} ({_kind(ip_address(address))})" for address in found)
        why = seen if found == [host] else f"host {host!r}, which resolves to {seen}"
        step = f"list {host!r} in allow_private_hosts of connection {conn_id!r}"
        if conn_id is None:
            step = f"set aluo_conn_id to a connection whose allow_private_hosts lists {host!r}"
        return cls(why, f"if pictures may come from there, {step}")


def _kind(ip: IP) -> str:
    """Say in a word why an address is refused."""
    if isinstance(ip, IPv6Address):
        ip = _inner(ip) or ip
    for kind in ("loopback", "link_local", "multicast", "private"):
        if getattr(ip, f"is_{kind}"):
            return kind.replace("_", "-")
    return "not public"


class Guard:
    """Says from where pictures may be fetched with one connection.

    Trusted wherever they are: the connection's own host, and its ``allow_private_hosts``, each of them a
    host's name, an address, or a range of addresses such as ``10.0.0.0/8``.
    """

    def __init__(self, account: Account) -> None:
        self._conn_id = account.conn_id
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        #: Hosts that a proxy may be asked for.
        self._passed: set[str] = set()
        for host in (urlsplit(account.base_url).hostname or "", *account.allow_private_hosts):
            spelled = _spelled(host)
            try:
                self._networks.append(ip_network(spelled, strict=False))
            except ValueError:
                self._names.add(spelled)

    def permits(self, host: str, address: str) -> bool:
        """Tell whether a picture of this host may be fetched from this address."""
        if _spelled(host) in self._names:
            return True
        ip = ip_address(address)
        mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
        return any((mapped or ip) in network for network in self._networks) or not refused(ip)

    def permitted(self, host: str, addresses: Sequence[str]) -> list[str]:
        """Return those of a host's addresses that may be connected to, in their order.

        :raises AddressRefused: none of them.
        """
        found = [address for address in addresses if self.permits(host, address)]
        if addresses and not found:
            raise AddressRefused.at(host, addresses, self._conn_id)
        return found

    def check(self, host: str) -> None:
        """Check a host that is an address: nothing resolves that.

        :raises AddressRefused: it is private, or spelled in a way that libraries read differently.
        """
        bare = host.strip("[]").rstrip(".")
        try:
            ip_address(bare)
        except ValueError:
            if ":" in bare or bare.replace(".", "").isdigit() or _is_number(bare):
                why = f"host {host!r}, a number that every library reads in its own way"
                step = "expected: a name, or an address as usual (192.0.2.1)"
                raise AddressRefused(why, step) from None
        else:
            self.permitted(bare, [bare])

    def asks_of(self, host: str) -> bool:
        """Tell whether a host's addresses should be looked up before a proxy is asked for it.

        A proxy resolves and connects by itself, and may do so differently from here. What can be known
        here is looked at once: where a name resolves here and any of its addresses is refused, the proxy is
        not asked. A name that does not resolve here is left to the proxy.
        """
        return _spelled(host) not in self._passed

    def passes(self, host: str, addresses: Iterable[str]) -> None:
        """Note that a proxy may be asked for a host, which has these addresses here.

        :raises AddressRefused: it may not: nobody knows which of them the proxy takes.
        """
        if bad := [address for address in addresses if not self.permits(host, address)]:
            raise AddressRefused.at(host, bad, self._conn_id)
        self._passed.add(_spelled(host))


def _spelled(host: str) -> str:
    """Return a host's name in one spelling: ``Bücher.example.`` is ``xn--bcher-kva.example``."""
    spelled = host.strip().strip("[]").rstrip(".").lower()
    try:
        return spelled if spelled.isascii() else spelled.encode("idna").decode()
    except UnicodeError:  # none that a name server could know
        return spelled


def _is_number(host: str) -> bool:
    """Tell whether the system reads a host as an IPv4 address: ``2130706433``, ``0x7f.1``, ``0177.0.0.1``."""
    try:
        socket.inet_aton(host)
    except (OSError, ValueError):
        return False
    return True


def look_up(host: str, port: int | None) -> list[str]:
    """Return the addresses to which a host's name resolves here and now.

    :raises OSError: no name server knows it.
    :raises UnicodeError: it is longer than names may be.
    """
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
