"""Time line, parameter sets, boxes and recovery by themselves; the record command's manners."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.clock import SystemClock
from agent.core.errors import DriveError, MediaError
from agent.core.model import Segment, Session
from agent.drive.creation import init_drive
from agent.media import containers
from agent.mp4.repair import find_whole_end, list_top_boxes, restore_header
from agent.recording.options import StreamSource
from agent.recording.recover import recover
from agent.recording.syncer import Syncer
from agent.recording.timeline import Timeline
from agent.recording.writer import SegmentWriter
from simulator.clips import make_clip
from simulator.firmware import FIRMWARE
from simulator.quirk_server import QuirkServer
from tests.support import processes
from tests.support.paths import ROOT
from tests.support.recording_bench import RecordingBench, breaks, camera, clip, indexes

STEP = 0.04


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


class TestTimeline:
    def test_good_stamps_stay(self) -> None:
        line = Timeline()
        for n in range(100):
            placed = line.place(7 + n * STEP, 1000 + n * STEP)
            assert placed is not None and (placed.at, placed.broken) == (7 + n * STEP, False)
        assert line.floor == pytest.approx(993)

    @pytest.mark.parametrize("jump", [-1e6, -3, -STEP, 5, 1e6])
    def test_jump_is_seen_once_and_made_good(self, jump: float) -> None:
        line = Timeline()
        for n in range(50):
            line.place(n * STEP, 100 + n * STEP)
        broken = []
        for n in range(50, 100):
            placed = line.place(jump + n * STEP, 100 + n * STEP)
            assert placed is not None
            assert placed.at == pytest.approx(n * STEP, abs=0.002)
            broken.append(placed.broken)
        assert broken == [True] + [False] * 49

    def test_settling_takes_the_jitter_of_the_first_packet_out(self) -> None:
        line = Timeline()
        for n in range(50):
            line.place(n * STEP, 100 + n * STEP)
        line.place(500 + 50 * STEP, 100.08 + 50 * STEP)  # came 80 ms late
        for n in range(51, 80):
            line.place(500 + n * STEP, 100 + n * STEP)
        line.settle(500 + 80 * STEP, 100 + 80 * STEP)
        placed = line.place(500 + 80 * STEP, 100 + 80 * STEP)
        assert placed is not None and not placed.broken
        assert placed.at == pytest.approx(80 * STEP)

    @pytest.mark.parametrize("jump", [-1e9, -20, 20, 1e9])
    def test_a_stamp_that_jumps_where_the_stream_would_settle_is_moved_too(self, jump: float) -> None:
        """It was believed, and no sound of the connection lay beside its pictures from then on."""
        line = Timeline()
        for n in range(50):
            line.place(n * STEP, 100 + n * STEP)
        for n in range(50, 80):
            line.place(500 + n * STEP, 100 + n * STEP)
        line.settle(500 + jump + 80 * STEP, 100 + 80 * STEP)
        placed = line.place(500 + jump + 80 * STEP, 100 + 80 * STEP)
        assert placed is not None and placed.broken
        assert placed.at == pytest.approx(80 * STEP)

    def test_small_step_back_of_sound_is_left_out(self) -> None:
        line = Timeline(tolerance=1.0)
        line.place(10.0, 100.0)
        assert line.place(9.5, 100.1) is None
        placed = line.place(10.1, 100.7)
        assert placed is not None and not placed.broken and placed.at == 10.1

    def test_a_burst_is_no_jump(self) -> None:
        line = Timeline()
        line.place(10.0, 100.0)
        for number in range(1, 60):
            placed = line.place(10.0 + number * STEP, 98.0 + number * STEP)
            assert placed is not None and not placed.broken and placed.shift == 0
        assert line.floor == pytest.approx(88.0)

    @given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 3)), min_size=2, max_size=60))
    def test_always_forward(self, packets: list[tuple[float, float]]) -> None:
        line, arrival, before = Timeline(), 50.0, float("-inf")
        for stamp, wait in packets:
            arrival += wait
            placed = line.place(stamp, arrival)
            assert placed is not None and placed.at > before
            before = placed.at


@pytest.fixture
def cut_off(tmp_path: Path, clips: Path) -> tuple[Path, Path]:
    """(file as a kill leaves it, the same file finished)"""
    growing, killed = tmp_path / "growing.mp4", tmp_path / "killed.mp4"
    options = {
        "movflags": "hybrid_fragmented+empty_moov+default_base_moof",
        "flush_packets": "1",
        "frag_duration": "500000",
        "max_interleave_delta": "500000",
        "avoid_negative_ts": "disabled",
    }
    with av.open(str(clip(clips, "h264", "aac"))) as source, av.open(str(growing), "w", options=options) as target:
        streams = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.size and packet.pts >= 0:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
        killed.write_bytes(growing.read_bytes())
    return killed, growing


class TestBoxes:
    def test_growing_and_finished(self, cut_off: tuple[Path, Path]) -> None:
        killed, finished = cut_off
        assert [k for k, _, _ in list_top_boxes(killed)][:5] == ["ftyp", "free", "free", "moov", "moof"]
        assert [k for k, _, _ in list_top_boxes(finished)] == ["ftyp", "free", "mdat", "moov"]
        assert not restore_header(killed) and not restore_header(finished)

    def test_header_without_index_is_put_back(self, cut_off: tuple[Path, Path]) -> None:
        killed, finished = cut_off
        good = killed.read_bytes()
        size = len(good)
        for tail in (0, 100):
            # the last header reached the disk, the index did not, or only its first bytes
            killed.write_bytes(finished.read_bytes()[: list_top_boxes(finished)[3][1] + tail])
            with pytest.raises(MediaError):
                containers.probe_media(killed)
            assert restore_header(killed)
            assert killed.read_bytes()[:size] == good
            assert containers.probe_media(killed).audio == "aac"
            assert len(indexes(killed)) >= 190

    def test_whole_end_drops_half_a_fragment(self, cut_off: tuple[Path, Path]) -> None:
        killed, _ = cut_off
        whole = find_whole_end(killed)
        assert whole == killed.stat().st_size
        killed.write_bytes(killed.read_bytes()[:-10])
        assert find_whole_end(killed) < whole - 10

    @pytest.mark.parametrize("content", [b"", b"\x00" * 3, b"\x00" * 100, b"no mp4 at all, but some bytes to read"])
    def test_nonsense_is_left_alone(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "x.mp4"
        path.write_bytes(content)
        assert not restore_header(path)
        assert path.read_bytes() == content
        assert find_whole_end(path) == 0


class TestRecover:
    START = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)

    @pytest.fixture
    def rig(self, tmp_path: Path) -> RecordingBench:
        return RecordingBench(tmp_path, StreamSource("rtsp://127.0.0.1/main"))

    def row(self, rig: RecordingBench, content: bytes | None, *, named: bool = False) -> int:
        folder = rig.root / "K1_x"
        folder.mkdir(exist_ok=True)
        if content is not None:
            (folder / ("090203.mp4" if named else ".090203.mp4.part")).write_bytes(content)
        segment = Segment(
            0,
            rig.drive.drive_id,
            "K1_x/090203.mp4",
            "K1_x/.090203.mp4.part",
            "open",
            "K1",
            self.START.date(),
            Session.AM,
            "R1",
            "C1",
            self.START,
        )
        return rig.catalog.segments.open(segment)

    @pytest.mark.parametrize("named", [False, True], ids=["temporary", "already named"])
    def test_cut_off_segment_is_named_and_catalogued(
        self, named: bool, rig: RecordingBench, cut_off: tuple[Path, Path]
    ) -> None:
        content = cut_off[0].read_bytes()
        self.row(rig, content, named=named)
        (segment,) = recover(rig.catalog, [rig.drive], rig.clock)
        assert segment.state == "finished" and segment.bytes == len(content)
        assert rig.path(segment).read_bytes() == content, "no byte is touched"
        assert segment.end is not None
        assert (segment.end - segment.start).total_seconds() == pytest.approx(len(indexes(rig.path(segment))) * STEP)
        assert breaks(indexes(rig.path(segment))) == []
        assert recover(rig.catalog, [rig.drive], rig.clock) == []

    def test_half_a_fragment_goes_the_rest_stays(self, rig: RecordingBench, cut_off: tuple[Path, Path]) -> None:
        """Browsers play up to half a fragment and stop there with an error."""
        content = cut_off[0].read_bytes()
        self.row(rig, content[:-1000])
        (segment,) = recover(rig.catalog, [rig.drive], rig.clock)
        kept = rig.path(segment).read_bytes()
        assert content.startswith(kept) and len(content) - 1000 > len(kept) > len(content) - 200_000
        assert find_whole_end(rig.path(segment)) == len(kept)

    def test_finished_file_without_its_row_stays_as_it_is(
        self, rig: RecordingBench, cut_off: tuple[Path, Path]
    ) -> None:
        content = cut_off[1].read_bytes()
        self.row(rig, content)
        (segment,) = recover(rig.catalog, [rig.drive], rig.clock)
        assert rig.path(segment).read_bytes() == content

    def test_name_that_was_taken_meanwhile_is_not_replaced(
        self, rig: RecordingBench, cut_off: tuple[Path, Path]
    ) -> None:
        self.row(rig, cut_off[0].read_bytes())
        other = rig.root / "K1_x" / "090203.mp4"
        other.write_bytes(b"somebody else's")
        (segment,) = recover(rig.catalog, [rig.drive], rig.clock)
        assert other.read_bytes() == b"somebody else's"
        assert segment.path == "K1_x/090203-2.mp4" and rig.path(segment).read_bytes() == cut_off[0].read_bytes()

    def test_empty_file_is_removed(self, rig: RecordingBench, cut_off: tuple[Path, Path]) -> None:
        for header in (b"", cut_off[0].read_bytes()[:1000]):
            self.row(rig, header)
            assert recover(rig.catalog, [rig.drive], rig.clock) == []
            assert not rig.leftovers() and not rig.catalog.segments.opened()

    def test_unreadable_file_that_may_hold_video_stays(self, rig: RecordingBench, cut_off: tuple[Path, Path]) -> None:
        content = b"\x00" * 1200 + cut_off[0].read_bytes()[1200:]
        self.row(rig, content)
        assert recover(rig.catalog, [rig.drive], rig.clock) == []
        assert [p.read_bytes() for p in rig.leftovers()] == [content]
        assert not rig.catalog.segments.opened()
        (event,) = rig.events("segment.lost")
        assert event.detail["why"] == "unreadable"

    def test_two_at_once_recover_a_file_once(self, rig: RecordingBench, cut_off: tuple[Path, Path]) -> None:
        content = cut_off[0].read_bytes()
        for _ in range(15):
            self.row(rig, content)
            with ThreadPoolExecutor(2) as pool:
                both = [pool.submit(recover, rig.catalog, [rig.drive], rig.clock) for _ in range(2)]
            (segment,) = [s for done in both for s in done.result()]
            assert segment.bytes == len(content) and not rig.events("segment.lost")
            rig.path(segment).unlink()
            with rig.catalog.store.write() as db:
                db.execute("delete from segments")

    def test_rows_of_other_drives_wait(self, rig: RecordingBench, tmp_path: Path, cut_off: tuple[Path, Path]) -> None:
        self.row(rig, cut_off[0].read_bytes())
        (tmp_path / "other").mkdir()
        other = init_drive(tmp_path / "other", label="x", institution="y", clock=SystemClock())
        assert recover(rig.catalog, [other], rig.clock) == []
        assert len(rig.catalog.segments.opened()) == 1


class TestSource:
    def test_credentials_leave_the_url(self) -> None:
        source = StreamSource.of("rtsp://admin:p%40ss%2Fword@10.0.0.8:554/live?x=1")
        assert (source.url, source.username, source.password) == ("rtsp://10.0.0.8:554/live?x=1", "admin", "p@ss/word")
        assert "p@ss" not in repr(source)


def run_record(*arguments: str, drive: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", "record", *arguments, "--drive", str(drive), "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def record_until(enough: Callable[[str], object], *urls: str, drive: Path) -> subprocess.CompletedProcess[str]:
    """Record until `enough`, asked with what stands on standard error, is true; then interrupt it as a person would."""
    command = [sys.executable, "-m", "agent", "record", *urls, "--seconds", "600", "--drive", str(drive), "--json"]
    words = drive.parent / "words"
    with words.open("w") as file:
        child = processes.start(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=file, text=True)
    try:
        limit = time.monotonic() + 60
        while not enough(words.read_text(encoding="utf-8")):
            assert child.poll() is None and time.monotonic() < limit, words.read_text(encoding="utf-8")
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=60)
    finally:
        child.kill()
    return subprocess.CompletedProcess(command, child.returncode, out, words.read_text(encoding="utf-8"))


def count_growing(drive: Path) -> int:
    """Return how many files hold the first pictures."""
    return sum(path.stat().st_size > 20_000 for path in drive.rglob("*.part"))


class TestRecordCommand:
    @pytest.fixture
    def drive(self, tmp_path: Path) -> Path:
        root = tmp_path / "drive"
        root.mkdir()
        init_drive(root, label="测试", institution="", clock=SystemClock())
        return root

    @pytest.mark.parametrize("options", [[], ["--allow-basic"]], ids=["", "allowed"])
    def test_a_password_goes_in_clear_text_where_that_is_allowed(
        self, drive: Path, clips: Path, options: list[str]
    ) -> None:
        with QuirkServer(clip(clips, "h264", "aac"), FIRMWARE["basic-only"], username="u", password="p:w") as server:
            done = record_until(
                lambda said: count_growing(drive) if options else "allow_basic" in said,
                server.url_with_password(), *options, drive=drive,
            )  # fmt: skip
        proofs = [heard.headers["authorization"] for heard in server.heard if "authorization" in heard.headers]
        assert (done.returncode, bool(done.stdout), bool(proofs)) == ((0, True, True) if options else (1, False, False))
        assert ("allow_basic" in done.stderr) is not bool(options) and "p:w" not in done.stderr

    def test_a_line_a_segment(self, drive: Path, clips: Path) -> None:
        with camera(clip(clips, "h264", "aac"), username="u", password="p:w") as server:
            url = server.url("main").replace("//", "//u:p%3Aw@")
            begun: list[float] = []

            def both_for_two_seconds(_: str) -> bool:
                if not begun and count_growing(drive) == 2:
                    begun.append(time.monotonic())
                return bool(begun) and time.monotonic() - begun[0] > 2

            done = record_until(both_for_two_seconds, url, url, drive=drive)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert {line["camera_id"] for line in lines} == {"cam1", "cam2"}
        for line in lines:
            assert set(line) == {"camera_id", "path", "start", "end", "bytes", "sha256"}
            path = Path(line["path"])
            assert path.stat().st_size == line["bytes"] and path.is_relative_to(drive) and "BENCH_" in line["path"]
            assert datetime.fromisoformat(line["end"]) - datetime.fromisoformat(line["start"]) > timedelta(seconds=1.5)
            assert breaks(indexes(path)) == []
        assert "p:w" not in done.stdout + done.stderr and "p%3Aw" not in done.stderr

    def test_interrupted_recording_is_finished(self, drive: Path, clips: Path) -> None:
        with camera(clip(clips, "h264", None)) as server:
            done = record_until(lambda _: count_growing(drive), server.url("main"), drive=drive)
        assert done.returncode == 0
        assert Path(json.loads(done.stdout)["path"]).exists()
        assert not list(drive.rglob("*.part"))

    def test_it_ends_by_itself_after_the_seconds_that_were_given(self, drive: Path, clips: Path) -> None:
        with camera(clip(clips, "h264", None)) as server:
            done = run_record(server.url("main"), "--seconds", "1", drive=drive)
        assert done.returncode in (0, 1), "on a busy machine it may have got no picture in that time"
        assert not list(drive.rglob("*.part"))

    @pytest.mark.parametrize(
        ("arguments", "status", "word"),
        [
            (["http://127.0.0.1/x", "--seconds", "1"], 2, "RTSP"),
            (["rtsp://u:secret@127.0.0.1:1/x", "--seconds", "0"], 2, "--seconds"),
            (["rtsp://u:secret@127.0.0.1:1/x", "--seconds", "nan"], 2, "--seconds"),
            (["rtsp://u:secret@127.0.0.1:1/x", "--seconds", "1"], 1, "cam1"),
        ],
    )  # fmt: skip
    def test_bad_input_is_one_clear_line(self, arguments: list[str], status: int, word: str, drive: Path) -> None:
        done = run_record(*arguments, drive=drive)
        assert done.returncode == status
        assert word in done.stderr and "Traceback" not in done.stderr and "secret" not in done.stderr
        assert done.stdout == ""

    def test_folder_that_is_no_drive(self, tmp_path: Path) -> None:
        done = run_record("rtsp://127.0.0.1:1/x", "--seconds", "1", drive=tmp_path)
        assert done.returncode != 0 and "drive init" in done.stderr and "Traceback" not in done.stderr
        assert not list(tmp_path.iterdir())


def test_last_key_frame_of_any_clip(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "c.mp4", 3, audio=None, key_seconds=1)
    assert [round(t, 2) for t, _ in containers.iter_key_frames(path)] == [0, 1, 2]
    assert [round(t, 2) for t, _ in containers.iter_key_frames(path, every=1.5)] == [0, 2]
    found = containers.read_last_key_frame(path)
    assert found is not None and found[0] == pytest.approx(2)
    assert containers.measure_video_seconds(path) == pytest.approx(3)


def test_a_failed_sync_is_raised_by_the_next_ask(tmp_path: Path) -> None:
    drive = init_drive(tmp_path, label="盘", institution="", clock=SystemClock())
    reading, writing = os.pipe()

    class Pipe:
        """(made: nothing here has a disk that fails on demand; a pipe cannot be synced, so the kernel refuses)"""

        def check_place(self) -> None: ...

        def handle(self) -> int:
            return os.dup(reading)

    writers = cast(list[SegmentWriter], [Pipe()])
    with Syncer("cam1", SystemClock()) as syncer:
        assert syncer.ask(drive, writers)
        with pytest.raises(DriveError):
            for _ in range(200):
                syncer.ask(drive, writers)
                time.sleep(0.01)
    with Syncer("cam1", SystemClock()) as syncer:
        assert syncer.ask(drive, [])
    os.close(reading)
    os.close(writing)
