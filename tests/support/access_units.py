"""Compare what was recorded with the source: which coded pictures, in which order, at which times, and sound against picture.

A picture is known by the hash of its slices: parameter sets, delimiters and the form of start codes may change on the way,
slices never. `matrix_clips` makes sources in which each picture is another one, with flashes and beeps.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
import numpy as np

_START_CODE = re.compile(rb"\x00\x00\x01")
_LOUD = 0.15
_PAIR_S = 0.9
"""A flash and a beep further apart than this belong to no pair: they come each 2 s."""


@dataclass(frozen=True)
class StoredPicture:
    digest: bytes
    pts: float | None
    """Seconds."""
    sei: tuple[bytes, ...]
    """Its SEI units."""


@dataclass(frozen=True)
class PictureComparison:
    """`pictures` were recorded; of them `unknown` are none of the source's. `drift` is in seconds."""

    pictures: int
    unknown: int
    lost: int
    repeated: int
    backwards: int
    altered_sei: int
    drift: float
    first: int | None
    shifts: tuple[float, ...]
    """For each file, what its stamps lie ahead of the source's, in seconds."""


@dataclass
class SoundSync:
    """How beeps lie beside flashes: `offsets` has for each flash the seconds by which its beep comes later.

    `unmatched` flashes well inside the file have no beep. `picture_s` and `sound_s` are the seconds that there are of both.
    """

    offsets: dict[float, float] = field(default_factory=dict)
    unmatched: int = 0
    picture_s: float = 0.0
    sound_s: float = 0.0

    def stray(self, source: SoundSync, shift: float) -> list[float]:
        """How far each beep lies from where the source has it; `shift` is what stamps lie ahead of the source's."""
        strays = []
        for flash, offset in self.offsets.items():
            same = min(source.offsets, key=lambda other: abs(other - (flash - shift)))
            strays.append(offset - source.offsets[same])
        return strays


