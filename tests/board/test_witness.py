"""The witness: what it signs, once; and what it says of that which it does not sign."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core import openssh
from agent.core.witness_text import parse_witness_text
from benchmarks.support.reporting_box import ReportingBox
from board.duties import HoleWatch
from board.queries.half_days import list_half_days
from board.store import tables
from board.witness.signer import Signer
from tests.support.board_store import BoardStore


@pytest.fixture
def signer(store: BoardStore, tmp_path: Path) -> Signer:
    made = Signer(store.database, tmp_path / "keys/witness_ed25519", "文水县人社局", store.clock)
    made.prepare()
    return made


def states(store: BoardStore) -> dict[str, tuple[str, str]]:
    return {row["head"][:2]: (row["state"], row["reason"]) for row in store.all(tables.heads)}


def test_a_whole_half_day_is_signed_once(store: BoardStore, signer: Signer, tmp_path: Path) -> None:
    box = ReportingBox(now=store.clock.now())
    begin, early = box.begin(), box.attend(1)
    late, close = box.attend(2), box.close(1)
    store.hear(begin, early, close)
    assert signer.sign_due() == 0 and states(store) == {"ab": ("due", "")}
    store.hear(late)
    assert signer.sign_due() == 1 and signer.sign_due() == 0 and states(store) == {"ab": ("signed", "")}
    ((number, name, raw, signature),) = signer.list_unpublished()
    text = parse_witness_text(raw)
    assert (name, text.position, text.key) == (box.name, box.position, box.key)
    public = openssh.load_public_key_of(tmp_path / "keys/witness_ed25519")
    assert openssh.verify_signed(raw.encode(), signature.encode(), public, openssh.WITNESS_NAMESPACE)
    signer.mark_published(number)
    assert signer.list_unpublished() == []
    (row,) = list_half_days(store.database, "C-1")
    assert (row.witness, row.witnessed_at is not None) == ("signed", True)


def test_what_is_not_signed_says_why(store: BoardStore, signer: Signer) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.close(1, "11" * 32))
    clone = box.fork()
    store.hear(clone.attend(1))
    store.hear(box.attend(9), box.close(2, "22" * 32), box.close(1, "33" * 32))
    assert signer.sign_due() == 1
    assert states(store) == {"11": ("signed", ""), "22": ("refused", "fork"), "33": ("refused", "second_head")}


def test_what_its_log_never_made_whole_is_refused(store: BoardStore, signer: Signer) -> None:
    box, new = ReportingBox(now=store.clock.now()), ReportingBox(log="5e" * 16, now=store.clock.now())
    store.hear(box.begin())
    box.attend(1)
    store.hear(box.close(1), new.begin("lost"))
    assert signer.sign_due() == 0 and states(store) == {"ab": ("refused", "new_log")}


def test_a_half_day_behind_a_hole_waits_and_is_signed_when_it_is_filled(store: BoardStore, signer: Signer) -> None:
    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.heartbeat())
    missing = box.attend(1)
    store.hear(box.close(1))
    for _ in range(11):
        store.clock.step(60)
        box.now = store.clock.now()
        store.hear(box.heartbeat())
    HoleWatch(store.database, store.clock).look(0.0)
    assert signer.sign_due() == 0 and states(store) == {"ab": ("due", "hole")}
    store.hear(missing)
    assert signer.sign_due() == 1 and states(store) == {"ab": ("signed", "")}


def test_a_head_that_came_with_the_end_of_its_log_is_signed(store: BoardStore, signer: Signer) -> None:
    box, new = ReportingBox(now=store.clock.now()), ReportingBox(log="5e" * 16, now=store.clock.now())
    store.hear(box.begin(), box.close(1), new.begin("upgraded"))
    assert signer.sign_due() == 1 and store.alarms() == [("new_log", 1)]


def test_a_replaced_box_may_begin_anew(store: BoardStore, signer: Signer) -> None:
    from sqlalchemy import update

    box = ReportingBox(now=store.clock.now())
    store.hear(box.begin(), box.close(1))
    with store.database.write() as connection:
        connection.execute(update(tables.boxes).values(replaced_at="2026-11-28T00:00:00.000Z"))
    new = ReportingBox(
        log="5e" * 16, now=store.clock.now(), key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG5ldw", class_id="C-2"
    )
    store.hear(new.begin(), new.close(1))
    assert store.alarms() == [] and signer.sign_due() == 2
    assert store.all(tables.boxes)[0]["key"] == new.key
