"""Sender reports, as cameras put them together."""

from __future__ import annotations

import struct

import pytest

from agent.rtsp.rtcp import SenderReport, parse_sender_report
from simulator.rtp import build_sender_report

REPORT = build_sender_report(1, 0x11, 1_700_000_000.25, 5000, 7, 900)[4:]
RECEIVER = struct.pack(">BBHI", 0x80, 201, 1, 9)


@pytest.mark.parametrize(
    "data", [REPORT, RECEIVER + REPORT, REPORT[:20]], ids=["alone", "behind another", "without counts"]
)
def test_a_report_says_which_instant_belongs_to_a_stamp(data: bytes) -> None:
    assert parse_sender_report(data) == SenderReport(0x11, 1_700_000_000.25, 5000)


NOTHING = [
    b"",
    REPORT[:19],
    REPORT[:7],
    RECEIVER,
    b"\x40" + REPORT[1:],
    struct.pack(">BBHI", 0x80, 200, 6, 1) + bytes(20),
]


@pytest.mark.parametrize(
    "data", NOTHING, ids=["empty", "cut", "shorter", "receiver", "other version", "clock never set"]
)
def test_no_report(data: bytes) -> None:
    assert parse_sender_report(data) is None


def test_lengths_that_lead_nowhere_end() -> None:
    assert parse_sender_report(struct.pack(">BBHI", 0x80, 201, 0, 0) * 9 + b"\x80\xc9\xff\xff\0\0\0\0" + REPORT) is None
