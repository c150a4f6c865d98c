# ruff: noqa: E501 - the tables read better a row a line
"""Tables of a course plan as schools lay them out: what a person reads off the sheet, or one refusal; never a lost lesson."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from agent.class_files.classes import LoadedClass, load_class_with_notes
from agent.class_files.fields import ClassFileProblems
from agent.core.errors import ClassFileError
from tests.attendance.test_classes_files import GOOD, workbook
from tests.support.attendance_factory import ZONE, a_class, lesson

H = ["日期", "时间", "课程内容", "理论/实操", "授课教师"]
L = ["11月23日", "上午8:30-11:30", "安全", "理论", "李"]
SAFE = "11-23 08:30-11:30 R1 安全 李"


def table(path: Path, rows: Sequence[list[Any]], merged: Sequence[str] = (), **others: list[list[Any]]) -> Path:
    """The plan as the first sheet; of `others` those whose name begins with 旧 are hidden."""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    for name, more in others.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if name.startswith("旧") else "visible"
        for row in more:
            sheet.append(row)
    book.save(path)
    return path


def taken(path: Path) -> LoadedClass:
    return load_class_with_notes(path, ZONE, a_class(lesson("19:00", "20:00")))


def read(path: Path) -> list[str]:
    return [
        f"{x.date:%m-%d} {x.start.astimezone(ZONE):%H:%M}-{x.end.astimezone(ZONE):%H:%M} {x.room_id} {x.content} {x.teacher}"
        for x in taken(path).cls.lessons
    ]


READ: list[tuple[str, list[list[Any]], list[str], list[str]]] = [
    ("content over two half-days is one cell",
     [H, L, [None, "下午14:00-17:00", None, "实操", "王"]], ["A2:A3", "C2:C3"],
     [SAFE, "11-23 14:00-17:00 W1 安全 王"]),
    ("all of a lesson over two half-days is one cell",
     [H, L, [None, "下午14:00-17:00"]], ["A2:A3", "C2:C3", "D2:D3", "E2:E3"],
     [SAFE, "11-23 14:00-17:00 R1 安全 李"]),
    ("two groups at one time", [H, L, [None, None, "导线", "实操", "王"]], ["A2:A3", "B2:B3"],
     [SAFE, "11-23 08:30-11:30 W1 导线 王"]),
    ("one lesson over three lines", [H, L, [], []], ["A2:A4", "B2:B4", "C2:C4", "D2:D4", "E2:E4"], [SAFE]),
    ("printed hours under a merged content", [H, L, [None, "下午 时 分- 时 分"]], ["A2:A3", "C2:C3", "D2:D3"], [SAFE]),
    ("lines of a day off",
     [H, L, ["11月24日", "休息"], ["11月25日", None, "放假"], [None, "下午", "停课", "/", "—"], ["11月26日", "/", "—", "-"]], [],
     [SAFE]),
    ("same as above", [H, L, ["同上", "14:00-15:00", "导线", "实操", "〃"]], [], [SAFE, "11-23 14:00-15:00 W1 导线 李"]),
    ("sums", [H, L, ["合计", "4课时"], ["总课时", 40], [None, None, "合计 40课时"], ["理论课时", 4, "实操课时", 36], ["说明", "x"]], [], [SAFE]),
    ("lines below in a table that begins with the teacher",
     [["授课教师", "日期", "时间", "课程内容", "理论/实操"], ["李", *L[:4]], ["小计", "4课时"], ["备注：x"], ["审核人：王", None, "2026年"]], [], [SAFE]),
    ("day and time both called 培训",
     [["培训日期", "培训时间", "课程名称", "理论或实操", "任课老师"], ["11月23日", "8:30-11:30", "安全", "理论课", "李"]], [], [SAFE]),
    ("begin and end of class", [["日期", "上课时间", "下课时间", "课题", "主讲人", "培训地点"],
                                ["11月23日", time(8, 30), time(11, 30), "安全", "李", "R1"]], [], [SAFE]),
    ("headings with a star and a colon", [["日期*", "时间：", "课程内容*", "理论/实操", "教师"], L], [], [SAFE]),
    ("a table of facts above", [["培训课程", "电工", "培训时间", "11月"], ["内容", "安全"], H, L], [], [SAFE]),
    ("a second table in another order",
     [H, L, [], ["教室", "日期", "时间", "授课教师", "课程内容"], ["W1", "11月24日", "8:30-9:30", "王", "导线"]], [],
     [SAFE, "11-24 08:30-09:30 W1 导线 王"]),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "merged", "expected"), [row[1:] for row in READ], ids=[row[0] for row in READ])
def test_a_layout_is_read_as_a_person_reads_it(
    tmp_path: Path, rows: list[list[Any]], merged: list[str], expected: list[str]
) -> None:
    assert read(table(tmp_path / "表.xlsx", rows, merged)) == expected


REFUSED: list[tuple[list[list[Any]], str]] = [
    ([H, L, ["11月24日", "8:30-11:30", "周末休息", "理论"]], "第 3 行 C 列: “周末休息”不是课，却写了时间"),
    ([H, L, ["11月24日", "8:30-11:30", "停课", None]], "第 3 行 C 列: “停课”不是课，却写了时间"),
    ([H, L, ["日期：11月24日"], [None, "14:00-17:00", "导线", "实操", "王"]], "第 3 行 A 列: “日期:11月24日”不是日期"),
    (
        [H, L, ["11月24日-11月26日", "8:30-9:30", "导线", "实操"]],
        "第 3 行 A 列: “11月24日-11月26日”是好几天；请每天写一行",
    ),
    ([[*H, None, *H], [*L, None, *L]], "第 1 行并排放着两张表；请把右边的表移到左边的表下面"),
    ([H, L, [None, None, "审核流程", "理论", "李"]], "第 3 行: 这一行有内容（审核流程）却没有时间"),
    ([H, L, [None, None, None, "理论", "李"]], "第 3 行: 这一行有内容（理论）却没有时间"),
    ([H, ["11月23日", "8:30-9:30", "导线", None, "李"]], "第 2 行 D 列: 没有写是理论还是实操"),
]


@pytest.mark.parametrize(("rows", "expected"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_is_no_lesson_is_one_refusal(tmp_path: Path, rows: list[list[Any]], expected: str) -> None:
    with pytest.raises(ClassFileProblems) as caught:
        taken(table(tmp_path / "表.xlsx", rows))
    assert len(caught.value.problems) == 1
    assert expected in caught.value.problems[0]


def test_a_content_that_speaks_of_rest_is_a_lesson(tmp_path: Path) -> None:
    path = table(tmp_path / "表.xlsx", [H, ["11月23日", "8:30-11:30", "劳动者的休息休假权", "理论", "李"]])
    assert len(read(path)) == 1


def test_a_head_of_several_columns_is_read_whole(tmp_path: Path) -> None:
    one = [list(row) for row in GOOD["班级"]]
    beside = [[*one[n], *(one[n + 1] if n + 1 < len(one) else ["班主任", "张"])] for n in range(0, len(one), 2)]
    cls = load_class_with_notes(workbook(tmp_path / "c.xlsx", **{**GOOD, "班级": [["开班信息"], *beside]}), ZONE).cls
    assert (cls.head_teacher, cls.expected, cls.place) == ("张", 30, "东街")
    remarks = [[*row, "请如实填写"] for row in one]
    assert load_class_with_notes(workbook(tmp_path / "d.xlsx", **{**GOOD, "班级": remarks}), ZONE).cls.expected == 30


def test_other_sheets_with_a_plan_are_told(tmp_path: Path) -> None:
    more = [H, ["11月24日", "8:30-11:30", "导线", "实操", "王"]]
    hidden = taken(table(tmp_path / "a.xlsx", [H, L], 旧表=more))
    assert len(hidden.cls.lessons) == 1
    assert "“旧表”也像课程计划，没有读入" in hidden.notes[0]
    named = taken(table(tmp_path / "b.xlsx", [["说明"]], 课程计划=[H, L], 第二周=more))
    assert len(named.cls.lessons) == 1
    assert "“第二周”也像课程计划，没有读入" in named.notes[0]
    with pytest.raises(ClassFileError, match="有多张工作表像课程计划（Sheet, 第二周）"):
        taken(table(tmp_path / "c.xlsx", [H, L], 第二周=more))


@pytest.mark.parametrize("second", ['"导线"', "导线"])
def test_a_quote_that_is_not_closed_swallows_no_lesson(tmp_path: Path, second: str) -> None:
    path = tmp_path / "表.csv"
    rows = [",".join(H), '11月23日,8:30-10:00,安全,理论,"李', f"11月24日,8:30-10:00,{second},理论,王", ""]
    path.write_text("\r\n".join(rows), encoding="gbk")
    with pytest.raises(ClassFileError, match="请检查引号和分隔符"):
        taken(path)


def test_signs_of_inches_are_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "表.csv"
    path.write_text("\r\n".join([",".join(H), '11月23日,8:30-11:30,3/4"管,理论,李', ""]), encoding="gbk")
    assert read(path) == ['11-23 08:30-11:30 R1 3/4"管 李']


def test_a_time_kept_with_another_day_than_the_row_s_is_refused(tmp_path: Path) -> None:
    head = ["日期", "开始", "结束", "课程内容", "理论/实操", "授课教师"]
    right = [
        datetime(2026, 11, 23),
        datetime(2026, 11, 23, 8, 30),
        datetime(2026, 11, 23, 11, 30),
        "安全",
        "理论",
        "李",
    ]
    assert read(table(tmp_path / "a.xlsx", [head, right])) == [SAFE]
    assert read(table(tmp_path / "b.xlsx", [head, [right[0], time(8, 30), time(11, 30), *right[3:]]])) == [SAFE]
    slip = [right[0], datetime(2026, 11, 24, 8, 30), datetime(2026, 11, 24, 11, 30), *right[3:]]
    with pytest.raises(ClassFileProblems) as told:
        read(table(tmp_path / "c.xlsx", [head, slip]))
    assert len(told.value.problems) == 1 and "2026-11-24 08:30" in told.value.problems[0], told.value.problems
