"""`site-agent classes` and `site-agent attendance` as a user runs them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.__main__ import main
from agent.attendance.approved import accept_approval, import_class
from agent.attendance.judge import JudgementRules, build_attendance_object, judge_half_day
from agent.catalog import Catalog
from agent.class_files.classes import load_training_class, parse_class
from agent.class_files.fields import ClassFileProblems
from agent.core.model import Session
from tests.support.attendance_factory import DAY, THEORY, ZONE, at, body, lesson, looks
from tests.support.clocks import HandClock
from tests.support.paths import ROOT

CONFIG = ROOT / "config"
Run = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with a settings file of its own: (status, JSON lines, standard error)."""
    (tmp_path / "agent.toml").write_text(
        f'county = "wenshui"\nsite = "s1"\nbox = "b1"\ninstitution = "学校"\nstate_dir = "{tmp_path / "state"}"\n',
        encoding="utf-8",
    )

    def command(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        try:
            status = main([*arguments, "--config", str(tmp_path / "agent.toml"), "--json"])
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, [json.loads(line) for line in out.splitlines()], err

    return command


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "state").mkdir(exist_ok=True)
    return Catalog(tmp_path / "state" / "catalog.db", ZONE)


def test_import_list_show(run: Run) -> None:
    status, lines, err = run("classes", "import", str(CONFIG / "class.example.toml"))
    assert (status, len(lines), lines[0]["class_id"], lines[0]["source"]) == (0, 1, "WS2026-DG-003", "file")
    assert err.splitlines()[:3] == [
        "class.example.toml 的课程计划读成：",
        "日期        半天  开始   结束   教室        课程内容",
        "2026-11-23  上午  08:30  10:00  理论教室    安全用电常识",
    ]
    assert (
        err.splitlines()[-1] + "\n" == "已导入 WS2026-DG-003：电工第3班，应到 40 人，5 个半天，6 个授课时段，2 间教室\n"
    )
    assert run("classes", "list")[1] == lines
    assert run("classes", "show", "WS2026-DG-003")[1] == lines
    status, lines, err = run("classes", "show", "NONE")
    assert (status, lines) == (2, [])
    assert err.count("\n") == 1


