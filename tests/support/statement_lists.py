"""What the bureau received of a box, made from its catalog at the time: the events as the link sends them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.bureau.witness import Countersignature, Witness, WitnessAlarm
from agent.catalog import Catalog
from agent.catalog.witnesses import StoredWitness
from agent.contract.envelope import wrap
from agent.drive import keys

PREFIX = "training/v1/wenshui/site1/box1"


def events(catalog: Catalog) -> list[tuple[str, bytes]]:
    """(topic, payload) of every waiting message, in order; they are then acknowledged."""
    sent = []
    while rows := catalog.outbox.waiting():
        for m in rows:
            payload = wrap(
                event_id=m.event_id, source="/training/wenshui/site1/box1", name=m.type, subject=m.topic, at=m.created_at,
                zone=catalog.zone, data=m.data, statement=m.statement,
            ) if m.type else b""  # fmt: skip
            sent.append((f"{PREFIX}/{m.topic}", payload))
            catalog.outbox.done(m.seq)
    return sent


class Bureau:
    """A witness without a broker: what it heard, alarmed and signed."""

    def __init__(self, folder: Path, now: datetime | None = None) -> None:
        self.folder = folder
        keys.ensure_key(folder / "key")
        self.now = now or datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
        self.seconds = 0.0
        self.alarms: list[WitnessAlarm] = []
        self.signed: list[Countersignature] = []
        self.start()

    def start(self) -> None:
        self.witness = Witness(
            self.folder / "lists",
            self.folder / "key",
            "文水县人社局",
            utcnow=lambda: self.now,
            monotonic=lambda: self.seconds,
        )

    def hear(self, catalog: Catalog) -> None:
        """Receive what waits, sign what is due, and give the box its countersignatures."""
        self.hear_events(events(catalog))
        for found in self.signed:
            body: Any = found.body
            catalog.witnesses.put(
                StoredWitness(
                    body["class_id"], body["sequence"], body["head"], self.now, body["text"], body["signature"]
                )
            )

    def hear_events(self, sent: list[tuple[str, bytes]]) -> None:
        for topic, payload in sent:
            self.alarms += self.witness.take(topic, payload)
        self.signed += self.witness.sign_due()

    @property
    def list_file(self) -> Path:
        return self.folder / "lists/wenshui/site1/box1.jsonl"

    def numbers(self) -> list[int]:
        return [json.loads(line)["statementnumber"] for line in self.list_file.read_text("utf-8").splitlines()]
