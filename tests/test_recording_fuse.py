"""Recording to exFAT and NTFS behind FUSE, as drives come from the shop: the same bounds as on ext4."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from agent import media
from agent.recording.options import Options, Source
from tests.fuse_drives import KINDS, fuse_drive, needs_fuse
from tests.recording_drives import fill
from tests.recording_rig import Rig, breaks, camera, clip, indexes, recording, wait_for

OPTIONS = Options(segment_seconds=2, max_loss=1, reserve_bytes=1 << 20)
SIZE = 48

pytestmark = [needs_fuse, pytest.mark.root, pytest.mark.parametrize("kind", sorted(KINDS))]


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def whole(rig: Rig) -> None:
    """Nothing is left open, and no picture is missing inside a file."""
    assert not rig.catalog.segments.opened() and not rig.leftovers()
    for segment in rig.segments():
        assert breaks(indexes(rig.path(segment))) == []
        assert media.probe(rig.path(segment)).audio == "aac"


def test_segments_follow_one_another(kind: str, clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, fuse_drive(tmp_path, kind, SIZE) as mounted:
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        with recording(rig):
            wait_for(lambda: len(rig.segments()) >= 3, "no three segments")
        whole(rig)
        assert breaks([n for s in rig.segments() for n in indexes(rig.path(s))]) == []
        sums = {s.path: s.sha256 for s in rig.segments()}
        mounted.unmount()
        mounted.mount()
        for path, digest in sums.items():
            said = subprocess.run(["sha256sum", rig.root / path], check=True, capture_output=True, text=True)
            assert said.stdout.startswith(digest or "-"), "not the bytes that were written"


@pytest.mark.long
def test_pulled_under_the_open_file(kind: str, clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, fuse_drive(tmp_path, kind, SIZE) as mounted:
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        with recording(rig):
            wait_for(lambda: rig.segments(), "nothing finished")
            mounted.unmount(lazily=True)
            assert wait_for(lambda: rig.events("drive.missing"), "not noticed") < 3
            time.sleep(2)
            assert list(mounted.root.iterdir()) == [], "nothing may be written under the empty mount point"
            mounted.mount()
            assert wait_for(lambda: rig.events("drive.missing")[0].until, "does not come back") < 10
            time.sleep(1.5)
        missing = rig.events("drive.missing")
        assert missing and all(e.until for e in missing)
        whole(rig)


def test_its_driver_dies_under_the_open_file(kind: str, clips: Path, tmp_path: Path) -> None:
    """Every call on the drive then says ENOTCONN, also the one that closes the file."""
    with camera(clip(clips, "h264", "aac")) as server, fuse_drive(tmp_path, kind, SIZE) as mounted:
        rig = Rig(tmp_path, Source(server.url("main")), OPTIONS)
        with recording(rig):
            wait_for(lambda: rig.segments(), "nothing finished")
            kept = {s.path: s.sha256 for s in rig.segments()}
            mounted.kill_driver()
            assert wait_for(lambda: rig.events("drive.missing"), "not noticed") < 3
            time.sleep(2)
            mounted.unmount(lazily=True)
            time.sleep(1.5)
            assert list(mounted.root.iterdir()) == [], "nothing may be written under the empty mount point"
            mounted.mount()
            assert wait_for(lambda: rig.events("drive.missing")[0].until, "does not come back") < 10
            time.sleep(1.5)
        assert kept.items() <= {s.path: s.sha256 for s in rig.segments()}.items()
        whole(rig)


@pytest.mark.long
def test_full(kind: str, clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, fuse_drive(tmp_path, kind, SIZE) as mounted:
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
        assert kept.items() <= {s.path: s.sha256 for s in rig.segments()}.items()
        whole(rig)


@pytest.mark.long
def test_read_only(kind: str, clips: Path, tmp_path: Path) -> None:
    with camera(clip(clips, "h264", "aac")) as server, fuse_drive(tmp_path, kind, SIZE) as mounted:
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
