"""Interleaved frames and messages: whatever pieces they come in, and whatever stands between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.interleaved import CAPACITY, InterleavedBuffer
from agent.rtsp.message import MAX_BODY, MAX_HEAD, RtspMessage, RtspTooLarge, RtspUnreadable, parse_message


def frame(channel: int, payload: bytes) -> bytes:
    return b"$" + bytes([channel]) + len(payload).to_bytes(2, "big") + payload


class Splitter:
    """Feeds a buffer that knows channels 0 and 1; `frames` and `messages` are what came out."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.messages: list[RtspMessage] = []
        self.buffer = InterleavedBuffer(self.messages.append)
        for channel in (0, 1):
            self.buffer.receivers[channel] = self._take(channel)

    def _take(self, channel: int):  # type: ignore[no-untyped-def]
        return lambda data, at, end: self.frames.append((channel, bytes(data[at:end])))

    def feed(self, data: bytes, piece: int = CAPACITY) -> None:
        at = 0
        while at < len(data):
            free = self.buffer.free()
            part = data[at : at + min(piece, len(free))]
            free[: len(part)] = part
            at += len(part)
            self.buffer.split(len(part))


def test_a_message_is_read_as_it_comes() -> None:
    whole = RtspMessage("RTSP/1.0 200 OK", (("CSeq", "3"), ("Content-Length", "2")), b"hi").encode()
    for cut in range(len(whole)):
        assert parse_message(whole[:cut]) == (None, 0)
    message, length = parse_message(whole + b"$")
    assert message and length == len(whole) and message.body == b"hi" and message.one("cseq") == "3"
    assert parse_message(b"RTSP/1.0 200 OK\nCSeq: 1\n\n$")[0] is not None


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=50)), max_size=20), st.integers(1, 40))
def test_frames_come_through_in_whatever_pieces(frames: list[tuple[int, bytes]], piece: int) -> None:
    splitter = Splitter()
    splitter.feed(b"".join(frame(channel, payload) for channel, payload in frames), piece)
    assert splitter.frames == [(channel, payload) for channel, payload in frames if channel < 2]
    assert not splitter.messages


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 200))
def test_no_bytes_bring_it_out_of_step(parts: list[bytes], piece: int) -> None:
    splitter = Splitter()
    good = frame(0, b"x" * 50)
    try:
        splitter.feed(b"".join(parts), piece)
    except (RtspTooLarge, RtspUnreadable):
        return
    # whatever it still waits for ends within the longest frame or message
    splitter.feed(good * 3000)
    assert splitter.frames.count((0, b"x" * 50)) > 500


@pytest.mark.parametrize(
    "lost",
    [b"ABC\x00\x01$\x05\x00\x09xx", b"\xff", b"GET_ \x02" * 3000, b"RTSP/1.0\x03", b"\x00" * 70000, b"\r\n\r\n"],
    ids=["frame of no channel", "byte", "text", "cut", "zeros", "blank lines"],
)
def test_what_is_lost_is_left_out_up_to_the_next_frame(lost: bytes) -> None:
    splitter = Splitter()
    splitter.feed(frame(0, b"picture") + frame(1, b"report") + lost + frame(0, b"next"))
    assert splitter.frames == [(0, b"picture"), (1, b"report"), (0, b"next")] and not splitter.messages


def test_messages_between_frames_are_handed_out() -> None:
    splitter = Splitter()
    reply = RtspMessage("RTSP/1.0 200 OK", (("CSeq", "3"), ("Content-Length", "3")), b"$$$")
    splitter.feed(frame(0, b"a") + reply.encode() + frame(1, b"b"), 7)
    assert splitter.frames == [(0, b"a"), (1, b"b")] and splitter.messages == [reply]


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (b"RTSP/1.0 200 OK\r\nA: " + b"x" * MAX_HEAD, MAX_HEAD),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 1500000000\r\n\r\n", MAX_BODY),
    ],
)
def test_what_is_too_large_is_refused_at_once(text: bytes, limit: int) -> None:
    with pytest.raises(RtspTooLarge) as caught:
        Splitter().feed(text)
    assert caught.value.limit == limit


def test_garbage_costs_no_more_than_its_length() -> None:
    """Bytes that look like the beginning of a frame or a message again and again are passed over in one go each."""
    searched = 0

    class Counting(dict[int, object]):
        def __contains__(self, key: object) -> bool:
            nonlocal searched
            searched += 1
            return super().__contains__(key)

    splitter = Splitter()
    splitter.buffer.receivers = Counting(splitter.buffer.receivers)  # type: ignore[assignment]
    splitter.feed(b"A$\x05" * (CAPACITY // 3))
    assert searched <= 2 * CAPACITY // 3
