"""One camera's conversation: the right SOAP version, the right proof of the password, the camera's own clock."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from agent.attempts import Attempt, Budget
from agent.cameras import soap
from agent.cameras.auth import Credentials, username_token
from agent.cameras.camera_clock import CameraClock, http_date, moment
from agent.cameras.markup import Element
from agent.cameras.soap import SoapFault
from agent.cameras.transport import NoConnection, Reply, Transport
from agent.clock import Clock, is_set
from agent.digest import Challenge, strongest
from agent.errors import CameraDenied, CameraError, CameraUnreachable

_APART_S = 5.0  # a device's clock that differs by less is the same clock to whoever checks a proof
_REDIRECTS = (301, 302, 303, 307, 308)


class Session:
    """Calls to one camera at `url`. `names` are its names in the attempt budget; `patience` is the seconds that all calls
    together may take. Not for several threads at once.

    Calls raise CameraUnreachable, CameraDenied (user name or password), SoapFault and CameraError.
    """

    def __init__(
        self,
        url: str,
        names: tuple[str, ...],
        transport: Transport,
        credentials: Credentials | None,
        budget: Budget,
        clock: Clock,
        patience: float = 15.0,
    ) -> None:
        self.url = url
        self.camera_clock: CameraClock | None = None
        self.time_refused = False
        self._names = names
        self._transport = transport
        self._credentials = credentials
        self._budget = budget
        self._clock = clock
        self._version = soap.SOAP_12
        self._token = False
        self._date: datetime | None = None
        self._by_box_time: bool | None = None  # whose clock proofs are held against, once one was accepted
        self._accepted = False
        self._moved: dict[str, str] = {}
        self._began = clock.monotonic()
        self._deadline = self._began + patience

    def read_clock(self) -> Element | None:
        """Ask for the time without a password, so that a proof with a time in it can be given afterwards; where that is
        not answered, the HTTP Date header serves. Returns SystemDateAndTime, if there was one. Raises CameraUnreachable
        where nothing takes connections; any other failure costs this answer alone."""
        answer = None
        try:
            answer = self.call(soap.DEVICE, "GetSystemDateAndTime", anonymous=True)
        except NoConnection:
            raise
        except CameraDenied:
            self.time_refused = True
        except CameraError:
            pass
        told = soap.child(answer, "SystemDateAndTime")
        at = moment(told) or self._date
        if at is not None:
            self.camera_clock = CameraClock(at, self._clock.monotonic())
        return told

    def call(
        self, namespace: str, operation: str, *, url: str | None = None, anonymous: bool = False, **parameters: Any
    ) -> Element:
        """The reply's element of an operation of the device or media service, at `url` or the device service's."""
        message = soap.request(namespace, operation, **parameters)
        return self.send(message, f"{namespace}/{operation}", url=url, anonymous=anonymous)

    def send(
        self,
        message: Element,
        action: str,
        *,
        url: str | None = None,
        anonymous: bool = False,
        empty: bool = False,
        forgiving: bool = False,
    ) -> Element:
        """Send an envelope; `empty` where a 200 without a body is a good answer (setting something). A reply that is cut short
        or broken is asked for once more and then refused, unless `forgiving` (what is only shown) or `empty`."""
        for _ in range(2):
            reply = self._exchange(message, action, url or self.url, anonymous)
            content, whole = self._read(reply)
            if whole or content is None or empty or forgiving:
                break
        if content is None and not (empty and reply.status in (200, 202, 204)):
            raise CameraError("cameras.empty" if not reply.body.strip() else "cameras.not_soap", status=reply.status)
        if not (whole or empty or forgiving):
            raise CameraError("cameras.broken", operation=action.rpartition("/")[2])
        return content

    def _read(self, reply: Reply) -> tuple[Element | None, bool]:
        try:
            return soap.read(reply.body)
        except SoapFault as fault:
            if fault.denied:
                raise self._denied() from None
            raise

    def _exchange(self, message: Element, action: str, url: str, anonymous: bool) -> Reply:
        """Post, in the version and with the proof that the camera turns out to want.

        A digest is given only to a fresh challenge: some firmware counts an answer to an old nonce as a wrong password.
        """
        offered = None
        if anonymous or not self._token:
            reply = self._post(message, action, url)
            if not _is_denied(reply):
                return reply
            if anonymous or self._credentials is None:
                raise self._denied()
            offered = strongest(map(str, reply.headers.get_all("WWW-Authenticate", [])))
            self._token = offered is None
        return self._prove(message, action, url, offered)

    def _prove(self, message: Element, action: str, url: str, offered: Challenge | None) -> Reply:
        """Post with a proof of the password. Firmware that tells a wrong time (local time as UTC) holds a token against the
        right one: where the two differ it gets a second token by the box's clock. Each refusal is a wrong answer to the
        camera and counted as one; which clock was right is remembered, so that the next search spends none."""
        assert self._credentials is not None
        wrong: CameraDenied | None = None
        for by_box in self._clocks() if self._token else (False,):
            try:
                with self._budget.attempt("onvif", self._names, self._credentials) as attempt:
                    reply = self._post(message, action, url, proof=offered or self._time(by_box))
                    if not _is_denied(reply):
                        attempt.right()
                        self._accepted = True
                        self._keep(by_box)
                        return reply
                    # where the password was right a moment ago, what lacks is the right to this
                    wrong = CameraDenied("cameras.denied") if self._accepted else self._wrong(reply, attempt)
            except CameraDenied as refused:
                raise wrong or refused from None
            if wrong.key in ("cameras.clear_text", "cameras.denied"):
                break
        assert wrong is not None
        raise wrong

    def _clocks(self) -> tuple[bool, ...]:
        """The clocks by which a token may be right, the likelier first; True is the box's."""
        if self._by_box_time is not None:
            return (self._by_box_time,)
        if self.camera_clock is None:
            return (True,)
        if not is_set(self._clock) or abs(self.camera_clock.offset(self._clock)) <= _APART_S:
            return (False,)
        return (True, False) if self._budget.by_box_time(self._names) else (False, True)

    def _time(self, by_box: bool) -> datetime:
        return self.camera_clock.now(self._clock) if self.camera_clock and not by_box else self._clock.now()

    def _keep(self, by_box: bool) -> None:
        if self._token and self.camera_clock is not None:
            self._by_box_time = by_box
            self._budget.note_time(self._names, by_box)

    def _post(self, message: Element, action: str, url: str, proof: Challenge | datetime | None = None) -> Reply:
        """`proof`: the challenge that is answered, or the time in a token."""
        reply = self._post_once(message, action, url, proof)
        if self._version == soap.SOAP_12 and _wants_11(reply):
            self._version = soap.SOAP_11
            again = self._post_once(message, action, url, proof)
            if _readable(again) or _is_denied(again):
                return again
            self._version = soap.SOAP_12
        return reply

    def _post_once(self, message: Element, action: str, url: str, proof: Challenge | datetime | None) -> Reply:
        if (now := self._clock.monotonic()) > self._deadline:
            waited = now - self._began
            raise CameraUnreachable("cameras.too_slow", address=urlsplit(url).hostname, seconds=f"{waited:.0f}")
        url = self._where(url)
        envelope = copy.deepcopy(message)
        if isinstance(proof, datetime) and self._credentials:
            soap.sign(envelope, self._credentials.username, *username_token(self._credentials, proof))
        data, headers = soap.write(envelope, action, self._version)
        if isinstance(proof, Challenge) and self._credentials:
            headers["Authorization"] = proof.answer(self._credentials, "POST", _uri(url))
        reply = self._transport.post(url, data, headers)
        self._date = http_date(reply.headers) or self._date
        if self._moves(url, reply):
            return self._post_once(message, action, url, proof)
        return reply

    def _moves(self, url: str, reply: Reply) -> bool:
        """Whether the camera sends plain HTTP on to HTTPS on the same host: the one redirect that is followed, for all that is
        asked at that address from now on."""
        parts = urlsplit(url)
        if reply.status not in _REDIRECTS or parts.scheme != "http":
            return False
        location = str(reply.headers.get("Location", "")).strip()
        try:
            told = urlsplit(location)
            origin = f"https://{told.hostname}:{told.port or 443}"
        except ValueError:
            return False
        if told.scheme != "https" or told.hostname != parts.hostname or not self._transport.networks.allows(origin):
            return False
        self._moved[parts.netloc] = origin
        self.url = self._where(self.url)
        return True

    def _where(self, url: str) -> str:
        parts = urlsplit(url)
        origin = self._moved.get(parts.netloc) if parts.scheme == "http" else None
        return f"{origin}{url.removeprefix(f'http://{parts.netloc}')}" if origin else url

    def _denied(self) -> CameraDenied:
        return CameraDenied("cameras.wants_password" if self._credentials is None else "cameras.denied")

    def _wrong(self, reply: Reply, attempt: Attempt) -> CameraDenied:
        left = attempt.wrong()
        offers = " ".join(str(v) for v in reply.headers.get_all("WWW-Authenticate", []))
        if self._token and "basic" in offers.lower():
            return CameraDenied("cameras.clear_text")
        account = {"username": soap.clean(attempt.account.username, 40), "left": left}
        if not self._token:
            return CameraDenied("cameras.wrong_password", **account)
        if self.camera_clock is None:
            # without its time a token may be wrong for the clock's sake
            return CameraDenied("cameras.wrong_or_clock", **account)
        offset = self.camera_clock.offset(self._clock)
        if abs(offset) <= _APART_S or not is_set(self._clock):
            return CameraDenied("cameras.wrong_password", **account)
        return CameraDenied("cameras.wrong_or_offset", **account, seconds=f"{offset:+.0f}")


def _uri(url: str) -> str:
    """What the request line names: path and query."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _is_denied(reply: Reply) -> bool:
    if reply.status in (401, 403):
        return True
    try:
        soap.body(reply.body)
    except SoapFault as fault:
        return fault.denied
    return False


def _readable(reply: Reply) -> bool:
    try:
        return soap.body(reply.body) is not None
    except SoapFault:
        return False


def _wants_11(reply: Reply) -> bool:
    """A version fault, a media type refused, or nothing at all where an answer was due."""
    if reply.status == 415 or (reply.status != 401 and not reply.body.strip()):
        return True
    try:
        return soap.body(reply.body) is None and reply.status >= 400 and reply.status not in (401, 403)
    except SoapFault as fault:
        return "VersionMismatch" in fault.codes
