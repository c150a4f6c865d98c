"""Parameter sets from the description and from the stream, and the SEI units in which a camera signs."""

from __future__ import annotations

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rtsp.payload.parameter_sets import ParameterSets
from agent.rtsp.payload.signing import SIGNING_UUID, is_signature
from tests.rtsp.encoded_streams import add_emulation_prevention, encode_stream

LONG = b"\0\0\0\1"


def make_sets(codec: str, size: tuple[int, int] = (320, 240)) -> list[bytes]:
    """The parameter sets of a stream, in order."""
    units = encode_stream(codec, "", size=size, count=1)[0].units
    if codec == "h264":
        return [u for u in units if u[0] & 31 in (7, 8)]
    return [u for u in units if u[0] >> 1 in (32, 33, 34)]


SETS = {codec: make_sets(codec) for codec in ("h264", "hevc")}
OTHER = {codec: make_sets(codec, (640, 360)) for codec in ("h264", "hevc")}


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_description_alone_is_enough(codec: str) -> None:
    found = ParameterSets(codec, reversed(SETS[codec])).format()
    assert found is not None
    assert (found.codec, found.width, found.height) == (codec, 320, 240)
    assert found.extradata == b"".join(LONG + unit for unit in SETS[codec])


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_the_extradata_open_a_decoder(codec: str) -> None:
    pictures = encode_stream(codec, "", count=3)
    sets = ParameterSets(codec)
    sets.take(pictures[0].units)
    found = sets.format()
    assert found is not None
    context = av.CodecContext.create(codec, "r")
    context.extradata = found.extradata
    bare = [b"".join(LONG + u for u in p.units if u not in SETS[codec]) for p in pictures]
    frames = [f for data in bare for f in context.decode(av.Packet(data))] + context.decode(None)
    assert [(f.width, f.height) for f in frames] == [(320, 240)] * 3


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_nothing_is_known_until_every_kind_is_there(codec: str) -> None:
    sets = ParameterSets(codec)
    for unit in SETS[codec]:
        assert sets.format() is None
        sets.take([unit])
    assert sets.format() is not None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_sets_that_are_repeated_are_no_change(codec: str) -> None:
    sets = ParameterSets(codec, SETS[codec])
    before = sets.format()
    for units in (SETS[codec], SETS[codec] * 4, SETS[codec][-1:], [], [b"\x65slice", b"\x06sei"]):
        sets.take(units)
        assert sets.format() is before


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_sets_of_the_stream_replace_those_of_the_description(codec: str) -> None:
    sets = ParameterSets(codec, SETS[codec])
    before = sets.format()
    sets.take(OTHER[codec])
    found = sets.format()
    assert found is not before
    assert found is not None
    assert (found.width, found.height) == (640, 360)
    assert found.extradata == b"".join(LONG + unit for unit in OTHER[codec])


def test_a_kind_that_does_not_come_stays() -> None:
    sets = ParameterSets("h264", SETS["h264"])
    sets.take([OTHER["h264"][0]])
    found = sets.format()
    assert found is not None
    assert found.extradata == LONG + OTHER["h264"][0] + LONG + SETS["h264"][1]
    assert found.width == 640


