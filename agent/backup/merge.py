"""Brings a catalog from a backup up to what its drives know since, and decides how the statement log goes on."""

from __future__ import annotations

from dataclasses import dataclass

from agent.catalog import Catalog
from agent.core.clock import Clock
from agent.core.statement_model import LogPosition
from agent.drive import Drive, rebuild

_ALL = 1 << 40


@dataclass(frozen=True, slots=True)
class MergeReport:
    """`rows` came from the drives, `taken` statements among them; `continued`: the same log goes on."""

    rows: int
    taken: int
    continued: bool


def merge_drives(catalog: Catalog, drives: list[Drive], clock: Clock) -> MergeReport:
    """Restore what the drives know and the backup does not. Raises DriveError, CatalogError.

    Where a drive holds the backup's newest statement, it holds all that the box told since as well: its rows are the newer
    ones, and the same log goes on behind its newest statement. Else nobody here knows what was told after the backup, so that a
    new log begins, with its cause: the bureau sees no second statement under a number that it has.
    """
    before = catalog.statements.current()
    pending, rows = catalog.changes.pending(), catalog.changes.after(0, _ALL)[1]
    for drive in drives:
        # what the backup remembers of the journal; the drive itself is asked
        catalog.facts.forget(f"journal.{drive.drive_id}.held")
    report = rebuild.restore_from_drives(catalog, drives, clock)
    continued = before is None or any(_holds(catalog, drive, before) for drive in drives)
    if not continued:
        for change in rows:
            catalog.changes.put(change)
        catalog.changes.mark(pending)
        catalog.outbox.begin_log("restored", clock.now(), before)
    newest = catalog.statements.current()
    taken = newest.number - before.number if before and newest and newest.log == before.log else 0
    return MergeReport(report.rows + report.read, max(0, taken), continued)


def _holds(catalog: Catalog, drive: Drive, place: LogPosition) -> bool:
    """Return whether the journal of a drive reaches a place in the log."""
    log, _, number = (catalog.facts.get(f"journal.{drive.drive_id}.held") or ":").partition(":")
    return log == place.log and int(number) >= place.number
