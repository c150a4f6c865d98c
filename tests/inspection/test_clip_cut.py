"""Clips show the frames that were asked for, in step with their sound, across segments, gaps and changes of codec."""

from __future__ import annotations

import json
import random
from datetime import datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import av
import pytest

from agent.core.errors import MediaError
from agent.inspection.clip import ClipRequest
from agent.inspection.cut import ClipSource, ClipSpan, cut_sources
from agent.mp4.reader import read_tracks
from agent.mp4.virtual_mp4 import VirtualMp4
from simulator.clips import make_clip
from tests.support.clip_factory import DAY, START, ZONE, ClipBox, beeps, copy_span, frames, make_box

FPS = 25


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 seconds, a key frame each 2."""
    return make_clip(tmp_path_factory.mktemp("material") / "h264.mp4", 40, size=(320, 192))


@pytest.fixture(scope="session")
def hevc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("material") / "h265.mp4", 12, size=(320, 192), codec="hevc")


@pytest.fixture
def box(tmp_path: Path) -> ClipBox:
    return make_box(tmp_path)


def shows(path: str, first: int, last: int) -> None:
    """Every frame from `first` to `last` once, in order, evenly spaced from 0 on."""
    seen = frames(path)
    assert [index for _, index in seen] == list(range(first, last + 1))
    assert seen[0][0] == 0
    assert all(abs(at - i / FPS) < 0.004 for i, (at, _) in enumerate(seen))


def in_step(path: str, seam: float = -1) -> None:
    """Each beep sounds when the frame of a whole second shows; not judged at a `seam`, where sound packets overlap."""
    shown = frames(path)
    seconds = [at for at, index in shown if index is not None and index % FPS == 0]
    heard = beeps(path)
    assert len(heard) >= len(seconds) - 1
    for at in heard[1:]:
        if at < shown[-1][0] and abs(at - seam) > 0.1:
            assert min(abs(at - second) for second in seconds) < 0.012, f"beep at {at}"


def test_across_segments_from_the_key_frame_to_the_asked_end(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10, 20, 30, 40])
    (made,) = box.cut(13, 33.0)
    assert made["start"].endswith("09:00:12.000+08:00")
    assert made["end"].endswith("09:00:33.000+08:00")
    assert made["gaps"] == []
    shows(made["path"], 12 * FPS, 33 * FPS - 1)
    in_step(made["path"])


def test_no_sound_is_lost_or_doubled_at_a_join(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10, 20])
    (made,) = box.cut(0, 20)
    with av.open(made["path"]) as clip, av.open(str(material)) as whole:
        got = [bytes(p) for p in clip.demux(audio=0) if p.size]
        want = [bytes(p) for p in whole.demux(audio=0) if p.size and 0 <= p.pts * p.time_base < 20]
    assert got == want[: len(got)]
    assert len(want) - len(got) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_any_span_begins_at_the_key_frame_before_it(box: ClipBox, material: Path, seed: int) -> None:
    box.record(material, [0, 14, 26, 40])
    chance = random.Random(seed)
    begin = round(chance.uniform(0, 36), 2)
    end = round(chance.uniform(begin + 0.2, 40), 2)
    (made,) = box.cut(begin, end)
    first = int(begin // 2) * 2 * FPS
    last = max(i for i in range(40 * FPS) if i / FPS < end)
    shows(made["path"], first, last)


def test_a_gap_is_closed_up_and_named(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10])
    box.record(material, [16, 30])
    (made,) = box.cut(4, 20)
    (gap,) = made["gaps"]
    assert gap["start"].endswith("09:00:10.000+08:00")
    assert (gap["seconds"], gap["reason"]) == (6.0, "camera_offline")
    assert [index for _, index in frames(made["path"])] == [*range(4 * FPS, 10 * FPS), *range(16 * FPS, 20 * FPS)]
    in_step(made["path"])


def test_a_span_that_begins_and_ends_outside_the_video(box: ClipBox, material: Path) -> None:
    box.record(material, [4, 10])
    (made,) = box.cut(0, 15)
    assert [round(g["seconds"]) for g in made["gaps"]] == [4, 5]
    assert made["start"].endswith("09:00:04.000+08:00")
    shows(made["path"], 4 * FPS, 10 * FPS - 1)


def test_a_file_cut_off_by_a_kill_is_used_as_far_as_it_goes(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10], kill=True)
    box.record(material, [12, 20])
    (made,) = box.cut(0, 20)
    indices = [index for _, index in frames(made["path"])]
    assert indices[: 9 * FPS] == list(range(9 * FPS))
    assert indices[-8 * FPS :] == list(range(12 * FPS, 20 * FPS))
    assert 2 <= made["gaps"][0]["seconds"] < 3


def test_the_margin_behind_midnight_is_asked_for_by_its_own_day(box: ClipBox, material: Path) -> None:
    """The half-day's folder and date are those of the evening; the inspector asks by what the wall clock showed."""
    midnight = datetime.combine(DAY + timedelta(days=1), time(), ZONE)
    box.record(material, [0, 10, 20], at=midnight - timedelta(seconds=10))
    done = box.command(
        "clip",
        box.cls.class_id,
        "--on",
        f"{midnight:%Y-%m-%d}",
        "--from",
        "00:00:02",
        "--to",
        "00:00:08",
        "--out",
        str(box.out),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    shows(json.loads(done.stdout)["path"], 12 * FPS, 18 * FPS - 1)
    (before,) = box.clips().plan(
        ClipRequest(box.cls, ClipSpan(midnight - timedelta(seconds=6), midnight + timedelta(seconds=4)), "-")
    )
    assert before.holes == [] and len(before.cut.pieces) == 2


def test_files_that_were_swapped_or_cut_short_show_nothing(box: ClipBox, material: Path) -> None:
    """They would play, under instants that they do not show; what is left is cut and the rest named."""
    first, second, third, fourth = box.record(material, [0, 4, 10, 14, 20])
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    fourth.write_bytes(fourth.read_bytes()[:-2000])
    (made,) = box.cut(0, 20)
    assert [(round(g["seconds"]), g["reason"]) for g in made["gaps"]] == [(10, "file_damaged"), (6, "file_damaged")]
    shows(made["path"], 10 * FPS, 14 * FPS - 1)
    third.write_bytes(contents[1])
    with pytest.raises(MediaError, match="drive verify"):
        box.cut(0, 20)


def test_a_change_of_codec_gives_a_file_each(box: ClipBox, material: Path, hevc: Path) -> None:
    box.record(material, [0, 10])
    box.record(hevc, [0, 10], at=START + timedelta(seconds=10))
    box.record(material, [0, 10], at=START + timedelta(seconds=20))
    made = box.cut(5, 25)
    assert len({clip["path"] for clip in made}) == 3
    assert [clip["gaps"] for clip in made] == [[], [], []]
    shows(made[0]["path"], 4 * FPS, 10 * FPS - 1)
    shows(made[1]["path"], 0, 10 * FPS - 1)
    shows(made[2]["path"], 0, 5 * FPS - 1)
    with av.open(made[1]["path"]) as clip:
        assert clip.streams.video[0].codec_context.codec_tag == "hvc1"


def test_sound_that_stops_in_one_segment_gives_a_file_of_its_own(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10])
    box.record(material, [10, 20], sound=False)
    with_sound, silent = box.cut(2, 18)
    shows(with_sound["path"], 2 * FPS, 10 * FPS - 1)
    shows(silent["path"], 10 * FPS, 18 * FPS - 1)


