"""The hash chain of a class's half-days.

The SHA256SUMS of each half-day lists a small file `CHAIN` that names the head of the half-day before. The head of a
half-day is the SHA-256 of its SHA256SUMS, so it covers every byte of this half-day and of all earlier ones. Signing the
SHA256SUMS signs all of that; `sha256sum -c` checks the whole half-day, and no listed path leaves its folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from agent.core.model import Session
from agent.core.statement_model import LogPosition, parse_position
from agent.drive import durable, files, keys, layout, sums, system_files

CHAIN_FORMAT = "site-agent chain 1"
NO_PREVIOUS = "none"


@dataclass(frozen=True, slots=True)
class HalfDayLink:
    """The content of a `CHAIN` file.

    `previous` is the head of the half-day before, or `none`; `previous_drive` is the drive that holds that half-day;
    `sequence` counts from 1 within the class. `statements` is the newest place of the box's statement log at the closing, so
    that a signed half-day stands for all statements before it; None from boxes without statements, and where a half-day is
    closed away from its box.
    """

    class_id: str
    date: date
    session: Session
    sequence: int
    drive_id: str
    previous: str = NO_PREVIOUS
    previous_drive: str = NO_PREVIOUS
    statements: LogPosition | None = None

    def write(self) -> bytes:
        lines = [
            CHAIN_FORMAT,
            f"class_id: {self.class_id}",
            f"date: {self.date.isoformat()}",
            f"session: {self.session.value}",
            f"sequence: {self.sequence}",
            f"drive_id: {self.drive_id}",
            f"previous: {self.previous}",
            f"previous_drive: {self.previous_drive}",
        ]
        if self.statements:
            lines.append(f"statements: {self.statements.log} {self.statements.number} {self.statements.hash}")
        return "".join(f"{line}\n" for line in lines).encode("utf-8")


def parse_chain_file(data: bytes) -> HalfDayLink:
    """Parse the bytes of a `CHAIN` file. Raises ValueError for anything else."""
    first, *rest = data.decode("utf-8").splitlines() or [""]
    if first != CHAIN_FORMAT:
        raise ValueError(first)
    values: Mapping[str, str] = dict(line.split(": ", 1) for line in rest if ": " in line)
    try:
        return HalfDayLink(
            class_id=values["class_id"],
            date=date.fromisoformat(values["date"]),
            session=Session(values["session"]),
            sequence=int(values["sequence"]),
            drive_id=values["drive_id"],
            previous=values["previous"],
            previous_drive=values["previous_drive"],
            statements=_parse_position(values.get("statements", "")),
        )
    except KeyError as error:
        raise ValueError(str(error)) from error


def _parse_position(text: str) -> LogPosition | None:
    """Parse `LOG NUMBER HASH`. Raises ValueError for text that is neither that nor empty."""
    if not text:
        return None
    log, number, digest = text.split(" ")
    found = parse_position({"log": log, "number": int(number), "hash": digest})
    if found is None:
        raise ValueError(text)
    return found


@dataclass(frozen=True, slots=True)
class HalfDayClosing:
    """One closing of a half-day.

    `folder` is relative to the class folder; `part` is the number of the closing (nearly always 1); `link` is None where
    CHAIN is missing or unreadable; `sums` is the checksum list as path -> hex, None where it is unreadable; `head` is its
    chain head; `fault` says why the checksum list could not be opened ("" where it could).
    """

    folder: PurePosixPath
    part: int
    link: HalfDayLink | None
    sums: Mapping[str, str] | None
    head: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class FolderContents:
    """Everything below the folder of a half-day except its checksum lists and their signatures.

    `plain`: regular files, sorted. `odd`: links, pipes and devices (which cannot be read or signed), names that a checksum
    list cannot hold, and folders beyond the depth limit. `system`: files left by operating systems.
    """

    plain: list[str]
    odd: list[files.FolderEntry]
    system: list[system_files.SystemItem]


def list_half_day_folders(class_path: Path) -> list[PurePosixPath]:
    """List every half-day folder of a class folder in order of time, relative to it; links are ignored. Raises OSError."""
    found = []
    for day in files.list_entries(class_path):
        if day.kind != "folder" or layout.parse_half_day(PurePosixPath(day.name, Session.AM.folder)) is None:
            continue
        for part in files.list_entries(class_path / day.name):
            key = layout.parse_half_day(PurePosixPath(day.name, part.name))
            if key and part.kind == "folder":
                found.append((key[0], key[1].order, PurePosixPath(day.name, part.name)))
    return [folder for _, _, folder in sorted(found)]


def list_closings(class_path: Path, folder: PurePosixPath) -> list[HalfDayClosing]:
    """List the closings of a half-day in order. Raises OSError."""
    parts = sorted(
        p for entry in files.list_entries(class_path / folder) if (p := layout.parse_part_number(entry.name))
    )
    return [_read_closing(class_path, folder, part) for part in parts]


def list_all_closings(class_path: Path) -> list[HalfDayClosing]:
    """List every closing of a class on this drive by sequence, those without a link last. Raises OSError."""
    return sort_by_sequence(
        closed for folder in list_half_day_folders(class_path) for closed in list_closings(class_path, folder)
    )


def sort_by_sequence(found: Iterable[HalfDayClosing]) -> list[HalfDayClosing]:
    """Sort closings by sequence, those without a link last."""
    return sorted(found, key=lambda c: c.link.sequence if c.link else 1 << 60)


def _read_closing(class_path: Path, folder: PurePosixPath, part: int) -> HalfDayClosing:
    path, raw, fault = class_path / folder, b"", ""
    link: HalfDayLink | None = None
    listed: Mapping[str, str] | None = None
    try:
        raw = files.read_small_file(path / layout.add_part_number(layout.SUMS, part), files.MAX_LIST, below=class_path)
        listed = sums.parse_sums(raw) if raw else None
    except files.UnfitFileError as error:
        fault = error.strerror or ""
    except ValueError:
        pass
    with suppress(FileNotFoundError, files.UnfitFileError, ValueError):
        link = parse_chain_file(
            files.read_small_file(path / layout.add_part_number(layout.CHAIN, part), files.MAX_LINK, below=class_path)
        )
    return HalfDayClosing(folder, part, link, listed, sums.hash_bytes(raw), fault)


def list_corrections(class_path: Path) -> list[Path]:
    """List the files with figures revised after the seal, in order. Raises OSError."""
    folder = class_path / layout.CORRECTIONS
    if files.classify_path(folder) != "folder":
        return []
    return [folder / entry.name for entry in files.list_entries(folder) if layout.is_correction(entry.name)]


def write_sums(folder: Path, name: str, entries: Mapping[str, str], key_dir: Path | None) -> str:
    """Write a checksum list (`entries`: path -> hex) and, with a key, its signature; return the head.

    The signature is written first, so a checksum list that exists is always signed. Raises OSError, DriveError.
    """
    data = sums.format_sums(entries.items())
    if key_dir is not None:
        durable.write_file(folder / f"{name}.sig", keys.sign_bytes(data, key_dir))
    durable.write_file(folder / name, data)
    return sums.hash_bytes(data)


def compute_head(path: Path) -> str:
    """Return the SHA-256 of a checksum list or another small file; "" where it does not exist. Raises OSError."""
    return sums.hash_file(path) if files.classify_path(path) else ""


def scan_half_day(folder: Path) -> FolderContents:
    """Sort everything below the folder of a half-day into `FolderContents`. Raises OSError."""
    found = FolderContents([], [], [])
    for entry, system in system_files.walk_classified(folder):
        own = len(entry.path.parts) == 1 and layout.is_proof(entry.name)
        if system:
            found.system.append(system)
        elif entry.kind == "file" and not own:
            found.plain.append(str(entry.path))
        elif entry.kind not in ("file", "folder") or len(entry.path.parts) >= files.MAX_DEPTH:
            found.odd.append(entry)
    found.plain.sort()
    return found


def list_files_to_hash(folder: Path) -> list[str]:
    """List the files that belong into the checksum list of a folder: relative with `/`, sorted.

    These are all regular files below it except the checksum lists, their signatures and files left by operating systems.
    Raises OSError.
    """
    return scan_half_day(folder).plain
