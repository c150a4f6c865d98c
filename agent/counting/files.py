"""Counting in given files: pictures, and videos by their key frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from agent.core.errors import InputError, MediaError
from agent.core.headcounts import PlacedLook, combine_placed
from agent.core.model import PlaceSighting
from agent.counting import quality
from agent.counting.detector import HeadDetector
from agent.counting.limits import LIMITS, Limits
from agent.counting.liveness import HeldFinding
from agent.counting.look import LookResult, take_look
from agent.counting.timeline import FileTimeline, TimedLook
from agent.media import containers
from agent.media.containers import BgrImage

LOOKS_PER_VIDEO = 10
_NO_PICTURE: BgrImage = np.zeros((0, 0, 3), np.uint8)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_PICTURE_SIGNS = (
    b"\xff\xd8\xff",
    b"\x89PNG",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"GIF8",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
_PICTURE_BRANDS = (b"WEBP", b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")
# FFmpeg decodes any text file with these codecs, as a picture made of letters
_TEXT_CODECS = {"ansi", "bintext", "xbin", "idf"}


class ClipTimeline(FileTimeline):
    """The timeline of a video. What is found not to be alive is withdrawn, as the worker does with the looks of a camera."""

    def __init__(self) -> None:
        super().__init__()
        self._held = HeldFinding()
        self._withdrawn: list[tuple[datetime, datetime, str]] = []

    def hold(self, timed: TimedLook | None, at: datetime) -> None:
        """Take over what a look found; None: its picture cannot be judged."""
        if self._held.feed(timed.finding if timed else None, at):
            assert self._held.active is not None
            since = datetime.fromtimestamp(self._held.active.since, UTC)
            self._withdrawn.append((since, at, self._held.active.reason))
        elif self._held.active is not None:
            since, _, reason = self._withdrawn[-1]
            self._withdrawn[-1] = (since, at, reason)

    def find_reason(self, at: datetime) -> str | None:
        """Return why a look is not alive, as is known now."""
        return next((reason for since, until, reason in self._withdrawn if since <= at <= until), None)


@dataclass(frozen=True, slots=True)
class FileLook:
    """A look at a file.

    `t`: seconds after the first frame of a video, None for a picture; `timed`: what time says of it; `timeline`: what is known
    of the whole file, to be asked after the last look.
    """

    file: str
    t: float | None
    picture: BgrImage
    seen: LookResult
    timed: TimedLook | None = None
    timeline: ClipTimeline | None = None

    @property
    def judged(self) -> bool:
        """False if the picture has a fault or is not alive."""
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """Why it is not judged, as is known now: a later look may find that the film was not alive in this one."""
        if not self.seen.judged or self.timeline is None or self.t is None:
            return self.seen.reason
        return self.timeline.find_reason(_EPOCH + timedelta(seconds=self.t))

    def without_picture(self) -> FileLook:
        """Return it without its picture: those of a half-day would not fit into memory."""
        return replace(self, picture=_NO_PICTURE)

    def mark_things(self, other: FileLook) -> list[PlaceSighting] | None:
        """Return the sightings of another look at the file, with things marked as is known at this one."""
        if self.timeline is None or other.timed is None or other.t is None:
            return None
        return self.timeline.mark_things(other.timed.sightings, _EPOCH + timedelta(seconds=other.t))

    def as_json(self) -> dict[str, object]:
        """Return the JSON object that the contract prescribes for a look."""
        seen = self.seen
        return {
            "file": self.file,
            "t": self.t,
            "people": seen.people,
            "low": seen.low,
            "high": seen.high,
            "judged": self.judged,
            "reason": self.reason,
            "boxes": [list(box) for box in seen.boxes],
        }


def count_in_file(
    name: str,
    detector: HeadDetector,
    interval: float,
    *,
    exactly: bool = False,
    limits: Limits = LIMITS,
) -> Iterator[FileLook]:
    """Yield the looks at one file: one for a picture; for a video one every `interval` seconds, at the key frame due.

    Unless `exactly`, a short video gets more frequent looks, so that about LOOKS of them support the estimate.
    Raises InputError if the file is missing, a folder, or neither picture nor video.
    """
    path = Path(name)
    try:
        if path.is_dir():
            raise InputError("counting.is_folder", file=name)
        with path.open("rb") as file:
            head = file.read(16)
        read = _choose_reader(head)
        picture = read(path) if read else None
    except FileNotFoundError:
        raise InputError("counting.no_file", file=name) from None
    except OSError as error:
        raise InputError("counting.not_media", file=name, detail=error.strerror) from None
    except MediaError as error:
        raise InputError("counting.not_media", file=name, detail=error.params.get("detail", error)) from None
    if read is None:
        yield from _count_in_video(name, path, detector, interval, exactly, limits)
    elif picture is None:
        raise InputError("counting.not_media", file=name, detail="damaged picture")
    else:
        yield FileLook(name, None, picture, take_look(picture, detector, limits=limits))


def _choose_reader(head: bytes) -> Callable[[Path], BgrImage | None] | None:
    """Return the function that reads a file with these first bytes as a picture; None if it is to be read as video."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return containers.read_still
    # P1 to P6: the portable bitmaps, greymaps and pixmaps
    portable = head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    branded = (head[:4] == b"RIFF" or head[4:8] == b"ftyp") and head[8:12] in _PICTURE_BRANDS
    return decode_picture if portable or branded or head.startswith(_PICTURE_SIGNS) else None


def decode_picture(path: Path) -> BgrImage | None:
    """Decode a picture file, upright by its EXIF orientation; None if it is damaged or not a picture. Raises OSError."""
    # not cv2.imread: it fails for paths that the locale cannot encode, and prints warnings
    try:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        # more pixels than OpenCV accepts
        return None
    return None if picture is None else np.asarray(picture, np.uint8)


def _count_in_video(
    name: str, path: Path, detector: HeadDetector, interval: float, exactly: bool, limits: Limits
) -> Iterator[FileLook]:
    count, before, still_since = 0, None, 0.0
    timeline = ClipTimeline()
    try:
        probe = containers.probe_media(path)
        if probe.video in _TEXT_CODECS:
            raise InputError("counting.not_media", file=name, detail="text")
        if not exactly:
            interval = min(interval, max(1.0, probe.duration / LOOKS_PER_VIDEO))
        for at, picture in containers.iter_key_frames(path, interval):
            grey = quality.convert_to_luma(picture)
            now = quality.make_view_fingerprint(grey)
            if before is None or not quality.is_unchanged(before, now):
                still_since = at
            before = now
            count += 1
            seen = take_look(picture, detector, still_s=at - still_since, grey=grey, limits=limits)
            at = round(at, 3)
            moment = _EPOCH + timedelta(seconds=at)
            timed = timeline.feed(picture, seen.candidates, moment) if seen.judged else None
            timeline.hold(timed, moment)
            yield FileLook(name, at, picture, seen, timed, timeline)
    except MediaError as error:
        raise InputError("counting.not_media", file=name, detail=error.params.get("detail", error)) from None
    if count == 0:
        raise InputError("counting.no_key_frame", file=name)


def summarize_clip(found: Sequence[FileLook], detector: HeadDetector) -> tuple[int, int, int] | None:
    """Return (people, low, high) over all judged looks at a video, as for one block; None if none was judged.

    What was found to be a thing in a later look is left out of the earlier ones too.
    """
    judged = [
        PlacedLook((x.seen.people, x.seen.low, x.seen.high), found[-1].mark_things(x), detector.doubt.sure)
        for x in found
        if x.judged
    ]
    return combine_placed(judged) if judged else None
