"""The boxes of a hybrid-fragmented MP4: what is whole in a file that was cut off, and how its header is put back."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEAD = 8


def boxes(path: Path) -> list[tuple[str, int, int]]:
    """Top-level boxes of an MP4: (kind, offset, size); the last may reach beyond the end of a file that was cut off."""
    found: list[tuple[str, int, int]] = []
    end = path.stat().st_size
    with path.open("rb") as file:
        at = 0
        while at + _HEAD <= end:
            file.seek(at)
            head = file.read(16)
            size, kind = struct.unpack_from(">I4s", head)
            if size == 1 and len(head) == 16:
                size = struct.unpack_from(">Q", head, 8)[0]
            if size < _HEAD:
                break
            found.append((kind.decode("latin-1"), at, size))
            at += size
    return found


def mend_header(path: Path) -> bool:
    """Undo half a finish: True where the file was cut off between its last header being written and its index.

    While a hybrid file grows, `free` boxes stand before the first index; the muxer turns them into one `mdat` over
    everything when it finishes. With that on the disk and the index at the end lost, nothing reads the file; with the
    `free` boxes put back, it is the fragmented file again.
    """
    found, end = boxes(path), path.stat().st_size
    if any(kind == "moov" and at + size <= end for kind, at, size in found) or not found or found[0][0] != "ftyp":
        return False
    first = found[0][2]
    with path.open("r+b") as file:
        file.seek(first)
        start = file.read(_HEAD + 64)
        # free(8), then free over a hidden copy of ftyp, then the first moov
        hidden = first + 2 * _HEAD
        size, kind = struct.unpack_from(">I4s", start, hidden - first)
        file.seek(hidden + size)
        if kind != b"ftyp" or file.read(_HEAD)[4:] != b"moov":
            return False
        file.seek(first)
        file.write(struct.pack(">I4sI4s", _HEAD, b"free", _HEAD + size, b"free"))
        file.flush()
        os.fsync(file.fileno())
    return True


def whole_end(path: Path) -> int:
    """Where the last whole fragment of a growing file ends."""
    end = path.stat().st_size
    return max(
        (at + size for kind, at, size in boxes(path) if kind in ("moov", "mdat") and at + size <= end), default=0
    )


def drop_half_fragment(path: Path) -> bool:
    """Cut a file that was cut off in a fragment back to its last whole one; True where there was something to drop."""
    whole, end = whole_end(path), path.stat().st_size
    if not 0 < whole < end or not any(kind == "moof" for kind, _, _ in boxes(path)):
        return False
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())
    return True


def cut_back(path: Path, whole: int) -> None:
    """After a failed write: drop half a fragment, and an index that points into it. Raises OSError."""
    with path.open("r+b") as file:
        file.truncate(whole)
    mend_header(path)
