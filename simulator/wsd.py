"""The virtual camera's side of WS-Discovery: answers probes on one interface address."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import struct
import threading
import uuid
from collections.abc import Callable
from xml.sax.saxutils import escape

from simulator.personality import Personality

GROUP, PORT = "239.255.255.250", 3702
IP_MULTICAST_ALL = 49
DISCOVERY = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"


class WsDiscoveryResponder:
    """Answer Probe by multicast (on the interface that has `address`) and unicast; several may share one host.

    Every probe is answered to its sender, from `address`:3702, as many times and in the form that the personality
    defines. `probes` counts them. A probe for another device type (such as Printer) gets no reply.
    """

    def __init__(
        self,
        address: str,
        endpoint: Callable[[], str],
        xaddrs: Callable[[], list[str]],
        scopes: Callable[[], list[str]],
        personality: Personality | None = None,
    ) -> None:
        self.address = address
        self.personality = personality or Personality()
        self.probes = 0
        self._endpoint, self._xaddrs, self._scopes = endpoint, xaddrs, scopes
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Join the group and answer. Raises OSError where this host does not have the address."""
        self._stop.clear()
        sockets = [self._group_socket(), self._own_socket()]
        self._thread = threading.Thread(target=self._serve, args=(sockets,), name="wsd-camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(5)
            self._thread = None

    def _group_socket(self) -> socket.socket:
        sock = _open_socket()
        # bound to the group, and limited to the interface joined here: cameras on other interfaces stay separate
        sock.bind((GROUP, PORT))
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        member = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(self.address))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        return sock

    def _own_socket(self) -> socket.socket:
        sock = _open_socket()
        sock.bind((self.address, PORT))
        return sock

    def _serve(self, sockets: list[socket.socket]) -> None:
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            for sock in sockets:
                stack.enter_context(sock)
                selector.register(sock, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.1):
                    with contextlib.suppress(OSError):
                        data, sender = sockets[sockets.index(key.fileobj)].recvfrom(65536)  # type: ignore[arg-type]
                        for reply in self.replies(data.decode("utf-8", "replace")):
                            sockets[1].sendto(reply, sender)

    def replies(self, probe: str) -> list[bytes]:
        """Return the datagrams that answer this one; an empty list if it is not a probe for a video device."""
        message = re.search(r"<(?:\w+:)?MessageID[^>]*>\s*([^<\s]+)\s*<", probe)
        types = re.search(r"<(?:\w+:)?Types[^>]*>([^<]*)<", probe)
        asked = types[1].split() if types else []
        ours = ("NetworkVideoTransmitter", "Device")
        if "/discovery/Probe<" not in re.sub(r"\s", "", probe) or not message:
            return []
        if asked and not any(t.rpartition(":")[2] in ours for t in asked):
            return []
        self.probes += 1
        return self.personality.probe_match(self._match(message[1]))

    def _match(self, relates_to: str) -> bytes:
        action = f"{DISCOVERY}/{self.personality.match_action}"
        xaddrs = " ".join([*self._xaddrs(), *self.personality.extra_xaddrs])
        return (
            '<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
            f'xmlns:a="{ADDRESSING}" xmlns:d="{DISCOVERY}" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">'
            f"<s:Header><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID><a:RelatesTo>{escape(relates_to)}"
            f"</a:RelatesTo><a:To>{ADDRESSING}/role/anonymous</a:To><a:Action>{action}</a:Action></s:Header><s:Body>"
            f"<d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>{escape(self._endpoint())}</a:Address>"
            "</a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types>"
            f"<d:Scopes>{escape(' '.join(self._scopes()))}</d:Scopes><d:XAddrs>{escape(xaddrs)}</d:XAddrs>"
            "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
        ).encode()


def _open_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return sock
