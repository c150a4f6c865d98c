"""Seals a class or the whole drive for hand-over: final checksums, signature, label, read-only mark, 移交单 and sticker.

Nothing is written to a sealed class. Figures revised later go to a new signed file in 更正/ (`closer.correct`).
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from agent import i18n
from agent.catalog import Catalog
from agent.catalog.changes import RowChange
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import Clock
from agent.core.errors import InputError
from agent.core.model import Session
from agent.drive import chain, closing, durable, files, journal, keys, layout, stated_papers, sums, system_files
from agent.drive.documents import class_view, handover
from agent.drive.drive_log import read_drive_log
from agent.drive.identity import DEFAULT_ZONE, Drive, build_seal_path, to_drive_error
from agent.drive.journal_writer import Journal
from agent.drive.label import encode_text_file, to_one_line
from agent.drive.papers_check import check_papers
from agent.drive.report import VerifyReport


@dataclass(frozen=True, slots=True)
class SealedClass:
    """Result of sealing a class.

    `head` is the SHA-256 of the final SHA256SUMS of the class folder. `left_out` are (path on the drive, kind) of everything
    in the folder that is neither in a checksum list nor a document: `drive verify` will report it as added.
    """

    class_id: str
    folder: str
    head: str
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals classes on one drive.

    `catalog` is None and `classes` empty where the drive is sealed away from its box; half-days still open are then closed
    from their files alone. `to` is the recipient of the drive ("" where there is none yet).
    """

    drive: Drive
    clock: Clock
    catalog: Catalog | None = None
    classes: Sequence[TrainingClass] = ()
    key_dir: Path | None = None
    to: str = ""

    def one_class(self, class_id: str) -> SealedClass:
        """Seal one class. Raises InputError where the class is unknown, sealed already or not over; DriveError."""
        folder = self.drive.find_class(class_id)
        if folder is None:
            raise InputError("drive.no_class", class_id=class_id[:64], root=self.drive.root)
        if self.drive.is_sealed(folder):
            raise InputError("drive.sealed_already", name=folder, root=self.drive.root)
        self._check_ready([folder], plan_too=True)
        self._settle_deliveries(class_id)
        return self._seal_class(folder)

    def whole(self) -> list[SealedClass]:
        """Seal every class that is not sealed yet, then the drive itself. A class may go on, on another drive."""
        if self.drive.is_sealed():
            raise InputError("drive.sealed_already", name=self.drive.drive_id, root=self.drive.root)
        folders = [f for f in self.drive.class_folders() if not self.drive.is_sealed(f)]
        self._check_ready(folders, plan_too=False)
        self._settle_deliveries()
        done = [self._seal_class(folder) for folder in folders]
        now = self.clock.now()
        if self.catalog:
            Journal(self.catalog, self.clock, self.catalog.zone).complete(self.drive)
        try:
            heads = {f: chain.compute_head(self.drive.root / f / layout.SUMS) for f in self.drive.class_folders()}
            published = {f: self._last_head(f) for f in heads}
            page = handover.build_handover_page(self.drive, published, now, self._zone(), self.to)
            durable.write_file(self.drive.root / layout.HANDOVER, page)
            durable.write_file(self.drive.root / layout.LABEL, self._sealed_label(now))
            papers = {name: chain.compute_head(self.drive.root / name) for name in (layout.LABEL, layout.HANDOVER)}
            mark = {"sealed": clocks.format_utc(now), "to": self.to, "heads": heads, "papers": papers}
            data, file = json.dumps(mark, ensure_ascii=False, indent=1).encode(), build_seal_path(self.drive.root)
            key = closing.find_signing_key(self.drive, self.key_dir)
            if key:
                durable.write_file(file.with_name(f"{file.name}.sig"), keys.sign_bytes(data, key))
            durable.write_file(file, data)
        except OSError as error:
            raise to_drive_error(error, self.drive.root) from error
        self._update_catalog(now)
        return done

    def _settle_deliveries(self, class_id: str | None = None) -> None:
        """Settle pending video deliveries, so that their audit entries are part of the sealed record."""
        if self.catalog is not None:
            self.catalog.deliveries.settle(self.clock.now(), class_id)

    def _last_head(self, folder: str) -> str:
        """Return the newest head of a class on this drive, which was reported to the bureau; "" where there is none."""
        closings = [c for c in chain.list_all_closings(self.drive.root / folder) if c.link]
        return closings[-1].head if closings else ""

    def _sealed_label(self, now: datetime) -> bytes:
        """Return the label of the drive with a line for the seal."""
        try:
            raw = files.read_small_file(self.drive.root / layout.LABEL, files.MAX_LABEL)
        except (FileNotFoundError, files.UnfitFileError):
            raw = self.drive.label_file()
        text = raw.decode("utf-8-sig", "replace")
        when = f"{now.astimezone(self._zone()):%Y-%m-%d %H:%M}"
        return encode_text_file(
            [*text.splitlines(), f"{i18n.translate_to('zh', 'papers.sealed')}：{when} {to_one_line(self.to)}".strip()]
        )

    def _zone(self) -> ZoneInfo:
        return self.catalog.zone if self.catalog else DEFAULT_ZONE

    def _check_ready(self, folders: Iterable[str], *, plan_too: bool) -> None:
        """Check that no segment is open and all figures are final. Raises InputError."""
        if self.catalog is None:
            return
        ids = {layout.parse_class_id(folder) for folder in folders}
        busy = next((s for s in self.catalog.segments.opened() if s.class_id in ids), None)
        if busy and busy.drive_id == self.drive.drive_id:
            raise InputError("drive.seal_busy", class_id=busy.class_id, camera_id=busy.camera_id)
        now = self.clock.now()
        for cls in (c for c in self.classes if plan_too and c.class_id in ids):
            if any(lesson.end > now for lesson in cls.lessons if not lesson.cancelled):
                raise InputError("drive.seal_early", class_id=cls.class_id)
        for class_id in sorted(ids):
            row = next((a for a in self.catalog.attendance.of_class(class_id) if a["status"] == "provisional"), None)
            if row:
                named = Session(str(row["session"])).folder
                raise InputError("drive.seal_provisional", class_id=class_id, date=row["date"], session=named)

    def _seal_class(self, folder: str) -> SealedClass:
        class_id, path, now = layout.parse_class_id(folder), self.drive.root / folder, self.clock.now()
        try:
            self._close_open_half_days(folder)
            # create the folder for later corrections now: the class folder becomes read-only
            self.drive.make_folder(f"{folder}/{layout.CORRECTIONS}")
            self._write_documents(folder, now)
            self._check_documents(folder)
            page = handover.build_handover_page(
                self.drive, {folder: self._last_head(folder)}, now, self._zone(), self.to
            )
            durable.write_file(path / layout.HANDOVER, page)
            entries = {name: sums.hash_file(path / name, below=path) for name in _list_final_names(path)}
            odd = [(f"{folder}/{where}", kind) for where, kind in _list_left_out(path)]
            head = chain.write_sums(path, layout.SUMS, entries, closing.find_signing_key(self.drive, self.key_dir))
            mark_read_only(path)
        except OSError as error:
            raise to_drive_error(error, self.drive.root) from error
        if self.catalog:
            self.catalog.audit.add(now, "drive", "seal", class_id, {"drive_id": self.drive.drive_id, "head": head})
        return SealedClass(class_id, folder, head, tuple(odd))

    def _close_open_half_days(self, folder: str) -> None:
        path, class_id = self.drive.root / folder, layout.parse_class_id(folder)
        for half_day in chain.list_half_day_folders(path):
            if not closing.list_waiting_files(path, half_day):
                continue
            key = layout.parse_half_day(half_day)
            assert key is not None
            last = next((c for c in reversed(chain.list_all_closings(path)) if c.link), None)
            before = (last.link.sequence, last.head, self.drive.drive_id) if last and last.link else None
            known: dict[str, str] = {}
            rows: list[RowChange] = []
            if self.catalog:
                row = self.catalog.chain.last(class_id)
                before = (row.sequence, row.head, row.drive_id) if row else before
                self.catalog.state_batches(self.clock.now())
                Journal(self.catalog, self.clock, self.catalog.zone).complete(self.drive)
                rows = self.catalog.changes.of_half_day(class_id, *key, self.drive.drive_id)
                known = {s.path: s.sha256 or "" for s in self.catalog.segments.of_class(class_id, *key)}
            link, head = closing.close_half_day(
                self.drive,
                folder,
                half_day,
                rows=rows,
                before=before,
                known=known,
                key_dir=self.key_dir,
                position=self.catalog.statements.current() if self.catalog else None,
            )
            if self.catalog:
                closing.record_link(self.catalog, self.drive, link, head, self.clock.now())

    def _write_documents(self, folder: str, now: datetime) -> None:
        """Write the final documents from the catalog; without a catalog those on the drive stay as they are."""
        class_id = layout.parse_class_id(folder)
        cls = find_class(self.classes, class_id)
        if self.catalog is None or cls is None:
            return
        seen = class_view.gather_class_view(self.catalog, self.drive, cls, self.classes, now)
        stated_papers.write_stated_documents(
            self.catalog,
            self.drive,
            class_view.mark_sealed(seen),
            Journal(self.catalog, self.clock, self.catalog.zone).complete,
        )
        durable.write_file(
            self.drive.root / folder / layout.RECORD, journal.format_rows(self.catalog.changes.of_class(class_id))
        )

    def _check_documents(self, folder: str) -> None:
        """Refuse documents that disagree with the records: a seal would sign them. Raises InputError, OSError."""
        report = VerifyReport()
        log = read_drive_log(self.drive.root, [folder])
        check_papers(self.drive, report, log, folder)
        for problem in report.faults():
            raise InputError("drive.seal_papers", path=problem.path, detail=problem.detail)

    def _update_catalog(self, now: datetime) -> None:
        """Store in the catalog that the drive is sealed or handed over, with time and recipient."""
        if self.catalog is None or self.catalog.drives.get(self.drive.drive_id) is None:
            return
        given = {"handed_over_at": now, "handed_over_to": self.to} if self.to else {}
        self.catalog.drives.set(self.drive.drive_id, state="handed_over" if self.to else "sealed", **given)


