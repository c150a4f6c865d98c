"""An ordinary MP4 that need not exist on a disk.

Its index comes first, and its pictures and sound are read out of the sources when they are asked for. The size is known
before the first byte, any range can be read at any time, nothing is buffered on a disk, and the same request gives the same
bytes.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from agent.core.errors import MediaError
from agent.drive import files
from agent.mp4.samples import Int64Array, Mp4Samples, Mp4Track, concatenate_samples
from agent.mp4.writer import ChunkTable, build_header, compute_track_seconds

READ_BLOCK = 1 << 20


class SampleSource(Protocol):
    """A file that samples are read from; `data` stands for its content where it was made in memory."""

    @property
    def path(self) -> Path: ...
    @property
    def data(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class PictureTable:
    """Where each picture lies: `place[i]` is the byte of the file at which sample i of `samples` begins.

    Times are in ticks of `timescale`.
    """

    place: Int64Array
    samples: Mp4Samples
    timescale: int


class VirtualMp4:
    """An MP4 of `size` bytes and `duration` seconds that is read out of its sources.

    Threads may read it at the same time: it keeps no file open between calls. `tracks` are the video, then the sound if
    there is one: each a description and its samples in the order of play, whose `source` is an index into `sources`.
    """

    def __init__(
        self, tracks: Sequence[tuple[Mp4Track, Sequence[Mp4Samples]]], sources: Sequence[SampleSource]
    ) -> None:
        self._sources = sources
        joined = [(track, concatenate_samples(parts)) for track, parts in tracks]
        layout = _MediaLayout([samples for _, samples in joined])
        self._header = build_header(joined, layout.chunks, layout.total)
        self._source, self._offset, self._length = layout.source, layout.offset, layout.length
        self._place = len(self._header) + np.cumsum(self._length) - self._length
        video, pictures = joined[0]
        self.pictures = PictureTable(len(self._header) + layout.places[0], pictures, video.timescale)
        self.size = len(self._header) + int(self._length.sum())
        self.duration = max(compute_track_seconds(track, samples) for track, samples in joined)

    def read(self, start: int = 0, stop: int | None = None) -> Generator[bytes]:
        """Yield the bytes [start, stop) in blocks of at most 1 MiB.

        Raises MediaError where a source was cut short or no longer exists.
        """
        stop = self.size if stop is None else min(stop, self.size)
        if start < len(self._header):
            yield self._header[start : min(stop, len(self._header))]
        index = max(0, int(np.searchsorted(self._place, start, side="right")) - 1)
        with ExitStack() as stack:
            opened: dict[int, int] = {}
            while index < self._place.size and (place := int(self._place[index])) < stop:
                skip = max(0, start - place)
                size = min(int(self._length[index]), stop - place)
                number = int(self._source[index])
                yield from self._range(number, int(self._offset[index]) + skip, size - skip, opened, stack)
                index += 1

    def _range(self, number: int, offset: int, size: int, opened: dict[int, int], stack: ExitStack) -> Generator[bytes]:
        source = self._sources[number]
        if source.data is not None:
            yield source.data[offset : offset + size]
            return
        try:
            if number not in opened:
                opened[number] = stack.enter_context(files.open_for_reading(source.path, files.MAX_SEGMENT)).descriptor
            while size > 0:
                block = os.pread(opened[number], min(size, READ_BLOCK), offset)
                if not block:
                    raise MediaError("clip.source_changed", file=source.path)
                yield block
                offset, size = offset + len(block), size - len(block)
        except OSError as error:
            raise MediaError("media.unreadable", file=source.path, detail=error.strerror) from error


class _MediaLayout:
    """The order of the media data: as it lies in the sources, so that they are read from front to back.

    `source`, `offset`, `length`: what is read, in order. `chunks[t]`: chunks of track t; `places[t]`: where each of its
    samples begins in the media data; `total`: bytes of media data.
    """

    def __init__(self, tracks: list[Mp4Samples]) -> None:
        source = np.concatenate([s.source for s in tracks])
        offset = np.concatenate([s.offset for s in tracks])
        size = np.concatenate([s.size for s in tracks])
        track = np.repeat(np.arange(len(tracks)), [s.size.size for s in tracks])
        order = np.lexsort((offset, source))
        source, offset, size, track = source[order], offset[order], size[order], track[order]
        place = np.cumsum(size) - size
        own = np.empty_like(place)
        own[order] = place
        self.places = np.split(own, np.cumsum([s.size.size for s in tracks])[:-1])
        follows = (source[1:] == source[:-1]) & (offset[1:] == offset[:-1] + size[:-1])
        begins = np.flatnonzero(np.append(True, ~follows))
        self.source, self.offset = source[begins], offset[begins]
        self.length = np.add.reduceat(size, begins)
        chunk = np.flatnonzero(np.append(True, ~(follows & (track[1:] == track[:-1]))))
        counts = np.diff(np.append(chunk, size.size))
        owner = track[chunk]
        self.chunks = [ChunkTable(place[chunk[owner == t]], counts[owner == t]) for t in range(len(tracks))]
        self.total = int(size.sum())
