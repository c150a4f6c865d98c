"""One closer kept alive, as the daemon keeps it for months: late video, papers, errors, other drives."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.errors import DriveError
from agent.core.model import Session
from agent.drive import Drive, verify
from agent.drive.closer import CloserOptions, HalfDayCloser
from agent.drive.seal import Sealer
from tests.support.clocks import CountedClock
from tests.support.drive_factory import DAY, DriveSite, at, new_drive, site, training_class

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
MONTH_S = 30 * 86400


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    return site(tmp_path)


@pytest.fixture
def over(box: DriveSite) -> DriveSite:
    """A class whose two half-days are closed."""
    for session, end in ((Session.AM, "09:30"), (Session.PM, "14:30")):
        box.half_day(box.classes[0], session)
        box.clock.time = at(end)
        assert len(box.closer().run_once()) == 1
    return box


def folder(box: DriveSite) -> Path:
    return box.drive.root / (box.drive.find_class("C1") or "")


def label(box: DriveSite) -> Path:
    return folder(box) / "标签.txt"


def later_figures(box: DriveSite, revision: int = 2) -> None:
    figures = box.catalog.attendance.get("C1", DAY, Session.AM)
    assert figures is not None
    box.catalog.attendance.put(
        {**figures, "present": 20 + revision, "revision": revision, "status": "revised"}, box.clock.now()
    )


def journal(drive: Drive) -> str:
    return "".join(p.read_text() for p in sorted((drive.root / ".site-agent/journal").glob("*.jsonl")))


# Late video


def test_a_closer_that_has_seen_all_closed_looks_again_where_video_came_late(over: DriveSite) -> None:
    closer = over.closer()
    assert closer.run_once() == []
    over.clock.go(MONTH_S)  # beyond the week in which a class is looked at in any case
    assert closer.run_once() == []
    over.record(over.classes[0], "cam1", Session.AM, at("09:20"), at("09:22"))
    assert [(x.sequence, x.session) for x in closer.run_once()] == [(3, Session.AM)]
    assert closer.run_once() == []
    over.record(over.classes[0], "cam2", Session.PM, at("14:20"), at("14:22"))
    assert [(x.sequence, x.session) for x in closer.run_once()] == [(4, Session.PM)]
    assert verify.verify_drive(over.drive, heads=[x.head for x in over.catalog.chain.of_class("C1")]).ok


def test_one_closer_closes_each_half_day_as_it_ends(box: DriveSite) -> None:
    closer, closed = box.closer(), []
    for session, times in ((Session.AM, ("09:10", "09:24:59", "09:25")), (Session.PM, ("14:10", "14:24:59", "14:25"))):
        box.half_day(box.classes[0], session)
        for moment in times:
            box.clock.go_to(at(moment))
            closed += [(moment, x.sequence) for x in closer.run_once()]
    assert closed == [("09:25", 1), ("14:25", 2)]


def test_video_without_a_plan_is_closed_a_quarter_of_an_hour_after_its_end_by_the_same_closer(box: DriveSite) -> None:
    box.record(box.classes[0], "cam1", Session.AM, at("09:00"), at("09:10"))
    box.classes.clear()
    closer = box.closer()
    for moment in ("09:10", "09:24:59"):
        box.clock.go_to(at(moment))
        assert closer.run_once() == []
    box.clock.go_to(at("09:25"))
    assert [x.sequence for x in closer.run_once()] == [1]
    box.clock.go(MONTH_S)
    assert closer.run_once() == []


def test_what_a_kill_left_untold_is_told_once(over: DriveSite) -> None:
    def told() -> int:
        return len([m for m in over.catalog.outbox.waiting(limit=1000) if m.topic == "chain/C1"])

    before = told()
    over.closer().run_once()
    assert told() == before, "what the catalog knows is not told again"
    with over.catalog.store.write() as db:
        db.execute("delete from chain")
    over.closer().run_once()
    assert [x.sequence for x in over.catalog.chain.of_class("C1")] == [1, 2]
    assert told() == before + 2


# Corrections


def test_a_correction_is_written_once_though_time_goes_on(over: DriveSite) -> None:
    Sealer(over.drive, over.clock, over.catalog, over.classes, over.key_dir).one_class("C1")
    closer = over.closer()
    later_figures(over)
    for moment in ("16:00", "16:01", "17:00"):
        over.clock.go_to(at(moment))
        closer.run_once()
        over.closer().run_once()
    assert [p.name for p in sorted(folder(over).glob("更正/*"))] == [
        "20261123-160000-2.jsonl",
        "20261123-160000-2.jsonl.sig",
    ]
    later_figures(over, 3)
    over.clock.go_to(at("18:00"))
    closer.run_once()
    over.closer().run_once()
    assert [p.name for p in sorted(folder(over).glob("更正/*.jsonl"))] == [
        "20261123-160000-2.jsonl",
        "20261123-180000-3.jsonl",
    ]
    assert verify.verify_drive(over.drive).ok


def test_other_rows_than_figures_make_no_correction(over: DriveSite) -> None:
    Sealer(over.drive, over.clock, over.catalog, over.classes, over.key_dir).one_class("C1")
    over.catalog.audit.add(at("16:00"), "wang", "clip", "C1")
    over.clock.go_to(at("16:00"))
    over.closer().run_once()
    assert not list(folder(over).glob("更正/*"))


# Papers


def test_papers_are_brought_up_to_date_every_ten_minutes_around_the_class(over: DriveSite) -> None:
    closer = over.closer()
    closer.run_once()
    label(over).unlink()
    over.clock.go(599)
    closer.run_once()
    assert not label(over).exists(), "nothing is looked at for ten minutes"
    over.clock.go(1)
    closer.run_once()
    assert label(over).exists()


def test_a_closer_leaves_papers_alone_a_week_after_the_class_until_something_changes(over: DriveSite) -> None:
    closer = over.closer()
    closer.run_once()
    over.clock.go_to(at("23:59") + timedelta(days=7))
    label(over).unlink()
    closer.run_once()
    assert label(over).exists(), "the week after the class"
    over.clock.go(3600)
    label(over).unlink()
    for _ in range(3):
        closer.run_once()
        over.clock.go(3600)
    assert not label(over).exists()
    later_figures(over)
    closer.run_once()
    assert label(over).exists() and "revised" not in label(over).read_text("utf-8-sig")
    assert ",22," in (folder(over) / "到课人数.csv").read_text("utf-8-sig")
    label(over).unlink()
    over.clock.go(3600)
    closer.run_once()
    assert not label(over).exists(), "once for each change"


def test_papers_are_kept_up_from_the_day_before_the_class(box: DriveSite) -> None:
    closer = box.closer()
    box.clock.go_to(at("12:00") - timedelta(days=2))
    place = box.place(box.classes[0], "cam1", Session.AM)
    box.drive.make_folder(box.drive.segment_folder(box.classes[0], place))
    closer.run_once()
    assert not label(box).exists()
    box.clock.go_to(at("12:00") - timedelta(days=1))
    closer.run_once()
    assert label(box).exists()


def test_papers_are_fresh_after_a_closing_however_new_the_last_ones_are(box: DriveSite) -> None:
    closer = box.closer()
    box.half_day(box.classes[0], Session.AM)
    box.clock.go_to(at("09:24"))
    closer.run_once()
    label(box).unlink()
    box.clock.go_to(at("09:25"))
    assert len(closer.run_once()) == 1
    assert label(box).exists()


def test_no_paper_is_written_into_a_sealed_class_or_drive(over: DriveSite) -> None:
    closer = over.closer()
    Sealer(over.drive, over.clock, over.catalog, over.classes, over.key_dir).one_class("C1")
    before = {p: p.read_bytes() for p in folder(over).iterdir() if p.is_file()}
    for _ in range(3):
        over.clock.go(3600)
        closer.run_once()
    assert {p: p.read_bytes() for p in folder(over).iterdir() if p.is_file()} == before


# The journal


def test_a_closing_stands_in_the_journal_at_once(box: DriveSite) -> None:
    box.half_day(box.classes[0], Session.AM)
    box.clock.go_to(at("09:25"))
    (link,) = box.closer().run_once()
    assert link.head in journal(box.drive)


def test_the_journal_goes_to_the_drive_in_use_alone(box: DriveSite, tmp_path: Path) -> None:
    second = new_drive(tmp_path / "second", box.clock, box.key_dir, "二号盘")
    box.know(second)
    box.half_day(box.classes[0], Session.AM)
    run(box, 3, drives=lambda: [box.drive, second])
    assert "R1_cam1/090000.mp4" in journal(box.drive)
    assert journal(second) == ""


def test_a_sealed_drive_gets_no_journal(over: DriveSite) -> None:
    Sealer(over.drive, over.clock, over.catalog, over.classes, over.key_dir, "李四").whole()
    before = journal(over.drive)
    later_figures(over)
    run(over, 6)
    assert journal(over.drive) == before and verify.verify_drive(over.drive).ok


def test_sums_of_another_drives_file_of_the_same_name_are_not_taken_for_this_ones(
    box: DriveSite, tmp_path: Path
) -> None:
    second = new_drive(tmp_path / "second", box.clock, box.key_dir, "二号盘")
    box.know(second)
    cls = box.classes[0]
    theirs = box.record(cls, "cam1", Session.AM, at("09:00"), at("09:05"), drive=second)
    other = (second.root / theirs.path).read_bytes() + b"\0"
    (second.root / theirs.path).write_bytes(other)
    digest = hashlib.sha256(other).hexdigest()
    box.catalog.segments.finish(theirs.segment_id, end=at("09:05"), size=len(other), sha256=digest)
    mine = box.record(cls, "cam1", Session.AM, at("09:00"), at("09:05"))
    assert mine.path == theirs.path and mine.sha256 != digest
    box.clock.go_to(at("09:30"))
    assert len(box.closer(second).run_once()) == 1
    path = second.root / (second.find_class("C1") or "") / "2026-11-23/上午"
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=path, check=True, capture_output=True)


# The loop


def run(
    box: DriveSite,
    waits: int,
    each: Callable[[int], None] = lambda number: None,
    drives: Callable[[], list[Drive]] | None = None,
) -> None:
    """The loop of one closer until that many waits are over; `each` is called in each wait."""
    box.clock = CountedClock(waits, box.clock.time, each)
    closer = HalfDayCloser(
        box.catalog, box.clock, lambda: box.classes, drives or (lambda: [box.drive]), CloserOptions(box.key_dir)
    )
    closer.run(threading.Event())


def test_the_loop_looks_for_half_days_every_twenty_seconds_and_flushes_in_between(box: DriveSite) -> None:
    box.half_day(box.classes[0], Session.AM)
    box.clock.go_to(at("09:30"))
    looked: list[int] = []
    clock = CountedClock(9, box.clock.time)

    def classes() -> list[object]:
        looked.append(len(clock.asked))
        return list(box.classes)

    closer = HalfDayCloser(box.catalog, clock, classes, lambda: [box.drive], CloserOptions(box.key_dir))  # type: ignore[arg-type]

    def each(number: int) -> None:
        if number == 2:
            later_figures(box)
        if number == 3:
            assert '"revision":2' in journal(box.drive).replace(" ", ""), "flushed between two looks"

    clock.each = each
    closer.run(threading.Event())
    assert looked == [0, 4, 8]
    assert [x.sequence for x in box.catalog.chain.of_class("C1")] == [1]


def test_the_last_rows_reach_the_drive_when_the_loop_stops(box: DriveSite) -> None:
    box.half_day(box.classes[0], Session.AM)
    run(box, 2, lambda number: later_figures(box) if number == 2 else None)
    assert '"revision":2' in journal(box.drive).replace(" ", "")


def test_an_error_ends_no_loop_and_is_logged_once_until_it_has_passed(
    box: DriveSite, caplog: pytest.LogCaptureFixture
) -> None:
    box.half_day(box.classes[0], Session.AM)
    box.clock.go_to(at("09:30"))
    broken = True

    def drives() -> list[Drive]:
        if broken:
            raise DriveError("drive.missing", root=box.drive.root)
        return [box.drive]

    def each(number: int) -> None:
        nonlocal broken
        broken = number < 5 or 10 <= number < 15

    with caplog.at_level(logging.WARNING, logger="agent.drive.closer"):
        run(box, 20, each, drives)
    assert len([r for r in caplog.records if "半天的记录暂时未能关闭" in r.message]) == 2
    assert [x.sequence for x in box.catalog.chain.of_class("C1")] == [1]


def test_a_class_with_lessons_on_two_days_is_closed_day_by_day(box: DriveSite) -> None:
    lesson = box.classes[0].lessons[0]
    day = timedelta(days=1)
    tomorrow = replace(lesson, date=DAY + day, start=lesson.start + day, end=lesson.end + day)
    box.classes[:] = [training_class(lessons=(lesson, tomorrow))]
    box.half_day(box.classes[0], Session.AM)
    box.clock.go_to(at("09:30"))
    assert [x.date for x in box.closer().run_once()] == [DAY]


def test_first_figures_and_lower_revisions_after_the_seal_are_corrections_too(box: DriveSite) -> None:
    """A half-day may be judged for the first time after the seal, and a catalog made anew may count from 1 again."""
    box.half_day(box.classes[0], Session.AM)
    box.record(box.classes[0], "cam1", Session.PM, at("14:00"), at("14:10"))
    box.clock.go_to(at("14:30"))
    box.closer().run_once()
    Sealer(box.drive, box.clock, box.catalog, box.classes, box.key_dir).one_class("C1")
    figures = box.catalog.attendance.get("C1", DAY, Session.AM)
    assert figures is not None
    box.catalog.attendance.put({**figures, "session": "pm", "status": "final"}, box.clock.now())
    box.clock.go(60)
    box.closer().run_once()
    later_figures(box, 3)
    box.clock.go(60)
    box.closer().run_once()
    later_figures(box, 2)
    box.clock.go(60)
    box.closer().run_once()
    names = [p.name.rpartition("-")[2] for p in sorted(folder(box).glob("更正/*.jsonl"))]
    assert names == ["1.jsonl", "3.jsonl", "2.jsonl"]
