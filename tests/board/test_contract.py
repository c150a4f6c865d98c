"""The published contract holds between box and board in both directions: schemas and AsyncAPI document."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.support.reporting_box import ZONE, ReportingBox
from board.duties import Duties
from board.ingest.worker import Publication
from board.silence import BoxSilenceWatch
from board.store import tables
from board.witness.signer import Signer
from tests.support.board_store import BoardStore
from tests.support.contract_check import DOCS, asyncapi, channel_of, retained, validate

EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```json\n(.*?)```", re.DOTALL)


class Outgoing:
    """Stands for the connection to the broker: keeps what the board says."""

    def __init__(self) -> None:
        self.connected_since: float | None = 0.0
        self.said: list[Publication] = []

    def publish(self, publication: Publication) -> None:
        self.said.append(publication)


def test_what_the_published_contract_shows_of_boxes_is_taken_without_an_alarm(store: BoardStore) -> None:
    """Each example of the contract that a box sends, in the order of its statements: the board finds nothing malformed."""
    found = EXAMPLE.findall((DOCS / "reference/mqtt.md").read_text(encoding="utf-8"))
    messages = [(topic, text.encode()) for topic, text in found if "/request/" not in topic]
    assert len({channel_of(topic)[0] for topic, _ in messages}) >= 20
    store.hear_one_by_one(messages)
    assert {kind for kind, _ in store.alarms()} <= {"hole", "fork", "step_back", "new_log"}, store.all(tables.alarms)
    (box,) = store.all(tables.boxes)
    assert box["state"] and box["beat"] and store.all(tables.segments) and store.all(tables.gaps)


def test_boxes_of_the_tests_keep_to_the_contract(store: BoardStore) -> None:
    """What the board's tests and benchmarks take for a box says nothing that a box may not say."""
    box = ReportingBox(now=store.clock.now())
    for topic, payload in (box.begin(), box.state(), box.camera(), box.heartbeat(), box.segment(), box.attend(1),
                           box.alert(), box.close(1), box.approve()):  # fmt: skip
        validate(topic, payload)


def test_what_the_board_says_keeps_to_the_contract(store: BoardStore, tmp_path: Path) -> None:
    """A countersignature, and a request for a statement that did not come: the board says nothing else."""
    box, broker = ReportingBox(now=store.clock.now()), Outgoing()
    signer = Signer(store.database, tmp_path / "keys/witness_ed25519", "文水县人社局", store.clock)
    signer.prepare()
    silence = BoxSilenceWatch(store.database, store.clock, ZONE, connected_since=lambda: broker.connected_since)
    duties = Duties(store.database, store.clock, broker, signer, 1830, chores=(silence.step,))  # type: ignore[arg-type]
    store.hear(box.begin(), box.heartbeat(), box.close(1))
    box.attend(1)
    store.hear(box.attend(2))
    for _ in range(3):
        store.clock.step(60)
        box.now = store.clock.now()
        store.hear(box.heartbeat())
        duties.step()
    said = {channel_of(one.topic)[0]: one for one in broker.said}
    assert set(said) == {"witness", "requestStatements"} and len(broker.said) == 2
    for channel, one in said.items():
        validate(one.topic, one.payload)
        assert one.retain == retained(channel)
    directions = {o["channel"]["$ref"].rsplit("/", 1)[1]: o["action"] for o in asyncapi()["operations"].values()}
    assert {directions[channel] for channel in said} == {"receive"}, "the document is written from the box's side"
    assert json.loads(said["requestStatements"].payload)["from"] == 3