def read_pictures(path: Path) -> list[StoredPicture]:
    """The coded pictures of a file that are shown, in the order in which they are stored."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.name
        prefixed = bytes(stream.codec_context.extradata or b"")[:1] == b"\x01"
        shown = (packet for packet in container.demux(stream) if packet.size and not packet.is_discard)
        return [_picture(packet, codec, prefixed) for packet in shown]


def _picture(packet: av.Packet, codec: str, prefixed: bool) -> StoredPicture:
    data = bytes(packet)
    units = list(_split_prefixed(data) if prefixed else _split_start_codes(data))
    slices = [unit for unit in units if _is_slice(unit, codec)]
    digest = hashlib.sha256(b"|".join(slices or [data])).digest()
    pts = float(packet.pts * packet.time_base) if packet.pts is not None else None
    return StoredPicture(digest, pts, tuple(unit for unit in units if _is_sei(unit, codec)))


def _split_prefixed(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + 4 < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size].rstrip(b"\0")
        at += 4 + size


def _split_start_codes(data: bytes) -> Iterator[bytes]:
    marks = [found.span() for found in _START_CODE.finditer(data)]
    ends = [start for start, _ in marks[1:]] + [len(data)]
    for (_, begin), end in zip(marks, ends, strict=True):
        if unit := data[begin:end].rstrip(b"\0"):
            yield unit


def _is_slice(unit: bytes, codec: str) -> bool:
    if not unit or codec not in ("h264", "hevc"):
        return False
    return 1 <= unit[0] & 0x1F <= 5 if codec == "h264" else unit[0] >> 1 & 0x3F < 32


def _is_sei(unit: bytes, codec: str) -> bool:
    if not unit or codec not in ("h264", "hevc"):
        return False
    return unit[0] & 0x1F == 6 if codec == "h264" else unit[0] >> 1 & 0x3F in (39, 40)


def compare_pictures(source: Sequence[StoredPicture], files: Iterable[Sequence[StoredPicture]]) -> PictureComparison:
    """Compare the pictures of recorded files, in the order in which they are shown, with the source's.

    `lost` counts pictures of the source that were sent between the first and the last one recorded, are shown after the first
    one, and are in no file; `backwards` counts neighbours in the wrong order, as they are shown or as they are stored in one
    file. `drift` is how far a picture's time strays within its file from the source's times.
    """
    sent = {picture.digest: number for number, picture in enumerate(source)}
    source = _order(source)
    index = {picture.digest: number for number, picture in enumerate(source)}
    assert len(index) == len(source), "two pictures of the source are alike"
    numbers: list[int] = []
    unknown = altered = 0
    drift = 0.0
    middles: list[float] = []
    backwards = 0
    for stored in files:
        pictures, shifts = _order(stored), []
        places = [sent[picture.digest] for picture in stored if picture.digest in sent]
        backwards += sum(two <= one for one, two in pairwise(places))
        for picture in pictures:
            number = index.get(picture.digest)
            if number is None:
                unknown += 1
                continue
            numbers.append(number)
            altered += picture.sei != source[number].sei
            before = source[number].pts
            if picture.pts is not None and before is not None:
                shifts.append(picture.pts - before)
        middles.append(median(shifts) if shifts else 0.0)
        if shifts:
            drift = max(drift, *(abs(shift - middles[-1]) for shift in (min(shifts), max(shifts))))
    counts = Counter(numbers)
    return PictureComparison(
        pictures=len(numbers) + unknown,
        unknown=unknown,
        lost=_count_lost([sent[picture.digest] for picture in source], counts),
        repeated=len(numbers) - len(counts),
        backwards=backwards + sum(two <= one for one, two in pairwise(numbers)),
        altered_sei=altered,
        drift=drift,
        first=numbers[0] if numbers else None,
        shifts=tuple(middles),
    )


def _count_lost(sent: list[int], recorded: Iterable[int]) -> int:
    """`sent`: place of each picture of the source in the order of sending; `recorded`: pictures, counted as they are shown."""
    found = set(recorded)
    places = [sent[number] for number in found]
    if not places:
        return 0
    wanted = {n for n in range(min(found), len(sent)) if min(places) <= sent[n] <= max(places)}
    return len(wanted - found)


def _order(pictures: Sequence[StoredPicture]) -> Sequence[StoredPicture]:
    """Pictures as they are shown; those without times stay as they are stored."""
    times = [picture.pts for picture in pictures]
    return pictures if None in times else sorted(pictures, key=lambda picture: picture.pts or 0.0)


def measure_sync(picture: Path, sound: Path) -> SoundSync | None:
    """Measure beeps against flashes; the same file twice, or two that share a clock. None where there is no sound."""
    flashes, picture_end, picture_s = _find_flashes(picture)
    found = _find_beeps(sound)
    if found is None:
        return None
    beeps, sound_s = found
    sync = SoundSync(picture_s=picture_s, sound_s=sound_s)
    for flash in flashes:
        near = min(beeps, key=lambda beep: abs(beep - flash), default=None)
        if near is not None and abs(near - flash) < _PAIR_S:
            sync.offsets[flash] = near - flash
        elif flash + _PAIR_S < picture_end:
            sync.unmatched += 1
    return sync


def _find_flashes(path: Path) -> tuple[list[float], float, float]:
    """When the picture turns white, when it ends, and how long it is; one that is white from the start does not count."""
    found: list[float] = []
    times: list[float] = []
    white = True
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[::16, : frame.width : 16]
            before, white = white, bool(luma[luma.shape[0] // 2 :].mean() > 225)
            if frame.pts is not None:
                times.append(float(frame.pts * frame.time_base))
                if white and not before:
                    found.append(times[-1])
    return found, max(times, default=0.0), max(times, default=0.0) - min(times, default=0.0)


def _find_beeps(path: Path) -> tuple[list[float], float] | None:
    """When the beeps begin, to 2 ms, and for how many seconds there are samples."""
    levels: list[tuple[float, float]] = []
    seconds = 0.0
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()
            wide = samples.astype(float) / (32768 if samples.dtype.kind == "i" else 1)
            mono = wide[0] if frame.format.is_planar else wide.reshape(-1)[:: frame.layout.nb_channels]
            step = frame.sample_rate // 500
            begin = float(frame.pts * frame.time_base) if frame.pts is not None else seconds
            blocks = np.abs(mono[: mono.size // step * step].reshape(-1, step)).max(axis=1)
            levels += [(begin + number * step / frame.sample_rate, level) for number, level in enumerate(blocks)]
            seconds += mono.size / frame.sample_rate
    return _onsets(levels), seconds


def _onsets(levels: list[tuple[float, float]]) -> list[float]:
    found = []
    quiet_since: float | None = None
    for at, level in levels:
        if level <= _LOUD:
            quiet_since = at if quiet_since is None else quiet_since
        else:
            if quiet_since is not None and at - quiet_since > 0.2:
                found.append(at)
            quiet_since = None
    return found
