"""Approved classes with the signature of the bureau's key, made by the real ssh-keygen."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.openssh import NAMESPACE, WITNESS_NAMESPACE, ensure_key_file, sign_with
from benchmarks.support.reporting_box import Message, ReportingBox
from board.ingest.batch import BatchWriter
from board.settings import BoardSettings
from board.store import tables
from tests.support.board_store import BoardStore


@pytest.fixture
def settings(tmp_path: Path) -> BoardSettings:
    return BoardSettings(county="wenshui", state_dir=tmp_path)


@pytest.fixture
def signed_store(store: BoardStore, settings: BoardSettings) -> Iterator[BoardStore]:
    """A board as its service makes it: it looks for the bureau's key whenever it needs it."""
    store.writer = BatchWriter(store.database, store.clock, find_signing_key=settings.load_signing_key)
    yield store


def sign(message: Message, private: Path, namespace: str = NAMESPACE, body: bytes | None = None) -> Message:
    """Return an approval as a CloudEvent with the signature of its body, or of another one's."""
    topic, payload = message
    event = {
        "specversion": "1.0", "id": "class-C-1", "data_base64": base64.b64encode(payload).decode(),
        "signature": sign_with(body or payload, private, namespace).decode(),
    }  # fmt: skip
    return topic, json.dumps(event).encode()


def expected(store: BoardStore) -> list[object]:
    return [row["expected"] for row in store.all(tables.classes)]


def test_a_board_without_a_key_takes_what_is_published(signed_store: BoardStore) -> None:
    box = ReportingBox(now=signed_store.clock.now())
    signed_store.hear(box.approve())
    assert expected(signed_store) == [30] and signed_store.alarms() == []


def test_only_what_the_bureau_signed_replaces_an_approval(
    signed_store: BoardStore, settings: BoardSettings, tmp_path: Path
) -> None:
    store, own, other = signed_store, settings.signing_key_file, tmp_path / "other"
    box = ReportingBox(now=store.clock.now())
    ensure_key_file(own, "bureau")
    ensure_key_file(other, "other")
    store.hear(sign(box.approve(), own))
    assert expected(store) == [30] and store.alarms() == []
    store.hear(sign(box.approve(expected=28), own))
    assert expected(store) == [28] and store.alarms() == []
    forged = box.approve(expected=99)
    for bad in (forged, sign(forged, other), sign(forged, own, WITNESS_NAMESPACE), sign(forged, own, body=b"{}")):
        store.hear(bad)
        store.hear(bad, retained=True)
    assert expected(store) == [28]
    assert store.alarms() == [("unsigned_class", 0)] * 4, "each once, however often it is heard"
    evidence = store.all(tables.alarms)[0]
    assert str(evidence["detail"]).startswith("C-1 ") and "99" in str(evidence["evidence"])
    store.hear(sign(box.approve(expected=31), own))
    assert expected(store) == [31]


def test_a_new_class_needs_the_signature_too(signed_store: BoardStore, settings: BoardSettings) -> None:
    ensure_key_file(settings.signing_key_file, "bureau")
    signed_store.hear(ReportingBox(now=signed_store.clock.now()).approve())
    assert signed_store.all(tables.classes) == [] and signed_store.alarms() == [("unsigned_class", 0)]


def test_an_unchanged_approval_is_not_checked_again(
    signed_store: BoardStore, settings: BoardSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Approvals of every box and class come again from the broker; checking each would start a process for each."""
    store, box = signed_store, ReportingBox(now=signed_store.clock.now())
    ensure_key_file(settings.signing_key_file, "bureau")
    message = sign(box.approve(), settings.signing_key_file)
    store.hear(message)
    approved = store.all(tables.classes)[0]["approved_at"]
    monkeypatch.setenv("PATH", "/nonexistent")
    store.clock.step(60)
    store.hear(message, retained=True)
    assert [row["approved_at"] for row in store.all(tables.classes)] == [approved] and store.alarms() == []
