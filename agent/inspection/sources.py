"""Look up the sources that a clip's manifest names in the signed checksums of a drive's half-days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agent.core.statement_model import LogPosition, parse_position
from agent.drive import Drive, chain, files, keys, layout
from agent.drive.adoption import KeyRing
from agent.drive.against import BureauList
from agent.drive.identity import to_drive_error

SOURCE_FOUND = "found"
_MAX_SOURCES = 10_000


@dataclass(frozen=True, slots=True)
class SourceLookup:
    """One source of a clip and what was found of it.

    `state`: found; differs (the drive lists another checksum); missing (no checksum list of the drive names it); unsigned
    (the list has no valid signature); elsewhere (on a drive that was not given); untold, told_otherwise (in the
    bureau's list).
    """

    drive_id: str
    path: str
    state: str


def look_up_sources(manifest: Mapping[str, object], drives: Iterable[Drive], key: str | None) -> list[SourceLookup]:
    """Look up every source that a manifest names.

    `key` is the public key that must have signed the checksums; without one it is the drive's own. Raises DriveError where
    a drive cannot be read.
    """
    sources = manifest.get("sources")
    rows = sources if isinstance(sources, list) else []
    known = {drive.drive_id: _ChecksumLists(drive, key) for drive in drives}
    return [_look_up_source(row, known) for row in rows[:_MAX_SOURCES]]


def look_up_statements(manifest: Mapping[str, object], listed: BureauList) -> list[SourceLookup]:
    """Look up every source of a manifest in the bureau's list of what was told when it was recorded.

    `state`: found; told_otherwise (the list has another hash for this number or path); untold (the list does not have it).
    """
    sources = manifest.get("sources")
    rows = sources if isinstance(sources, list) else []
    told: dict[tuple[str, str], set[str]] = {}
    places: dict[tuple[LogPosition, str], str] = {}
    for segment in listed.segments:
        told.setdefault((segment.drive_id, segment.path), set()).add(segment.sha256)
        places[segment.place, segment.path] = segment.sha256
    found = []
    for row in rows[:_MAX_SOURCES]:
        values = row if isinstance(row, dict) else {}
        drive_id, path, digest = (str(values.get(name) or "") for name in ("drive_id", "path", "sha256"))
        place = parse_position(values.get("statement"))
        known = told.get((drive_id, path))
        if known is None:
            state = "untold"
        elif digest in known and (place is None or places.get((place, path)) == digest):
            state = SOURCE_FOUND
        else:
            state = "told_otherwise"
        found.append(SourceLookup(drive_id, path, state))
    return found


def _look_up_source(row: object, known: Mapping[str, _ChecksumLists]) -> SourceLookup:
    values = row if isinstance(row, dict) else {}
    drive_id, path, digest = (str(values.get(name) or "") for name in ("drive_id", "path", "sha256"))
    sums = known.get(drive_id)
    return SourceLookup(drive_id, path, sums.state(path, digest) if sums else "elsewhere")


class _ChecksumLists:
    """The checksum lists of one drive; those of each half-day are read once."""

    def __init__(self, drive: Drive, key: str | None) -> None:
        self._drive = drive
        self._ring = KeyRing(drive, key)
        self._read: dict[PurePosixPath, list[tuple[Mapping[str, str], bool]]] = {}
        self._half_days: dict[str, set[PurePosixPath]] = {}

    def state(self, path: str, digest: str) -> str:
        try:
            lists = self._lists(PurePosixPath(path))
        except OSError as error:
            raise to_drive_error(error, self._drive.root) from error
        inner = "/".join(PurePosixPath(path).parts[3:])
        # of several lists that name a file the first one counts
        found = next(((listed[inner], signed) for listed, signed in lists if inner in listed), None)
        if found is None:
            return "missing"
        if found[0] != digest:
            return "differs"
        return SOURCE_FOUND if found[1] else "unsigned"

    def _lists(self, path: PurePosixPath) -> list[tuple[Mapping[str, str], bool]]:
        """Return (content, whether its signature is valid) of each checksum list of the half-day in which a path lies."""
        if len(path.parts) < 4 or path.is_absolute():
            return []
        folder, half_day = path.parts[0], PurePosixPath(*path.parts[1:3])
        if folder not in self._half_days:
            here = folder in self._drive.class_folders()
            self._half_days[folder] = set(chain.list_half_day_folders(self._drive.root / folder)) if here else set()
        if half_day not in self._half_days[folder]:
            return []
        whole = folder / half_day
        if whole not in self._read:
            closings = chain.list_closings(self._drive.root / folder, half_day)
            place = self._drive.root / whole
            self._read[whole] = [(c.sums, self._signed(place, c.part)) for c in closings if c.sums is not None]
        return self._read[whole]

    def _signed(self, place: Path, part: int) -> bool:
        name = layout.add_part_number(layout.SUMS, part)
        public = self._ring.find(self._drive.relative(place / name))
        if not public:
            return False
        try:
            proof = files.read_small_file(place / f"{name}.sig", files.MAX_SIGNATURE)
            return keys.verify_signature(files.read_small_file(place / name, files.MAX_LIST), proof, public)
        except (FileNotFoundError, files.UnfitFileError):
            return False
