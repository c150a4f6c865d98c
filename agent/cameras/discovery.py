"""WS-Discovery: probe for cameras from every interface address.

An implementation of its own, because WSDiscovery 2.1.2 from PyPI always waits for its whole timeout, drops replies whose
action is spelt differently, and parses with a parser that expands entities (measurements:
docs/reference/cameras.md). Replies are
untrusted data from anybody on the network: only those from inside the camera networks are read, and nothing in them is
trusted until the camera itself has been asked.
"""

from __future__ import annotations

import random
import selectors
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.cameras import soap
from agent.cameras.networks import Networks, replace_host
from agent.cameras.xml_reader import Element, get_local_name, parse_closed_elements, parse_xml
from agent.core import shortage
from agent.core.clock import Clock

GROUP, PORT = "239.255.255.250", 3702
DEVICE_PATH = "/onvif/device_service"
# seconds after the start at which a probe is sent, each with jitter: lost datagrams and slow firmware are common
_SEND_TIMES_S = (0.0, 0.25, 0.8)
_JITTER = 0.15
# firmware answers only the type it knows: NetworkVideoTransmitter, Device, or a probe without types
_TYPES = (
    '<d:Types xmlns:t="http://www.onvif.org/ver10/network/wsdl">t:NetworkVideoTransmitter</d:Types>',
    '<d:Types xmlns:t="http://www.onvif.org/ver10/device/wsdl">t:Device</d:Types>',
    "",
)
_PROBE = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">'
    "<s:Header><a:MessageID>urn:uuid:{id}</a:MessageID><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>"
    "<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>"
    "<s:Body><d:Probe>{types}</d:Probe></s:Body></s:Envelope>"
)
_MATCH_LIMIT = 128  # cameras in one search; more than that is noise or an attack
_DATAGRAM_LIMIT = 4096
_STOP_CHECK_S = 0.5  # longest wait for replies before `stop` is checked
_ENDPOINTS_PER_ADDRESS = 16  # endpoints accepted from one address


@dataclass(frozen=True, slots=True)
class ProbeMatch:
    """A device that claims to be a camera.

    `urls`: device service URLs to try, in order, all inside the camera networks; `dropped`: reported ones that must not be
    contacted.
    """

    endpoint: str
    address: str
    urls: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def probe_networks(
    networks: Networks,
    clock: Clock,
    window: float = 2.0,
    known: Iterable[str] = (),
    stop: threading.Event | None = None,
) -> Iterator[ProbeMatch]:
    """Yield matches as they arrive, each endpoint once, for `window` seconds or until `stop`.

    `known` addresses are also probed one by one, which works where multicast is blocked. An interface that cannot send is
    skipped.
    """
    start, seen, stop = clock.monotonic(), _SeenEndpoints(), stop or threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        sockets = [stack.enter_context(s) for s in (_open_socket(str(i)) for i in networks.interfaces) if s]
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
        targets = [GROUP, *[host for host in known if networks.holds(host)]]
        # jitter: several boxes switched on together must not send at the same moment
        due = [
            (start + at + random.uniform(0, _JITTER), types)  # noqa: S311 - not a secret
            for at, types in zip(_SEND_TIMES_S, _TYPES, strict=True)
        ]
        while (now := clock.monotonic()) < start + window and not stop.is_set():
            while due and due[0][0] <= now:
                _send_probe(sockets, targets, due.pop(0)[1])
            wake = min(start + window, due[0][0]) if due else start + window
            for key, _ in selector.select(max(0.0, min(wake - now, _STOP_CHECK_S))):
                yield from _receive_matches(key.fileobj, networks, seen)  # type: ignore[arg-type]


class _SeenEndpoints:
    """What one search has found: endpoints, and how many of them each address has claimed."""

    def __init__(self) -> None:
        self.endpoints: set[str] = set()
        self.by_address: dict[str, int] = {}
        self.datagrams = 0

    def is_new(self, match: ProbeMatch) -> bool:
        count = self.by_address.get(match.address, 0)
        if match.endpoint in self.endpoints or count >= _ENDPOINTS_PER_ADDRESS or len(self.endpoints) >= _MATCH_LIMIT:
            return False
        self.endpoints.add(match.endpoint)
        self.by_address[match.address] = count + 1
        return True


def _open_socket(address: str) -> socket.socket | None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((address, 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if shortage.find_shortage(error):
            raise
        return None
    return sock


def _send_probe(sockets: Sequence[socket.socket], targets: Sequence[str], types: str) -> None:
    message = _PROBE.format(id=uuid.uuid4(), types=types).encode()
    for sock in sockets:
        for target in targets:
            try:
                sock.sendto(message, (target, PORT))
            except OSError:
                # no route from this interface, or it is down: another one may work
                continue


def _receive_matches(sock: socket.socket, networks: Networks, seen: _SeenEndpoints) -> Iterator[ProbeMatch]:
    while seen.datagrams < _DATAGRAM_LIMIT:
        try:
            data, (address, _) = sock.recvfrom(65536)
        except BlockingIOError:
            return
        except OSError:
            # an ICMP error caused by an earlier unicast probe
            continue
        seen.datagrams += 1
        if networks.holds(address):
            yield from (m for m in parse_matches(data, address, networks) if seen.is_new(m))


def parse_matches(data: bytes, address: str, networks: Networks) -> list[ProbeMatch]:
    """Return the matches in one datagram from `address`.

    The action, the related message ID and the wrapping element are not checked: firmware gets all of them wrong.
    """
    whole = parse_closed_elements(data, lambda e: get_local_name(e) == "ProbeMatch")
    if whole:
        return [_parse_match(e, address, networks) for e in whole[:_ENDPOINTS_PER_ADDRESS]]
    # a truncated or broken reply still shows that a device is there, but its addresses cannot be trusted
    root = parse_xml(data)
    found = list(soap.find_all_named(root, "ProbeMatch"))[:_ENDPOINTS_PER_ADDRESS] if root is not None else []
    return [_parse_match(e, address, networks, whole=False) for e in found]


def _parse_match(element: Element, address: str, networks: Networks, *, whole: bool = True) -> ProbeMatch:
    reported = soap.find_child(element, "XAddrs")
    named = soap.clean_exact(reported.text, 2048).split()[:8] if whole and reported is not None else []
    usable = [_strip_credentials(url) for url in named if networks.allows(url)]
    endpoint = soap.read_element_text(element, "EndpointReference", "Address") if whole else ""
    # after a change of address, or behind NAT, the reported address is wrong and costs a timeout; the sender's is right
    moved = [replace_host(url, address) for url in (u for u in named if _is_http_url(u))]
    urls = [*moved, *usable, f"http://{address}{DEVICE_PATH}"]
    allowed = tuple(url for url in dict.fromkeys(urls) if networks.allows(url))
    dropped = tuple(soap.clean_text(u, 80) for u in named if not networks.allows(u))
    return ProbeMatch(endpoint or f"address:{address}", address, allowed[:4], dropped)


def make_direct_match(host: str) -> ProbeMatch:
    """Return a match for a camera given by `address` or `address:port`, without discovery.

    Plain HTTP is tried before HTTPS; at port 443 HTTPS comes first.
    """
    name, _, port = host.partition(":")
    urls = [f"http://{host}{DEVICE_PATH}", f"https://{host}{DEVICE_PATH}"]
    return ProbeMatch("", name, tuple(reversed(urls)) if port == "443" else tuple(urls))


def _strip_credentials(url: str) -> str:
    parts = urlsplit(url)
    return replace_host(url, str(parts.hostname))


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False
