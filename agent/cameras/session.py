"""A session with one camera: finds the SOAP version, the authentication method and the camera's own time."""

from __future__ import annotations

import copy
from datetime import datetime
from urllib.parse import urlsplit

from agent.cameras import soap
from agent.cameras.auth import Credentials, make_username_token
from agent.cameras.camera_clock import CameraClock, read_http_date, read_system_time
from agent.cameras.soap import SoapFault
from agent.cameras.transport import HttpReply, NoConnection, Transport
from agent.cameras.xml_reader import Element
from agent.core.clock import Clock, is_set
from agent.core.errors import CameraDenied, CameraError, CameraUnreachable
from agent.core.http_digest import DigestChallenge, choose_strongest
from agent.credentials.attempts import AttemptBudget, PasswordAttempt

_APART_S = 5.0  # clocks that differ by less are equal for the check of a token
_REDIRECTS = (301, 302, 303, 307, 308)


class OnvifSession:
    """Calls to one camera at `url`. Not thread-safe.

    `names`: its names in the attempt budget; `patience`: limit in seconds for all calls together.

    Calls raise CameraUnreachable, CameraDenied (user name or password), SoapFault and CameraError.
    """

    def __init__(
        self,
        url: str,
        names: tuple[str, ...],
        transport: Transport,
        credentials: Credentials | None,
        budget: AttemptBudget,
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
        self._by_box_time: bool | None = None  # whether an accepted token had the box's time; None before
        self._accepted = False
        self._moved: dict[str, str] = {}
        self._began = clock.monotonic()
        self._deadline = self._began + patience

    def read_clock(self) -> Element | None:
        """Ask for the time without a password and return SystemDateAndTime, if there was one.

        A token needs the camera's time. If the question is not answered, the HTTP Date header is used. Raises
        CameraUnreachable if nothing accepts connections; any other failure only leaves this answer out.
        """
        answer = None
        try:
            answer = self.call(soap.DEVICE, "GetSystemDateAndTime", anonymous=True)
        except NoConnection:
            raise
        except CameraDenied:
            self.time_refused = True
        except CameraError:
            pass
        reported = soap.find_child(answer, "SystemDateAndTime")
        at = read_system_time(reported) or self._date
        if at is not None:
            self.camera_clock = CameraClock(at, self._clock.monotonic())
        return reported

    def call(
        self, namespace: str, operation: str, *, url: str | None = None, anonymous: bool = False, **parameters: object
    ) -> Element:
        """Call an operation of the device or media service at `url` (default: the device service); return its response."""
        message = soap.build_request(namespace, operation, **parameters)
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
        """Send an envelope; return the first element in the body of the reply.

        `empty`: a 200 without a body is a valid answer (to a Set operation). After a truncated or broken reply the request is
        repeated once and then the reply is rejected, unless `forgiving` (the content is only displayed) or `empty`.
        """
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

    def _read(self, reply: HttpReply) -> tuple[Element | None, bool]:
        try:
            return soap.read_body(reply.body)
        except SoapFault as fault:
            if fault.denied:
                raise self._make_denied() from None
            raise

    def _exchange(self, message: Element, action: str, url: str, anonymous: bool) -> HttpReply:
        """Post with the SOAP version and the authentication method that the camera requires.

        A digest is sent only for a fresh challenge: some firmware counts an answer to an old nonce as a wrong password.
        """
        offered = None
        if anonymous or not self._token:
            reply = self._post(message, action, url)
            if not _is_denied(reply):
                return reply
            if anonymous or self._credentials is None:
                raise self._make_denied()
            offered = choose_strongest(map(str, reply.headers.get_all("WWW-Authenticate", [])))
            self._token = offered is None
        return self._post_with_proof(message, action, url, offered)

    def _post_with_proof(self, message: Element, action: str, url: str, offered: DigestChallenge | None) -> HttpReply:
        """Post with authentication.

        Some firmware reports a wrong time (local time as UTC) but checks tokens against the right one: where the two clocks
        differ, a second token with the box's time is sent. The camera counts each refusal as a wrong password, and so does
        the budget; the accepted clock is remembered, so that the next search needs no extra try.
        """
        assert self._credentials is not None
        wrong: CameraDenied | None = None
        for by_box in self._list_clocks() if self._token else (False,):
            try:
                with self._budget.attempt("onvif", self._names, self._credentials) as attempt:
                    reply = self._post(message, action, url, proof=offered or self._get_token_time(by_box))
                    if not _is_denied(reply):
                        attempt.right()
                        self._accepted = True
                        self._remember_clock(by_box)
                        return reply
                    # the password was right before, so the account lacks the permission for this operation
                    wrong = (
                        CameraDenied("cameras.denied") if self._accepted else self._count_wrong_password(reply, attempt)
                    )
            except CameraDenied as refused:
                raise wrong or refused from None
            if wrong.key in ("cameras.clear_text", "cameras.denied"):
                break
        assert wrong is not None
        raise wrong

    def _list_clocks(self) -> tuple[bool, ...]:
        """Return the clocks to make tokens with, the likelier first; True means the box's."""
        if self._by_box_time is not None:
            return (self._by_box_time,)
        if self.camera_clock is None:
            return (True,)
        if not is_set(self._clock) or abs(self.camera_clock.offset(self._clock)) <= _APART_S:
            return (False,)
        return (True, False) if self._budget.by_box_time(self._names) else (False, True)

    def _get_token_time(self, by_box: bool) -> datetime:
        return self.camera_clock.now(self._clock) if self.camera_clock and not by_box else self._clock.now()

    def _remember_clock(self, by_box: bool) -> None:
        if self._token and self.camera_clock is not None:
            self._by_box_time = by_box
            self._budget.note_time(self._names, by_box)

    def _post(
        self, message: Element, action: str, url: str, proof: DigestChallenge | datetime | None = None
    ) -> HttpReply:
        """Post, after a version fault in SOAP 1.1; `proof`: the challenge to answer, or the time for a token."""
        reply = self._post_once(message, action, url, proof)
        if self._version == soap.SOAP_12 and _wants_soap_11(reply):
            self._version = soap.SOAP_11
            again = self._post_once(message, action, url, proof)
            if _is_readable(again) or _is_denied(again):
                return again
            self._version = soap.SOAP_12
        return reply

    def _post_once(
        self, message: Element, action: str, url: str, proof: DigestChallenge | datetime | None
    ) -> HttpReply:
        if (now := self._clock.monotonic()) > self._deadline:
            waited = now - self._began
            raise CameraUnreachable("cameras.too_slow", address=urlsplit(url).hostname, seconds=f"{waited:.0f}")
        url = self._apply_redirects(url)
        envelope = copy.deepcopy(message)
        if isinstance(proof, datetime) and self._credentials:
            soap.add_username_token(
                envelope, self._credentials.username, *make_username_token(self._credentials, proof)
            )
        data, headers = soap.serialize_envelope(envelope, action, self._version)
        if isinstance(proof, DigestChallenge) and self._credentials:
            headers["Authorization"] = proof.answer(self._credentials, "POST", _get_request_uri(url))
        reply = self._transport.post(url, data, headers)
        self._date = read_http_date(reply.headers) or self._date
        if self._follow_redirect(url, reply):
            return self._post_once(message, action, url, proof)
        return reply

    def _follow_redirect(self, url: str, reply: HttpReply) -> bool:
        """Follow a redirect from HTTP to HTTPS on the same host, the only kind that is followed; return whether it is one.

        It is remembered for all later requests to that address.
        """
        parts = urlsplit(url)
        if reply.status not in _REDIRECTS or parts.scheme != "http":
            return False
        location = str(reply.headers.get("Location", "")).strip()
        try:
            target = urlsplit(location)
            origin = f"https://{target.hostname}:{target.port or 443}"
        except ValueError:
            return False
        if target.scheme != "https" or target.hostname != parts.hostname or not self._transport.networks.allows(origin):
            return False
        self._moved[parts.netloc] = origin
        self.url = self._apply_redirects(self.url)
        return True

    def _apply_redirects(self, url: str) -> str:
        parts = urlsplit(url)
        origin = self._moved.get(parts.netloc) if parts.scheme == "http" else None
        return f"{origin}{url.removeprefix(f'http://{parts.netloc}')}" if origin else url

    def _make_denied(self) -> CameraDenied:
        return CameraDenied("cameras.wants_password" if self._credentials is None else "cameras.denied")

    def _count_wrong_password(self, reply: HttpReply, attempt: PasswordAttempt) -> CameraDenied:
        left = attempt.wrong()
        offers = " ".join(str(v) for v in reply.headers.get_all("WWW-Authenticate", []))
        if self._token and "basic" in offers.lower():
            return CameraDenied("cameras.clear_text")
        account = {"username": soap.clean_text(attempt.account.username, 40), "left": left}
        if not self._token:
            return CameraDenied("cameras.wrong_password", **account)
        if self.camera_clock is None:
            # the camera's time is unknown: the token may have been refused because of the clock
            return CameraDenied("cameras.wrong_or_clock", **account)
        offset = self.camera_clock.offset(self._clock)
        if abs(offset) <= _APART_S or not is_set(self._clock):
            return CameraDenied("cameras.wrong_password", **account)
        return CameraDenied("cameras.wrong_or_offset", **account, seconds=f"{offset:+.0f}")


def _get_request_uri(url: str) -> str:
    """Return path and query, as in the request line."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _is_denied(reply: HttpReply) -> bool:
    if reply.status in (401, 403):
        return True
    try:
        soap.parse_body(reply.body)
    except SoapFault as fault:
        return fault.denied
    return False


def _is_readable(reply: HttpReply) -> bool:
    try:
        return soap.parse_body(reply.body) is not None
    except SoapFault:
        return False


def _wants_soap_11(reply: HttpReply) -> bool:
    """Return True for a version fault, a refused media type, and an empty reply where content was expected."""
    if reply.status == 415 or (reply.status != 401 and not reply.body.strip()):
        return True
    try:
        return soap.parse_body(reply.body) is None and reply.status >= 400 and reply.status not in (401, 403)
    except SoapFault as fault:
        return "VersionMismatch" in fault.codes
