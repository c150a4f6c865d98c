"""The chain of a class's half-days: each one's SHA256SUMS lists a small file `CHAIN` that names the head of the one before.

The head of a half-day is the SHA-256 of its SHA256SUMS, so it stands for every byte of it and of all before it. Signing
the SHA256SUMS signs that; `sha256sum -c` reads the whole half-day with no path that leaves its folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from agent.drive import durable, keys, layout, sums
from agent.model import Session

FORMAT = "site-agent chain 1"
FIRST = "none"


@dataclass(frozen=True, slots=True)
class Link:
    """What `CHAIN` says. `previous` is the head before, or `none`; `previous_drive` where that half-day lies;
    `sequence` counts from 1 within the class."""

    class_id: str
    date: date
    session: Session
    sequence: int
    drive_id: str
    previous: str = FIRST
    previous_drive: str = FIRST

    def write(self) -> bytes:
        lines = [
            FORMAT,
            f"class_id: {self.class_id}",
            f"date: {self.date.isoformat()}",
            f"session: {self.session.value}",
            f"sequence: {self.sequence}",
            f"drive_id: {self.drive_id}",
            f"previous: {self.previous}",
            f"previous_drive: {self.previous_drive}",
        ]
        return "".join(f"{line}\n" for line in lines).encode("utf-8")


def read(data: bytes) -> Link:
    """Raises ValueError where it is none."""
    first, *rest = data.decode("utf-8").splitlines() or [""]
    if first != FORMAT:
        raise ValueError(first)
    values: Mapping[str, str] = dict(line.split(": ", 1) for line in rest if ": " in line)
    try:
        return Link(
            class_id=values["class_id"], date=date.fromisoformat(values["date"]), session=Session(values["session"]),
            sequence=int(values["sequence"]), drive_id=values["drive_id"], previous=values["previous"],
            previous_drive=values["previous_drive"],
        )  # fmt: skip
    except KeyError as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Closed:
    """One closing of a half-day: its folder relative to the class folder, which closing (1, nearly always), its link
    (None where CHAIN is missing or unreadable), what its sums list (path -> hex; None where unreadable), its head."""

    folder: PurePosixPath
    part: int
    link: Link | None
    sums: Mapping[str, str] | None
    head: str


def half_day_folders(class_path: Path) -> list[PurePosixPath]:
    """Every half-day folder of a class folder, in order of time, relative to it. Raises OSError."""
    found = []
    for day in class_path.iterdir():
        if not day.is_dir() or layout.parse_half_day(PurePosixPath(day.name, Session.AM.folder)) is None:
            continue
        for part in day.iterdir():
            key = layout.parse_half_day(PurePosixPath(day.name, part.name))
            if key and part.is_dir():
                found.append((key[0], key[1].order, PurePosixPath(day.name, part.name)))
    return [folder for _, _, folder in sorted(found)]


def closings(class_path: Path, folder: PurePosixPath) -> list[Closed]:
    """How often, and how, a half-day was closed, in order. Raises OSError."""
    parts = sorted(p for entry in (class_path / folder).iterdir() if (p := layout.sums_part(entry.name)))
    return [_closed(class_path, folder, part) for part in parts]


def all_closings(class_path: Path) -> list[Closed]:
    """Every closing of a class on this drive, by sequence (those without a link last). Raises OSError."""
    return in_order(closed for folder in half_day_folders(class_path) for closed in closings(class_path, folder))


def in_order(found: Iterable[Closed]) -> list[Closed]:
    """By sequence, those without a link last."""
    return sorted(found, key=lambda c: c.link.sequence if c.link else 1 << 60)


def _closed(class_path: Path, folder: PurePosixPath, part: int) -> Closed:
    raw = sums.plain(class_path / folder / layout.numbered(layout.SUMS, part))
    link: Link | None = None
    listed: Mapping[str, str] | None = None
    try:
        listed = sums.read(raw) if raw else None
        link = read(sums.plain(class_path / folder / layout.numbered(layout.CHAIN, part)))
    except (FileNotFoundError, ValueError):
        pass
    return Closed(folder, part, link, listed, sums.of_bytes(raw))


def write_sums(folder: Path, name: str, entries: Mapping[str, str], key_dir: Path | None) -> str:
    """Write a sums file (`entries`: path -> hex) and, with a key, its signature; return the head.

    The signature goes first: whoever finds the sums finds them signed. Raises OSError, DriveError.
    """
    data = sums.write(entries.items())
    if key_dir is not None:
        durable.write_file(folder / f"{name}.sig", keys.sign(data, key_dir))
    durable.write_file(folder / name, data)
    return sums.of_bytes(data)


def head_of(path: Path) -> str:
    """SHA-256 of a list of sums, or of another small file; "" where it is not there. Raises OSError."""
    return sums.of_file(path) if path.exists() else ""


def files_below(folder: Path) -> list[str]:
    """Every file below a folder, relative with `/`, sorted; sums in it and their signatures left out. Raises OSError."""
    found = []
    for path in folder.rglob("*"):
        own = path.parent == folder and layout.sums_part(path.name.removesuffix(".sig")) is not None
        if not own and (path.is_symlink() or not path.is_dir()):
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)
