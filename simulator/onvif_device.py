"""A virtual ONVIF device: SOAP over HTTP with the authentication and the behaviour that its personality defines."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from simulator.onvif_operations import Operations, SimulatedSoapFault
from simulator.onvif_state import NAMESPACES, DeviceState
from simulator.personality import Personality

ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
CONTENT_TYPES = {"1.1": "text/xml; charset=utf-8", "1.2": "application/soap+xml; charset=utf-8"}
ONVIF_REALM = "onvif"
MAX_REQUEST = 1_000_000


class OnvifDevice(Operations):
    """Answer at http://address:port/onvif/device_service (and media_service); port 0: the system chooses.

    `streams` maps profile tokens to the URI that is reported for them. `calls` lists every requested operation, `refused`
    counts wrong credentials, `changes` lists the operations that set something. An empty user name means that no
    credentials are required.
    """

    def __init__(
        self,
        state: DeviceState,
        personality: Personality | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        username: str = "",
        password: str = "",
        streams: Mapping[str, Callable[[], str]] | None = None,
        snapshot: Callable[[], bytes] | None = None,
    ) -> None:
        super().__init__(state, personality or Personality(), streams)
        self.address, self.port = address, port
        self.username, self.password = username, password
        self.snapshot = snapshot
        self.calls: list[str] = []
        self.refused = 0
        self.locked_until = 0.0
        self.nonce = secrets.token_hex(16)
        self._server: _OnvifServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; after `stop`, again on the same port. Raises OSError."""
        self._server = _OnvifServer(self, (self.address, self.port))
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="onvif-camera", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(5)
            self._server = None

    def check_version(self, version: str) -> None:
        """Raise Fault for a SOAP version that the device does not support."""
        if version not in self.personality.soap:
            raise SimulatedSoapFault(500, "VersionMismatch", "SOAP version not supported")

    # Authentication

    def authorise(self, operation: str, header: ET.Element | None, authorization: str, method: str) -> None:
        """Raise Fault unless the operation may be called with these credentials."""
        if not self.username or operation in self.personality.anonymous:
            return
        if time.monotonic() < self.locked_until:
            raise SimulatedSoapFault(self.personality.refusal_status, "ter:NotAuthorized", "Account locked")
        given = self._token(header)
        if authorization.startswith("Digest ") and self.personality.http_digest:
            if self._http_digest(authorization, method):
                return
        elif given is not None and self.personality.wsse:
            if self._wsse(given):
                return
        elif self.personality.http_digest:
            raise SimulatedSoapFault(401, "ter:NotAuthorized", "Sender not authorized", challenge=True)
        else:
            raise SimulatedSoapFault(self.personality.refusal_status, "ter:NotAuthorized", "Sender not authorized")
        self._count_refusal()
        challenge = authorization != ""
        status = 401 if challenge else self.personality.refusal_status
        raise SimulatedSoapFault(status, "ter:NotAuthorized", "Sender not authorized", challenge)

    def _count_refusal(self) -> None:
        self.refused += 1
        limit = self.personality.lockout
        if limit is not None and self.refused >= limit:
            self.locked_until = time.monotonic() + self.personality.lockout_s

    @staticmethod
    def _token(header: ET.Element | None) -> dict[str, str] | None:
        found = header.find(".//{*}UsernameToken") if header is not None else None
        return None if found is None else {c.tag.rpartition("}")[2]: (c.text or "").strip() for c in found}

    def _wsse(self, token: Mapping[str, str]) -> bool:
        try:
            created = datetime.fromisoformat(token["Created"].replace("Z", "+00:00"))
            nonce = base64.b64decode(token["Nonce"])
        except (KeyError, ValueError):
            return False
        if created.tzinfo is None:
            created = created.replace(tzinfo=UTC)
        window = self.personality.wsse_window
        if window is not None and abs((created - self.now()).total_seconds()) > window:
            return False
        sha = hashlib.sha1(nonce + token["Created"].encode() + self.password.encode(), usedforsecurity=False)
        return (
            token.get("Username") == self.username and token.get("Password") == base64.b64encode(sha.digest()).decode()
        )

    def _http_digest(self, authorization: str, method: str) -> bool:
        pairs = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', authorization)
        fields = {name: quoted or plain for name, quoted, plain in pairs}
        algorithm = fields.get("algorithm", "MD5").upper()
        if algorithm not in self.personality.http_digest or fields.get("nonce") != self.nonce:
            return False
        first = _compute_hash(algorithm, f"{self.username}:{ONVIF_REALM}:{self.password}")
        second = _compute_hash(algorithm, f"{method}:{fields.get('uri', '')}")
        middle = [self.nonce]
        if "qop" in fields:
            middle += [fields.get("nc", ""), fields.get("cnonce", ""), fields["qop"]]
        wanted = _compute_hash(algorithm, ":".join([first, *middle, second]))
        return fields.get("username") == self.username and fields.get("response") == wanted

    def challenges(self) -> list[str]:
        """Return the values of WWW-Authenticate, one for each digest algorithm."""
        base = f'Digest realm="{ONVIF_REALM}", qop="auth", nonce="{self.nonce}"'
        return [f"{base}, algorithm={name}" for name in self.personality.http_digest]


