"""Closes half-days (record, checksums, signature, chain) and keeps the journal and the documents up to date meanwhile.

Every step can be repeated: the state of the drive decides what is left to do, so a kill between two steps loses nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath

from agent import i18n
from agent.catalog import Catalog
from agent.catalog.drives import ChainLink
from agent.catalog.outbox import IDLE_JOURNAL
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import Clock
from agent.core.model import Session
from agent.core.periodic import ErrorLog, run_every
from agent.core.schedule import RECORDING_MARGIN, list_placements
from agent.drive import chain, class_gaps, closing, files, layout, stated_papers
from agent.drive.corrections import write_correction
from agent.drive.documents import class_view
from agent.drive.identity import Drive, to_drive_error
from agent.drive.journal_writer import ClassHalfDay, Journal
from agent.drive.witness_files import write_waiting_witnesses

log = logging.getLogger(__name__)
_BATCH_S = 60.0


@dataclass(frozen=True, slots=True)
class CloserOptions:
    """Configuration of the closer.

    `key_dir` holds the box's key (None: checksum lists stay unsigned). Intervals in seconds: `journal_s` between flushes of
    the journal (the most that a lost database may cost), `interval_s` between searches for half-days to close, `papers_s`
    between updates of the documents of a class.
    """

    key_dir: Path | None = None
    journal_s: float = 5.0
    interval_s: float = 20.0
    papers_s: float = 600.0


class HalfDayCloser:
    """Closes half-days that are over.

    `drives` returns the attached and writable drives, the one in use first; `classes` the classes of the catalog.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        classes: Callable[[], list[TrainingClass]],
        drives: Callable[[], list[Drive]],
        options: CloserOptions | None = None,
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes
        self._drives = drives
        self._options = options or CloserOptions()
        self._journal = Journal(catalog, clock, catalog.zone)
        self._documents_written_at: dict[tuple[str, str], float] = {}
        self._changed_at: dict[str, float] = {}
        # closed and complete, as seen by this run: checked again only when its video changes
        self._complete: set[tuple[str, str, PurePosixPath]] = set()
        self._scanned: set[tuple[str, str]] = set()
        self._due = 0.0
        self._batch_due = 0.0
        self._waiting = 0
        self._is_refused = False

    def run(self, stop: threading.Event) -> None:
        self._due = self._clock.monotonic()
        errors = ErrorLog(log, i18n.translate("drive.closing_failed"))
        run_every(self._clock, stop, self._options.journal_s, self._run_due, errors=errors)
        # the last seconds' rows reach the drive before it may be unplugged
        self._batch_due = 0.0
        with errors:
            self._flush(last=True)

    def _run_due(self) -> None:
        """Close half-days once an interval; in between bring the journal to the drive."""
        if self._clock.monotonic() < self._due:
            self._flush()
            return
        self._due = self._clock.monotonic() + self._options.interval_s
        self.run_once()

    def _list_drives(self) -> list[Drive]:
        """Return the drives; where none takes a journal, let statements leave without waiting for one."""
        drives, facts = self._drives(), self._catalog.facts
        idle = not drives or drives[0].is_sealed() or self._is_refused
        if idle != (facts.get(IDLE_JOURNAL) is not None):
            if idle:
                facts.put(IDLE_JOURNAL, "yes")
            else:
                facts.forget(IDLE_JOURNAL)
        return drives

    def _flush(self, *, last: bool = False) -> None:
        self._state_batches()
        for drive in (drive for drive in self._list_drives()[:1] if not drive.is_sealed()):
            drive.check()
            self._mark_changed(self._write_journal(drive))
            if last:
                self._journal.state(drive)
                self._journal.flush(drive)

    def _write_journal(self, drive: Drive) -> Iterable[ClassHalfDay]:
        """Bring the journal to the drive. Raises DriveError; no statement waits for it then, as the alert about it is one."""
        was_refused, self._is_refused = self._is_refused, True
        try:
            changed = self._journal.flush(drive)
            self._is_refused = False
            return changed
        finally:
            if was_refused != self._is_refused:
                self._list_drives()

    def _sync(self, drive: Drive) -> None:
        self._mark_changed(self._journal.sync(drive))

    def _state_batches(self) -> None:
        """State the looks of the last minute, and segments as soon as no more of them come.

        All cameras end a segment at one time, and a statement for each would cost twice as much.
        """
        waiting, before = self._catalog.segments.count_waiting(), self._waiting
        if self._clock.monotonic() >= self._batch_due:
            self._batch_due = self._clock.monotonic() + _BATCH_S
            self._catalog.state_batches(self._clock.now())
        elif waiting == before:
            self._catalog.segments.state(self._clock.now())
        self._waiting = waiting

    def run_once(self) -> list[ChainLink]:
        """Do everything that is due; return the half-days closed. Raises DriveError, CatalogError."""
        classes, done = self._classes(), list[ChainLink]()
        self._state_batches()
        for number, drive in enumerate(self._list_drives()):
            if drive.is_sealed():
                continue
            drive.check()
            before = len(done)
            if number == 0:
                self._mark_changed(self._write_journal(drive))
            for folder in drive.class_folders():
                done += self._update_class(drive, folder, classes)
            write_waiting_witnesses(self._catalog, drive)
            if number == 0 and len(done) > before:
                self._journal.flush(drive)
        return done

    def _mark_changed(self, changed: Iterable[ClassHalfDay]) -> None:
        """Mark half-days with new video or figures, so that they are checked again and their documents are updated."""
        for class_id, day, session in changed:
            self._changed_at[class_id] = self._clock.monotonic()
            half_day = layout.build_half_day_folder(day, session)
            self._complete = {x for x in self._complete if (layout.parse_class_id(x[1]), x[2]) != (class_id, half_day)}
            self._scanned = {x for x in self._scanned if layout.parse_class_id(x[1]) != class_id}

    def _update_class(self, drive: Drive, folder: str, classes: Sequence[TrainingClass]) -> list[ChainLink]:
        class_id = layout.parse_class_id(folder)
        cls = find_class(classes, class_id)
        if (drive.drive_id, folder) in self._scanned and not (
            cls and (self._is_near(cls) or self._is_stale(drive, cls))
        ):
            return []
        try:
            closed = self._close_all(drive, folder, cls, classes)
        except OSError as error:
            raise to_drive_error(error, drive.root) from error
        if cls and (closed or self._documents_due(drive, cls)):
            self._documents_written_at[(drive.drive_id, class_id)] = self._clock.monotonic()
            if not drive.is_sealed(folder):
                view = self._gather_view(drive, cls, classes)
                stated_papers.write_stated_documents(self._catalog, drive, view, self._sync)
        return closed

    def _close_all(
        self, drive: Drive, folder: str, cls: TrainingClass | None, classes: Sequence[TrainingClass]
    ) -> list[ChainLink]:
        """Close the half-days of one class that are over. Raises OSError, DriveError."""
        path, key = drive.root / folder, (drive.drive_id, folder)
        if drive.is_sealed(folder):
            if cls:
                write_correction(self._catalog, drive, folder, self._clock.now(), self._options.key_dir)
            self._scanned.add(key)
            return []
        if key not in self._scanned:
            self._reconcile(drive, folder)
        closed = []
        left = [part for part in chain.list_half_day_folders(path) if (*key, part) not in self._complete]
        for part in left:
            if self._is_over(layout.parse_class_id(folder), part, classes):
                if closing.list_waiting_files(path, part):
                    closed.append(self._close(drive, folder, part, classes))
                self._complete.add((*key, part))
        if all((*key, part) in self._complete for part in left):
            self._scanned.add(key)
        return closed

    def _is_near(self, cls: TrainingClass) -> bool:
        """Return whether today is between the day before the class and a week after it."""
        today = self._clock.now().astimezone(self._catalog.zone).date()
        days = [lesson.date for lesson in cls.lessons] or [cls.first_day, cls.last_day]
        return min(days) - timedelta(days=1) <= today <= max(days) + timedelta(days=7)

    def _gather_view(self, drive: Drive, cls: TrainingClass, classes: Sequence[TrainingClass]) -> class_view.ClassView:
        return class_view.gather_class_view(self._catalog, drive, cls, classes, self._clock.now())

    def _documents_due(self, drive: Drive, cls: TrainingClass) -> bool:
        """Return whether the documents of a class are to be written again.

        Around the days of the class every `papers_s`, so that a drive unplugged in mid-class has fresh documents; later only
        after a change.
        """
        last = self._documents_written_at.get((drive.drive_id, cls.class_id), float("-inf"))
        if self._clock.monotonic() - last < self._options.papers_s:
            return False
        return self._is_near(cls) or self._is_stale(drive, cls)

    def _is_stale(self, drive: Drive, cls: TrainingClass) -> bool:
        """Return whether something changed since the documents of the class were written."""
        never = float("-inf")
        made = self._documents_written_at.get((drive.drive_id, cls.class_id), never)
        return self._changed_at.get(cls.class_id, never) > made

    def _is_over(self, class_id: str, folder: PurePosixPath, classes: Sequence[TrainingClass]) -> bool:
        """Return whether a half-day is over: the plan with its margin is past, and no segment is open."""
        key = layout.parse_half_day(folder)
        assert key is not None
        if any((s.class_id, s.date, s.session) == (class_id, *key) for s in self._catalog.segments.opened()):
            return False
        end = self._planned_end(class_id, key, classes)
        if end is None:
            segments = self._catalog.segments.of_class(class_id, *key)
            end = max((s.end for s in segments if s.end), default=datetime.min.replace(tzinfo=self._catalog.zone))
            # video without a plan (bench, recording.always): it is over a margin after its last segment
            end = end + RECORDING_MARGIN if segments else end
        return self._clock.now() >= end

    def _planned_end(
        self, class_id: str, key: tuple[date, Session], classes: Sequence[TrainingClass]
    ) -> datetime | None:
        cls = find_class(classes, class_id)
        cameras = {camera for room in cls.rooms for camera in room.cameras} if cls else set()
        return max(
            (
                p.end
                for c in cameras
                for p in list_placements(classes, c)
                if (p.class_id, p.date, p.session) == (class_id, *key)
            ),
            default=None,
        )

    def _reconcile(self, drive: Drive, folder: str) -> None:
        """Add closings to the catalog that a killed run wrote to the drive but not to the catalog."""
        known = {(x.date, x.session): x.sequence for x in self._catalog.chain.of_class(layout.parse_class_id(folder))}
        for closed in chain.list_all_closings(drive.root / folder):
            if closed.link and known.get((closed.link.date, closed.link.session), 0) < closed.link.sequence:
                closing.record_link(self._catalog, drive, closed.link, closed.head, self._clock.now())

    def _close(self, drive: Drive, folder: str, half_day: PurePosixPath, classes: Sequence[TrainingClass]) -> ChainLink:
        key = layout.parse_half_day(half_day)
        assert key is not None
        class_id, now = layout.parse_class_id(folder), self._clock.now()
        self._catalog.state_batches(now)
        gaps = class_gaps.find_class_gaps(self._catalog, classes, class_id, now, *key)
        stated_papers.state_gaps(self._catalog, class_id, *key, gaps, now)
        self._mark_changed(self._journal.complete(drive))
        last = self._catalog.chain.last(class_id)
        known = {
            s.path: s.sha256
            for s in self._catalog.segments.of_class(class_id, *key)
            if s.drive_id == drive.drive_id and s.sha256
        }
        link, head = closing.close_half_day(
            drive,
            folder,
            half_day,
            rows=self._catalog.changes.of_half_day(class_id, *key, drive.drive_id),
            before=(last.sequence, last.head, last.drive_id) if last else None,
            known=known,
            key_dir=self._options.key_dir,
            position=self._catalog.statements.current(),
        )
        for item in chain.scan_half_day(drive.root / folder / half_day).odd:
            path = files.escape_for_log(f"{folder}/{half_day}/{item.path}")
            log.warning("%s", i18n.translate("drive.left_out", path=path, detail=files.describe_kind(item.kind)))
        return closing.record_link(self._catalog, drive, link, head, self._clock.now())
