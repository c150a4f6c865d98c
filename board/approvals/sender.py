"""Sends approved classes to their boxes, retained: a box that is away gets them when it connects."""

from __future__ import annotations

from agent.contract.topics import ROOT
from agent.core.clock import Clock
from board.approvals.approve import list_waiting, mark_sent
from board.ingest.worker import IngestWorker, Publication
from board.store.database import Database


class ApprovalSender:
    """Hands what waits to the connection to the broker, each once; what was not acknowledged waits for the next start."""

    def __init__(self, database: Database, clock: Clock, worker: IngestWorker) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._queued: set[tuple[int, int]] = set()

    def send_due(self) -> None:
        """Publish what boxes are still to be sent. Raises StoreError."""
        for row in list_waiting(self._database):
            place = (row.number, row.box_id)
            if place in self._queued:
                continue
            self._queued.add(place)

            def done(place: tuple[int, int] = place) -> None:
                mark_sent(self._database, *place, self._clock.now())
                self._queued.discard(place)

            topic = f"{ROOT}/{row.box}/classes/{row.class_id}"
            self._worker.publish(Publication(topic, row.payload.encode(), retain=True, done=done))
