"""`classes import PLAN --class ID`: a course plan that stands alone, for a class that is known or approved."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.__main__ import main
from agent.attendance.approved import accept_approval, import_class
from agent.catalog import Catalog
from agent.class_files.classes import load_class_with_notes, load_training_class, parse_class
from agent.class_files.fields import ClassFileProblems
from agent.core.errors import ClassFileError
from tests.attendance.test_classes_files import workbook
from tests.support.attendance_factory import ZONE, a_class, at, body, lesson
from tests.support.terminal import Terminal

FORM5: list[list[Any]] = [
    ["某学校全民技能提升工程课程计划表"],
    ["职业（工种）： 电工      第 3 班"],
    ["培训时间", None, "课程内容", "理论/实操", "授 课 教 师"],
    ["第一天 11 月 23 日", "上午 8 时 30 分- 10 时 00 分、10:20-11:50", "安全用电", "理论", "李老师"],
    [None, "下午 14 时 30 分- 17 时 30 分", "导线连接", "实操", "王老师"],
    ["第二天   月   日", "上午   时   分-   时   分"],
    [None, "下午   时   分-   时   分"],
]
AHEAD = {"first_day": "2090-11-23", "last_day": "2090-11-27"}
"""Days of a class that has not been opened yet, whatever the clock of this machine says."""
READ = [("08:30", "10:00", "R1"), ("10:20", "11:50", "R1"), ("14:30", "17:30", "W1")]


@pytest.fixture
def catalog(tmp_path: Path) -> Any:
    (tmp_path / "state").mkdir()
    made = Catalog(tmp_path / "state" / "catalog.db", ZONE)
    yield made
    made.close()


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return workbook(tmp_path / "表5.xlsx", Sheet1=FORM5)


def command(tmp_path: Path, *arguments: str) -> int:
    (tmp_path / "agent.toml").write_text(
        f'county = "wenshui"\nsite = "s1"\nbox = "b1"\ninstitution = "学校"\nstate_dir = "{tmp_path / "state"}"\n',
        encoding="utf-8",
    )
    return main([*arguments, "--config", str(tmp_path / "agent.toml")])


def times(catalog: Catalog) -> list[tuple[str, str, str]]:
    row = catalog.classes.get("C1")
    assert row is not None
    return [(x["start"], x["end"], x["room_id"]) for x in row.body["lessons"]]


def test_form_5_as_printed_is_the_plan_of_a_known_class(plan: Path) -> None:
    cls = load_class_with_notes(plan, ZONE, a_class(lesson("19:00", "20:00"), expected=35)).cls
    assert [(x.start, x.end, x.room_id) for x in cls.lessons] == [(at(s), at(e), r) for s, e, r in READ]
    assert (cls.expected, cls.class_id) == (35, "C1")


def test_alone_it_says_what_is_missing(plan: Path) -> None:
    with pytest.raises(ClassFileError, match="请加 --class 班级编号"):
        load_training_class(plan, ZONE)


def test_the_plan_of_another_class_is_refused(plan: Path) -> None:
    for other in ({"occupation": "焊工"}, {"class_number": 4}):
        with pytest.raises(ClassFileError, match="写的是“职业（工种）:电工第3班”，而班级 C1 是"):
            load_class_with_notes(plan, ZONE, a_class(lesson("19:00", "20:00"), **other))


def test_a_whole_class_file_is_no_plan(tmp_path: Path) -> None:
    whole = workbook(tmp_path / "c.xlsx", 班级=[["班级编号", "C1"]], 课程计划=FORM5)
    (tmp_path / "c.toml").write_text("", encoding="utf-8")
    for path in (whole, tmp_path / "c.toml"):
        with pytest.raises(ClassFileError, match="请去掉 --class"):
            load_class_with_notes(path, ZONE, a_class(lesson("19:00", "20:00")))


def test_a_class_that_the_bureau_approved_without_a_plan_gets_it(
    tmp_path: Path, catalog: Catalog, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    approved = {key: value for key, value in body(expected=30, **AHEAD).items() if key != "lessons"}
    catalog.classes.put("C1", accept_approval(catalog, approved, at("08:00")), "bureau", at("08:00"))
    assert command(tmp_path, "attendance", "C1") == 2
    assert "C1 还没有课程计划" in capsys.readouterr().err
    assert command(tmp_path, "classes", "import", str(plan), "--class", "C1") == 0
    assert "2090-11-23  上午  10:20  11:50  R1    安全用电" in capsys.readouterr().out
    assert times(catalog) == READ
    # retained, the approval comes again with each connection: the plan stays, and the bureau's word on the headcount counts
    for expected in (30, 28):
        stored = accept_approval(catalog, {**approved, "expected": expected}, at("08:00"))
        catalog.classes.put("C1", stored, "bureau", at("08:00"))
        assert (stored["expected"], times(catalog)) == (expected, READ)
    shorter = workbook(tmp_path / "短.xlsx", Sheet1=FORM5[:4])
    assert command(tmp_path, "classes", "import", str(shorter), "--class", "C1") == 0
    row = catalog.classes.get("C1")
    assert row is not None
    assert (times(catalog), row.body["expected"], row.source) == (READ[:2], 28, "bureau")
    # a plan of the bureau's own counts from then on
    stored = accept_approval(
        catalog, {**approved, "lessons": [lesson("09:00", "10:00", day=date(2090, 11, 24))]}, at("08:00")
    )
    catalog.classes.put("C1", stored, "bureau", at("08:00"))
    assert command(tmp_path, "classes", "import", str(plan), "--class", "C1") == 1
    assert times(catalog) == [("09:00", "10:00", "R1")]


def test_an_approval_that_the_plan_does_not_fit_is_refused(catalog: Catalog, plan: Path) -> None:
    approved = {key: value for key, value in body().items() if key != "lessons"}
    import_class(
        catalog,
        load_class_with_notes(plan, ZONE, a_class(lesson("19:00", "20:00"))).cls,
        "file",
        at("08:00"),
        name="表5.xlsx",
    )
    assert accept_approval(catalog, approved, at("08:00"))["plan_source"] == "file"
    with pytest.raises(ClassFileProblems, match="不在班期"):
        accept_approval(catalog, {**approved, "first_day": "2026-11-25"}, at("08:00"))


def test_an_opened_class_keeps_its_plan(catalog: Catalog, plan: Path) -> None:
    import_class(catalog, parse_class(body(lesson("07:00", "08:00")), ZONE, "a"), "file", at("06:00"), name="a")
    given = load_class_with_notes(plan, ZONE, a_class(lesson("07:00", "08:00"))).cls
    with pytest.raises(ClassFileProblems, match=r"开班后不能由“.+”直接改为“.+”"):
        import_class(catalog, given, "file", at("07:30"), name="表5.xlsx")


@pytest.mark.parametrize(
    ("typed", "arguments", "status"), [("n\n", (), 1), ("", (), 1), ("y\n", (), 0), ("n\n", ("--yes",), 0)]
)
def test_a_person_is_asked_before_anything_is_taken(
    tmp_path: Path,
    plan: Path,
    catalog: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    arguments: tuple[str, ...],
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = lesson("19:00", "20:00", day=date(2090, 11, 24))
    import_class(catalog, a_class(later, **AHEAD), "file", at("08:00"), name="a")
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert command(tmp_path, "classes", "import", str(plan), "--class", "C1", *arguments) == status
    assert times(catalog) == (READ if status == 0 else [("19:00", "20:00", "R1")])
    shown = capsys.readouterr()
    assert "课程内容" in shown.out
    assert ("请逐行核对" in shown.err) == (not arguments)


def test_hidden_rows_are_read_and_told(tmp_path: Path, plan: Path) -> None:
    from openpyxl import load_workbook

    book = load_workbook(plan)
    book["Sheet1"].row_dimensions[5].hidden = True
    book.save(plan)
    loaded = load_class_with_notes(plan, ZONE, a_class(lesson("19:00", "20:00", day=date(2026, 11, 27))))
    assert len(loaded.cls.lessons) == 3
    assert loaded.notes == ["表5.xlsx: Sheet1: 第 5 行在表格里是隐藏的，也已读入；不上的课请删去该行"]
