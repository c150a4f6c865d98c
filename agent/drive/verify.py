"""Re-reads a whole drive and says what is not as it was closed. Needs the drive alone; an anchor makes it stronger.

Without an anchor the answer is "consistent, not anchored": whoever owns the drive could have cut half-days from the end and
signed all anew. With `key` (the box's public key, kept elsewhere) and `heads` (published when half-days close) that shows too.
"""

from __future__ import annotations

import errno
import json
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath

from agent import words
from agent.drive import audited, chain, journal, keys, layout, sums
from agent.drive.identity import HARMLESS, OWN_FILES, Drive, os_error, seal_file
from agent.model import Session

_SEALED_PAPERS = (layout.LABEL, layout.SHEET)


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind`: changed, missing, added, unreadable, signature_missing, signature_bad, other_key, chain_broken,
    head_unknown, audit_broken. `path` is relative to the drive."""

    kind: str
    path: str
    detail: str


@dataclass(slots=True)
class Report:
    """`checked` counts files read, `audited` entries of the audit. `unclosed` half-days are listed but do not make the drive
    wrong: they are under way."""

    problems: list[Problem] = field(default_factory=list)
    checked: int = 0
    bytes: int = 0
    signed: bool = False
    anchored: bool = False
    half_days: int = 0
    audited: int = 0
    unclosed: list[str] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, kind: str, path: str, detail: str = "") -> None:
        if not any((p.kind, p.path) == (kind, path) for p in self.problems):
            self.problems.append(Problem(kind, path, detail))


def total_bytes(drive: Drive) -> int:
    """What `verify` will have to read, for a progress bar. Raises DriveError."""
    try:
        return sum(
            path.lstat().st_size
            for folder in drive.class_folders()
            for path in (drive.root / folder).rglob("*")
            if not path.is_dir()
        )
    except OSError as error:
        raise os_error(error, drive.root) from error


def verify(
    drive: Drive,
    *,
    key: str | None = None,
    heads: Iterable[str] = (),
    progress: Callable[[int], None] | None = None,
    only: str | None = None,
) -> Report:
    """Check every class of the drive (or the class ID `only`).

    `key` is the public key that must have signed; `heads` are published heads that must all be found. Raises DriveError
    where the drive itself cannot be read; a single unreadable file is a problem in the report.
    """
    report = Report(signed=bool(drive.public_key or key))
    public = keys.normal(key) if key else drive.public_key
    if key and keys.normal(key) != drive.public_key:
        report.add("other_key", f"{layout.SYSTEM}/drive.json", _why("other_key"))
    try:
        for folder in drive.class_folders():
            if only is None or layout.class_id_of(folder) == only:
                _Checker(drive, report, public, progress).one_class(folder)
        _journal(drive, report, only)
        if only is None:
            trail = audited.check(drive.root, drive.class_folders())
            report.audited = trail.entries
            for path, detail in trail.faults:
                report.problems.append(Problem("audit_broken", path, detail))
        if only is None:
            checker = _Checker(drive, report, public, progress)
            checker.root()
            if seal_file(drive.root).exists():
                checker.whole()
    except OSError as error:
        raise os_error(error, drive.root) from error
    wanted = [head.lower() for head in heads]
    for head in wanted:
        if head not in report.heads.values() and head not in report.heads:
            report.add("head_unknown", "", head)
    # an anchor is the head: the key alone proves who signed, not that the end is still there
    report.anchored = bool(wanted) and not any(p.kind in ("head_unknown", "other_key") for p in report.problems)
    return report


def _why(key: str, **params: object) -> str:
    return words.text(f"drive.detail.{key}", **params)


def _journal(drive: Drive, report: Report, only: str | None) -> None:
    """The drive's own journal knows what was closed on it: each list of sums must still be there, and be that one. Of a
    class whose folder is gone nothing is said: a person may delete it after its years."""
    closed = {
        (str(x.row.get("class_id")), str(x.row.get("sequence"))): x.row
        for x in journal.of_drive(drive.root)
        if x.table == "chain" and x.row.get("drive_id") == drive.drive_id
    }
    for (class_id, _), row in closed.items():
        folder = drive.find_class(class_id) if only in (None, class_id) else None
        if folder is None or str(row.get("head")) in report.heads:
            continue
        try:
            half_day = layout.half_day_folder(date.fromisoformat(row["date"]), Session(row["session"]))
        except (KeyError, TypeError, ValueError):
            continue
        where = f"{folder}/{half_day}"
        lists = f"{where}/{layout.SUMS}"
        if any(problem.path == lists for problem in report.problems):
            continue
        if (drive.root / lists).exists():
            report.add("changed", lists, _why("other_than_journal"))
        else:
            report.add("missing", lists, _why("closed_by_journal"))
            report.unclosed = [x for x in report.unclosed if x != where]


class _Checker:
    def __init__(self, drive: Drive, report: Report, public: str, progress: Callable[[int], None] | None) -> None:
        self._drive = drive
        self._report = report
        self._public = public
        self._progress = progress

    def one_class(self, folder: str) -> None:
        path = self._drive.root / folder
        closings: list[chain.Closed] = []
        for half_day in chain.half_day_folders(path):
            try:
                closings += self._half_day(folder, half_day)
            except OSError as error:
                self._report.add("unreadable", f"{folder}/{half_day}", error.strerror or "")
        self._links(folder, chain.in_order(closings))
        self._final(folder)
        self._loose(folder)

    def root(self) -> None:
        """What lies beside the class folders and is neither the agent's nor was kept when the drive was made."""
        own = {layout.SYSTEM, layout.LABEL, layout.SHEET, *HARMLESS, *self._drive.kept, *self._drive.class_folders()}
        for item in sorted(self._drive.root.iterdir()):
            if item.name not in own:
                self._report.add("added", item.name, _why("not_layout"))
        for item in sorted((self._drive.root / layout.SYSTEM).iterdir()):
            if item.name not in OWN_FILES and not item.name.endswith(".part"):
                self._report.add("added", self._drive.relative(item), _why("not_layout"))
        if (self._drive.root / layout.SHEET).exists() and not seal_file(self._drive.root).exists():
            self._report.add("missing", self._drive.relative(seal_file(self._drive.root)), _why("seal_gone"))

    def whole(self) -> None:
        """A drive sealed as a whole names every class that it held."""
        file = seal_file(self._drive.root)
        where = self._drive.relative(file)
        self._signature(file, where)
        try:
            body = json.loads(sums.plain(file))
            heads, papers = dict(body["heads"]), dict(body.get("papers", {}))
        except (ValueError, KeyError, TypeError):
            self._report.add("unreadable", where, _why("no_seal"))
            return
        self._entries(self._drive.root, "", {name: papers[name] for name in _SEALED_PAPERS if name in papers})
        for folder, head in heads.items():
            if folder not in self._drive.class_folders():
                self._report.add("missing", folder, _why("sealed_gone"))
            elif chain.head_of(self._drive.root / folder / layout.SUMS) != head:
                self._report.add("changed", f"{folder}/{layout.SUMS}", _why("sealed_other"))
        for folder in self._drive.class_folders():
            if folder not in heads:
                self._report.add("added", folder, _why("class_after_seal"))

    def _half_day(self, folder: str, half_day: PurePosixPath) -> list[chain.Closed]:
        path, where = self._drive.root / folder / half_day, f"{folder}/{half_day}"
        closings = chain.closings(self._drive.root / folder, half_day)
        present = set(chain.files_below(path))
        if not closings:
            if present and not self._drive.is_sealed(folder):
                self._report.unclosed.append(where)
            elif present:
                self._report.add("added", where, _why("after_seal"))
            return []
        self._report.half_days += 1
        listed: set[str] = set()
        for closed in closings:
            name = layout.numbered(layout.SUMS, closed.part)
            if closed.sums is None:
                self._report.add("unreadable", f"{where}/{name}", _why("no_sums"))
                continue
            self._entries(path, where, closed.sums)
            self._signature(path / name, f"{where}/{name}")
            listed |= closed.sums.keys()
            # a head counts for a class's chain only with what it stands on: its own sums
            self._report.heads[closed.head] = f"{where}/{name}"
        own = {layout.numbered(layout.SUMS, closed.part) for closed in closings}
        lone = {x.name for x in path.iterdir() if x.suffix == ".sig" and layout.sums_part(x.stem) and x.stem not in own}
        # what a list that nobody can read had listed is not added
        unlisted = present - listed if all(closed.sums is not None for closed in closings) else set()
        for name in sorted(unlisted | lone):
            self._report.add("added", f"{where}/{name}", _why("unlisted"))
        return closings

    def _entries(self, path: Path, where: str, entries: Mapping[str, str]) -> None:
        for name, digest in entries.items():
            told = f"{where}/{name}".removeprefix("/")
            try:
                found = self._digest(path / name)
            except FileNotFoundError:
                self._report.add("missing", told, _why("listed"))
            except OSError as error:
                self._report.add("unreadable", told, error.strerror or "")
            else:
                if found != digest:
                    self._report.add("changed", told, _why("sums", found=found, listed=digest))

    def _digest(self, path: Path) -> str:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise FileNotFoundError(path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, _why("no_file"))
        self._report.checked += 1
        return sums.of_file(path, self._count)

    def _count(self, size: int) -> None:
        self._report.bytes += size
        if self._progress:
            self._progress(size)

    def _signature(self, file: Path, where: str) -> None:
        signature = file.with_name(f"{file.name}.sig")
        if not self._public:
            if signature.exists():  # a drive without a key never had one: the key was taken out of drive.json
                self._report.add("signature_bad", f"{where}.sig", _why("key_gone"))
        elif not signature.exists():
            self._report.add("signature_missing", f"{where}.sig", _why("unsigned"))
        elif not keys.signed_by(sums.plain(file), sums.plain(signature), self._public):
            self._report.add("signature_bad", f"{where}.sig", _why("bad_signature"))

    def _links(self, folder: str, closings: list[chain.Closed]) -> None:
        """Each link names the head before; what lies on another drive is believed, since this drive cannot show it."""
        before: chain.Closed | None = None
        for closed in closings:
            where = f"{folder}/{closed.folder}/{layout.numbered(layout.CHAIN, closed.part)}"
            link = closed.link
            if link is None:
                self._report.add("chain_broken", where, _why("no_link"))
                continue
            key = layout.parse_half_day(closed.folder)
            if (link.class_id, link.date, link.session) != (layout.class_id_of(folder), *(key or ())):
                self._report.add("chain_broken", where, _why("other_half_day"))
            here = link.previous_drive == self._drive.drive_id
            first = link.previous == chain.FIRST
            if first != (link.sequence == 1):
                self._report.add("chain_broken", where, _why("middle"))
            elif before is not None and before.link and before.link.sequence == link.sequence - 1:
                if link.previous != before.head:
                    self._report.add("chain_broken", where, _why("not_next"))
            elif not first and here and link.previous not in self._report.heads:
                self._report.add("chain_broken", where, _why("cut_out", number=link.sequence - 1))
            before = closed

    def _final(self, folder: str) -> None:
        """A sealed class lists its papers and every half-day's sums."""
        path = self._drive.root / folder
        file = path / layout.SUMS
        if file.exists():
            self._final_sums(folder, file)
        elif (path / layout.SHEET).exists():
            self._report.add("missing", f"{folder}/{layout.SUMS}", _why("seal_gone"))
        for correction in sorted((path / layout.CORRECTIONS).glob("*.jsonl")):
            self._signature(correction, f"{folder}/{layout.CORRECTIONS}/{correction.name}")

    def _final_sums(self, folder: str, file: Path) -> None:
        raw = sums.plain(file)
        try:
            entries = sums.read(raw)
        except ValueError:
            self._report.add("unreadable", f"{folder}/{file.name}", _why("no_sums"))
            return
        self._entries(file.parent, folder, entries)
        self._signature(file, f"{folder}/{file.name}")
        self._report.heads[sums.of_bytes(raw)] = f"{folder}/{file.name}"
        for item in sorted(file.parent.iterdir()):
            if not item.is_dir() and item.name not in entries and item.name not in (file.name, f"{file.name}.sig"):
                self._report.add("added", f"{folder}/{item.name}", _why("unlisted"))

    def _loose(self, folder: str) -> None:
        """Files that lie where no half-day's sums can list them: beside the half-days, or in a folder of another name."""
        path = self._drive.root / folder
        papers = {layout.LABEL, layout.LISTING, layout.ATTENDANCE, layout.CONTENTS, layout.RECORD, layout.SHEET}
        papers |= {layout.SUMS, f"{layout.SUMS}.sig"}
        half_days = {str(x) for x in chain.half_day_folders(path)}
        for item in sorted(path.rglob("*")):
            relative = item.relative_to(path)
            if item.is_dir() and not item.is_symlink():
                continue
            inside = len(relative.parts) > 2 and "/".join(relative.parts[:2]) in half_days
            correction = relative.parent == Path(layout.CORRECTIONS) and _is_correction(item)
            if not inside and not correction and str(relative) not in papers:
                self._report.add("added", f"{folder}/{relative.as_posix()}", _why("not_layout"))


def _is_correction(path: Path) -> bool:
    """A file of revised figures, or the signature of one that is there."""
    if path.suffix == ".sig":
        return layout.is_correction(path.stem) and path.with_suffix("").exists()
    return layout.is_correction(path.name)
