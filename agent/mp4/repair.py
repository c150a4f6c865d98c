"""Repair a hybrid-fragmented MP4 that was cut off: find what is whole in it, put its header back, drop half a fragment."""

from __future__ import annotations

import os
import struct
from itertools import takewhile
from pathlib import Path

from agent.mp4.boxes import BOX_HEADER_SIZE, BadMp4Error, walk_boxes


def list_top_boxes(path: Path) -> list[tuple[str, int, int]]:
    """Return the top-level boxes of a file: (kind, offset, size). The list ends where no valid box follows.

    The last box may reach beyond the end of a file that was cut off. Raises OSError.
    """
    found: list[tuple[str, int, int]] = []
    with path.open("rb") as file:
        descriptor = file.fileno()
        boxes = walk_boxes(lambda at, size: os.pread(descriptor, size, at), os.fstat(descriptor).st_size)
        try:
            for box in boxes:
                # zeros: the length of the file reached the disk before its content
                if not box.sized:
                    break
                found.append((box.kind.decode("latin-1"), box.start, box.end - box.start))
        except BadMp4Error:
            pass
    return found


def restore_header(path: Path) -> bool:
    """Undo half a finish: return True where the file was cut off between its last header being written and its index.

    While a hybrid file grows, `free` boxes stand before the first index; the muxer turns them into one `mdat` over
    everything when it finishes. With that on the disk and the index at the end lost, nothing reads the file; with the
    `free` boxes put back, it is the fragmented file again. Raises OSError.
    """
    found, end = list_top_boxes(path), path.stat().st_size
    if any(kind == "moov" and at + size <= end for kind, at, size in found) or not found or found[0][0] != "ftyp":
        return False
    first = found[0][2]
    with path.open("r+b") as file:
        file.seek(first)
        start = file.read(BOX_HEADER_SIZE + 64)
        # free(8), then free over a hidden copy of ftyp, then the first moov
        hidden = first + 2 * BOX_HEADER_SIZE
        size, kind = struct.unpack_from(">I4s", start, hidden - first)
        file.seek(hidden + size)
        if kind != b"ftyp" or file.read(BOX_HEADER_SIZE)[4:] != b"moov":
            return False
        file.seek(first)
        file.write(struct.pack(">I4sI4s", BOX_HEADER_SIZE, b"free", BOX_HEADER_SIZE + size, b"free"))
        file.flush()
        os.fsync(file.fileno())
    return True


def find_whole_end(path: Path) -> int:
    """Return where the last whole fragment of a growing file ends; 0 without one. Raises OSError."""
    end = path.stat().st_size
    found = list_top_boxes(path)
    return max((at + size for kind, at, size in found if kind in ("moov", "mdat") and at + size <= end), default=0)


def drop_half_fragment(path: Path) -> bool:
    """Cut a file that ends inside a fragment back to its last whole one; return True where there was something to drop.

    Raises OSError.
    """
    whole, end = find_whole_end(path), path.stat().st_size
    if not 0 < whole < end or not any(kind == "moof" for kind, _, _ in list_top_boxes(path)):
        return False
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())
    return True


def truncate_to_whole(path: Path, whole: int) -> None:
    """Truncate a file to `whole` bytes after a failed write: drop half a fragment, and an index that points into it.

    Raises OSError.
    """
    with path.open("r+b") as file:
        file.truncate(whole)
    restore_header(path)


def has_no_fragment(path: Path) -> bool:
    """Return True where no whole fragment was ever written.

    The file is empty, or holds only the header, or the header and behind it the beginning of the first fragment or zeros (a
    length that reached the disk before the content). Anything else may still be rescued by hand, such as an `mdat` over all
    of a file whose index was lost. Raises OSError.
    """
    found, end = list_top_boxes(path), path.stat().st_size
    if not found:
        return end == 0
    kinds = [kind for kind, _, _ in found]
    header = sum(1 for _ in takewhile(("ftyp", "free", "moov").__contains__, kinds))
    reached = found[-1][1] + found[-1][2]
    cut_short = "moov" in kinds[:header] and kinds[header:] in (["moof"], ["moof", "mdat"]) and reached > end
    if reached < end:
        return header == len(found) and _is_zero(path, reached)
    return header == len(found) or cut_short


def _is_zero(path: Path, start: int) -> bool:
    """Return True where every byte from `start` on is zero."""
    with path.open("rb") as file:
        file.seek(start)
        while block := file.read(1 << 20):
            if block.count(0) != len(block):
                return False
    return True
