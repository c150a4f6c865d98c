"""Which samples of which segments make a clip, and when each plays: stream copy, so no picture and no sound is changed.

A clip begins at the key frame at or before the asked start and ends at the asked end. Where recording was interrupted the
parts follow each other without a hole (players do not agree on what a hole in the time line means, and sound would get out
of step); the manifest states which part of the clip shows which time. Where codec, picture size or sound format change, the
clip becomes several files, since few players follow such a change inside one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np

from agent.mp4.sample_entry import is_same_format
from agent.mp4.samples import Int64Array, Mp4Samples, Mp4Track

JOIN_S = Fraction(1, 10)
"""A hole (or overlap) up to this, or up to one and a half frames if that is more, is a join of two segments, not a gap."""
SNAP_S = Fraction(3, 1000)
"""A join moves by up to this so that the sound packets follow each other exactly."""


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A file that a clip may be cut from.

    `start` is the instant of its first video frame; `data` replaces the file where it was made in memory.
    """

    path: Path
    start: datetime
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClipSpan:
    """[start, end)."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class ClipPiece:
    """A stretch of one source in the clip: it shows `span` and begins `at` seconds after the clip's first frame."""

    source: int
    span: ClipSpan
    at: float


@dataclass(slots=True)
class Cut:
    """One file to be made. `video` and `sound` are the tracks' descriptions (those of the first piece)."""

    video: Mp4Track
    sound: Mp4Track | None
    pieces: list[ClipPiece] = field(default_factory=list)
    video_parts: list[Mp4Samples] = field(default_factory=list)
    sound_parts: list[Mp4Samples] = field(default_factory=list)
    holes: list[ClipSpan] = field(default_factory=list)

    @property
    def span(self) -> ClipSpan:
        """What the file shows."""
        return ClipSpan(self.pieces[0].span.start, self.pieces[-1].span.end)

    @property
    def tracks(self) -> list[tuple[Mp4Track, list[Mp4Samples]]]:
        """The tracks that hold samples: video, then sound."""
        found = [(self.video, self.video_parts)]
        if self.sound is not None and any(p.size.size for p in self.sound_parts):
            found.append((self.sound, self.sound_parts))
        return found


@dataclass(frozen=True, slots=True)
class _CutPart:
    """The samples that one source gives; `first` and `end` in seconds after the source's first frame."""

    index: int
    source: ClipSource
    video: Mp4Track
    sound: Mp4Track | None
    first: Fraction
    end: Fraction

    def wall(self, seconds: Fraction) -> datetime:
        """Return the instant so many seconds after the source's first frame."""
        return self.source.start + timedelta(microseconds=round(seconds * 1_000_000))

    @property
    def span(self) -> ClipSpan:
        return ClipSpan(self.wall(self.first), self.wall(self.end))


def cut_sources(
    sources: Sequence[ClipSource], start: datetime, end: datetime, tracks: Sequence[list[Mp4Track]]
) -> list[Cut]:
    """Return the files that show [start, end) of one camera, in order; an empty list where the sources hold nothing of it.

    `tracks[i]` are those of `sources[i]`, as `mp4.reader.read_tracks` returns them; sources are in order of time.
    """
    cuts: list[Cut] = []
    last: _CutPart | None = None
    for index, (source, found) in enumerate(zip(sources, tracks, strict=True)):
        part = _select_part(index, source, found, start, end)
        if part is None:
            continue
        if not cuts or not _is_same_format(cuts[-1], part):
            cuts.append(Cut(part.video, part.sound))
            _begin_file(cuts[-1], part)
        else:
            assert last is not None
            _append_part(cuts[-1], part, last)
        last = part
    return cuts


def _select_part(
    index: int, source: ClipSource, tracks: list[Mp4Track], start: datetime, end: datetime
) -> _CutPart | None:
    """Return the part of a source that [start, end) needs; times count from the source's first frame."""
    keys = np.flatnonzero(tracks[0].key)
    if not keys.size:
        return None
    # behind the first key frame may lie pictures that are shown before it; they cannot be decoded
    origin = int(tracks[0].pts[: keys[0] + 1].min())
    video, base = tracks[0].shift(-origin), Fraction(origin, tracks[0].timescale)
    sound = next((t for t in tracks if t.kind == "soun"), None)
    # half a millisecond of tolerance: the catalog rounds times to one millisecond
    want = _to_seconds(start - source.start) + Fraction(1, 2000)
    until = _to_seconds(end - source.start)
    before = keys[video.pts[keys] <= int(want * video.timescale)]
    begin = int(before[-1]) if before.size else int(keys[0])
    stop = _find_stop(video.pts, int(until * video.timescale))
    if stop <= begin:
        return None
    whole = stop == video.size.size
    video = video.select(slice(begin, stop))
    video = video.select(video.pts >= video.pts[0])
    first = Fraction(int(video.pts[0]), video.timescale)
    last = Fraction(int((video.pts + video.length).max()), video.timescale)
    if last <= _to_seconds(start - source.start):
        return None  # it ends before the asked start: the asked time begins with a gap
    if sound is not None:
        sound = sound.shift(-int(base * sound.timescale))
        ticks = sound.timescale
        # one more packet in front: a decoder needs it to give correct sound from the first instant;
        # and one more behind where the source ends: a join may lie anywhere between two packets
        until_tick = int(last * ticks) + (int(sound.length[-1]) if whole and sound.size.size else 0)
        keep = (sound.dts + 2 * sound.length > int(first * ticks)) & (sound.dts < until_tick)
        places = np.flatnonzero(keep)
        sound = sound.select(slice(places[0], places[-1] + 1) if places.size else slice(0))
    return _CutPart(index, source, video, sound, first, last)


