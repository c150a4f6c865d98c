"""One camera's conversation: the right SOAP version, the right proof of the password, the camera's own clock."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from agent.attempts import Attempt, Budget
from agent.cameras import soap
from agent.cameras.auth import Credentials, username_token
from agent.cameras.soap import Element, SoapFault
from agent.cameras.transport import Reply, Transport
from agent.clock import Clock
from agent.digest import Challenge, strongest
from agent.errors import CameraDenied, CameraError, CameraUnreachable


@dataclass(frozen=True, slots=True)
class CameraClock:
    """The camera's time, held against the monotonic clock: a step of the box's own clock does not shift it."""

    at: datetime
    monotonic: float

    def now(self, clock: Clock) -> datetime:
        return self.at + timedelta(seconds=clock.monotonic() - self.monotonic)

    def offset(self, clock: Clock) -> float:
        """Seconds that the camera is ahead of the box, to half a second: cameras tell whole ones."""
        return (self.now(clock) - clock.now()).total_seconds() + 0.5


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
        self._names = names
        self._transport = transport
        self._credentials = credentials
        self._budget = budget
        self._clock = clock
        self._version = soap.SOAP_12
        self._token = False
        self._date: datetime | None = None
        self._began = clock.monotonic()
        self._deadline = self._began + patience

    def read_clock(self) -> Element | None:
        """Ask for the time without a password, so that a proof with a time in it can be given afterwards; where that is
        refused, the HTTP Date header serves. Returns SystemDateAndTime, if there was one."""
        answer = None
        try:
            answer = self.call(soap.DEVICE, "GetSystemDateAndTime", anonymous=True)
        except CameraDenied:
            pass
        except SoapFault as fault:
            if not fault.denied and self._date is None:
                raise
        told = soap.child(answer, "SystemDateAndTime")
        at = _moment(told) or self._date
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
        self, message: Element, action: str, *, url: str | None = None, anonymous: bool = False, empty: bool = False
    ) -> Element:
        """Send an envelope; `empty` where a 200 without a body is a good answer (setting something)."""
        target = url or self.url
        reply = self._exchange(message, action, target, anonymous)
        try:
            content = soap.body(reply.body)
        except SoapFault as fault:
            if fault.denied:
                raise self._denied() from None
            raise
        if content is None and not (empty and reply.status in (200, 202, 204)):
            raise CameraError("cameras.empty" if not reply.body.strip() else "cameras.not_soap", status=reply.status)
        return content

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
        assert self._credentials is not None
        with self._budget.attempt("onvif", self._names, self._credentials) as attempt:
            reply = self._post(message, action, url, token=self._token, answer_to=offered)
            if _is_denied(reply):
                raise self._wrong(reply, attempt)
            attempt.right()
        return reply

    def _post(
        self, message: Element, action: str, url: str, *, token: bool = False, answer_to: Challenge | None = None
    ) -> Reply:
        reply = self._post_once(message, action, url, token, answer_to)
        if self._version == soap.SOAP_12 and _wants_11(reply):
            self._version = soap.SOAP_11
            again = self._post_once(message, action, url, token, answer_to)
            if _readable(again) or _is_denied(again):
                return again
            self._version = soap.SOAP_12
        return reply

    def _post_once(self, message: Element, action: str, url: str, token: bool, answer_to: Challenge | None) -> Reply:
        if (now := self._clock.monotonic()) > self._deadline:
            waited = now - self._began
            raise CameraUnreachable("cameras.too_slow", address=urlsplit(url).hostname, seconds=f"{waited:.0f}")
        envelope = copy.deepcopy(message)
        if token and self._credentials:
            at = self.camera_clock.now(self._clock) if self.camera_clock else self._clock.now()
            soap.sign(envelope, self._credentials.username, *username_token(self._credentials, at))
        data, headers = soap.write(envelope, action, self._version)
        if answer_to and self._credentials:
            headers["Authorization"] = answer_to.answer(self._credentials, "POST", _uri(url))
        reply = self._transport.post(url, data, headers)
        self._date = _date(reply) or self._date
        return reply

    def _denied(self) -> CameraDenied:
        return CameraDenied("cameras.wants_password" if self._credentials is None else "cameras.denied")

    def _wrong(self, reply: Reply, attempt: Attempt) -> CameraDenied:
        left = attempt.wrong()
        offers = " ".join(str(v) for v in reply.headers.get_all("WWW-Authenticate", []))
        if self._token and "basic" in offers.lower():
            return CameraDenied("cameras.clear_text")
        # without its time a token may be wrong for the clock's sake
        key = "cameras.wrong_or_clock" if self._token and self.camera_clock is None else "cameras.wrong_password"
        return CameraDenied(key, username=soap.clean(attempt.account.username, 40), left=left)


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


def _date(reply: Reply) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(reply.headers.get("Date", "")))
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _plausible(found)


def _plausible(moment: datetime) -> datetime | None:
    """Any clock of our days, however wrong; at the ends of the calendar sums overflow."""
    return moment if 1970 <= moment.year < 2200 else None


def _moment(told: Element | None) -> datetime | None:
    """UTCDateTime of the camera's answer; None where it is missing or no date."""
    utc = soap.child(told, "UTCDateTime")
    parts = [soap.number(utc, *path) for path in _PARTS]
    if any(part is None for part in parts):
        return None
    try:
        return _plausible(datetime(*(int(part or 0) for part in parts), tzinfo=UTC))  # type: ignore[misc,arg-type]
    except (ValueError, OverflowError):
        return None


_PARTS = (
    ("Date", "Year"),
    ("Date", "Month"),
    ("Date", "Day"),
    ("Time", "Hour"),
    ("Time", "Minute"),
    ("Time", "Second"),
)
