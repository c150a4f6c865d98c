"""One connection to the broker, from CONNECT to its end; the only module that imports paho.

Everything happens in the caller's thread: `step` reads and writes, what came in waits in `acks` and `inbox`. A new
connection is a new object: what was not acknowledged is still in the catalog, so paho's own queue is never needed.
"""

from __future__ import annotations

import ssl
import time
from collections import deque
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.core.errors import BureauError, SettingsError
from agent.mqtt.options import BrokerOptions
from agent.mqtt.topic_aliases import TopicAliases
from agent.mqtt.unreachable import explain_unreachable

# an MQTT 5 broker withholds larger messages; generous enough that one that is merely too long can still be answered
LARGEST_PACKET = 16 * 1024 * 1024
_REFUSALS = {**dict.fromkeys((4, 5, 134, 135), "bureau.denied"), 154: "bureau.no_retain", 155: "bureau.no_qos"}
_TAKEN_OVER = 142
_MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A received message. `response_topic` and `correlation` come from MQTT 5, else None; `mid` is what `acknowledge` takes.

    `duplicate`: the broker delivers it not for the first time.
    """

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None
    correlation: bytes | None
    mid: int = 0
    duplicate: bool = False


class BrokerConnection:
    """A connection. `acks` holds (message ID, refusal text or None) of each PUBACK, in order of arrival.

    With `manual_ack` a received message stays the broker's until `acknowledge`; the broker sends at most `options.window`
    of them (MQTT 5).
    """

    def __init__(
        self, options: BrokerOptions, *, client_id: str, will: tuple[str, bytes] | None, manual_ack: bool = False
    ) -> None:
        self._options = options
        self._manual_ack = manual_ack
        self._session_kept = options.session_expiry_s > 0
        self.acks: deque[tuple[int, str | None]] = deque()
        self.inbox: deque[ReceivedMessage] = deque()
        self.refused_topics: list[str] = []
        self.window = options.window
        self.largest: int | None = None
        self._aliases = TopicAliases()
        self._subscribed: dict[int | None, list[str]] = {}
        self._connack: ReasonCode | None = None
        self._lacks = ""
        self._gone: BureauError | None = None
        self._client = self._build(client_id)
        if will:
            self._client.will_set(will[0], will[1], qos=1, retain=True)

    def open(self) -> None:
        """Connect and wait for the CONNACK. Raises BureauError saying why it did not come."""
        options, deadline = self._options, time.monotonic() + self._options.connect_timeout_s
        try:
            self._connect()
        except OSError as error:
            raise explain_unreachable(error, options) from error
        except ValueError as error:  # a host name that no resolver can take
            raise BureauError("bureau.unreachable", host=options.host, port=options.port, detail=error) from error
        while self._connack is None:
            self.step(0.1)
            if time.monotonic() > deadline:
                raise BureauError("bureau.no_welcome", host=options.host, port=options.port)
        if self._connack.is_failure:
            key = _REFUSALS.get(self._connack.value, "bureau.refused")
            raise BureauError(key, host=options.host, port=options.port, user=options.username, detail=self._connack)
        if self._lacks:
            raise BureauError(self._lacks, host=options.host, port=options.port)

    def _connect(self) -> None:
        options = self._options
        if options.protocol != "5":
            self._client.connect(options.host, options.port, options.keepalive_s)
            return
        properties = _build_properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = options.session_expiry_s
        properties.MaximumPacketSize = LARGEST_PACKET
        if self._manual_ack:
            properties.ReceiveMaximum = options.window
        self._client.connect(
            options.host,
            options.port,
            options.keepalive_s,
            clean_start=not self._session_kept,
            properties=properties,
        )

    def step(self, timeout: float) -> None:
        """Read and write for at most `timeout` seconds. Raises BureauError once the connection is over."""
        try:
            code = self._client.loop(timeout)
            # paho reads one packet a call: read on while each call brings a message, so that select is not paid for each
            for _ in range(_MOST_AT_ONCE):
                before = len(self.inbox)
                if code != mqtt.MQTT_ERR_SUCCESS or not before:
                    break
                code = self._client.loop_read()
                if len(self.inbox) == before:
                    break
        except Exception as error:  # paho parses bytes from outside and may fail in any way
            raise BureauError("bureau.garbled", detail=type(error).__name__) from error
        refused = self._connack is not None and self._connack.is_failure
        if self._gone and not refused:
            raise self._gone
        if code != mqtt.MQTT_ERR_SUCCESS and not refused:
            raise self._ended(mqtt.error_string(code))

    def publish(self, topic: str, payload: bytes, *, retain: bool, correlation: bytes | None = None) -> int:
        """Send with QoS 1; return the message ID that its acknowledgement will carry."""
        properties = None
        alias, is_known = self._aliases.find(topic)
        if correlation is not None or alias:
            properties = _build_properties(PacketTypes.PUBLISH)
            if correlation is not None:
                properties.CorrelationData = correlation
            if alias:
                properties.TopicAlias = alias
        name = "" if is_known else topic
        info = self._client.publish(name, payload, qos=1, retain=retain, properties=properties)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            raise self._gone or self._ended(mqtt.error_string(info.rc))
        return info.mid

    def acknowledge(self, mid: int) -> None:
        """Acknowledge a received message; for connections with `manual_ack`."""
        code = self._client.ack(mid, 1)
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise self._gone or self._ended(mqtt.error_string(code))

    def subscribe(self, topics: list[str], *, retained: bool = True) -> None:
        """Subscribe with QoS 1; a topic that the broker refuses appears in `refused_topics`.

        Without `retained` (MQTT 5) the broker does not send what it kept.
        """
        if retained:
            code, mid = self._client.subscribe([(topic, 1) for topic in topics])
        else:
            handling = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            code, mid = self._client.subscribe([(topic, handling) for topic in topics])
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise self._gone or self._ended(mqtt.error_string(code))
        self._subscribed[mid] = topics

    def unsubscribe(self, topics: list[str]) -> None:
        """End subscriptions; `is_subscribing` until the broker has answered."""
        code, mid = self._client.unsubscribe(topics)
        if code != mqtt.MQTT_ERR_SUCCESS:
            raise self._gone or self._ended(mqtt.error_string(code))
        self._subscribed[mid] = topics

    def is_subscribing(self) -> bool:
        """Return whether the broker has not answered a change of the subscriptions yet."""
        return bool(self._subscribed)

    def close(self, *, clean: bool) -> None:
        """End it: cleanly (the broker drops the will), or by closing the socket, so that the broker publishes the will."""
        if clean:
            self._client.disconnect()
            deadline = time.monotonic() + 1
            while self._client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS and time.monotonic() < deadline:
                pass
        sock = self._client.socket()
        if sock is not None:
            sock.close()

    def _ended(self, detail: str) -> BureauError:
        options = self._options
        key = "bureau.closed" if self._connack is not None else "bureau.closed_early"
        return BureauError(key, host=options.host, port=options.port, detail=detail)

    def _build(self, client_id: str) -> mqtt.Client:
        options = self._options
        five = options.protocol == "5"
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if five else not self._session_kept,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=self._manual_ack,
        )
        client.connect_timeout = options.connect_timeout_s
        client.max_inflight_messages_set(65535)  # the outbox sender keeps the window; paho must not queue
        if options.username or options.password:
            client.username_pw_set(options.username or None, options.password or None)
        if options.tls:
            client.tls_set_context(build_tls_context(options))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = client.on_unsubscribe = self._on_subscribe
        return client

    # paho's callbacks: they only record, so nothing in them can raise

    def _on_connect(
        self, _c: mqtt.Client, _u: object, _flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._connack = reason
        self.window = min(self.window, getattr(properties, "ReceiveMaximum", self.window))
        self.largest = getattr(properties, "MaximumPacketSize", None)
        self._aliases.most = getattr(properties, "TopicAliasMaximum", 0)
        if not getattr(properties, "RetainAvailable", 1):
            self._lacks = "bureau.no_retain"
        elif not getattr(properties, "MaximumQoS", 1):
            self._lacks = "bureau.no_qos"

    def _on_disconnect(
        self, _c: mqtt.Client, _u: object, flags: mqtt.DisconnectFlags, reason: ReasonCode, _p: object
    ) -> None:
        taken = flags.is_disconnect_packet_from_server and reason.value == _TAKEN_OVER
        self._gone = BureauError("bureau.taken_over") if taken else self._ended(str(reason))

    def _on_publish(self, _c: mqtt.Client, _u: object, mid: int, reason: ReasonCode, _p: object) -> None:
        if reason.is_failure:
            self._aliases.forget()  # brokers differ in whether they keep the alias of what they refuse
        self.acks.append((mid, str(reason) if reason.is_failure else None))

    def _on_subscribe(self, _c: mqtt.Client, _u: object, mid: int, reasons: list[ReasonCode], _p: object) -> None:
        topics = self._subscribed.pop(mid, [])
        self.refused_topics += [t for t, reason in zip(topics, reasons, strict=False) if reason.is_failure]

    def _on_message(self, _c: mqtt.Client, _u: object, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        properties = message.properties
        asked, correlation = getattr(properties, "ResponseTopic", None), getattr(properties, "CorrelationData", None)
        received = ReceivedMessage(
            topic, bytes(message.payload), message.retain, asked, correlation, message.mid, message.dup
        )
        self.inbox.append(received)


def _build_properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # untyped in paho


def build_tls_context(options: BrokerOptions) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or later; with `ca_file` only that CA is trusted.

    Raises SettingsError for a file that is not a certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    key, path = "ca_file", options.ca_file
    try:
        if options.ca_file:
            context.load_verify_locations(options.ca_file)
        else:
            context.load_default_certs()
        if options.certificate_file:
            key, path = "certificate_file", options.certificate_file
            # the password callback keeps OpenSSL from asking a terminal for a locked key's pass phrase
            context.load_cert_chain(options.certificate_file, options.key_file, password=lambda: "")
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError("bureau.file", key=key, file=path, detail=error.strerror or error) from error
    return context
