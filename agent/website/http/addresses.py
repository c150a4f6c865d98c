"""The box's own addresses under which the page can be reached, and which names a certificate can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\Z")
# these files need no netlink socket and are readable in a hardened systemd unit
_IPV4 = Path("/proc/self/net/fib_trie")
_IPV6 = Path("/proc/self/net/if_inet6")
_TEMPORARY, _DUPLICATE, _DEPRECATED, _TENTATIVE = 0x01, 0x08, 0x20, 0x40
_PASSING = _TEMPORARY | _DUPLICATE | _DEPRECATED | _TENTATIVE


def list_page_addresses() -> list[str]:
    """Return IPv4 and IPv6 addresses of all interfaces, without loopback and temporary ones.

    Link-local IPv4 (169.254.x.x) is kept: a laptop that is plugged in directly gets there. Link-local IPv6 is left out: it
    means nothing without the name of an interface, which no certificate can hold.
    """
    return sorted({*_read_own_ipv4(), *_read_own_ipv6()})


def choose_first(addresses: Iterable[str]) -> list[str]:
    """Return the one address to show to people, if there is any: IPv4 before IPv6, link-local ones last."""
    found = sorted((ip_address(a) for a in addresses), key=lambda a: (a.is_link_local, a.version, a.packed))
    return [str(a) for a in found[:1]]


def list_page_urls(host: str, port: int, *, tls: bool = True) -> list[str]:
    """Return where other machines open a page that listens on `host`; the box itself where it has no address yet."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host)  # noqa: S104 - compared only
    hosts = (list_page_addresses() or [loopback]) if loopback else [host]
    return [f"http{'s' if tls else ''}://{f'[{one}]' if ':' in one else one}:{port}/" for one in hosts]


def _read_own_ipv4() -> list[str]:
    """Parse the kernel's table of routes: below each leaf stand its routes; an own address has one of kind LOCAL."""
    leaf, found = "", set()
    for line in _read_lines(_IPV4):
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            found.add(IPv4Address(leaf))
    return [str(a) for a in found if not a.is_loopback]


def _read_own_ipv6() -> list[str]:
    """Parse the kernel's table: address, interface, prefix, scope, flags (hexadecimal), name."""
    rows = [line.split() for line in _read_lines(_IPV6)]
    found = [IPv6Address(int(row[0], 16)) for row in rows if len(row) == 6 and not int(row[4], 16) & _PASSING]
    return [str(a) for a in found if not (a.is_loopback or a.is_link_local or a.is_multicast)]


def _read_lines(table: Path) -> list[str]:
    try:
        return table.read_text(encoding="ascii").splitlines()
    except OSError:
        return []  # a kernel without IPv6


def parse_address(text: str) -> str:
    """Return an IP address in its usual form, "" where the text is not one."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def is_server_name(text: str) -> bool:
    """Whether a certificate can name it: a host's name or an IP address."""
    return bool(parse_address(text) or _NAME.match(text))
