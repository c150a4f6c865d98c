"""Counting in given files: pictures, and videos by their key frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agent.core.errors import InputError, MediaError
from agent.core.headcounts import combine_looks
from agent.counting import quality
from agent.counting.detector import HeadDetector
from agent.counting.limits import LIMITS, Limits
from agent.counting.look import LookResult, take_look
from agent.media import containers
from agent.media.containers import BgrImage

LOOKS_PER_VIDEO = 10
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


@dataclass(frozen=True, slots=True)
class FileLook:
    """A look at a file. `t`: seconds after the first frame of a video, None for a picture."""

    file: str
    t: float | None
    picture: BgrImage
    seen: LookResult

    def as_json(self) -> dict[str, object]:
        """Return the JSON object that the contract prescribes for a look."""
        seen = self.seen
        return {
            "file": self.file,
            "t": self.t,
            "people": seen.people,
            "low": seen.low,
            "high": seen.high,
            "judged": seen.judged,
            "reason": seen.reason,
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
            yield FileLook(
                name,
                round(at, 3),
                picture,
                take_look(picture, detector, still_s=at - still_since, grey=grey, limits=limits),
            )
    except MediaError as error:
        raise InputError("counting.not_media", file=name, detail=error.params.get("detail", error)) from None
    if count == 0:
        raise InputError("counting.no_key_frame", file=name)


def summarize_clip(found: list[LookResult]) -> tuple[int, int, int] | None:
    """Return (people, low, high) over all judged looks at a video, as for one block; None if none was judged."""
    judged = [(s.people, s.low, s.high) for s in found if s.judged]
    return combine_looks(judged) if judged else None
