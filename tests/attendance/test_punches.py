"""Punch-in exports as attendance systems write them: counts by half-day, and no name kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from agent.attendance.punch_columns import recognise_heading
from agent.attendance.punch_import import MOST_BYTES, PunchCounts, UnknownColumns, count_punches, read_sheets
from agent.core.errors import SiteAgentError
from agent.core.model import Session
from tests.support.attendance_factory import ZONE, a_class, lesson

D1, D2 = date(2026, 11, 23), date(2026, 11, 24)
CLS = a_class(*(lesson(a, b, day) for day in (D1, D2) for a, b in (("08:30", "11:30"), ("14:00", "17:00"))))
AM1, PM1, AM2 = (D1, Session.AM), (D1, Session.PM), (D2, Session.AM)


def counted(name: str, data: bytes, **named: str) -> PunchCounts:
    return count_punches(name, read_sheets(name, data), CLS, ZONE, named)


def csv(text: str, code: str = "utf-8") -> PunchCounts:
    return counted("打卡.csv", text.encode(code))


def xlsx(rows: Sequence[Sequence[Any]], merged: Sequence[str] = ()) -> PunchCounts:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for area in merged:
        book.active.merge_cells(area)
    out = io.BytesIO()
    book.save(out)
    return counted("打卡.xlsx", out.getvalue())


RAW = """姓名,打卡时间,打卡结果
张三,2026-11-23 08:21:07,正常
张三,2026-11-23 08:22:00,正常
张三,2026-11-23 11:32,正常
李四,2026/11/23 8:41,迟到
李四,2026年11月23日 11:35,正常
王五,,缺卡
张三,2026-11-23 13:55,正常
张三,2026-11-24 08:29,正常
合计,4,
"""


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_one_row_a_punch_in_every_encoding(code: str) -> None:
    found = csv(RAW, code)
    assert found.counts == {AM1: (2, 2), PM1: (1, None), AM2: (1, None)}
    assert found.persons == 3, "who never punched is a person too; the totals row is none"


def test_a_person_counts_once_a_half_day_and_direction() -> None:
    found = csv("学号,姓名,日期,时间,类型\n" + "1,张三,11月23日,8:20,签到\n" * 5 + "2,张三,11月23日,8:21,签到\n")
    assert found.counts == {AM1: (2, None)}, "two of one name have numbers of their own"


def test_a_row_a_day_with_dates_and_times_as_spreadsheets_keep_them() -> None:
    day = datetime(2026, 11, 23)
    rows = [
        ["文水县示例学校考勤表"],
        ["序号", "姓名", "日期", "签到时间", "签退时间"],
        [1, "张三", day, time(8, 20), time(17, 5)],
        [2, "李四", "2026-11-23 星期一", "08:25", "未打卡"],
        [3, "王五", 20261123, datetime(2026, 11, 23, 13, 58), None],
        [None, "人数合计", None, 3, 1],
    ]
    assert xlsx(rows).counts == {AM1: (2, None), PM1: (1, 1)}


def test_heads_in_two_rows_merged_over_columns_and_days_merged_over_rows() -> None:
    rows = [
        ["日期", "姓名", "上午", None, "下午", None],
        [None, None, "签到", "签退", "签到", "签退"],
        ["11月23日", "张三", "√", "√", "√", None],
        [None, "李四", "√", "×", "请假", ""],
        ["11月24日", "张三", "8:30", "11:30", "—", "—"],
    ]
    areas = ["A1:A2", "B1:B2", "C1:D1", "E1:F1", "A3:A4"]
    expected = {AM1: (2, 1), PM1: (1, None), AM2: (1, 1)}
    assert xlsx(rows, areas).counts == expected
    # the same saved as CSV: merged cells are blanks
    assert csv("\n".join(",".join(str(x or "") for x in row) for row in rows)).counts == expected


def test_shifts_by_number_and_several_times_in_a_cell() -> None:
    head = "姓名,考勤日期,上班1打卡时间,下班1打卡时间,上班2打卡时间\n"
    assert csv(head + "张三,2026-11-23,08:20,11:31,13:50\n").counts == {AM1: (1, 1), PM1: (1, None)}
    assert csv('姓名,日期,打卡时间\n张三,2026-11-23,"08:20 11:31\n13:50"\n').counts == {AM1: (1, 1), PM1: (1, None)}
    assert csv("姓名,日期,时间\n张三,2026-11-23,下午 1:50\n").counts == {PM1: (1, None)}


def test_marks_with_a_half_day_column_or_one_in_the_title() -> None:
    assert csv("姓名,日期,时段,签到\n张三,2026-11-23,下午,√\n李四,2026-11-23,下午,到\n").counts == {PM1: (2, None)}
    assert csv("签到表 2026年11月24日 上午,,\n姓名,签到,签退\n张三,√,√\n李四,√,\n").counts == {AM2: (2, 1)}


def test_of_a_file_of_several_classes_only_the_own_rows_count() -> None:
    rows = "姓名,班级,打卡时间\n张三,电工第3班,2026-11-23 08:20\n李四,电工第4班,2026-11-23 08:20\n"
    found = csv(rows)
    assert found.counts == {AM1: (1, None)}
    assert found.skipped["signins.skip_class"][0] == 1


def test_what_is_not_counted_is_said_with_its_place() -> None:
    found = csv("姓名,打卡时间\n张三,2026-11-23 08:20\n李四,昨天\n王五,2026-12-23 08:20\n赵六,2026-11-23 03:00\n")
    assert found.counts == {AM1: (1, None)}
    n, places = found.skipped["signins.skip_unreadable"]
    assert n == 1 and "3" in places[0] and "B" in places[0]
    assert found.skipped["signins.skip_day"][0] == found.skipped["signins.skip_time"][0] == 1


def test_unknown_columns_are_named_once() -> None:
    data = "谁,哪天,几点\n张三,2026-11-23,08:20\n".encode()
    with pytest.raises(UnknownColumns) as raised:
        counted("打卡.csv", data)
    assert raised.value.headings == ("谁", "哪天", "几点")
    assert counted("打卡.csv", data, 谁="person", 哪天="date", 几点="time").counts == {AM1: (1, None)}


@pytest.mark.parametrize(
    ("name", "data", "key"),
    [
        ("打卡.xls", b"\xd0\xcf\x11\xe0 old", "classes.save_as_xlsx"),
        ("打卡.xlsx", b"\xd0\xcf\x11\xe0 old", "classes.old_or_locked"),
        ("打卡.xlsx", b"<html><table></table></html>", "classes.not_xlsx"),
        ("打卡.pdf", b"%PDF", "classes.copy_to_xlsx"),
        ("打卡.csv", b"a" * (MOST_BYTES + 1), "signins.too_big"),
        ("打卡.csv", "姓名,打卡时间\n张三,2025-01-01 08:00\n".encode(), "signins.nothing_day"),
        ("打卡.csv", b"", "signins.unknown_columns"),
    ],
)
def test_other_files_are_refused_with_the_remedy(name: str, data: bytes, key: str) -> None:
    with pytest.raises(SiteAgentError) as raised:
        counted(name, data)
    assert raised.value.key == key
    assert str(raised.value)


def test_a_class_of_fifty_over_two_months_is_read() -> None:
    rows = "".join(f"学员{i},2026-11-23 08:{m:02}\n" for i in range(50) for m in range(60)) * 4
    assert csv("姓名,打卡时间\n" + rows).counts == {AM1: (50, None)}


@pytest.mark.parametrize(
    ("heading", "role"),
    [("姓名", "person"), ("上班1打卡时间", "am_in"), ("下班2打卡时间", "pm_out"), ("上午签到", "am_in"),
     ("晚上签退时间", "ev_out"),     ("签到时间", "in"), ("应打卡时间", ""), ("上班1打卡结果", ""), ("部门", "")],
)  # fmt: skip
def test_headings(heading: str, role: str) -> None:
    assert recognise_heading(heading) == role


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), max_size=6), max_size=12))
def test_any_csv_gives_counts_or_the_projects_own_error(rows: list[list[str]]) -> None:
    text = "姓名,日期,打卡时间,签到,签退\n" + "\n".join(",".join(row) for row in rows)
    try:
        found = csv(text.replace("\0", ""), "utf-8")
    except (SiteAgentError, UnicodeEncodeError):
        return
    assert all(n is None or 0 < n <= found.persons for pair in found.counts.values() for n in pair)