def test_rounded_times_and_a_camera_whose_clock_drifts_join_without_a_seam(box: ClipBox, material: Path) -> None:
    for number, (begin, drift) in enumerate([(0, 0.0), (10, 0.0013), (20, 0.03)]):
        box.record(material, [begin, begin + 10], at=START + timedelta(seconds=drift * (number > 0)))
    (made,) = box.cut(0, 30)
    assert made["gaps"] == []
    seen = frames(made["path"])
    assert [index for _, index in seen] == list(range(30 * FPS))
    assert all(0.03 < b[0] - a[0] < 0.08 for a, b in pairwise(seen))
    in_step(made["path"], seam=20)


def test_segments_that_overlap_lose_nothing(box: ClipBox, material: Path) -> None:
    """The box's clock was set back by three seconds between two segments."""
    box.record(material, [0, 10])
    box.record(material, [10, 20], at=START - timedelta(seconds=3))
    (made,) = box.cut(0, 17)
    assert [index for _, index in frames(made["path"])] == list(range(20 * FPS))
    in_step(made["path"])


def test_exact_begins_at_the_very_frame(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10, 20])
    (made,) = box.cut(5.0, 14.52, exact=True)
    assert made["start"].endswith("09:00:05.000+08:00")
    shows(made["path"], 5 * FPS, 362)
    in_step(made["path"])
    with av.open(made["path"]) as clip, av.open(str(material)) as whole:
        got = [bytes(p) for p in clip.demux(video=0) if p.size]
        want = [bytes(p) for p in whole.demux(video=0) if p.size]
    assert got[FPS:] == want[6 * FPS : 363]
    assert got[:FPS] != want[5 * FPS : 6 * FPS]


