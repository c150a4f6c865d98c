"""Sends approved classes and lists of camera models to boxes, retained: a box that is away gets them when it connects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from agent.contract.topics import ROOT
from agent.core.clock import Clock
from board.approvals.approve import list_waiting, mark_sent
from board.approvals.model_lists import encode_model_list, list_unsent, mark_list_sent
from board.ingest.worker import IngestWorker, Publication
from board.store.database import Database

Marker = Callable[[Database, int, int, datetime], None]


class ApprovalSender:
    """Hands what waits to the connection to the broker, each once; what was not acknowledged waits for the next start."""

    def __init__(self, database: Database, clock: Clock, worker: IngestWorker) -> None:
        self._database = database
        self._clock = clock
        self._worker = worker
        self._queued: set[tuple[str, int, int]] = set()

    def send_due(self) -> None:
        """Publish what boxes are still to be sent. Raises StoreError."""
        for row in list_waiting(self._database):
            self._send(
                ("class", row.number, row.box_id), f"{row.box}/classes/{row.class_id}", row.payload.encode(), mark_sent
            )
        for row in list_unsent(self._database):
            payload = encode_model_list(row.body, row.signature)
            self._send(("models", row.number, row.box_id), f"{row.box}/models", payload, mark_list_sent)

    def _send(self, place: tuple[str, int, int], topic: str, payload: bytes, mark: Marker) -> None:
        if place in self._queued:
            return
        self._queued.add(place)

        def done() -> None:
            mark(self._database, *place[1:], self._clock.now())
            self._queued.discard(place)

        self._worker.publish(Publication(f"{ROOT}/{topic}", payload, retain=True, done=done))
