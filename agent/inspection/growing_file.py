"""The newest seconds of a file that is being recorded, as the recorder wrote them: each fragment can be played already."""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import MediaError
from agent.drive import files
from agent.mp4.boxes import BadMp4Error, walk_boxes, walk_child_boxes
from agent.mp4.codec_names import name_codec
from agent.mp4.fragments import SampleDefaults, read_defaults, read_fragments
from agent.mp4.reader import MAX_INDEX_BYTES, read_track_heads

KEPT_S = 30.0
"""Fragments of so many seconds are known; a reader begins near the end."""
LARGEST_STRETCH = 32 << 20
_FRAGMENT_BYTES = 4 << 20
"""Largest index of one fragment that is accepted."""


@dataclass(frozen=True, slots=True)
class GrowingFragment:
    """Bytes [begin, end) of the file, whose pictures begin at `start` seconds and stop at `stop`; `key`: one is a key frame."""

    begin: int
    end: int
    start: float
    stop: float
    key: bool


class GrowingFile:
    """Follows one file while it grows; each `follow` reads what is new. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.codecs = ""
        self.initialization = b""
        self.fragments: deque[GrowingFragment] = deque()
        self._at = 0
        self._defaults: dict[int, SampleDefaults] = {}
        self._video, self._ticks = 0, 1

    def follow(self) -> None:
        """Read the fragments that were written since the last call. Raises MediaError."""
        try:
            with files.open_for_reading(self.path, files.MAX_SEGMENT) as file:
                self._walk(lambda at, size: os.pread(file.descriptor, size, at), file.size)
        except (BadMp4Error, struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
            raise MediaError("media.unreadable", file=self.path.name, detail=error) from error
        except OSError as error:
            raise MediaError("media.unreadable", file=self.path.name, detail=error.strerror or error) from error

    def read(self, begin: int, end: int) -> bytes:
        """Return whole fragments from byte `begin` to `end`. Raises MediaError where no such ones are known."""
        known = any(f.begin == begin for f in self.fragments) and any(f.end == end for f in self.fragments)
        if not known or not 0 < end - begin <= LARGEST_STRETCH:
            raise MediaError("player.live_gone")
        try:
            with files.open_for_reading(self.path, files.MAX_SEGMENT) as file:
                data = os.pread(file.descriptor, end - begin, begin)
        except OSError as error:
            raise MediaError("media.unreadable", file=self.path.name, detail=error.strerror or error) from error
        if len(data) != end - begin:
            raise MediaError("player.live_gone")
        return data

    def _walk(self, read_at: Callable[[int, int], bytes], length: int) -> None:
        base, moof = self._at, b""
        begin = 0
        for box in walk_boxes(lambda at, size: read_at(base + at, size), length - base):
            end = base + box.end
            if end > length or not box.sized:
                return
            if box.kind == b"moov":
                self._read_head(read_at, base + box.body, end)
            elif box.kind == b"moof":
                if box.end - box.body > _FRAGMENT_BYTES:
                    raise BadMp4Error(f"fragment index of {box.end - box.body} bytes")
                moof, begin = read_at(base + box.body, box.end - box.body), base + box.start
                continue
            elif box.kind == b"mdat" and moof and self._ticks > 1:
                self._add(begin, end, moof)
            moof = b""
            self._at = end

    def _read_head(self, read_at: Callable[[int, int], bytes], body: int, end: int) -> None:
        if end - body > MAX_INDEX_BYTES:
            raise BadMp4Error(f"index of {end - body} bytes")
        moov = read_at(body, end - body)
        tracks = read_track_heads(memoryview(moov))
        video = next((t for t in tracks if t.kind == "vide"), None)
        if video is None:
            raise BadMp4Error("no picture")
        for kind, inner in walk_child_boxes(memoryview(moov)):
            if kind == b"mvex":
                self._defaults = read_defaults(inner)
        self.initialization = read_at(0, end)
        self.codecs = ",".join(name_codec(t.entry) for t in sorted(tracks, key=lambda t: t.kind != "vide"))
        self._video, self._ticks = video.track_id, video.timescale

    def _add(self, begin: int, end: int, moof: bytes) -> None:
        run = read_fragments([(begin, moof)], self._defaults).get(self._video)
        if run is None:
            return
        pts = run.dts + run.shift
        start, stop = int(pts.min()) / self._ticks, int((pts + run.length).max()) / self._ticks
        self.fragments.append(GrowingFragment(begin, end, start, stop, bool(run.key.any())))
        while stop - self.fragments[0].start > KEPT_S:
            self.fragments.popleft()


def list_newest(fragments: deque[GrowingFragment], seconds: float) -> list[GrowingFragment]:
    """Return the fragments from the last key frame that lies at least so many seconds before the end."""
    found = list(fragments)
    if not found:
        return []
    limit = found[-1].stop - seconds
    first = max((i for i, f in enumerate(found) if f.key and f.start <= limit), default=None)
    if first is None:
        first = next((i for i, f in enumerate(found) if f.key), len(found))
    return found[first:]
