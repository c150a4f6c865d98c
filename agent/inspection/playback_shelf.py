"""Opened recordings of a box, by segment: the player asks for many parts of a file, one after another."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from agent.core.errors import MediaError
from agent.core.model import Segment
from agent.inspection import evidence
from agent.inspection.h264_processes import H264Processes
from agent.inspection.playback import PlaybackFile, open_playback, read_part

MOST_OPEN = 24
"""Files whose index is kept; that of five minutes takes about a megabyte."""
_Version = tuple[str, int, int]


class PlaybackShelf:
    """Gives the parts of finished segments. Threads may share it.

    `roots` are the mount points to look under.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Version, PlaybackFile] = OrderedDict()
        self._described: OrderedDict[_Version, tuple[str, bytes]] = OrderedDict()
        self.h264 = H264Processes()

    def fetch(self, segment: Segment) -> PlaybackFile:
        """Return the index of a segment's file. Raises MediaError where the drive is away or the file missing or damaged."""
        version = self._find(segment)
        with self._lock:
            known = self._kept.get(version)
            if known is not None:
                self._kept.move_to_end(version)
                return known
        made = open_playback(Path(version[0]))
        with self._lock:
            self._kept[version] = made
            while len(self._kept) > MOST_OPEN:
                self._kept.popitem(last=False)
        return made

    def describe(self, segment: Segment, *, h264: bool) -> tuple[str, bytes]:
        """Return (names of codecs, initialization segment), as recorded or as H.264. Raises MediaError."""
        file = self.fetch(segment)
        if not h264:
            return file.codecs, file.initialization
        version = self._find(segment)
        with self._lock:
            known = self._described.get(version)
        if known is None:
            known = self.h264.describe(file.path)
            with self._lock:
                self._described[version] = known
                while len(self._described) > MOST_OPEN:
                    self._described.popitem(last=False)
        return known

    def read(self, segment: Segment, part: int, begins: float, *, h264: bool) -> bytes:
        """Return a part of a segment as a media segment. Raises MediaError."""
        file = self.fetch(segment)
        return self.h264.make(file.path, part, begins) if h264 else read_part(file, part, begins)

    def _find(self, segment: Segment) -> _Version:
        drive = evidence.find_attached_drives(self._roots).get(segment.drive_id)
        if drive is None:
            raise MediaError("player.drive_away", drive=segment.drive_id)
        try:
            path = evidence.resolve_on_drive(drive.root, segment.path)
            status = path.stat()
        except FileNotFoundError:
            raise MediaError("player.file_missing", file=segment.path) from None
        except OSError as error:
            raise MediaError("media.unreadable", file=segment.path, detail=error.strerror or error) from error
        if segment.bytes not in (None, status.st_size):
            # cut short or replaced: it would show other instants than the catalog states
            raise MediaError("player.file_damaged", file=segment.path)
        return str(path), status.st_mtime_ns, status.st_size
