"""Verifies the classes of one drive: checksum lists, signatures, chain links, and files that no list names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from agent import words
from agent.drive import chain, files, journal, keys, layout, sums, system_files
from agent.drive.identity import OWN_FILES, Drive, seal_file
from agent.drive.report import HARMLESS, Report

_SEALED_DOCUMENTS = (layout.LABEL, layout.SHEET)
_CORRECTIONS = PurePosixPath(layout.CORRECTIONS)


def why(key: str, **params: object) -> str:
    """Return the text of `drive.detail.KEY` in the language of the user."""
    return words.text(f"drive.detail.{key}", **params)


class Checker:
    """Checks one drive and adds what it finds to `report`.

    `public` is the public key that must have signed ("": unsigned); `progress` is called with the number of bytes read.
    """

    def __init__(self, drive: Drive, report: Report, public: str, progress: Callable[[int], None] | None) -> None:
        self._drive = drive
        self._report = report
        self._public = public
        self._progress = progress

    def check_class(self, folder: str) -> None:
        """Check one class folder: half-days, chain, final checksum list and files that no list names."""
        path = self._drive.root / folder
        closings: list[chain.Closed] = []
        for half_day in chain.half_day_folders(path):
            try:
                closings += self._check_half_day(folder, half_day)
            except OSError as error:
                self._report.add("unreadable", f"{folder}/{half_day}", error.strerror or "")
        self._check_links(folder, chain.in_order(closings))
        self._check_final(folder)
        self._report_loose(folder)

    def check_root(self) -> None:
        """Report entries in the root that neither belong to the agent nor were kept when the drive was initialised."""
        own = {layout.SYSTEM, *self._drive.kept, *self._drive.class_folders()}
        root = self._drive.root
        for item in files.entries(root):
            if item.name in (layout.LABEL, layout.SHEET):
                self._check_document(item, "")
            elif item.name not in own:
                self._report_added(root, item, "", why("not_layout"))
        folder = root / layout.SYSTEM
        for item in files.entries(folder):
            partial = item.name.endswith(".part") and item.kind == "file"
            if not partial and OWN_FILES.get(item.name) != item.kind:
                self._report_added(folder, item, layout.SYSTEM, why("not_layout"))
            elif item.kind == "file" and item.bytes > files.SEAL:
                self._report.add("unreadable", f"{layout.SYSTEM}/{item.path}", files.too_large(item.bytes, files.SEAL))
        folder = root / journal.FOLDER
        for item in files.entries(folder) if files.kind(folder) == "folder" else ():
            if not journal.is_day(item.name):
                self._report_added(folder, item, journal.FOLDER, why("not_layout"))
        if files.kind(root / layout.SHEET) and not files.kind(seal_file(root)):
            self._report.add("missing", self._drive.relative(seal_file(self._drive.root)), why("seal_gone"))

    def check_drive_seal(self) -> None:
        """Check the seal of the whole drive, which names every class that it held."""
        file = seal_file(self._drive.root)
        where = self._drive.relative(file)
        self._check_signature(file, where)
        try:
            body = json.loads(files.read(file, files.SEAL))
            heads, papers = dict(body["heads"]), dict(body.get("papers", {}))
        except files.UnfitFileError as error:
            self._report.add("unreadable", where, error.strerror or "")
            return
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._report.add("unreadable", where, why("no_seal"))
            return
        self._check_entries(self._drive.root, "", {name: papers[name] for name in _SEALED_DOCUMENTS if name in papers})
        for folder, head in heads.items():
            if folder not in self._drive.class_folders():
                self._report.add("missing", folder, why("sealed_gone"))
            elif self._final_head(folder) != head:
                self._report.add("changed", f"{folder}/{layout.SUMS}", why("sealed_other"))
        for folder in self._drive.class_folders():
            if folder not in heads:
                self._report.add("added", folder, why("class_after_seal"))

    def _final_head(self, folder: str) -> str:
        """Return the hash of a class's final checksum list; "" where it is unreadable (reported with the class)."""
        try:
            return chain.head_of(self._drive.root / folder / layout.SUMS)
        except files.UnfitFileError:
            return ""

    def _check_half_day(self, folder: str, half_day: PurePosixPath) -> list[chain.Closed]:
        path, where = self._drive.root / folder / half_day, f"{folder}/{half_day}"
        closings = chain.closings(self._drive.root / folder, half_day)
        here = chain.contents(path)
        present = set(here.plain)
        self._report_system(here.system, where)
        if not closings:
            self._report_odd(here.odd, where, set())
            if present and not self._drive.is_sealed(folder):
                self._report.unclosed.append(where)
            elif present:
                self._report.add("added", where, why("after_seal"))
            return []
        self._report.half_days += 1
        listed: set[str] = set()
        for closed in closings:
            name = layout.numbered(layout.SUMS, closed.part)
            if closed.sums is None:
                self._report.add("unreadable", f"{where}/{name}", closed.fault or why("no_sums"))
                continue
            self._check_entries(path, where, closed.sums)
            self._check_signature(path / name, f"{where}/{name}")
            listed |= closed.sums.keys()
            # a head counts for the chain of a class only together with the checksum list that it is the hash of
            self._report.heads[closed.head] = f"{where}/{name}"
        own = {layout.numbered(layout.SUMS, closed.part) for closed in closings}
        self._report_odd(here.odd, where, listed | own | {f"{name}.sig" for name in own})
        signatures = [x.path for x in files.entries(path) if x.path.suffix == ".sig" and layout.sums_part(x.path.stem)]
        lone = {x.name for x in signatures if x.stem not in own}
        # files named by an unreadable list must not be reported as added
        unlisted = present - listed if all(closed.sums is not None for closed in closings) else set()
        for name in sorted(unlisted | lone):
            self._report.add("added", f"{where}/{name}", why("unlisted"))
        return closings

    def _report_odd(self, items: Iterable[files.Entry], where: str, named: set[str]) -> None:
        """Report links, pipes and devices, except under `named` names, which are reported as unreadable lists or signatures."""
        for item in items:
            if str(item.path) not in named:
                self._report.add("added", f"{where}/{item.path}", files.told(item.kind))

    def _check_entries(self, path: Path, where: str, entries: Mapping[str, str]) -> None:
        for name, digest in entries.items():
            place = f"{where}/{name}".removeprefix("/")
            try:
                found = self._read_digest(path / name)
            except FileNotFoundError:
                self._report.add("missing", place, why("listed"))
            except OSError as error:
                self._report.add("unreadable", place, error.strerror or "")
            else:
                if found != digest:
                    self._report.add("changed", place, why("sums", found=found, listed=digest))

    def _read_digest(self, path: Path) -> str:
        if files.kind(path) == "link":
            raise FileNotFoundError(path)
        digest = sums.of_file(path, self._count, below=self._drive.root)
        self._report.checked += 1
        return digest

    def _count(self, size: int) -> None:
        self._report.bytes += size
        if self._progress:
            self._progress(size)

    def _check_signature(self, file: Path, where: str) -> None:
        signature = file.with_name(f"{file.name}.sig")
        there = files.kind(signature)
        if not self._public:
            if there:  # a drive without a key has no signatures: the key was removed from drive.json
                self._report.add("signature_bad", f"{where}.sig", why("key_gone"))
        elif not there:
            self._report.add("signature_missing", f"{where}.sig", why("unsigned"))
        else:
            try:
                proof = files.read(signature, files.SIGNATURE)
                good = keys.signed_by(files.read(file, files.LIST), proof, self._public)
            except files.UnfitFileError as error:
                self._report.add("signature_bad", f"{where}.sig", error.strerror or "")
            else:
                if not good:
                    self._report.add("signature_bad", f"{where}.sig", why("bad_signature"))

    def _check_links(self, folder: str, closings: list[chain.Closed]) -> None:
        """Check that each link names the head before; a head on another drive is accepted because it cannot be checked here."""
        before: chain.Closed | None = None
        for closed in closings:
            where = f"{folder}/{closed.folder}/{layout.numbered(layout.CHAIN, closed.part)}"
            link = closed.link
            if link is None:
                self._report.add("chain_broken", where, why("no_link"))
                continue
            key = layout.parse_half_day(closed.folder)
            if (link.class_id, link.date, link.session) != (layout.class_id_of(folder), *(key or ())):
                self._report.add("chain_broken", where, why("other_half_day"))
            here = link.previous_drive == self._drive.drive_id
            first = link.previous == chain.FIRST
            if first != (link.sequence == 1):
                self._report.add("chain_broken", where, why("middle"))
            elif before is not None and before.link and before.link.sequence == link.sequence - 1:
                if link.previous != before.head:
                    self._report.add("chain_broken", where, why("not_next"))
            elif not first and here and link.previous not in self._report.heads:
                self._report.add("chain_broken", where, why("cut_out", number=link.sequence - 1))
            before = closed

    def _check_final(self, folder: str) -> None:
        """Check the final checksum list of a sealed class, which names its documents and the lists of all half-days."""
        path = self._drive.root / folder
        file = path / layout.SUMS
        if files.kind(file):
            self._check_final_sums(folder, file)
        elif files.kind(path / layout.SHEET):
            self._report.add("missing", f"{folder}/{layout.SUMS}", why("seal_gone"))
        for correction in chain.corrected(path):
            self._check_signature(correction, f"{folder}/{layout.CORRECTIONS}/{correction.name}")

    def _check_final_sums(self, folder: str, file: Path) -> None:
        try:
            raw = files.read(file, files.LIST)
            entries = sums.read(raw)
        except files.UnfitFileError as error:
            self._report.add("unreadable", f"{folder}/{file.name}", error.strerror or "")
            return
        except ValueError:
            self._report.add("unreadable", f"{folder}/{file.name}", why("no_sums"))
            return
        self._check_entries(file.parent, folder, entries)
        self._check_signature(file, f"{folder}/{file.name}")
        self._report.heads[sums.of_bytes(raw)] = f"{folder}/{file.name}"
        for item in files.entries(file.parent):
            if item.kind != "folder" and item.name not in entries and item.name not in (file.name, f"{file.name}.sig"):
                self._report_added(file.parent, item, folder, why("unlisted"))

    def _report_loose(self, folder: str) -> None:
        """Report files that no half-day's list can name: beside the half-days, or in a folder of another name."""
        path = self._drive.root / folder
        half_days = set(chain.half_day_folders(path))
        for item, system in system_files.sorted_out(path):
            place = item.path.parent
            if PurePosixPath(*item.path.parts[:2]) in half_days:
                continue
            if system:
                self._report_system([system], folder)
            elif place == PurePosixPath() and item.name in layout.PAPERS:
                self._check_document(item, folder)
            elif item.kind == "folder" and len(item.path.parts) < files.DEPTH:
                continue
            elif not (place == _CORRECTIONS and item.kind == "file" and _is_correction(path / item.path)):
                self._report_added(path, item, folder, why("not_layout"))

    def _check_document(self, item: files.Entry, folder: str) -> None:
        """Report a document that is not a regular file or is larger than its limit."""
        most = files.LABEL if item.name == layout.LABEL else files.ROWS if item.name == layout.RECORD else files.PAPER
        if item.kind != "file":
            self._report.add("unreadable", f"{folder}/{item.path}".removeprefix("/"), files.told(item.kind))
        elif item.bytes > most:
            self._report.add("unreadable", f"{folder}/{item.path}".removeprefix("/"), files.too_large(item.bytes, most))

    def _report_added(self, base: Path, item: files.Entry, where: str, reason: str) -> None:
        """Report an entry that no list names: as a harmless system file, or as an addition."""
        system = system_files.of(base, item)
        if system:
            self._report_system([system], where)
        else:
            detail = reason if item.kind in ("file", "folder") else files.told(item.kind)
            self._report.add("added", f"{where}/{item.path}".removeprefix("/"), detail)

    def _report_system(self, items: Iterable[system_files.SystemItem], where: str) -> None:
        for item in items:
            if item.worth_reporting:
                self._report.add(HARMLESS, f"{where}/{item.path}".removeprefix("/"), item.detail())


def _is_correction(path: Path) -> bool:
    """Return whether this is a file of revised figures, or the signature of one that exists."""
    if path.suffix == ".sig":
        return layout.is_correction(path.stem) and files.kind(path.with_suffix("")) is not None
    return layout.is_correction(path.name)
