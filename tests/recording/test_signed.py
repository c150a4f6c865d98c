"""Cameras that sign their pictures: each signature is recorded bit for bit, goes into clips, and the camera's row says so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from agent.inspection.clip import ClipOptions, ClipRequest, ClipService
from agent.inspection.cut import ClipSpan
from agent.recording.options import RecordingOptions, StreamSource
from simulator.firmware import FIRMWARE
from simulator.quirk_server import QuirkServer
from simulator.quirks import Quirks
from simulator.signature import SIGNING_UUID, build_signature_unit
from tests.support.access_units import StoredPicture, read_pictures
from tests.support.recording_bench import CAMERA, RecordingBench, clip, recording, wait_for

KEYS = 8
"""Key frames in one round of a clip: one a second."""


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def list_signatures(pictures: Sequence[StoredPicture], codec: str) -> list[int]:
    """Return which signature each signed picture holds. Fails where one is altered, or stands beside another."""
    known = {build_signature_unit(codec, index): index for index in range(KEYS)}
    signed = [[unit for unit in picture.sei if SIGNING_UUID in unit] for picture in pictures]
    assert all(len(units) <= 1 for units in signed)
    return [known[units[0]] for units in signed if units]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_signatures_are_recorded_and_cut_bit_for_bit(clips: Path, tmp_path: Path, codec: str) -> None:
    with QuirkServer(clip(clips, codec, "aac", (320, 192)), FIRMWARE["signed"]) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url()), RecordingOptions(segment_seconds=2))
        with recording(rig):
            wait_for(lambda: len(rig.segments()) >= 4, "too few segments")
    rows = rig.segments()
    for row in rows:
        pictures = read_pictures(rig.path(row))
        assert SIGNING_UUID in b"".join(pictures[0].sei), "each file begins with a signed key frame"
    found = [index for row in rows for index in list_signatures(read_pictures(rig.path(row)), codec)]
    assert len(found) >= 5 and all((b - a) % KEYS == 1 for a, b in pairwise(found))

    assert rig.plan and rows[-1].end
    cls = rig.plan[0]
    service = ClipService(rig.catalog, rig.clock, ClipOptions((rig.root,)), lambda: [cls])
    span = ClipSpan(rows[0].start + timedelta(seconds=0.5), rows[-1].end - timedelta(seconds=0.5))
    (plan,) = service.plan(ClipRequest(cls, span, "tester"))
    cut = list_signatures(read_pictures(Path(service.save(plan, tmp_path / "out")["path"])), codec)
    assert len(cut) >= 3 and all((b - a) % KEYS == 1 for a, b in pairwise(cut))


@pytest.mark.parametrize(("quirks", "signs"), [(FIRMWARE["signed"], True), (Quirks(), False)], ids=["signed", "plain"])
def test_the_row_of_a_camera_says_whether_it_signs(clips: Path, tmp_path: Path, quirks: Quirks, signs: bool) -> None:
    with QuirkServer(clip(clips, "h264", "aac", (320, 192)), quirks) as server:
        rig = RecordingBench(tmp_path, StreamSource(server.url()), RecordingOptions(segment_seconds=2))
        with recording(rig):
            time.sleep(3)
    camera = rig.catalog.cameras.get(CAMERA)
    assert camera is not None and camera.signs is signs


def test_what_a_unit_signs_is_not_said_of_another(tmp_path: Path) -> None:
    """The connection may outlast the exchange by a second."""
    rig = RecordingBench(tmp_path, StreamSource("rtsp://127.0.0.1/main"))
    rig.catalog.cameras.note_signing(CAMERA, "ANOTHER")
    camera = rig.catalog.cameras.get(CAMERA)
    assert camera is not None and not camera.signs
