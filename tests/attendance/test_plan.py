"""The course-plan form where one rule alone decides: headings, hidden rows, class numbers, lines below."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from agent.class_files import plan
from agent.class_files.fields import ClassFileProblems, ImportReport
from agent.class_files.sheets import Sheet
from agent.core.errors import ClassFileError
from agent.core.model import Session
from tests.attendance.test_classes_tables import SAFE, H, L, read, table, taken
from tests.support import attendance_factory as made


def problems(path: Path) -> list[str]:
    with pytest.raises(ClassFileProblems) as caught:
        taken(path)
    return caught.value.problems


def hide(path: Path, *rows: int) -> Path:
    book = load_workbook(path)
    for row in rows:
        book.active.row_dimensions[row].hidden = True
    book.save(path)
    return path


def test_hidden_rows_are_named_where_they_gave_a_lesson_and_only_there(tmp_path: Path) -> None:
    second = ["11月24日", "上午8:30-11:30", "导线", "实操", "王"]
    path = hide(table(tmp_path / "a.xlsx", [H, L, ["11月25日", "休息"], second]), 3)
    assert taken(path).notes == []
    (note,) = taken(hide(path, 4)).notes
    assert "4" in note and "3" not in note.partition("4")[0].rpartition("：")[2]


@pytest.mark.parametrize("number", ["3", "03", "003"])
def test_a_class_number_may_be_written_with_noughts(tmp_path: Path, number: str) -> None:
    assert read(table(tmp_path / "a.xlsx", [[f"职业（工种）：电工 第{number}班"], H, L])) == [SAFE]


@pytest.mark.parametrize("line", ["职业（工种）：电工 第30班", "职业（工种）：焊工 第3班"])
def test_the_plan_of_another_class_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ClassFileError, match="第3"):
        taken(table(tmp_path / "a.xlsx", [[line], H, L]))


def test_an_unknown_heading_is_a_fault_only_where_something_stands_under_it(tmp_path: Path) -> None:
    assert read(table(tmp_path / "a.xlsx", [[*H, "甲"], L])) == [SAFE]
    (line,) = problems(table(tmp_path / "b.xlsx", [[*H, "甲"], [*L, "x"]]))
    assert "甲" in line
    assert read(table(tmp_path / "c.xlsx", [[*H, "备注"], [*L, "x"]])) == [SAFE]


def test_a_heading_that_stands_twice_is_a_fault_and_named(tmp_path: Path) -> None:
    (line,) = problems(table(tmp_path / "a.xlsx", [[*H, "任课教师"], [*L, "王"]]))
    assert "授课教师" in line and "任课教师" in line
    (line,) = problems(table(tmp_path / "b.xlsx", [[*H, "培训内容"], [*L, "导线"]]))
    assert "课程内容" in line and "培训内容" in line, "two columns of contents under one day are no two tables"


def test_two_tables_beside_each_other_are_one_fault(tmp_path: Path) -> None:
    (line,) = problems(table(tmp_path / "a.xlsx", [[*H, *H], [*L, *L]]))
    assert "授课教师" not in line


@pytest.mark.parametrize("first", ["班主任", "备注", "合计"])
def test_a_row_with_a_time_is_no_line_below_the_table(tmp_path: Path, first: str) -> None:
    row: list[Any] = [first, "下午14:00-17:00", "导线", "实操", "王"]
    assert any(first in line for line in problems(table(tmp_path / "a.xlsx", [H, L, row])))


def test_headings_on_a_second_page_begin_no_lesson(tmp_path: Path) -> None:
    second = ["11月24日", "上午8:30-11:30", "导线", "实操", "王"]
    assert read(table(tmp_path / "a.xlsx", [H, L, H, second])) == [SAFE, "11-24 08:30-11:30 W1 导线 王"]


def test_printed_hours_are_no_lesson_only_under_a_printed_day_and_without_a_kind(tmp_path: Path) -> None:
    form = ["培训时间", None, "课程内容", "理论/实操", "授课教师"]
    first = ["第一天 11月23日", "上午8:30-11:30", "安全", "理论", "李"]
    assert read(table(tmp_path / "a.xlsx", [form, first, ["第二天  月  日", "上午8:30-11:30"]])) == [SAFE]
    for row in (["第二天  月  日", "上午8:30-11:30", None, "理论"], ["第二天 11月24日", "上午8:30-11:30"]):
        assert problems(table(tmp_path / "b.xlsx", [form, first, row]))


def test_the_half_day_that_the_form_names_goes_before_the_clock(tmp_path: Path) -> None:
    evening = ["11月23日", "下午18:10-19:00", "安全", "理论", "李"]
    (lesson,) = taken(table(tmp_path / "a.xlsx", [H, evening])).cls.lessons
    assert lesson.session is Session.PM
    (lesson,) = taken(table(tmp_path / "b.xlsx", [H, [evening[0], "18:10-19:00", *evening[2:]]])).cls.lessons
    assert lesson.session is Session.EV


def test_same_as_above_is_a_plain_text_where_nothing_stands_above(tmp_path: Path) -> None:
    assert read(table(tmp_path / "a.xlsx", [H, [*L[:4], "同上"]])) == [SAFE.replace("李", "同上")]


def test_two_cells_that_name_two_half_days_are_a_fault(tmp_path: Path) -> None:
    heads = ["日期", "半天", "时间", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    row = ["11月23日", "上午", "上午", "8:30", "11:30", "安全", "理论", "李"]
    assert read(table(tmp_path / "a.xlsx", [heads, row])) == [SAFE]
    (line,) = problems(table(tmp_path / "b.xlsx", [heads, [*row[:2], "下午", *row[3:]]]))
    assert "下午" in line


def test_a_row_with_times_of_its_own_takes_none_from_a_merged_cell(tmp_path: Path) -> None:
    heads = ["日期", "时间", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    rows = [[L[0], "8:30-11:30", None, None, *L[2:]], [None, None, "14:00", "17:00", "导线", "实操", "王"]]
    path = table(tmp_path / "a.xlsx", [heads, *rows], ["B2:B3"])
    assert read(path) == [SAFE, "11-23 14:00-17:00 W1 导线 王"]


def test_the_half_day_may_stand_in_the_column_of_starts(tmp_path: Path) -> None:
    heads = ["日期", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    path = table(tmp_path / "a.xlsx", [heads, [L[0], "下午18:10", "19:00", *L[2:]]])
    assert [x.session for x in taken(path).cls.lessons] == [Session.PM]


def test_two_times_of_one_row_that_differ_are_a_fault(tmp_path: Path) -> None:
    heads = ["日期", "时间", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    row = [L[0], "8:30-11:30", "8:30", "11:30", *L[2:]]
    assert read(table(tmp_path / "a.xlsx", [heads, row])) == [SAFE]
    (line,) = problems(table(tmp_path / "b.xlsx", [heads, [*row[:3], "12:00", *row[4:]]]))
    assert "8:30-11:30" in line


def test_a_bare_time_kept_on_a_spreadsheets_day_zero_is_on_no_other_day() -> None:
    def complaints(day: date) -> list[str]:
        cells = [datetime.combine(day, time(hour, 30)) for hour in (8, 11)]
        report = ImportReport("a.xlsx")
        heads = ["日期", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
        plan.read_lessons(Sheet("a", [heads, [L[0], *cells, *L[2:]]]), made.body(), report)
        return report.problems

    assert complaints(date(1899, 12, 31)) == complaints(date(2026, 11, 23)) == []
    assert len(complaints(date(2026, 11, 24))) == 1


def test_a_day_that_is_not_filled_in_holds_for_no_later_day(tmp_path: Path) -> None:
    form = ["培训时间", None, "课程内容", "理论/实操", "授课教师"]
    days = [
        ["第一天 11月23日", "上午8:30-11:30", "安全", "理论", "李"],
        ["第二天  月  日", "上午  时  分-  时  分"],
        ["第三天 11月25日", "上午8:30-11:30", "导线", "实操", "王"],
    ]
    assert read(table(tmp_path / "a.xlsx", [form, *days])) == [SAFE, "11-25 08:30-11:30 W1 导线 王"]


def test_a_note_in_a_column_of_times_is_a_fault_and_in_the_first_column_a_line_below(tmp_path: Path) -> None:
    heads = ["日期", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    row = [L[0], "8:30", "11:30", *L[2:]]
    assert read(table(tmp_path / "a.xlsx", [heads, row, ["备注：另行通知"]])) == [SAFE]
    assert problems(table(tmp_path / "b.xlsx", [heads, row, [None, "备注：另行通知"]]))


def test_a_row_that_begins_behind_the_last_heading_is_passed_over(tmp_path: Path) -> None:
    assert read(table(tmp_path / "a.xlsx", [H, L, [*[None] * len(H), "备注：另行通知"]])) == [SAFE]


def test_an_end_without_a_start_is_told_as_that(tmp_path: Path) -> None:
    heads = ["日期", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    for row, missing in (([L[0], None, "11:30", *L[2:]], "start"), ([L[0], "8:30", None, *L[2:]], "end")):
        (line,) = problems(table(tmp_path / "a.xlsx", [heads, row]))
        assert f"缺少 {missing}" in line
