# ruff: noqa: E501 - the tables read better a row a line
"""Cells of a course plan: understood whole, or refused with what is left over."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pytest

from agent import i18n
from agent.class_files.day_cells import read_day
from agent.class_files.fields import UnreadableCell, parse_clock_time, parse_day
from agent.class_files.time_cells import check_half_day, read_clock, read_time

UNDERSTOOD: list[tuple[str, list[str]]] = [
    ("上午 8 时 30 分- 11 时 30 分", ["08:30-11:30 am"]),
    ("上午8:30-10:00\n10:20-11:50", ["08:30-10:00 am", "10:20-11:50 am"]),
    ("8:30-11:30，14:00-17:00", ["08:30-11:30", "14:00-17:00"]),
    ("上午8:30-11:30，14:00-17:00", ["08:30-11:30 am", "14:00-17:00"]),
    ("上午8:30-11:30 下午14:00-17:00", ["08:30-11:30 am", "14:00-17:00 pm"]),
    ("8:30-9:15 9:25-10:10 10:20-11:05", ["08:30-09:15", "09:25-10:10", "10:20-11:05"]),
    ("8:30-10:00、10:20-11:50；", ["08:30-10:00", "10:20-11:50"]),
    ("8:30-10:00/10:20-11:50", ["08:30-10:00", "10:20-11:50"]),
    ("①8:30-10:00②10:20-11:50", ["08:30-10:00", "10:20-11:50"]),
    ("8:30到11:30和14:00至17:00", ["08:30-11:30", "14:00-17:00"]),
    ("上午 第1-4节 8:30-11:50", ["08:30-11:50 am"]),
    ("第一节：8:30-9:15；第二节：9:25-10:10", ["08:30-09:15", "09:25-10:10"]),
    ("1-2节:8:30-10:00", ["08:30-10:00"]),
    ("下午第5-8节 14:30-17:50", ["14:30-17:50 pm"]),
    ("第1—4学时 8:30-11:50", ["08:30-11:50"]),
    ("1-4节（8:30-11:50）", ["08:30-11:50"]),
    ("第1-2节8:30-10:00，第3-4节10:20-11:50", ["08:30-10:00", "10:20-11:50"]),
    ("第一、二节 8:30-10:00", ["08:30-10:00"]),
    ("8时-11时4学时", ["08:00-11:00"]),
    ("8-11时 1-4节", ["08:00-11:00"]),
    ("8:30-11:30（共4学时，课间休息10分钟）", ["08:30-11:30"]),
    ("8:30-11:30（上午）", ["08:30-11:30 am"]),
    ("8:30-11:30 上午", ["08:30-11:30 am"]),
    ("上午：8:30-11:30", ["08:30-11:30 am"]),
    ("星期一 8:30-11:30", ["08:30-11:30"]),
    ("8:30AM-11:30AM", ["08:30-11:30"]),
    ("2:30 PM - 5:30 PM", ["14:30-17:30"]),
    ("8点半到11点", ["08:30-11:00"]),
    ("８：３０～１１：３０", ["08:30-11:30"]),
    ("8:30一11:30", ["08:30-11:30"]),
    *((f"8:30{dash}11:30", ["08:30-11:30"]) for dash in "-‐‑–—―−－~～〜至到─→"),
    ("8:30-11", ["08:30-11:00"]),
    ("8-11:30", ["08:00-11:30"]),
    ("晚上22:00-23:00", ["22:00-23:00 ev"]),
    ("18:30-20:00", ["18:30-20:00"]),
    ("上午   时   分-   时   分", []),
    ("下午__时__分-__时__分", []),
    ("　", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD, ids=[repr(row[0]) for row in UNDERSTOOD])
def test_a_time_cell_is_understood(text: str, expected: list[str]) -> None:
    found = read_time(text)
    for span in found.spans:
        check_half_day(span.start, span.half)
    assert [f"{s.start:%H:%M}-{s.end:%H:%M} {s.half or ''}".strip() for s in found.spans] == expected


REFUSED = [
    ("8:30-11:30-12:00", "'-12:00' in"),
    ("8:30-11:30 12:00", "'12:00' in"),
    ("8:30 11:30", "'8:30' in"),
    ("8:30-", "'8:30-' in"),
    ("8:30-11:30abc", "'abc' in"),
    ("8.30-11.30", "is not understood"),
    ("0830-1130", "is not understood"),
    ("8:30-10:0010:20-11:50", "is not understood"),
    ("8:30-10:00，9:30-11:00", "overlap at 09:30:00"),
    ("8:30-11:30（实际9:00-12:00）", "'(实际9:00-12:00)' in"),
    ("8:30-11:30（停课）", "'(停课)' in"),
    ("上午8时30分-下午17时30分", "'8时30分-下午' in"),
    ("上午、下午 8:30-11:30、14:00-17:00", "which half-day"),
    ("8:30-11:30上午、14:00-17:00下午", "which half-day"),
    ("14:00-15:00 下午，18:00-19:00", "which half-day"),
    ("2:30-5:30PM", "'PM' in"),
    ("1-4", "hours or periods"),
    ("上午 8-11", "hours or periods"),
    ("8时-11时10、4节", "'10、4节' in"),
    ("上午第1-4节", "no from-to time"),
    ("共4学时", "no from-to time"),
    ("25:00-26:00", "'25:00' is not a time"),
    ("8:75-9:00", "'8:75' is not a time"),
    ("8:30-24:00", "midnight of the next day"),
    ("下午2:30-5:30", "write hours from 0 to 24 (14)"),
    ("晚上7:00-9:00", "write hours from 0 to 24 (19)"),
    ("上午14:00-15:00", "does not begin at 14:00:00"),
    ("01:00-04:00", "no lesson begins at 01:00:00"),
    ("2:30-5:30", "no lesson begins at 02:30:00"),
    ("23:00-23:30", "no lesson begins at 23:00:00"),
    ("下午23:00-23:30", "no lesson begins at 23:00:00"),
    ("12:30AM-1:30AM", "no lesson begins at 00:30:00"),
    ("一" * 150 + "x", "is not understood"),
    ("8:30-9:30、" * 40, "more than 200 characters"),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED, ids=[repr(row[0][:40]) for row in REFUSED])
def test_a_time_cell_is_refused_with_what_is_left_over(text: str, expected: str) -> None:
    with pytest.raises(UnreadableCell) as caught:
        for span in read_time(text).spans:
            check_half_day(span.start, span.half)
    assert expected in i18n.translate_to("en", caught.value.key, **caught.value.params)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("8:30", time(8, 30)), (8, time(8)), ("8时", time(8)), ("8点半", time(8, 30)), ("8:30 AM", time(8, 30)), ("2:30pm", time(14, 30)),
     (0.354166666666667, time(8, 30)), (time(8, 30), time(8, 30)), (datetime(1900, 1, 1, 8, 30), time(8, 30)),
     (0.3543, None), (8.3, None), ("8:30-11:30", None), ("①8:30", None), (True, None), ("24:00", None), ("第8", None)],
)  # fmt: skip
def test_a_cell_with_one_time(value: object, expected: time | None) -> None:
    if expected:
        assert read_clock(value)[0] == expected
    else:
        with pytest.raises(UnreadableCell):
            read_clock(value)


CLASS = {"first_day": "2027-03-05", "last_day": "2027-03-14"}
DAY = date(2027, 3, 5)


@pytest.mark.parametrize(
    "value",
    [DAY, datetime(2027, 3, 5), "3月5日", "3月5号", "第一天 3 月 5 日", "第一天（3月5日）", "3月5日（星期五）", "3月5日 周五", "星期五 3月5日",
     "2027年3月5日(五)", "2027-03-05", "3.5", "3/5", "３月５日"],
)  # fmt: skip
def test_a_day(value: object) -> None:
    assert read_day(value, CLASS, typed=True).value == DAY


@pytest.mark.parametrize(
    ("value", "expected"),
    [("3月5日（星期六）", "is 星期五"), (3.5, "is not a day"), (5.1, "is not a day"), (46086, "is not a day"), (True, "is not a day"),
     (datetime(2027, 3, 5, 8, 30), "is not a date"), *((days, "is several days") for days in ("3月5日-3月7日", "3月5日至7日", "3月5、6日", "3.5-3.7", "3月5日和6日")), ("3月5日上午", "is not a date"), ("13月40日", "is not a date"),
     ("3月5日（清明）", "is not a date"), ("①3月5日", "is not a date"), ("1999年3月5日", "is not a date")],
)  # fmt: skip
def test_a_day_that_nobody_can_know(value: object, expected: str) -> None:
    with pytest.raises(UnreadableCell) as caught:
        read_day(value, CLASS, typed=True)
    assert expected in i18n.translate_to("en", caught.value.key, **caught.value.params)


@pytest.mark.parametrize(
    "text", ["第四天 月 日", "第四天", "第十天__月__日", "　　月　　日", "月 日（星期 ）", "年 月 日"]
)
def test_a_day_that_is_only_printed(text: str) -> None:
    assert read_day(text, CLASS, typed=True).value is None


def test_in_a_csv_a_day_may_have_lost_its_nought() -> None:
    assert read_day("3.5", CLASS, typed=False).value == DAY
    with pytest.raises(UnreadableCell):
        read_day("5.1", CLASS, typed=False)  # 5.10 as a spreadsheet writes it


def test_a_day_is_not_judged_by_a_class_whose_days_are_unreadable() -> None:
    assert read_day("3月5日（星期日）", {"first_day": "?"}, typed=True).value is not None


def test_a_number_in_a_circle_is_no_digit() -> None:
    values: list[Any] = ["①8:30", "①2:00"]
    assert [parse_clock_time(value) for value in values] == [None, None]
    assert parse_day("①2027-03-05") is None
