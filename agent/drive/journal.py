"""Copies of catalog rows on the drive: a journal that is appended to all the time, and a record for each closed half-day.

Both are lines of JSON, `{"table": …, "row": {…}}`: rows of the catalog, column by column. Of several lines about one row
the last one holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.catalog.changes import RowChange
from agent.drive import files, layout

JOURNAL_FOLDER = f"{layout.SYSTEM}/journal"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
UnreadableFiles = list[tuple[str, str]]
"""Files that could not be read: (path relative to the drive, reason)."""


def format_rows(changes: Iterable[RowChange]) -> bytes:
    """Format rows as lines of JSON; equal rows give equal bytes."""
    return "".join(
        json.dumps({"table": c.table, "row": dict(c.row)}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        + "\n"
        for c in changes
    ).encode("utf-8")


def parse_rows(data: bytes) -> Iterator[RowChange]:
    """Yield rows in order; torn or foreign lines are skipped (a power cut may tear the last line of a journal)."""
    return _parse_lines(data.split(b"\n"))


def read_journal_file(path: Path, root: Path, faults: UnreadableFiles) -> Iterator[RowChange]:
    """Yield the rows of a journal or record file below `root`; none where it does not exist.

    A file that is not regular or is too large goes to `faults`. Raises OSError.
    """
    try:
        yield from _parse_lines(files.read_lines(path, below=root))
    except FileNotFoundError:
        return
    except files.UnfitFileError as error:
        faults.append((path.relative_to(root).as_posix(), error.strerror or ""))


def _parse_lines(found: Iterable[bytes]) -> Iterator[RowChange]:
    for line in found:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(item, dict) and isinstance(item.get("table"), str) and isinstance(item.get("row"), dict):
            yield RowChange(item["table"], item["row"])


def list_journal_files(root: Path) -> list[Path]:
    """List the files of a drive's journal in order of days; none where the folder is a link or a pipe. Raises OSError."""
    folder = root / JOURNAL_FOLDER
    if files.classify_path(folder.parent) != "folder" or files.classify_path(folder) != "folder":
        return []
    return [folder / entry.name for entry in files.list_entries(folder) if is_journal_name(entry.name)]


def is_journal_name(name: str) -> bool:
    """Return whether this is the name of a journal file."""
    return _DAY.fullmatch(name) is not None


def read_drive_journal(root: Path, faults: UnreadableFiles) -> Iterator[RowChange]:
    """Yield every row of a drive's journal in order of days. Raises OSError."""
    for path in list_journal_files(root):
        yield from read_journal_file(path, root, faults)