def _list_final_names(path: Path) -> list[str]:
    """List the documents and every half-day's checksum list: so the final list covers every byte of the class."""
    own = layout.CLASS_DOCUMENTS - {layout.SUMS, f"{layout.SUMS}.sig"}
    top = [x.name for x in files.list_entries(path) if x.kind == "file" and x.name in own]
    inner = [
        f"{closed.folder}/{layout.add_part_number(layout.SUMS, closed.part)}"
        for closed in chain.list_all_closings(path)
    ]
    return [*top, *inner]


def _list_left_out(path: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield (path, kind) of entries that are not regular files, could not be listed or do not belong to the layout."""
    closed = chain.list_all_closings(path)
    half_days = set(chain.list_half_day_folders(path))
    named = {f"{x.folder}/{name}" for x in closed for name in x.sums or ()}
    ends = ("", ".sig", layout.WITNESS, f"{layout.WITNESS}.sig")
    named |= {f"{x.folder}/{layout.add_part_number(layout.SUMS, x.part)}{end}" for x in closed for end in ends}
    named |= {*layout.CLASS_DOCUMENTS, *(str(x.relative_to(path)) for x in chain.list_corrections(path))}
    for entry, system in system_files.walk_classified(path):
        inner = entry.path.parts
        correction = inner[0] == layout.CORRECTIONS and entry.path.suffix == ".sig"
        if system or correction or str(entry.path) in named or entry.kind == "folder":
            continue
        listed = "unlisted" if PurePosixPath(*inner[:2]) in half_days else "foreign"
        yield entry.path, listed if entry.kind == "file" else entry.kind


def mark_read_only(path: Path) -> None:
    """Remove write permission from everything below except 更正/. Raises OSError.

    File systems without permissions (exFAT) refuse, which is ignored: the mark only prevents accidents, the checksums are
    the proof.
    """
    write = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    for entry in reversed(list(files.walk(path))):
        if layout.CORRECTIONS in entry.path.parts or entry.kind not in ("file", "folder"):
            continue
        with suppress(PermissionError, NotImplementedError):
            item = path / entry.path
            item.chmod(item.lstat().st_mode & ~write)
