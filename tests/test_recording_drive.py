"""Drives that vanish, fill up or fail under the recorder: it stops there at once and goes on when they return."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agent import media
from agent.recording.options import Options, Source
from tests.recording_drives import fill, loop_drive, needs_mount
from tests.recording_rig import UNCUT, Rig, breaks, camera, clip, indexes, recording, wait_for

OPTIONS = Options(segment_seconds=2, max_loss=1, reserve_bytes=1 << 20)

pytestmark = [needs_mount, pytest.mark.root]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def all_files(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if p.is_file()]


def test_drive_pulled_under_the_open_file(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, loop_drive(tmp_path) as mounted:
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        with recording(rig):
            wait_for(lambda: rig.segments(), "nothing finished")
            mounted.unmount(lazily=True)
            noticed = wait_for(lambda: rig.events("drive.missing"), "not noticed")
            assert noticed < 3
            time.sleep(2)
            assert list(mounted.root.iterdir()) == [], "nothing may be written under the empty mount point"
            mounted.mount()
            back = wait_for(lambda: rig.events("drive.missing")[0].until, "does not come back")
            assert back < 10
            time.sleep(1.5)
        missing = rig.events("drive.missing")
        assert missing and all(e.until for e in missing)
        assert not rig.catalog.segments.opened() and not rig.leftovers()
        assert len(rig.segments()) > 1 and all(media.video_seconds(rig.path(s)) for s in rig.segments())


def test_folder_deleted_under_the_open_file(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, loop_drive(tmp_path):
        rig = Rig(
            tmp_path, Source(server.url("main")), Options(segment_seconds=UNCUT, max_loss=1, reserve_bytes=1 << 20)
        )
        with recording(rig):
            row = rig.catalog.segments.opened()[0]
            time.sleep(0.5)
            (rig.root / row.temporary).unlink()
            wait_for(lambda: rig.events("drive.missing"), "not noticed", 5)
            wait_for(lambda: rig.catalog.segments.opened() and rig.events("drive.missing")[0].until, "no new segment")
            opened = rig.catalog.segments.opened()
            assert opened and all((rig.root / r.temporary).exists() for r in opened)


def test_full_drive_keeps_what_it_has(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, loop_drive(tmp_path, 16) as mounted:
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        with recording(rig):
            wait_for(lambda: rig.segments(), "nothing finished")
            kept = {s.path: s.sha256 for s in rig.segments()}
            ballast = mounted.root / "ballast"
            fill(ballast, leave=0)
            wait_for(lambda: rig.events("drive.full"), "not noticed", 5)
            time.sleep(1)
            ballast.unlink()
            wait_for(lambda: rig.events("drive.full")[0].until, "does not go on", 10)
            time.sleep(1)
        assert not rig.catalog.segments.opened() and not rig.leftovers()
        assert kept.items() <= {s.path: s.sha256 for s in rig.segments()}.items()
        for segment in rig.segments():
            assert breaks(indexes(rig.path(segment))) == []


def test_nearly_full_drive_is_left_in_good_order(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, loop_drive(tmp_path, 16) as mounted:
        rig = Rig(
            tmp_path, Source(server.url("main")), Options(segment_seconds=UNCUT, max_loss=1, reserve_bytes=4 << 20)
        )
        with recording(rig):
            time.sleep(0.5)
            fill(mounted.root / "ballast", leave=96 << 10)
            wait_for(lambda: rig.events("drive.full"), "not noticed", 5)
            wait_for(lambda: rig.segments(), "the open segment is not finished")
    assert len(rig.events("drive.full")) == 1


def test_read_only_drive(clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, loop_drive(tmp_path) as mounted:
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        mounted.unmount()
        mounted.mount("ro")
        rig.start()
        try:
            wait_for(lambda: rig.events("drive.read_only"), "not noticed", 5)
            mounted.unmount()
            mounted.mount()
            wait_for(lambda: rig.catalog.segments.opened(), "does not come back", 10)
        finally:
            rig.stop()


def test_a_class_sealed_on_the_drive_is_complained_about(clips: Path, tmp_path: Path) -> None:
    """Nothing is wrong with the drive, yet no video of that class can be written to it: somebody must be told."""
    with camera(clip(clips, "h264", "aac")) as server, loop_drive(tmp_path):
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        assert rig.plan
        folder = rig.drive.make_folder(rig.drive.class_folder(rig.plan[0]))
        (folder / "SHA256SUMS").touch()
        rig.start()
        try:
            wait_for(lambda: rig.complaints, "nobody is told", 8)
        finally:
            rig.stop()
        assert {(e.key, e.kind) for e in rig.complaints} == {("drive.sealed", "drive.error")}
        assert rig.segments() == [] and not rig.catalog.segments.opened()