@pytest.mark.parametrize("begin", [4.0, 4.04, 5.96, 9.96])
def test_exact_near_key_frames(box: ClipBox, material: Path, begin: float) -> None:
    box.record(material, [0, 10, 20])
    (made,) = box.cut(begin, 12, exact=True)
    shows(made["path"], round(begin * FPS), 12 * FPS - 1)


@pytest.mark.long
def test_h264_for_players_without_h265(box: ClipBox, hevc: Path) -> None:
    box.record(hevc, [0, 6, 12])
    (made,) = box.cut(3, 8, h264=True)
    with av.open(made["path"]) as clip:
        assert clip.streams.video[0].codec_context.name == "h264"
    shows(made["path"], 2 * FPS, 8 * FPS - 1)
    in_step(made["path"])
    (made,) = box.cut(3, 8, h264=True, exact=True)
    assert [index for _, index in frames(made["path"])] == list(range(3 * FPS, 8 * FPS))
    in_step(made["path"])


def test_the_same_request_gives_the_same_bytes_and_any_range(box: ClipBox, material: Path) -> None:
    box.record(material, [0, 10, 20])
    (plan,) = box.clips().plan(box.request(3, 18))
    whole = b"".join(plan.film.read())
    assert len(whole) == plan.film.size
    (again,) = box.clips().plan(box.request(3, 18))
    assert b"".join(again.film.read()) == whole
    chance = random.Random(1)
    for _ in range(100):
        start = chance.randrange(len(whole))
        stop = chance.randrange(start, len(whole) + 1)
        assert b"".join(plan.film.read(start, stop)) == whole[start:stop]
    assert b"".join(plan.film.read(0, 10**12)) == whole


def test_a_clip_beyond_four_gigabytes_has_wide_offsets(
    tmp_path: Path, material: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered rather than four gigabytes written; players must still find every sample."""
    path = tmp_path / "a.mp4"
    copy_span(material, path, 0, 10)
    source = ClipSource(path, START)
    (one,) = cut_sources([source], START, START + timedelta(seconds=10), [read_tracks(path)])
    monkeypatch.setattr("agent.mp4.writer.NARROW", 1000)
    (tmp_path / "b.mp4").write_bytes(b"".join(VirtualMp4(one.tracks, [source]).read()))
    shows(str(tmp_path / "b.mp4"), 0, 10 * FPS - 1)
    assert b"co64" in (tmp_path / "b.mp4").read_bytes()[:20000]


def test_damaged_files_never_end_in_anything_but_an_error(tmp_path: Path, material: Path) -> None:
    good = tmp_path / "good.mp4"
    copy_span(material, good, 0, 4)
    data = bytearray(good.read_bytes())
    index = data.rfind(b"moov")
    chance = random.Random(7)
    bad = tmp_path / "bad.mp4"
    refused = 0
    for _ in range(400):
        broken = bytearray(data)
        for _ in range(chance.choice([1, 1, 4])):
            broken[chance.randrange(index - 4, len(data))] = chance.choice([0, 1, 0x7F, 0xFF, chance.randrange(256)])
        bad.write_bytes(broken if chance.random() < 0.9 else broken[: chance.randrange(len(broken))])
        try:
            tracks = read_tracks(bad)
            source = ClipSource(bad, START)
            for one in cut_sources([source], START, START + timedelta(seconds=4), [tracks]):
                assert sum(map(len, VirtualMp4(one.tracks, [source]).read())) < 10 * len(data)
        except MediaError:
            refused += 1
    assert refused > 50