def _find_stop(pts: Int64Array, until: int) -> int:
    """Return how many samples, in order of decoding, hold all pictures shown before tick `until`.

    Where a picture among them is shown after `until`, since others are decoded from it, those between are included too: a
    clip has no hole before its last picture.
    """
    stop = 0
    while (shown := np.flatnonzero(pts < until)).size > 0 and shown[-1] >= stop:
        stop = int(shown[-1]) + 1
        until = max(until, int(pts[:stop].max()))
    return stop


def _to_seconds(delta: timedelta) -> Fraction:
    return Fraction(delta // timedelta(microseconds=1), 1_000_000)


def _is_same_format(cut_: Cut, part: _CutPart) -> bool:
    if not is_same_format(cut_.video, part.video) or (cut_.sound is None) != (part.sound is None):
        return False
    return cut_.sound is None or part.sound is None or is_same_format(cut_.sound, part.sound)


def _begin_file(cut_: Cut, part: _CutPart) -> None:
    cut_.pieces.append(ClipPiece(part.index, part.span, 0.0))
    cut_.video_parts.append(_place_samples(part.video, part, Fraction(0), cut_.video.timescale))
    if cut_.sound is not None and part.sound is not None:
        cut_.sound_parts.append(_place_samples(part.sound, part, Fraction(0), cut_.sound.timescale))


def _append_part(cut_: Cut, part: _CutPart, last: _CutPart) -> None:
    """Add a part to the file: joined where it continues the last one, else closed up to it."""
    before = cut_.video_parts[-1]
    ticks = cut_.video.timescale
    over = Fraction(before.end, ticks)
    hole = _to_seconds(part.span.start - last.span.end)
    frame = Fraction(int(np.median(before.length)), ticks)
    join = abs(hole) <= max(JOIN_S, frame * 3 / 2)
    # the clocks of camera and box differ a little: inside a join the pictures keep the camera's time
    at = over + hole if join and abs(hole) > frame else over
    if join:
        part, before = _share_key_frame(before, part, last)
        cut_.video_parts[-1] = before
        at = next((x for x in (_snap_to_sound(cut_, part, over), _snap_to_sound(cut_, part, at)) if x is not None), at)
    elif hole > 0:
        cut_.holes.append(ClipSpan(last.span.end, part.span.start))
    video = _place_samples(part.video, part, at, ticks)
    # decoding times must rise: where two segments overlap, the later one is moved
    late = int(before.dts[-1]) + 1 - int(video.dts[0])
    if late > 0:
        at += Fraction(late, ticks)
        video = _place_samples(part.video, part, at, ticks)
    cut_.pieces.append(ClipPiece(part.index, part.span, float(at)))
    cut_.video_parts.append(video)
    if cut_.sound is not None and part.sound is not None:
        _append_sound(cut_, part, at)


def _share_key_frame(before: Mp4Samples, part: _CutPart, last: _CutPart) -> tuple[_CutPart, Mp4Samples]:
    """Return the part without its first picture, and the samples before with it, where the last part ends with it, unseen.

    Pictures of an open group stand behind that copy, and are decoded from it.
    """
    # where the last part itself began so, its first picture is not among the samples
    copies, video = last.video.unseen[-before.size.size :], part.video
    if copies.sum() != 1 or video.size.size < 2 or before.size[copies][0] != video.size[0]:
        return part, before
    before = replace(
        before, key=before.key | (copies & video.key[0]), length=np.where(copies, video.length[0], before.length)
    )
    return replace(part, video=video.select(slice(1, None))), before


def _snap_to_sound(cut_: Cut, part: _CutPart, at: Fraction) -> Fraction | None:
    """Return the place within SNAP_S of `at` at which the sound continues exactly, if there is one."""
    before = next((p for p in reversed(cut_.sound_parts) if p.size.size), None)
    if cut_.sound is None or before is None or part.sound is None or not part.sound.size.size:
        return None
    over = Fraction(int(before.dts[-1] + before.length[-1]), cut_.sound.timescale)
    begins = _place_samples(part.sound, part, at, cut_.sound.timescale).dts
    nearest = min((over - Fraction(int(x), cut_.sound.timescale) for x in begins[:3]), key=abs)
    return at + nearest if abs(nearest) <= SNAP_S else None


def _append_sound(cut_: Cut, part: _CutPart, at: Fraction) -> None:
    assert cut_.sound is not None
    assert part.sound is not None
    sound = _place_samples(part.sound, part, at, cut_.sound.timescale)
    before = next((p for p in reversed(cut_.sound_parts) if p.size.size), None)
    if before is not None and sound.size.size:
        over = int(before.dts[-1] + before.length[-1])
        fresh = np.flatnonzero(sound.dts + sound.length // 2 > over)
        begin = int(fresh[0]) if fresh.size else sound.size.size
        sound = sound.select(slice(begin, None))
    cut_.sound_parts.append(sound)


def _place_samples(track: Mp4Track, part: _CutPart, at: Fraction, timescale: int) -> Mp4Samples:
    """Return the samples of a part in the file's ticks, its first frame at `at` seconds."""
    shift = round((at - part.first) * timescale)

    def ticks(values: Int64Array) -> Int64Array:
        if track.timescale == timescale:
            return values
        return (values * timescale + track.timescale // 2) // track.timescale

    return Mp4Samples(
        source=np.full(track.size.size, part.index, np.int64),
        offset=track.offset,
        size=track.size,
        dts=ticks(track.dts) + shift,
        pts=ticks(track.pts) + shift,
        length=ticks(track.length),
        key=track.key,
    )