def test_several_sets_of_a_kind_are_kept_together() -> None:
    sps, pps = SETS["h264"]
    more = bytes([pps[0], pps[1] ^ 0x20]) + pps[2:]
    sets = ParameterSets("h264", [sps, pps, more])
    before = sets.format()
    assert before is not None
    assert before.extradata == LONG + sps + LONG + pps + LONG + more
    sets.take([sps, pps])
    assert sets.format() is before


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("junk", [b"", b"\x67", b"\x67\x42", bytes(400), b"\xff" * 40, b"\x67" * 100_000])
def test_a_description_that_is_wrong_is_replaced(codec: str, junk: bytes) -> None:
    sets = ParameterSets(codec, [junk])
    assert sets.format() is None
    sets.take(SETS[codec])
    assert sets.format() is not None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_sets_that_cannot_be_read_are_no_format(codec: str) -> None:
    sets = ParameterSets(codec, SETS[codec])
    broken = [
        unit[:3] + bytes(1) if number == len(SETS[codec]) - 2 else unit for number, unit in enumerate(SETS[codec])
    ]
    sets.take(broken)
    assert sets.format() is None
    sets.take(SETS[codec])
    assert sets.format() is not None


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_start_codes_in_a_description_are_taken_off(codec: str) -> None:
    joined = b"".join(LONG + unit for unit in SETS[codec])
    ends = [unit + b"\0\0\0\1" for unit in SETS[codec]]
    plain = ParameterSets(codec, SETS[codec]).format()
    assert ParameterSets(codec, [joined]).format() == plain
    assert ParameterSets(codec, ends).format() == plain


def test_sets_of_another_layer_do_not_count() -> None:
    other = [bytes([unit[0], unit[1] | 8]) + unit[2:] for unit in OTHER["hevc"]]
    sets = ParameterSets("hevc", SETS["hevc"])
    before = sets.format()
    sets.take(other)
    assert sets.format() is before


@given(st.lists(st.binary(max_size=40), max_size=50), st.sampled_from(["h264", "hevc"]))
def test_any_units_are_taken(units: list[bytes], codec: str) -> None:
    sets = ParameterSets(codec, units)
    sets.format()
    sets.take(units[::-1])
    sets.format()


def test_no_more_sets_are_kept_than_a_file_can_state() -> None:
    sps, pps = SETS["h264"]
    many = [pps + number.to_bytes(2, "big") + b"\1" for number in range(1000)]
    sets = ParameterSets("h264", [sps, *many])
    found = sets.format()
    assert found is not None
    assert len(found.extradata) < 260 * (len(pps) + 7) + len(sps)


# signatures

MESSAGE = SIGNING_UUID + b"signature"


def sei(*messages: tuple[int, bytes], codec: str = "h264") -> bytes:
    body = b""
    for kind, payload in messages:
        for value in (kind, len(payload)):
            body += b"\xff" * (value // 255) + bytes([value % 255])
        body += payload
    head = b"\x06" if codec == "h264" else b"\x4e\x01"
    return head + add_emulation_prevention(body + b"\x80")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(
    "messages",
    [
        [(5, MESSAGE)],
        [(5, MESSAGE + bytes(255 * 2 - len(MESSAGE)))],
        [(5, MESSAGE + bytes(5000))],
        [(1, b"\0\0\0\1"), (5, bytes(300)), (5, MESSAGE)],
        [(300, b"\0"), (5, MESSAGE)],
    ],
)
def test_a_signature_is_found(messages: list[tuple[int, bytes]], codec: str) -> None:
    assert is_signature(sei(*messages, codec=codec), codec)


@pytest.mark.parametrize(
    "unit",
    [
        b"",
        b"\x06",
        sei((5, b"x" * 16 + b"other")),
        sei((5, b"x" * 16 + MESSAGE)),
        sei((4, MESSAGE)),
        sei((5, MESSAGE[:12])),
        b"\x65" + sei((5, MESSAGE))[1:],
        b"\x06\x05\xff" + MESSAGE[:15],
        b"\x06" + b"\xff" * 1000 + MESSAGE,
    ],
)
def test_other_units_are_no_signature(unit: bytes) -> None:
    assert not is_signature(unit, "h264")
    assert not is_signature(b"\x42\x01" + unit[1:], "hevc")


@given(st.binary(max_size=200), st.sampled_from(["h264", "hevc"]))
def test_any_unit_may_be_asked_about(data: bytes, codec: str) -> None:
    for unit in (data, b"\x06" + data, b"\x4e\x01" + data + MESSAGE):
        assert is_signature(unit, codec) in (True, False)
