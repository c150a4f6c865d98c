"""Two pictures under one stamp: two fields stay together, a repetition is left out."""

from __future__ import annotations

import pytest

from agent.rtsp.payload.access_unit import AccessUnit
from agent.rtsp.payload.h264 import H264Rules

FIELD, OTHER = b"\x41\x9a" + bytes(range(100)), b"\x41\x9b" + bytes(range(100))
SET, SECOND_SLICE = b"\x68\xee\x3c\x80", b"\x41\x1a" + bytes(range(50))
START = b"\x00\x00\x00\x01"


@pytest.mark.parametrize(
    ("units", "kept"),
    [
        ([FIELD, FIELD], 1),
        ([FIELD, OTHER], 2),
        ([SET, FIELD, SECOND_SLICE, SET, FIELD, SECOND_SLICE], 3),
        ([SET, FIELD, SECOND_SLICE, SET, OTHER, SECOND_SLICE], 6),
        ([SET, FIELD, FIELD], 3),
    ],
    ids=["repeated", "fields", "repeated with all", "fields with all", "not the whole"],
)
def test_a_repetition_is_left_out(units: list[bytes], kept: int) -> None:
    unit = AccessUnit(H264Rules())
    for each in units:
        unit.add(each)
    (picture,) = unit.take()
    assert picture.data == b"".join(START + each for each in units[:kept])
