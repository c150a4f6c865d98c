"""How a virtual ONVIF device behaves: every peculiarity of real firmware that the tests need is a switch here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

PRE_AUTH = frozenset(
    {"GetSystemDateAndTime", "GetCapabilities", "GetServices", "GetServiceCapabilities", "GetHostname", "GetWsdlUrl"}
)
"""Operations that ONVIF lets anyone call."""


@dataclass
class Personality:
    """Switches of one device; the defaults are a correct camera. Subclass and override `reply` for worse ones.

    wsse             WS-UsernameToken (digest) is accepted
    http_digest      algorithms offered by HTTP digest, empty to refuse it: "MD5", "SHA-256"
    anonymous        operations answered without credentials
    clock_offset     what the device's clock is ahead of the true time
    wsse_window      seconds that a token's Created may differ from the device's clock; None: any
    soap             envelope versions understood: "1.1", "1.2"
    empty            operations answered by HTTP 200 and no body ("*": all)
    lockout          wrong passwords until every request is refused for `lockout_s` seconds; None: never
    refusal_status   HTTP status that carries the ter:NotAuthorized fault
    date_header      whether replies carry an HTTP Date header (the device's clock)
    xaddr_host       host:port in service addresses and discovery replies, where it is not the true one
    stream_host      host:port in stream URIs, where it is not the true one
    pieces, pause_s  replies are written in that many pieces with a pause before each
    delay_s          pause before a reply begins
    probe_copies     how many times a discovery probe is answered
    extra_xaddrs     service addresses in discovery replies besides the true one
    match_action     last word of the discovery reply's action (one real device sends ProbeMatch)
    """

    wsse: bool = True
    http_digest: tuple[str, ...] = ("MD5",)
    anonymous: frozenset[str] = PRE_AUTH
    clock_offset: timedelta = timedelta(0)
    wsse_window: float | None = 300.0
    soap: tuple[str, ...] = ("1.1", "1.2")
    empty: frozenset[str] = frozenset()
    lockout: int | None = None
    lockout_s: float = 1800.0
    refusal_status: int = 400
    date_header: bool = True
    xaddr_host: str | None = None
    stream_host: str | None = None
    pieces: int = 1
    pause_s: float = 0.05
    delay_s: float = 0.0
    probe_copies: int = 1
    extra_xaddrs: tuple[str, ...] = ()
    match_action: str = "ProbeMatches"

    def reply(self, operation: str, envelope: bytes) -> bytes:
        """Return the SOAP reply to send; override to change it."""
        return envelope

    def probe_match(self, envelope: bytes) -> list[bytes]:
        """Return the datagrams of a discovery reply; override to change them."""
        return [envelope] * self.probe_copies
