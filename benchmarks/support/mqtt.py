"""MQTT 3.1.1 packets, as far as a load generator needs them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x30, 0x40, 0x82, 0x90


def packet(kind: int, body: bytes) -> bytes:
    """Return a packet with fixed header."""
    size, length = len(body), b""
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([kind]) + length + body


def text(value: str) -> bytes:
    """Return an MQTT string: two bytes of length, then UTF-8."""
    return struct.pack("!H", len(value.encode())) + value.encode()


def connect_packet(client_id: str, will: tuple[str, bytes] | None) -> bytes:
    """Return a CONNECT with a persistent session; `will`: topic and payload."""
    flags = (0x04 | 0x08 | 0x20) if will else 0  # will, QoS 1, retained
    body = text("MQTT") + bytes([4, flags]) + struct.pack("!H", 300) + text(client_id)
    if will:
        body += text(will[0]) + struct.pack("!H", len(will[1])) + will[1]
    return packet(CONNECT, body)


def publish_packet(topic: str, mid: int, payload: bytes, *, retain: bool) -> bytes:
    """Return a PUBLISH with QoS 1; `mid`: packet identifier."""
    return packet(PUBLISH | 0x02 | int(retain), text(topic) + struct.pack("!H", mid) + payload)


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Remove complete packets from the buffer; yield their type with flags, and body."""
    while len(buffer) >= 2:
        size, shift, at = 0, 0, 1
        while True:
            if at >= len(buffer):
                return
            size |= (buffer[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 0x80:
                break
        if len(buffer) < at + size:
            return
        kind, body = buffer[0], bytes(buffer[at : at + size])
        del buffer[: at + size]
        yield kind, body
