"""A dead box without a backup: a new one takes its drive over, by the bureau's word or a person's; both keys stay in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from agent.core.adoption_text import ADOPTION_NAMESPACE, AdoptionWord, pack_word, parse_request
from agent.core.model import Session
from agent.core.openssh import ensure_key_file, sign_with
from agent.drive import Drive, adoption, verify
from tests.support.box_life import box_with_morning, die, list_log_faults
from tests.support.drive_factory import at


def test_by_the_bureaus_word_old_half_days_verify_with_the_old_key_and_new_ones_with_the_new(tmp_path: Path) -> None:
    bureau = tmp_path / "bureau/key"
    public = ensure_key_file(bureau, "bureau")
    old, found = box_with_morning(tmp_path, witness_key=public)
    old_key, end = found.drive.public_key, found.catalog.statements.current()
    new = die(old, found)
    done = new.run("setup", "--drive", str(new.drive), status=1)
    assert found.drive.drive_id in done.stderr and "drive adopt" in done.stderr and "已初始化" not in done.stderr
    identity = (new.drive / ".site-agent/drive.json").read_bytes()
    assert "--request" in new.run("drive", "adopt", str(new.drive), status=2).stderr
    new.run("drive", "adopt", str(new.drive), "--reason", "主板损坏", status=2)
    request, word = tmp_path / "request.txt", tmp_path / "word.json"
    new.run("drive", "adopt", str(new.drive), "--request", str(request))
    asked = parse_request(request.read_text(encoding="utf-8"))
    text = AdoptionWord(asked, datetime(2026, 11, 23, 4, tzinfo=UTC), "原终端损坏").write()
    for signer, status in ((new.state / "keys/box_ed25519", 2), (bureau, 0)):
        assert (new.drive / ".site-agent/drive.json").read_bytes() == identity
        word.write_bytes(pack_word(text, sign_with(text.encode(), signer, ADOPTION_NAMESPACE).decode()))
        new.run("drive", "adopt", str(new.drive), "--word", str(word), status=status)

    again = new.site(found)
    assert again.drive.earlier_keys == (old_key,) and again.drive.public_key == asked.new_key != old_key
    again.clock.time = at("18:00")
    again.half_day_of(Session.EV, again.drive)
    again.clock.time = at("19:30")
    again.closer().run_once()
    again.closer().run_once()
    assert [(x.session, x.sequence) for x in again.catalog.chain.of_class("C1")] == [(Session.AM, 1), (Session.EV, 2)]
    begun = next(iter(again.catalog.statements.of_log(again.catalog.statements.ends()[-1].log)))
    assert isinstance(begun.data, dict) and begun.data["cause"] == "adopted"
    assert end is not None and begun.data["adopted"]["log"] == end.as_data() and begun.data["adopted"]["by"] == "bureau"
    assert list_log_faults(again.catalog) == []
    for key in (None, old_key, asked.new_key):
        report = verify.verify_drive(again.drive, key=key, witness=public)
        assert (report.ok, report.half_days, len(report.adoptions)) == (True, 2, 1), report.problems
    stranger = ensure_key_file(tmp_path / "stranger/key", "stranger")
    assert {p.kind for p in verify.verify_drive(again.drive, witness=stranger).faults()} == {"witness_bad"}
    record = adoption.build_record_path(again.drive, 1)
    body = json.loads(record.read_text(encoding="utf-8"))
    record.write_text(json.dumps({**body, "signed": {}}), encoding="utf-8")
    kinds = {p.kind for p in verify.verify_drive(Drive.open(new.drive)).faults()}
    assert {"signature_bad", "statement_missing"} <= kinds, "half-days of the old box cannot be passed off as new ones"
    again.catalog.close()


def test_without_a_bureau_a_person_gives_the_reason(tmp_path: Path) -> None:
    old, found = box_with_morning(tmp_path)
    new = die(old, found)
    before = {p: p.read_bytes() for p in new.drive.rglob("*") if p.is_file()}
    assert "--reason" in new.run("drive", "adopt", str(new.drive), status=2).stderr
    assert {p: p.read_bytes() for p in new.drive.rglob("*") if p.is_file()} == before
    said = json.loads(new.run("drive", "adopt", str(new.drive), "--reason", "主板 损坏", "--json").stdout)
    assert (said["by"], said["reason"]) == ("person", "主板 损坏")
    new.run("drive", "adopt", str(new.drive), "--reason", "again", status=2)
    with new.catalog() as catalog:
        assert [x.action for x in catalog.audit.of_object(found.drive.drive_id)] == ["drive.adopted"]
