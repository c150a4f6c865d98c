"""States what a class's documents say before they are written: gaps of closed half-days, and the hash of each document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from agent.catalog import Catalog
from agent.core.model import Gap, Session
from agent.drive import class_gaps, sums
from agent.drive.documents import class_documents
from agent.drive.documents.class_view import ClassView
from agent.drive.identity import Drive

if TYPE_CHECKING:
    from agent.contract.statements import GapsStatement, PapersStatement


def write_stated_documents(catalog: Catalog, drive: Drive, view: ClassView, sync: Callable[[Drive], object]) -> None:
    """State the gaps and documents of a class, then write the documents that changed. Raises DriveError.

    `sync` brings the statements to the drive's journal before the documents: a kill between the two leaves a document that the
    statement before names, and never one that no statement on the drive names.
    """
    closed = {(link.date, link.session) for link in catalog.chain.of_class(view.cls.class_id)}
    for day, session in sorted(closed, key=lambda key: (key[0], key[1].order)):
        state_gaps(catalog, view.cls.class_id, day, session, view.gaps, view.now)
    documents = class_documents.build_documents(catalog, view)
    _state_documents(catalog, drive, view, documents)
    sync(drive)
    class_documents.write_changed(drive, view.folder, documents)


def state_gaps(
    catalog: Catalog, class_id: str, day: date, session: Session, gaps: Iterable[Gap], now: datetime
) -> None:
    """State the gaps of a half-day if they are not those last stated."""
    found = [gap for gap in gaps if (gap.date, gap.session) == (day, session)]
    data: GapsStatement = {
        "class_id": class_id,
        "date": day.isoformat(),
        "session": session.value,
        "items": [class_gaps.build_gap_object(gap, catalog.zone) for gap in found],
    }
    topic = f"gaps/{class_id}/{day.isoformat()}/{session.value}"
    last = catalog.statements.last_of("gaps", topic)
    if last is None or last.data != data:
        catalog.outbox.put(topic, "gaps", data, now)


def _state_documents(catalog: Catalog, drive: Drive, view: ClassView, documents: Mapping[str, bytes]) -> None:
    data: PapersStatement = {
        "class_id": view.cls.class_id,
        "drive_id": drive.drive_id,
        "items": {name: sums.hash_bytes(content) for name, content in documents.items()},
    }
    topic = f"papers/{view.cls.class_id}"
    last = catalog.statements.last_of("papers", topic)
    if last is None or last.data != data:
        catalog.outbox.put(topic, "papers", data, view.now)
