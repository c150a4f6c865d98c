"""Verifies the classes of one drive: checksum lists, signatures, chain links, and files that no list names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from agent.drive import chain, files, journal, keys, layout, sums, system_files
from agent.drive.adoption import ADOPTIONS, KeyRing, is_record_name
from agent.drive.identity import OWN_FILES, Drive, build_seal_path
from agent.drive.report import HARMLESS, VerifyReport, describe_problem

_SEALED_DOCUMENTS = (layout.LABEL, layout.HANDOVER)
_CORRECTIONS = PurePosixPath(layout.CORRECTIONS)
_OWN_FOLDERS = {
    journal.JOURNAL_FOLDER: journal.is_journal_name,
    layout.BACKUPS: layout.is_backup_name,
    ADOPTIONS: is_record_name,
}


class Checker:
    """Checks one drive and adds what it finds to `report`.

    `ring` has the public key that must have signed a file; `progress` is called with the number of bytes read.
    """

    def __init__(
        self, drive: Drive, report: VerifyReport, ring: KeyRing, progress: Callable[[int], None] | None
    ) -> None:
        self._drive = drive
        self._report = report
        self._ring = ring
        self._progress = progress

    def check_class(self, folder: str) -> None:
        """Check one class folder: half-days, chain, final checksum list and files that no list names."""
        path = self._drive.root / folder
        closings: list[chain.HalfDayClosing] = []
        for half_day in chain.list_half_day_folders(path):
            try:
                closings += self._check_half_day(folder, half_day)
            except OSError as error:
                self._report.add("unreadable", f"{folder}/{half_day}", error.strerror or "")
        self._check_links(folder, chain.sort_by_sequence(closings))
        self._check_final(folder)
        self._report_loose(folder)

    def check_root(self) -> None:
        """Report entries in the root that neither belong to the agent nor were kept when the drive was initialised."""
        own = {layout.SYSTEM, *self._drive.kept, *self._drive.class_folders()}
        root = self._drive.root
        for item in files.list_entries(root):
            if item.name in (layout.LABEL, layout.HANDOVER):
                self._check_document(item, "")
            elif item.name not in own:
                self._report_added(root, item, "", describe_problem("not_layout"))
        folder = root / layout.SYSTEM
        for item in files.list_entries(folder):
            partial = item.name.endswith(".part") and item.kind == "file"
            if not partial and OWN_FILES.get(item.name) != item.kind:
                self._report_added(folder, item, layout.SYSTEM, describe_problem("not_layout"))
            elif item.kind == "file" and item.bytes > files.MAX_SEAL:
                self._report.add(
                    "unreadable", f"{layout.SYSTEM}/{item.path}", files.describe_too_large(item.bytes, files.MAX_SEAL)
                )
        for name, is_own in _OWN_FOLDERS.items():
            folder = root / name
            for item in files.list_entries(folder) if files.classify_path(folder) == "folder" else ():
                if not is_own(item.name):
                    self._report_added(folder, item, name, describe_problem("not_layout"))
        if files.classify_path(root / layout.HANDOVER) and not files.classify_path(build_seal_path(root)):
            self._report.add("missing", self._drive.relative(build_seal_path(root)), describe_problem("seal_gone"))

    def check_drive_seal(self) -> None:
        """Check the seal of the whole drive, which names every class that it held."""
        file = build_seal_path(self._drive.root)
        where = self._drive.relative(file)
        self._check_signature(file, where)
        try:
            body = json.loads(files.read_small_file(file, files.MAX_SEAL))
            heads, papers = dict(body["heads"]), dict(body.get("papers", {}))
        except files.UnfitFileError as error:
            self._report.add("unreadable", where, error.strerror or "")
            return
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._report.add("unreadable", where, describe_problem("no_seal"))
            return
        self._check_entries(self._drive.root, "", {name: papers[name] for name in _SEALED_DOCUMENTS if name in papers})
        for folder, head in heads.items():
            if folder not in self._drive.class_folders():
                self._report.add("missing", folder, describe_problem("sealed_gone"))
            elif self._final_head(folder) != head:
                self._report.add("changed", f"{folder}/{layout.SUMS}", describe_problem("sealed_other"))
        for folder in self._drive.class_folders():
            if folder not in heads:
                self._report.add("added", folder, describe_problem("class_after_seal"))

    def _final_head(self, folder: str) -> str:
        """Return the hash of a class's final checksum list; "" where it is unreadable (reported with the class)."""
        try:
            return chain.compute_head(self._drive.root / folder / layout.SUMS)
        except files.UnfitFileError:
            return ""

    def _check_half_day(self, folder: str, half_day: PurePosixPath) -> list[chain.HalfDayClosing]:
        path, where = self._drive.root / folder / half_day, f"{folder}/{half_day}"
        closings = chain.list_closings(self._drive.root / folder, half_day)
        here = chain.scan_half_day(path)
        present = set(here.plain)
        self._report_system(here.system, where)
        if not closings:
            self._report_odd(here.odd, where, set())
            if present and not self._drive.is_sealed(folder):
                self._report.unclosed.append(where)
            elif present:
                self._report.add("added", where, describe_problem("after_seal"))
            return []
        self._report.half_days += 1
        listed: set[str] = set()
        for closed in closings:
            name = layout.add_part_number(layout.SUMS, closed.part)
            if closed.sums is None:
                self._report.add("unreadable", f"{where}/{name}", closed.fault or describe_problem("no_sums"))
                continue
            self._check_entries(path, where, closed.sums)
            self._check_signature(path / name, f"{where}/{name}")
            listed |= closed.sums.keys()
            # a head counts for the chain of a class only together with the checksum list that it is the hash of
            self._report.heads[closed.head] = f"{where}/{name}"
        own = {layout.add_part_number(layout.SUMS, closed.part) for closed in closings}
        own |= {layout.build_witness_name(closed.part) for closed in closings}
        self._report_odd(here.odd, where, listed | own | {f"{name}.sig" for name in own})
        signatures = [
            x.path
            for x in files.list_entries(path)
            if x.path.suffix in (".sig", layout.WITNESS) and layout.is_proof(x.name)
        ]
        lone = {x.name for x in signatures if x.name.removesuffix(".sig") not in own}
        # files named by an unreadable list must not be reported as added
        unlisted = present - listed if all(closed.sums is not None for closed in closings) else set()
        for name in sorted(unlisted | lone):
            self._report.add("added", f"{where}/{name}", describe_problem("unlisted"))
        return closings

    def _report_odd(self, items: Iterable[files.FolderEntry], where: str, named: set[str]) -> None:
        """Report links, pipes and devices, except under `named` names, which are reported as unreadable lists or signatures."""
        for item in items:
            if str(item.path) not in named:
                self._report.add("added", f"{where}/{item.path}", files.describe_kind(item.kind))

    def _check_entries(self, path: Path, where: str, entries: Mapping[str, str]) -> None:
        for name, digest in entries.items():
            place = f"{where}/{name}".removeprefix("/")
            try:
                found = self._read_digest(path / name)
            except FileNotFoundError:
                self._report.add("missing", place, describe_problem("listed"))
            except OSError as error:
                self._report.add("unreadable", place, error.strerror or "")
            else:
                if found != digest:
                    self._report.add("changed", place, describe_problem("sums", found=found, listed=digest))

    def _read_digest(self, path: Path) -> str:
        if files.classify_path(path) == "link":
            raise FileNotFoundError(path)
        digest = sums.hash_file(path, self._count, below=self._drive.root)
        self._report.checked += 1
        return digest

    def _count(self, size: int) -> None:
        self._report.bytes += size
        if self._progress:
            self._progress(size)

    def _check_signature(self, file: Path, where: str) -> None:
        signature = file.with_name(f"{file.name}.sig")
        there, public = files.classify_path(signature), self._ring.find(where)
        if not public:
            if there:  # a drive without a key has no signatures: the key was removed from drive.json
                self._report.add("signature_bad", f"{where}.sig", describe_problem("key_gone"))
        elif not there:
            self._report.add("signature_missing", f"{where}.sig", describe_problem("unsigned"))
        else:
            try:
                proof = files.read_small_file(signature, files.MAX_SIGNATURE)
                good = keys.verify_signature(files.read_small_file(file, files.MAX_LIST), proof, public)
            except files.UnfitFileError as error:
                self._report.add("signature_bad", f"{where}.sig", error.strerror or "")
            else:
                if not good:
                    self._report.add("signature_bad", f"{where}.sig", describe_problem("bad_signature"))

    def _check_links(self, folder: str, closings: list[chain.HalfDayClosing]) -> None:
        """Check that each link names the head before; a head on another drive is accepted because it cannot be checked here."""
        before: chain.HalfDayClosing | None = None
        for closed in closings:
            where = f"{folder}/{closed.folder}/{layout.add_part_number(layout.CHAIN, closed.part)}"
            link = closed.link
            if link is None:
                self._report.add("chain_broken", where, describe_problem("no_link"))
                continue
            key = layout.parse_half_day(closed.folder)
            if (link.class_id, link.date, link.session) != (layout.parse_class_id(folder), *(key or ())):
                self._report.add("chain_broken", where, describe_problem("other_half_day"))
            here = link.previous_drive == self._drive.drive_id
            first = link.previous == chain.NO_PREVIOUS
            if first != (link.sequence == 1):
                self._report.add("chain_broken", where, describe_problem("middle"))
            elif before is not None and before.link and before.link.sequence == link.sequence - 1:
                if link.previous != before.head:
                    self._report.add("chain_broken", where, describe_problem("not_next"))
            elif not first and here and link.previous not in self._report.heads:
                self._report.add("chain_broken", where, describe_problem("cut_out", number=link.sequence - 1))
            before = closed

    def _check_final(self, folder: str) -> None:
        """Check the final checksum list of a sealed class, which names its documents and the lists of all half-days."""
        path = self._drive.root / folder
        file = path / layout.SUMS
        if files.classify_path(file):
            self._check_final_sums(folder, file)
        elif files.classify_path(path / layout.HANDOVER):
            self._report.add("missing", f"{folder}/{layout.SUMS}", describe_problem("seal_gone"))
        for correction in chain.list_corrections(path):
            self._check_signature(correction, f"{folder}/{layout.CORRECTIONS}/{correction.name}")

    def _check_final_sums(self, folder: str, file: Path) -> None:
        try:
            raw = files.read_small_file(file, files.MAX_LIST)
            entries = sums.parse_sums(raw)
        except files.UnfitFileError as error:
            self._report.add("unreadable", f"{folder}/{file.name}", error.strerror or "")
            return
        except ValueError:
            self._report.add("unreadable", f"{folder}/{file.name}", describe_problem("no_sums"))
            return
        self._check_entries(file.parent, folder, entries)
        self._check_signature(file, f"{folder}/{file.name}")
        self._report.heads[sums.hash_bytes(raw)] = f"{folder}/{file.name}"
        for item in files.list_entries(file.parent):
            if item.kind != "folder" and item.name not in entries and item.name not in (file.name, f"{file.name}.sig"):
                self._report_added(file.parent, item, folder, describe_problem("unlisted"))

    def _report_loose(self, folder: str) -> None:
        """Report files that no half-day's list can name: beside the half-days, or in a folder of another name."""
        path = self._drive.root / folder
        half_days = set(chain.list_half_day_folders(path))
        for item, system in system_files.walk_classified(path):
            place = item.path.parent
            if PurePosixPath(*item.path.parts[:2]) in half_days:
                continue
            if system:
                self._report_system([system], folder)
            elif place == PurePosixPath() and item.name in layout.CLASS_DOCUMENTS:
                self._check_document(item, folder)
            elif item.kind == "folder" and len(item.path.parts) < files.MAX_DEPTH:
                continue
            elif not (place == _CORRECTIONS and item.kind == "file" and _is_correction(path / item.path)):
                self._report_added(path, item, folder, describe_problem("not_layout"))

    def _check_document(self, item: files.FolderEntry, folder: str) -> None:
        """Report a document that is not a regular file or is larger than its limit."""
        most = (
            files.MAX_LABEL
            if item.name == layout.LABEL
            else files.MAX_ROWS
            if item.name == layout.RECORD
            else files.MAX_DOCUMENT
        )
        if item.kind != "file":
            self._report.add("unreadable", f"{folder}/{item.path}".removeprefix("/"), files.describe_kind(item.kind))
        elif item.bytes > most:
            self._report.add(
                "unreadable", f"{folder}/{item.path}".removeprefix("/"), files.describe_too_large(item.bytes, most)
            )

    def _report_added(self, base: Path, item: files.FolderEntry, where: str, reason: str) -> None:
        """Report an entry that no list names: as a harmless system file, or as an addition."""
        system = system_files.identify_system_file(base, item)
        if system:
            self._report_system([system], where)
        else:
            detail = reason if item.kind in ("file", "folder") else files.describe_kind(item.kind)
            self._report.add("added", f"{where}/{item.path}".removeprefix("/"), detail)

    def _report_system(self, items: Iterable[system_files.SystemItem], where: str) -> None:
        for item in items:
            if item.worth_reporting:
                self._report.add(HARMLESS, f"{where}/{item.path}".removeprefix("/"), item.detail())


def _is_correction(path: Path) -> bool:
    """Return whether this is a file of revised figures, or the signature of one that exists."""
    if path.suffix == ".sig":
        return layout.is_correction(path.stem) and files.classify_path(path.with_suffix("")) is not None
    return layout.is_correction(path.name)