def test_classes_under_way(run: Run, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """From 15 minutes before the first lesson on; a class that shares no minute with now is not there."""
    clock = HandClock(at("08:14"))
    monkeypatch.setattr("agent.commands.classes.SystemClock", lambda: clock)
    lessons = [lesson("08:30", "10:00", room_id="R1"), lesson("14:00", "15:00", room_id="R1")]
    for given in (body(*lessons), body(lesson("14:00", "15:00", room_id="W1", kind="practice"), class_id="C2")):
        import_class(catalog, parse_class(given, ZONE, "test"), "file", clock.now(), name="c")
    status, lines, err = run("classes", "now")
    assert (status, lines) == (0, []) and "没有需要录像" in err
    clock.time = at("08:16")
    until = f"{DAY.isoformat()}T10:15:00.000+08:00"
    assert run("classes", "now")[1] == [
        {"class_id": "C1", "date": DAY.isoformat(), "session": "am", "rooms": ["R1"], "end": until}
    ]
    clock.time = at("14:30")
    assert [line["class_id"] for line in run("classes", "now")[1]] == ["C1", "C2"]


def test_the_same_for_people(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("classes", "import", str(CONFIG / "class.example.toml"))
    for arguments, wanted in (
        (["classes", "list"], "WS2026-DG-003  电工"),
        (["classes", "show", "WS2026-DG-003"], "已取消"),
        (["attendance", "WS2026-DG-003", "--on", "2026-11-23"], "到课（视频估计）"),
    ):
        assert main([*arguments, "--config", str(tmp_path / "agent.toml")]) == 0
        assert wanted in capsys.readouterr().out


def test_a_wrong_file_tells_each_fault_on_a_line_and_stores_nothing(run: Run, tmp_path: Path) -> None:
    text = (CONFIG / "class.example.toml").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(
        text.replace("expected = 40 ", 'expected = "多"').replace('start = "10:20"', 'start = "9:20"'), encoding="utf-8"
    )
    status, lines, err = run("classes", "import", str(wrong))
    assert (status, lines) == (2, [])
    assert [re.sub(r"^site-agent: wrong.toml: ([^:]*):.*", r"\1", line) for line in err.splitlines()] == [
        "expected",
        "lessons[2].start",
    ]
    assert run("classes", "list")[1] == []


@pytest.mark.parametrize("name", ["no.toml", "no.xlsx", "no.csv", "no"])
def test_a_missing_file(run: Run, tmp_path: Path, name: str) -> None:
    status, lines, err = run("classes", "import", str(tmp_path / name))
    assert (status, lines, err.count("\n")) == (2, [], 1)


def test_templates_need_no_settings_and_overwrite_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classes", "template", "--out", str(tmp_path / "new"), "--json"]) == 0
    names = [Path(json.loads(line)["path"]).name for line in capsys.readouterr().out.splitlines()]
    assert sorted(names) == ["class.example.toml", "class.example.xlsx", "class.plan.example.csv"]
    assert load_training_class(tmp_path / "new" / "class.example.xlsx", ZONE).expected == 40
    assert main(["classes", "template", "--out", str(tmp_path / "new")]) == 2
    (tmp_path / "file").write_text("")
    assert main(["classes", "template", "--out", str(tmp_path / "file" / "x")]) == 2


def test_the_bureaus_approval_wins_over_the_file_but_cameras_stay(run: Run, catalog: Catalog, tmp_path: Path) -> None:
    run("classes", "import", str(CONFIG / "class.example.toml"))
    approved = dict(run("classes", "show", "WS2026-DG-003")[1][0])
    approved.pop("source")
    approved["expected"] = 35
    approved["rooms"] = [{**room, "cameras": [], "benches": []} for room in approved["rooms"]]
    stored = accept_approval(catalog, approved, datetime.now(ZONE))
    assert (stored["expected"], stored["rooms"][0]["cameras"]) == (35, ["cam1"])
    catalog.classes.put("WS2026-DG-003", stored, "bureau", at("08:00"))

    text = (CONFIG / "class.example.toml").read_text(encoding="utf-8").replace('"cam1"', '"cam7"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    status, lines, err = run("classes", "import", str(tmp_path / "mine.toml"))
    assert (status, lines[0]["expected"], lines[0]["source"], lines[0]["rooms"][0]["cameras"]) == (
        1,
        35,
        "bureau",
        ["cam7"],
    )
    assert "expected：以 35 为准，文件为 40" in err
    catalog.close()


def test_an_opened_class_changes_only_by_an_amendment(catalog: Catalog) -> None:
    first = body(lesson("08:30", "10:00"), lesson("14:00", "16:00"))
    open_day, before = at("12:00"), at("08:00")

    def importing(changed: dict[str, Any], moment: datetime) -> None:
        import_class(catalog, parse_class(changed, ZONE, "c.toml"), "file", moment, name="c.toml")

    importing(first, before)
    importing({**first, "expected": 31}, before)  # not opened yet: a better file simply counts
    silent = {**first, "expected": 28}
    with pytest.raises(ClassFileProblems) as caught:
        importing(silent, open_day)
    assert caught.value.problems == [
        "c.toml: expected: 开班后不能由“31”直接改为“28”；请写一项 [[amendments]]（批准日期、生效半天、理由）"
    ]
    change = {
        "approved": "2026-11-23",
        "first_date": "2026-11-23",
        "first_session": "pm",
        "reason": "退班",
        "expected": 28,
        "cancel": [{"date": "2026-11-23", "session": "pm"}],
    }
    importing({**first, "expected": 31, "amendments": [change]}, open_day)
    importing({**first, "expected": 31, "amendments": [change]}, open_day)  # again: nothing new
    stored = catalog.classes.get("C1")
    assert stored is not None
    cls = parse_class(stored.body, ZONE, "catalog")
    assert (cls.expected_on(DAY, Session.AM), cls.expected_on(DAY, Session.PM), len(cls.half_days())) == (31, 28, 1)
    with pytest.raises(ClassFileProblems):
        importing({**first, "expected": 31}, open_day)  # an amendment cannot be unsaid
    with pytest.raises(ClassFileProblems):
        importing({**first, "expected": 31, "lessons": first["lessons"][:1], "amendments": [change]}, open_day)
    importing(
        {
            **first,
            "expected": 31,
            "amendments": [change],
            "rooms": [{**THEORY, "cameras": ["cam5"]}, first["rooms"][1]],
        },
        open_day,
    )
    catalog.close()


def test_a_camera_serves_one_class_at_a_time(catalog: Catalog) -> None:
    import_class(catalog, parse_class(body(lesson("08:30", "10:00")), ZONE, "a"), "file", at("08:00"), name="a")
    other = body(lesson("09:30", "11:00"), class_id="C2")
    with pytest.raises(ClassFileProblems) as caught:
        import_class(catalog, parse_class(other, ZONE, "b.toml"), "file", at("08:00"), name="b.toml")
    assert "占用冲突：摄像机 cam1（该班 08:30 至 10:00）" in caught.value.problems[0]
    later = body(lesson("10:00", "11:00"), class_id="C2")
    assert import_class(catalog, parse_class(later, ZONE, "b"), "file", at("08:00"), name="b").new
    catalog.close()


def test_what_the_bureau_brings_again_is_not_compared_with_all_other_classes(catalog: Catalog) -> None:
    """On each connection the broker brings every class that is approved: after years there are hundreds."""
    mine = body(lesson("08:30", "10:00"))
    catalog.classes.put("C1", accept_approval(catalog, mine, at("08:00")), "bureau", at("08:00"))
    catalog.classes.put("C2", {"class_id": "C2"}, "file", at("08:00"))  # whoever reads it stumbles
    stored = catalog.classes.get("C1")
    assert stored is not None
    assert accept_approval(catalog, mine, at("08:10")) == stored.body


def test_attendance_prints_what_was_published_with_what_stands_behind_it(run: Run, catalog: Catalog) -> None:
    cls = import_class(
        catalog,
        parse_class(body(lesson("08:30", "10:00"), lesson("14:00", "15:00")), ZONE, "a"),
        "file",
        at("08:00"),
        name="a",
    ).cls
    for one in looks(at("08:30"), at("10:00"), 27):
        catalog.looks.add(one)
    half = judge_half_day(
        cls, DAY, Session.AM, catalog.looks.of_half_day("C1", DAY, Session.AM), at("12:00"), JudgementRules()
    )
    published = build_attendance_object(half, "final", 7)
    catalog.attendance.put(published, at("12:00"))
    catalog.close()

    status, lines, _ = run("attendance", "C1", "--on", "2026-11-23")
    assert status == 0
    assert [(x["session"], x["revision"], x["present"]) for x in lines] == [("am", 7, 26), ("pm", 0, None)]
    assert {k: lines[0][k] for k in published} == published
    assert (len(lines[0]["curve"]), lines[0]["curve"][0]["present"], lines[0]["findings"]) == (18, 26, [])
    assert lines[0]["lessons"][0]["start"] == "2026-11-23T08:30:00.000+08:00"
    assert [x["session"] for x in run("attendance", "C1", "--on", "2026-11-23", "--session", "am")[1]] == ["am"]


def test_attendance_refuses_what_it_cannot_answer(run: Run, catalog: Catalog) -> None:
    import_class(catalog, parse_class(body(lesson("08:30", "10:00")), ZONE, "a"), "file", at("08:00"), name="a")
    catalog.close()
    for arguments in (
        ["NONE"],
        ["../x"],
        ["C1", "--on", "gestern"],
        ["C1", "--on", "2026-11-24"],
        ["C1", "--session", "ev"],
    ):
        status, lines, err = run("attendance", *arguments)
        assert (status, lines, err.count("\n")) == (2, [], 1), arguments


def test_half_days_that_lie_ahead_are_left_out(run: Run, catalog: Catalog) -> None:
    today = datetime.now(ZONE).date()
    days = (today - timedelta(days=1), today + timedelta(days=1))
    plan = [lesson("08:30", "10:00", day=day) for day in days]
    made = body(*plan, first_day=days[0].isoformat(), last_day=days[1].isoformat())
    import_class(catalog, parse_class(made, ZONE, "a"), "file", at("08:00"), name="a")
    catalog.close()
    assert [x["date"] for x in run("attendance", "C1")[1]] == [days[0].isoformat()]
