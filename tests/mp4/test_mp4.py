"""MP4 by itself: boxes, NAL units, sample entries, tables, fragments; what was damaged or cut off ends in a named error."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import MediaError
from agent.mp4.boxes import BadMp4Error, Mp4Box, find_box, make_box, make_full_box, walk_boxes, walk_child_boxes
from agent.mp4.fragments import read_defaults, read_fragments
from agent.mp4.nal import (
    extend_avcc,
    read_exp_golomb,
    read_length_size,
    read_parameter_set_id,
    split_annex_b,
    split_avcc,
)
from agent.mp4.reader import read_tracks
from agent.mp4.repair import drop_half_fragment, find_whole_end, has_no_fragment, list_top_boxes, restore_header
from agent.mp4.sample_entry import add_parameter_sets, is_same_format, read_avcc, tag_for_players
from agent.mp4.samples import Mp4Samples, Mp4Track
from agent.mp4.virtual_mp4 import VirtualMp4

SPS, PPS = b"\x67\x42\x00\x1f\xa6\x80", b"\x68\xce\x38\x80"
AVCC = b"\x01\x42\x00\x1f\xff\xe1" + b"\x00\x06" + SPS + b"\x01\x00\x04" + PPS


def entry(kind: bytes, *inner: bytes) -> bytes:
    head = 28 if kind == b"mp4a" else 78
    return make_box(kind, bytes(head), *inner)


AVC1 = entry(b"avc1", make_box(b"avcC", AVCC))
MP4A = entry(b"mp4a")


def boxes_of(data: bytes) -> list[Mp4Box]:
    return list(walk_boxes(lambda at, size: data[at : at + size], len(data)))


# boxes


def test_boxes_follow_one_another_and_the_last_may_reach_beyond_the_end() -> None:
    data = (
        make_box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 20) + b"abcd" + struct.pack(">I4s", 500, b"moov")
    )
    assert boxes_of(data) == [
        (b"ftyp", 0, 8, 12, True),
        (b"mdat", 12, 28, 32, True),
        (b"moov", 32, 40, 532, True),
    ]
    assert boxes_of(data[:-1]) == boxes_of(data)[:2]


def test_a_size_of_0_means_up_to_the_end() -> None:
    data = make_box(b"free") + struct.pack(">I4s", 0, b"mdat") + b"abc"
    assert boxes_of(data)[1] == (b"mdat", 8, 16, 19, False)


@pytest.mark.parametrize("head", [b"\0\0\0\x07free", b"\0\0\0\x01free", struct.pack(">I4sQ", 1, b"free", 15)])
def test_a_box_smaller_than_its_header_is_an_error(head: bytes) -> None:
    with pytest.raises(BadMp4Error, match="free"):
        boxes_of(make_box(b"skip") + head)


def test_a_child_that_reaches_beyond_its_parent_is_an_error() -> None:
    with pytest.raises(BadMp4Error, match="500 bytes"):
        list(walk_child_boxes(memoryview(struct.pack(">I4s", 500, b"trak"))))


def test_the_first_box_at_a_path_is_found() -> None:
    data = memoryview(make_box(b"mdia", make_box(b"minf", b"first"), make_box(b"minf", b"second")))
    assert bytes(find_box(data, b"mdia", b"minf")) == b"first"
    assert bytes(find_box(data, b"mdia", b"none")) == b""


@given(st.binary(max_size=200))
def test_any_bytes_are_walked_to_an_end(data: bytes) -> None:
    found: list[Mp4Box] = []
    try:
        for box in walk_boxes(lambda at, size: data[at : at + size], len(data)):
            found.append(box)
    except BadMp4Error:
        pass
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(box.start + 8 <= box.body <= box.end for box in found)


# NAL units


@pytest.mark.parametrize("code", [b"\0\0\1", b"\0\0\0\1"])
def test_nal_units_stand_behind_start_codes_of_either_length(code: bytes) -> None:
    units = [SPS, PPS, b"\x65\x88\x84\x00\x10"]
    assert list(split_annex_b(code + code.join(units) + b"\0\0")) == units
    assert list(split_annex_b(b"noise" + code)) == []


def test_units_before_the_first_slice_are_found_without_looking_at_it() -> None:
    data = b"\0\0\1" + SPS + b"\0\0\1" + b"\x65slice" + b"\0\0\1" + PPS
    assert list(split_annex_b(data, stop_before=lambda first: first & 31 == 5)) == [SPS]


def test_an_avcc_record_is_taken_apart_and_extended() -> None:
    assert split_avcc(AVCC + b"tail") == ([SPS], [PPS], b"tail")
    longer = extend_avcc(AVCC + b"tail", [b"\x67more"], [b"\x68more"])
    assert split_avcc(longer) == ([SPS, b"\x67more"], [PPS, b"\x68more"], b"tail")
    assert extend_avcc(AVCC, [], []) == AVCC
    assert read_length_size(AVCC) == 4


@given(st.binary(max_size=60))
def test_a_broken_avcc_record_ends_in_a_named_error(data: bytes) -> None:
    try:
        split_avcc(data)
    except (IndexError, struct.error):
        return
    assert len(data) > 6


@pytest.mark.parametrize(("bits", "value"), [(b"\x80", 0), (b"\x40", 1), (b"\x60", 2), (b"\x20", 3), (b"\x38", 6)])
def test_exp_golomb_numbers(bits: bytes, value: int) -> None:
    assert read_exp_golomb(bits) == value


def test_ids_of_parameter_sets() -> None:
    assert read_parameter_set_id(SPS) == 0  # behind three bytes of profile and level: 1010 0110
    assert read_parameter_set_id(b"\x67\x42\x00\x1f\x60") == 2
    assert read_parameter_set_id(b"\x68\x40") == 1
    with pytest.raises(ValueError, match="not found"):
        read_parameter_set_id(b"\x68\x00")


# sample entries


def track(kind: str, sample_entry: bytes, count: int = 1, **more: np.ndarray) -> Mp4Track:
    numbers = np.arange(count, dtype=np.int64)
    values = {"offset": numbers * 10, "size": numbers * 0 + 10, "dts": numbers * 512, "pts": numbers * 512}
    values |= {"length": numbers * 0 + 512, "key": numbers % 5 == 0, "unseen": numbers < 0}
    unity = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    size = (320, 192) if kind == "vide" else (0, 0)
    return Mp4Track(kind, 12_800, sample_entry, *size, unity, **(values | more))


def esds(bit_rate: int, config: bytes) -> bytes:
    decoder = b"\x05" + bytes([len(config)]) + config
    inner = b"\x40\x15" + bytes(3) + struct.pack(">2I", bit_rate, bit_rate) + decoder
    description = b"\x04" + bytes([len(inner)]) + inner
    return make_full_box(b"esds", b"\x03" + bytes([len(description) + 3]) + b"\0\1\0" + description)


def test_formats_are_the_same_where_one_decoder_does_for_both() -> None:
    given = ((32_000, b"\x14\x08"), (64_000, b"\x14\x08"), (32_000, b"\x12\x10"))
    sound = [track("soun", entry(b"mp4a", esds(rate, config))) for rate, config in given]
    assert is_same_format(sound[0], sound[1]), "bit rates do not count"
    assert not is_same_format(sound[0], sound[2])
    picture = track("vide", AVC1)
    assert is_same_format(picture, track("vide", entry(b"avc1", make_box(b"avcC", AVCC), make_box(b"btrt", bytes(12)))))
    assert not is_same_format(picture, track("vide", entry(b"avc1", make_box(b"avcC", AVCC + b"\0"))))
    assert not is_same_format(picture, track("vide", entry(b"avc3", make_box(b"avcC", AVCC))))
    assert not is_same_format(picture, sound[0])


def test_h265_is_tagged_as_players_require_where_it_holds_its_parameter_sets() -> None:
    whole = entry(b"hev1", make_box(b"hvcC", bytes(22) + b"\x03"))
    assert tag_for_players(whole) == whole[:4] + b"hvc1" + whole[8:]
    without = entry(b"hev1", make_box(b"hvcC", bytes(22) + b"\x02"))
    assert tag_for_players(without) == without
    assert tag_for_players(AVC1) == AVC1


def test_parameter_sets_are_added_and_all_else_stays() -> None:
    old = entry(b"avc1", make_box(b"colr", b"a"), make_box(b"avcC", AVCC), make_box(b"colr", b"b"))
    new = add_parameter_sets(old, [b"\x67x"], [b"\x68y"])
    assert split_avcc(read_avcc(new)) == ([SPS, b"\x67x"], [PPS, b"\x68y"], b"")
    kinds = [(kind, bytes(body)) for kind, body in walk_child_boxes(memoryview(new)[86:])]
    assert [kinds[0], kinds[2]] == [(b"colr", b"a"), (b"colr", b"b")]
    assert struct.unpack(">I", new[:4]) == (len(new),)
    assert new[4:86] == old[4:86]


@given(st.binary(max_size=40), st.sampled_from([b"avc1", b"hev1"]))
def test_a_damaged_sample_entry_raises_nothing(tail: bytes, kind: bytes) -> None:
    damaged = entry(kind, tail)
    assert tag_for_players(damaged)[8:] == damaged[8:]
    assert is_same_format(track("vide", damaged), track("vide", damaged))
    read_avcc(damaged)


# a file, written and read again


@dataclass(frozen=True)
class Memory:
    data: bytes
    path: Path = Path()


def write(path: Path, *tracks: Mp4Track) -> bytes:
    """The tracks one after another in memory, as a virtual MP4 in a file."""
    at, parts = 0, []
    for one in tracks:
        count = one.size.size
        offset = at + np.cumsum(one.size) - one.size
        at += int(one.size.sum())
        parts.append(
            (one, [Mp4Samples(np.zeros(count, np.int64), offset, one.size, one.dts, one.pts, one.length, one.key)])
        )
    data = bytes(i * 37 % 256 for i in range(at))
    film = VirtualMp4(parts, [Memory(data)])
    whole = b"".join(film.read())
    assert len(whole) == film.size
    path.write_bytes(whole)
    return data


def picture_track(count: int = 40) -> Mp4Track:
    """Sizes and durations that differ, and B-frames: pictures shown in another order than stored."""
    numbers = np.arange(count, dtype=np.int64)
    order = np.concatenate(
        [[0], *([i + 2, i, i + 1] for i in range(1, count - 3, 3)), [count - 3, count - 2, count - 1]]
    )
    order = order[:count].astype(np.int64)
    return track("vide", AVC1, count, size=numbers % 7 * 3 + 5, dts=numbers * 512 - 1024, pts=order * 512)


def sound_track(count: int = 30, first: int = -400) -> Mp4Track:
    numbers = np.arange(count, dtype=np.int64)
    times = numbers * 800 + first
    return track("soun", MP4A, count, dts=times, pts=times, length=numbers * 0 + 800, key=numbers >= 0)


@pytest.mark.parametrize("narrow", [1 << 32, 100])
@pytest.mark.parametrize("first", [-400, 0, 1200])
def test_what_is_written_is_read(tmp_path: Path, narrow: int, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.mp4.writer.NARROW", narrow)
    pictures, sound = picture_track(), sound_track(first=first)
    data = write(tmp_path / "a.mp4", pictures, sound)
    content = (tmp_path / "a.mp4").read_bytes()
    found = read_tracks(tmp_path / "a.mp4")
    assert [t.kind for t in found] == ["vide", "soun"]
    at = 0
    for want, got in zip([pictures, sound], found, strict=True):
        for name in ("timescale", "entry", "width", "height", "matrix"):
            assert getattr(got, name) == getattr(want, name), name
        for name in ("size", "dts", "pts", "length", "key"):
            assert getattr(got, name).tolist() == getattr(want, name).tolist(), name
        for offset, size in zip(got.offset.tolist(), got.size.tolist(), strict=True):
            assert content[offset : offset + size] == data[at : at + size]
            at += size


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("mp4") / "small.mp4"
    write(path, picture_track(), sound_track())
    return path.read_bytes()


def holds(path: Path) -> bool:
    """False where the file is refused; what is accepted lies inside it."""
    try:
        tracks = read_tracks(path)
    except MediaError:
        return False
    for one in tracks:
        lengths = {getattr(one, f.name).size for f in fields(one) if isinstance(getattr(one, f.name), np.ndarray)}
        assert len(lengths) == 1
        assert lengths.pop() > 0
        assert (one.offset >= 0).all()
        assert (one.size > 0).all()
        assert (one.offset + one.size <= path.stat().st_size).all()
    return True


def test_a_file_cut_off_anywhere_is_refused_or_read_as_far_as_it_goes(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    moov = small.index(b"moov") - 4
    end = moov + struct.unpack_from(">I", small, moov)[0]
    for size in [*range(0, end, 7), *range(end - 5, end + 40), len(small) - 1, len(small)]:
        path.write_bytes(small[:size])
        # the head of mdat, and the first picture of 5 bytes
        assert holds(path) == (size >= end + 8 + 5), size
        list_top_boxes(path), find_whole_end(path), has_no_fragment(path)


def test_a_damaged_byte_of_the_index_is_refused_or_harmless(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    moov = small.index(b"moov") - 4
    end = moov + struct.unpack_from(">I", small, moov)[0]
    refused = 0
    for at in range(moov, end):
        path.write_bytes(small[:at] + bytes([0xFF if at % 2 else 0]) + small[at + 1 :])
        refused += not holds(path)
    assert refused > 50


# fragments


def moof(track_id: int, *runs: bytes, tfhd: bytes = b"", flags: int = 0x20000, dts: int = 0) -> bytes:
    head = make_full_box(b"tfhd", struct.pack(">I", track_id) + tfhd, flags=flags)
    return make_box(b"traf", head, make_full_box(b"tfdt", struct.pack(">Q", dts), version=1), *runs)


DEFAULTS = read_defaults(memoryview(make_full_box(b"trex", struct.pack(">5I", 1, 1, 512, 100, 0x10000))))


def test_samples_of_fragments_take_what_they_do_not_state_from_the_defaults() -> None:
    run = make_full_box(b"trun", struct.pack(">IiI", 3, 200, 0), flags=0x5)
    sizes = make_full_box(b"trun", struct.pack(">I2I", 2, 7, 9), flags=0x200)
    found = read_fragments([(1000, moof(1, run, sizes, dts=5120)), (5000, moof(1, sizes, dts=9000))], DEFAULTS)[1]
    # the second run follows the first; without an offset of its own a fragment begins at its moof
    assert found.offset.tolist() == [1200, 1300, 1400, 1500, 1507, 5000, 5007]
    assert found.size.tolist() == [100, 100, 100, 7, 9, 7, 9]
    assert found.dts.tolist() == [5120, 5632, 6144, 6656, 7168, 9000, 9512]
    assert found.key.tolist() == [True, *[False] * 6]


def test_a_fragment_s_own_values_stand_above_the_defaults() -> None:
    flags = 0x1 | 0x2 | 0x8 | 0x10 | 0x20
    tfhd = struct.pack(">QIIII", 70_000, 1, 1024, 50, 0)
    run = make_full_box(b"trun", struct.pack(">I2i", 2, -512, 512), version=1, flags=0x800)
    found = read_fragments([(1000, moof(1, run, tfhd=tfhd, flags=flags))], DEFAULTS)[1]
    assert found.offset.tolist() == [70_000, 70_050]
    assert found.length.tolist() == [1024, 1024]
    assert found.shift.tolist() == [-512, 512]
    assert found.key.tolist() == [True, True]


def test_a_run_cut_off_or_far_too_long_is_an_error() -> None:
    for run in (struct.pack(">I2I", 3, 7, 9), struct.pack(">I", 1_000_000)):
        box = make_full_box(b"trun", run, flags=0x200 if len(run) > 4 else 0)
        with pytest.raises(BadMp4Error, match="fragment table"):
            read_fragments([(0, moof(1, box))], DEFAULTS)


# repair


def test_half_a_fragment_at_the_end_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "killed.mp4"
    header = make_box(b"ftyp", b"isom") + make_box(b"moov", bytes(20))
    first = make_box(b"moof", bytes(10)) + make_box(b"mdat", bytes(30))
    second = make_box(b"moof", bytes(10)) + make_box(b"mdat", bytes(50))
    for more in range(1, len(second)):
        path.write_bytes(header + first + second[:more])
        assert find_whole_end(path) == len(header + first)
        assert not has_no_fragment(path)
        assert drop_half_fragment(path)
        assert path.read_bytes() == header + first
        assert not drop_half_fragment(path)
        assert not restore_header(path)


def test_what_never_held_a_whole_fragment_is_told_from_what_may_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "file.mp4"
    header = make_box(b"ftyp", b"isom") + make_box(b"free") + make_box(b"moov", bytes(20))
    first = make_box(b"moof", bytes(10)) + make_box(b"mdat", bytes(30))
    for size in [*range(8, 18), *range(26, len(first))]:  # inside moof, inside mdat
        path.write_bytes(header + first[:size])
        assert has_no_fragment(path), size
    for content, nothing in (
        (b"", True),
        (header, True),
        (header + bytes(5000), True),
        (header + bytes(5000) + b"x", False),
        (header + first, False),
        (make_box(b"ftyp", b"isom") + make_box(b"mdat", bytes(500)), False),
        (b"garbage!" * 100, False),
    ):
        path.write_bytes(content)
        assert has_no_fragment(path) == nothing


def test_any_file_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "any.mp4"
    chance = random.Random(5)
    kinds = [b"ftyp", b"free", b"moov", b"moof", b"mdat", b"\0\0\0\0"]
    for _ in range(300):
        parts = [struct.pack(">I4s", chance.choice([0, 1, 7, 8, 20, 1 << 31]), chance.choice(kinds)) for _ in range(6)]
        data = b"".join(part + bytes(chance.choice([0, 8, 12])) for part in parts)
        path.write_bytes(data[: chance.randrange(len(data) + 1)])
        assert find_whole_end(path) <= path.stat().st_size
        has_no_fragment(path)
        assert not holds(path)
