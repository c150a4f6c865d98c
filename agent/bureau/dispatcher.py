"""Handles what the bureau sends: approved classes and requests. Everything else is refused, answered, logged once."""

from __future__ import annotations

import hashlib
import logging
import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from agent import i18n
from agent.bureau import validation
from agent.bureau.handlers import BureauHandlers, RequestReplies
from agent.bureau.model_lists import take_model_list
from agent.bureau.options import BureauOptions
from agent.bureau.witness_inbox import accept_witness
from agent.catalog import Catalog
from agent.contract.box import FailureAnswer, FailureBody, RefusalBody, SuccessAnswer
from agent.contract.envelope import IncomingEnvelope, unwrap, wrap
from agent.contract.topics import ROOT
from agent.core.clock import Clock
from agent.core.errors import BureauError, SiteAgentError
from agent.core.model import is_id
from agent.drive import keys
from agent.mqtt.connection import ReceivedMessage

log = logging.getLogger(__name__)
_MOST_REQUESTS = 8
_LARGEST_ANSWER = 512 * 1024
_PACKET_HEAD = 64
_REMEMBERED = 1000
_ERROR_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RequestAnswer:
    """An answer that the link publishes."""

    topic: str
    payload: bytes
    correlation: bytes | None


class Dispatcher:
    """Dispatches messages of the bureau to `handlers`. Requests that do not take long run in its own thread."""

    def __init__(self, catalog: Catalog, clock: Clock, options: BureauOptions, handlers: BureauHandlers) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._handlers = handlers
        self._refused: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._told: deque[float] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="bureau-request")
        self._places = threading.BoundedSemaphore(_MOST_REQUESTS)
        self.answers: deque[RequestAnswer] = deque()
        self.largest: int | None = None
        """The largest packet that the broker accepts; it closes the connection where one is larger."""

    def close(self) -> None:
        """Forget requests that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def take(self, message: ReceivedMessage) -> None:
        """Handle one message; never raises for what was sent."""
        kind, _, name = message.topic.removeprefix(f"{self._options.prefix}/").partition("/")
        try:
            if kind == "classes":
                self._take_class(name, message)
            elif kind == "witness" and message.payload:
                self._take_witness(name, message)
            elif kind == "models":
                _check_size(message, self._options.max_class_bytes)
                take_model_list(message.payload, self._handlers.keep_models)
            elif kind == "request":
                self._take_request(name, message)
        except SiteAgentError as error:
            self._refuse(message, error)

    def _take_class(self, class_id: str, message: ReceivedMessage) -> None:
        if message.payload == b"":  # the bureau removed its retained message; what was approved stays approved
            return
        _check_size(message, self._options.max_class_bytes)
        if not is_id(class_id):
            raise BureauError("bureau.class_id", class_id=validation.shorten_for_log(class_id))
        incoming = unwrap(message.payload)
        self._check_signature(incoming)
        found = incoming.body.get("class_id")
        if found != class_id:
            raise BureauError("bureau.other_class", class_id=class_id, found=validation.shorten_for_log(found))
        validation.check_dates(incoming.body)
        self._store_class(class_id, self._accepted(class_id, incoming.body))

    def _accepted(self, class_id: str, body: Mapping[str, object]) -> Mapping[str, object]:
        try:
            return self._handlers.accept_class(body)
        except SiteAgentError:
            raise
        except Exception as error:  # no message may end the process: a retained one would come again after each restart
            log.exception("%s", i18n.translate("bureau.class_failed", class_id=class_id))
            raise BureauError("bureau.internal", name=f"classes/{class_id}") from error

    def _store_class(self, class_id: str, body: Mapping[str, object]) -> None:
        known = self._catalog.classes.get(class_id)
        if known and known.source == "bureau" and known.body == body:
            return
        before = known.body if known else {}
        changed = sorted(k for k in {*before, *body} if before.get(k) != body.get(k))
        now = self._clock.now()
        with self._catalog.store.write():
            self._catalog.classes.put(class_id, body, "bureau", now)
            self._catalog.events.add("class.approved", now, detail={"class_id": class_id, "changed": changed})
        fields = ", ".join(changed) or "-"
        log.info("%s", i18n.translate("bureau.class_taken", class_id=class_id, fields=fields))

    def _take_witness(self, class_id: str, message: ReceivedMessage) -> None:
        _check_size(message, self._options.max_request_bytes)
        body = unwrap(message.payload).body
        if accept_witness(self._catalog, self._options, class_id, body, self._clock.now()):
            log.info("%s", i18n.translate("bureau.witnessed", class_id=class_id))

    def _check_signature(self, incoming: IncomingEnvelope) -> None:
        if not self._options.signing_key:
            return
        if incoming.signed is None or incoming.signature is None:
            raise BureauError("bureau.unsigned")
        if not keys.verify_signature(incoming.signed, incoming.signature, self._options.signing_key):
            raise BureauError("bureau.bad_signature")

    def _take_request(self, name: str, message: ReceivedMessage) -> None:
        _check_size(message, self._options.max_request_bytes)
        if message.retained:  # it would be answered anew on every connection
            raise BureauError("bureau.retained_request")
        if not self._is_known(name):
            known = ", ".join(sorted({*self._handlers.requests, *self._handlers.long_requests}))
            raise BureauError("bureau.unknown_request", name=validation.shorten_for_log(name), known=known)
        self._answer_topic(message, name)
        incoming = unwrap(message.payload or b"{}")
        validation.check_request(name, incoming.body)
        if not self._places.acquire(blocking=False):
            raise BureauError("bureau.busy", most=_MOST_REQUESTS)
        self._pool.submit(self._work, name, incoming, message)

    def _work(self, name: str, incoming: IncomingEnvelope, message: ReceivedMessage) -> None:
        try:
            long = self._handlers.long_requests.get(name)
            replies = self._replies(name, incoming, message)
            result = long(incoming.body, replies) if long else self._handlers.requests[name](incoming.body)
            if result is not None:
                self._answer(message, name, _build_success(name, incoming.event_id, result))
        except SiteAgentError as error:
            self._answer(message, name, _build_failure(name, incoming.event_id, error))
        except Exception:  # no request may end the process; the log has the traceback
            log.exception("%s", i18n.translate("bureau.request_failed", name=name))
            failure = _build_failure(name, incoming.event_id, BureauError("bureau.internal", name=name))
            self._answer(message, name, failure)
        finally:
            self._places.release()

    def _is_known(self, name: str) -> bool:
        return name in self._handlers.requests or name in self._handlers.long_requests

    def _replies(self, name: str, incoming: IncomingEnvelope, message: ReceivedMessage) -> RequestReplies:
        return RequestReplies(
            incoming.event_id,
            lambda result: self._answer(message, name, _build_success(name, incoming.event_id, result)),
            lambda error: self._answer(message, name, _build_failure(name, incoming.event_id, error)),
        )

    def _answer(self, message: ReceivedMessage, name: str, data: SuccessAnswer | FailureAnswer) -> None:
        payload = self._wrap("response", f"request/{name}", data)
        topic = self._answer_topic(message, name)
        if len(payload) > self._room(topic, message.correlation):
            failure = _build_failure(name, data["request_id"], BureauError("bureau.answer_too_large", name=name))
            payload = self._wrap("response", f"request/{name}", failure)
        self.answers.append(RequestAnswer(topic, payload, message.correlation))

    def _room(self, topic: str, correlation: bytes | None) -> int:
        if self.largest is None:
            return _LARGEST_ANSWER
        return min(_LARGEST_ANSWER, self.largest - len(topic.encode()) - len(correlation or b"") - _PACKET_HEAD)

    def _answer_topic(self, message: ReceivedMessage, name: str) -> str:
        """Return the requested response topic; where none is named (MQTT 3.1.1), the box's `response/{name}`.

        Raises BureauError for a topic under which the answer could be taken for something else (wildcards, `$`, topics of
        boxes), and for an empty one, for which the broker would close the connection.
        """
        own = f"{self._options.prefix}/response/"
        topic = message.response_topic
        if topic is None:
            return own + name
        reserved = topic.startswith((f"{ROOT}/", "$")) and not topic.startswith(own)
        if reserved or not topic.isprintable() or not 0 < len(topic) <= 256 or set("+#") & set(topic):
            raise BureauError("bureau.response_topic", topic=validation.shorten_for_log(topic), own=own)
        return topic

    def _refuse(self, message: ReceivedMessage, error: SiteAgentError) -> None:
        suffix = message.topic.removeprefix(f"{self._options.prefix}/")
        if suffix.startswith("request/"):
            self._answer_refusal(suffix.removeprefix("request/"), message, error)
        digest = hashlib.sha256(message.payload).hexdigest()
        if (suffix, digest) in self._refused:
            return
        self._refused[suffix, digest] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        if not self._may_tell():
            return
        log.warning(
            "%s", i18n.translate("bureau.refused_message", topic=validation.shorten_for_log(suffix), detail=str(error))
        )
        now = self._clock.now()
        data: RefusalBody = {
            "topic": suffix[:200],
            **_describe_error(error),
            "bytes": len(message.payload),
            "sha256": digest,
        }
        self._catalog.outbox.put("error", "error", data, now, expires_at=now + _ERROR_KEPT)

    def _answer_refusal(self, name: str, message: ReceivedMessage, error: SiteAgentError) -> None:
        known = name if self._is_known(name) else "unknown"
        try:
            self._answer(message, known, _build_failure(known, self._find_request_id(message), error))
        except BureauError:
            return  # there is no topic to answer on; the error event reports it

    def _find_request_id(self, message: ReceivedMessage) -> str | None:
        """Return the ID of a request that is refused, as far as it can be read."""
        if len(message.payload) > self._options.max_request_bytes:
            return None
        try:
            return unwrap(message.payload).event_id
        except BureauError:
            return None

    def _may_tell(self) -> bool:
        """Allow at most `errors_per_hour` log lines and error events: a flood must not fill the outbox."""
        now = self._clock.monotonic()
        while self._told and now - self._told[0] > 3600:
            self._told.popleft()
        if len(self._told) >= self._options.errors_per_hour:
            return False
        self._told.append(now)
        return True

    def _wrap(self, name: str, subject: str, data: Mapping[str, object]) -> bytes:
        return wrap(
            event_id=str(uuid.uuid4()),
            source=self._options.source,
            name=name,
            subject=subject,
            at=self._clock.now(),
            zone=self._catalog.zone,
            data=data,
        )


def _check_size(message: ReceivedMessage, most: int) -> None:
    if len(message.payload) > most:
        raise BureauError("bureau.too_long", size=len(message.payload), most=most)


def _build_success(name: str, request_id: str | None, result: Mapping[str, object]) -> SuccessAnswer:
    return {"request": name, "request_id": request_id, "ok": True, "result": dict(result)}


def _build_failure(name: str, request_id: str | None, error: SiteAgentError) -> FailureAnswer:
    return {"request": name, "request_id": request_id, "ok": False, "error": _describe_error(error)}


def _describe_error(error: SiteAgentError) -> FailureBody:
    return {"code": error.key, "message": str(error)[:500]}