def _compute_hash(algorithm: str, text: str) -> str:
    return hashlib.new("sha256" if algorithm == "SHA-256" else "md5", text.encode(), usedforsecurity=False).hexdigest()


class _OnvifServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, device: OnvifDevice, where: tuple[str, int]) -> None:
        self.device = device
        super().__init__(where, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors: a client that disconnects during a request is normal."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _OnvifServer
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: `calls` lists the requests."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return format_datetime(self.server.device.now(), usegmt=True)

    def do_GET(self) -> None:
        device = self.server.device
        if self.path.startswith("/snapshot.jpg") and device.snapshot:
            self._send(200, "image/jpeg", device.snapshot())
        else:
            self._send(404, "text/plain", b"not found")

    def do_POST(self) -> None:
        device = self.server.device
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_REQUEST:
            self._send(413, "text/plain", b"too large")
            return
        body = self.rfile.read(length)
        time.sleep(device.personality.delay_s)
        try:
            root = ET.fromstring(body)  # noqa: S314 - the demo and the tests ask it, on loopback
        except ET.ParseError:
            self._send(400, "text/plain", b"no XML")
            return
        version = next((v for v, ns in ENVELOPES.items() if root.tag == f"{{{ns}}}Envelope"), "1.2")
        content = root.find("{*}Body")
        request = content[0] if content is not None and len(content) else ET.Element("Nothing")
        self._respond(version, request, root.find("{*}Header"))

    def _respond(self, version: str, request: ET.Element, header: ET.Element | None) -> None:
        device = self.server.device
        namespace, _, operation = request.tag.rpartition("}")
        device.calls.append(operation)
        prefix = "trt" if "media" in namespace else "tds"
        status, challenges = 200, []
        try:
            device.check_version(version)
            device.authorise(operation, header, self.headers.get("Authorization", ""), self.command)
            inner = device.answer(operation, request)
            text = f"<{prefix}:{operation}Response>{inner}</{prefix}:{operation}Response>"
        except SimulatedSoapFault as fault:
            version = version if version in device.personality.soap else device.personality.soap[0]
            status, text = fault.status, _build_fault_xml(version, fault)
            challenges = device.challenges() if fault.challenge else []
        names = "".join(f' xmlns:{k}="{v}"' for k, v in NAMESPACES.items())
        head = f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{ENVELOPES[version]}"{names}>'
        envelope = device.personality.reply(operation, f"{head}<s:Body>{text}</s:Body></s:Envelope>".encode())
        if status == 200 and device.personality.empty & {operation, "*"}:
            envelope = b""
        self._send(status, CONTENT_TYPES[version], envelope, challenges)

    def _send(self, status: int, kind: str, body: bytes, challenges: list[str] | None = None) -> None:
        personality = self.server.device.personality
        self.send_response_only(status)
        if personality.date_header:
            self.send_header("Date", self.date_time_string())
        for challenge in challenges or []:
            self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        step = -(-len(body) // personality.pieces) or 1
        for at in range(0, len(body), step):
            if personality.pieces > 1:
                time.sleep(personality.pause_s)
            self.wfile.write(body[at : at + step])
            self.wfile.flush()


def _build_fault_xml(version: str, fault: SimulatedSoapFault) -> str:
    if version == "1.1":
        code = fault.subcode if fault.subcode.startswith("ter:") else f"s:{fault.subcode}"
        return f"<s:Fault><faultcode>{code}</faultcode><faultstring>{fault}</faultstring></s:Fault>"
    return (
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>"
        f"{fault.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{fault}</s:Text></s:Reason></s:Fault>'
    )
