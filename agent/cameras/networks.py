"""Which addresses may be contacted, and which interfaces lead there.

Replies come from anybody on the network, so every address in them is checked here before anything is sent.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from urllib.parse import urlsplit, urlunsplit

from agent.core.errors import InputError

# usual camera networks; loopback, public and carrier-grade NAT addresses are excluded unless they are configured
_PRIVATE = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"))


@dataclass(frozen=True, slots=True)
class Networks:
    """The only networks in which a camera is contacted; `interfaces`: own addresses of this machine to search from."""

    allowed: tuple[IPv4Network, ...]
    interfaces: tuple[IPv4Address, ...]

    def holds(self, host: str) -> bool:
        """Return True for an IPv4 literal inside the allowed networks.

        Host names are never resolved: a reply may contain any name.
        """
        try:
            address = IPv4Address(host)
        except ValueError:
            return False
        return any(address in network for network in self.allowed) and not address.is_multicast

    def allows(self, url: str, schemes: Sequence[str] = ("http", "https")) -> bool:
        """Return True for a URL whose scheme, host and port may be used."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        return parts.scheme in schemes and port != 0 and self.holds(parts.hostname or "")


def choose_networks(networks: Iterable[str] = (), interfaces: Iterable[str] = ()) -> Networks:
    """Return the networks and interfaces to use.

    `networks` (CIDR), or if empty the private ones that this machine is attached to; `interfaces` (own addresses), or if
    empty all that lead there. Raises InputError for an invalid network and for an address that this machine does not have.
    """
    own = list_own_addresses()
    allowed = tuple(_parse_network(n) for n in networks) or tuple(
        dict.fromkeys(i.network for i in own if _is_private(i))
    )
    wanted = list(interfaces)
    for name in wanted:
        if name not in {str(i.ip) for i in own}:
            raise InputError("cameras.no_interface", address=name, known=", ".join(str(i.ip) for i in own))
    chosen = [i.ip for i in own if (str(i.ip) in wanted if wanted else _leads_to_allowed(i, allowed))]
    return Networks(allowed, tuple(dict.fromkeys(chosen)))


def resolve_host(text: str, networks: Networks) -> str:
    """Return `address` or `address:port` (IPv4) for what the user entered.

    `text`: a host name or an address, with or without `http://` or `https://`; a path is ignored. Raises InputError if it is
    invalid or outside the networks.
    """
    wrong = InputError("cameras.bad_address", address=text.rpartition("@")[2])
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        port = parts.port or (443 if parts.scheme == "https" else None)
        found = socket.getaddrinfo(parts.hostname or "", None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        raise wrong from None
    if parts.scheme not in ("", "http", "https") or not parts.hostname or parts.username is not None:
        raise wrong
    address = str(found[0][4][0])
    if not networks.holds(address):
        raise InputError("cameras.outside", address=address, networks=", ".join(map(str, networks.allowed)) or "-")
    return f"{address}:{port}" if port else address


def replace_host(url: str, address: str) -> str:
    """Return the same URL at another address, without user name and password.

    The result always has a path, so that no two parsers can disagree about where the host ends.
    """
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=address + port, path=parts.path or "/"))


def list_own_addresses() -> list[IPv4Interface]:
    """Return this machine's IPv4 addresses with their networks, one for each address of each interface (getifaddrs)."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.POINTER(_IfAddrs)()
    if libc.getifaddrs(ctypes.byref(head)):
        return []
    found: list[IPv4Interface] = []
    try:
        entry = head
        while entry:
            address, mask = _read_ipv4(entry.contents.addr), _read_ipv4(entry.contents.netmask)
            if address and mask:
                found.append(ipaddress.IPv4Interface(f"{address}/{mask}"))
            entry = entry.contents.next
    finally:
        libc.freeifaddrs(head)
    return found


class _IfAddrs(ctypes.Structure):
    pass


# struct ifaddrs of <ifaddrs.h>; the unions after the netmask are not read
_IfAddrs._fields_ = [
    ("next", ctypes.POINTER(_IfAddrs)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("addr", ctypes.c_void_p),
    ("netmask", ctypes.c_void_p),
]


def _read_ipv4(pointer: int | None) -> IPv4Address | None:
    if not pointer:
        return None
    family, _, packed = struct.unpack("=HH4s", ctypes.string_at(pointer, 8))
    return IPv4Address(packed) if family == socket.AF_INET else None


def _parse_network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        raise InputError("cameras.bad_network", network=text) from None


def _is_private(interface: IPv4Interface) -> bool:
    return any(interface.ip in network for network in _PRIVATE)


def _leads_to_allowed(interface: IPv4Interface, allowed: Sequence[IPv4Network]) -> bool:
    return any(interface.network.overlaps(network) for network in allowed)
