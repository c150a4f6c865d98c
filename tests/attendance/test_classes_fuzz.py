"""Whatever stands in a class body, the answer is a class or a list of faults, never anything else. Times and days of a plan
are read back as they were meant in every notation, and what is no time is never taken for one."""

from __future__ import annotations

import copy
import json
import re
from datetime import date, time, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.class_files.classes import load_training_class, parse_class, serialize_class
from agent.class_files.day_cells import read_day
from agent.class_files.fields import ClassFileProblems, UnreadableCell
from agent.class_files.time_cells import read_time
from tests.attendance.test_classes_files import CONFIG
from tests.support.attendance_factory import ZONE

EXAMPLE = json.loads(json.dumps(serialize_class(load_training_class(CONFIG / "class.example.toml", ZONE), ZONE)))
EXAMPLE["amendments"][1]["move"] = EXAMPLE["amendments"][1].pop("applied")["move"]
EXAMPLE["amendments"][1]["cancel"] = [{"date": "2026-11-24", "session": "am"}]


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(p for key, part in items for p in paths(part, (*here, key)))]


PATHS = paths(EXAMPLE)[1:]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["../..", "2026-11-24", "0001-01-01", "9999-12-31", "23:59", "am", "R101", "cam2", "a" * 500]),
    st.sampled_from(["\x1b[2J", "{x}", "00:00"]),
    st.lists(st.one_of(st.integers(), st.text(max_size=3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=3)), max_size=3),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), ODD), min_size=1, max_size=4))
def test_any_body_is_a_class_or_a_list_of_faults(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    body = copy.deepcopy(EXAMPLE)
    for path, value in changes:
        target = body
        try:
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took this place away
    try:
        cls = parse_class(body, ZONE, "fuzz")
    except ClassFileProblems as problems:
        assert problems.problems
        assert all("\n" not in line and "\x1b" not in line for line in problems.problems)
        return
    again = json.loads(json.dumps(serialize_class(cls, ZONE)))
    assert parse_class(again, ZONE, "again") == cls


CLOCKS = [
    "{h}:{m:02}",
    "{h:02}:{m:02}",
    "{h}：{m:02}",
    "{h}时{m:02}分",
    "{h} 时 {m} 分",
    "{h}点{m:02}",
    "{h}点{m:02}分",
    "{h:02}:{m:02}:00",
]
DASHES = ["-", "－", "—", "——", "–", "~", "～", "〜", "至", "到", " - ", "‐", "−", "一"]
SIGNS = ["、", "，", ",", "；", ";", "/", "\n", " ", "和", " 、 "]
REMARKS = ["", "第1-4节", "（第1-4节）", "共4学时", "（4课时）", "(分组)", "【带工具】", "星期一", " 2学时 "]
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


@st.composite
def time_cells(draw: st.DrawFn) -> tuple[str, list[tuple[time, time]]]:
    """A time cell and what it means: one to four spans of a day, each in a notation of its own."""
    count = draw(st.integers(1, 4))
    minutes = sorted(
        draw(st.lists(st.integers(6 * 60, 22 * 60 - 1), min_size=2 * count, max_size=2 * count, unique=True))
    )
    moments = [time(minute // 60, minute % 60) for minute in minutes]
    spans = list(zip(moments[::2], moments[1::2], strict=True))
    written = []
    for start, end in spans:
        one, two = (draw(st.sampled_from(CLOCKS)).format(h=x.hour, m=x.minute) for x in (start, end))
        word = draw(st.sampled_from(["", "上午" if start.hour < 12 else "下午" if start.hour < 18 else "晚上"]))
        written.append(word + one + draw(st.sampled_from(DASHES)) + two)
    text = draw(st.sampled_from(SIGNS)).join(written)
    before, behind = draw(st.sampled_from(REMARKS)), draw(st.sampled_from(REMARKS))
    text = f"{before} {text} {behind}"
    return text.translate(WIDE) if draw(st.booleans()) else text, spans


@settings(max_examples=600, deadline=None)
@given(time_cells())
def test_spans_are_read_as_they_were_meant(cell: tuple[str, list[tuple[time, time]]]) -> None:
    text, spans = cell
    assert [(x.start, x.end) for x in read_time(text).spans] == spans, text


@settings(max_examples=600, deadline=None)
@given(time_cells(), st.data())
def test_a_damaged_cell_loses_no_span_in_silence(
    cell: tuple[str, list[tuple[time, time]]], data: st.DataObject
) -> None:
    """A sign lost, added or changed: the cell is refused, or each clock that is left in it is a clock of a lesson."""
    text, _ = cell
    at = data.draw(st.integers(0, len(text) - 1))
    text = (
        text[:at]
        + data.draw(st.sampled_from(["", "x", "9", "-", "、", "？", "：", "节"]))
        + text[at + data.draw(st.integers(0, 1)) :]
    )
    try:
        found = read_time(text).spans
    except UnreadableCell:
        return
    plain_text = text.translate({ord(w): d for w, d in zip("０１２３４５６７８９：", "0123456789:", strict=True)})
    clocks = [
        (int(h), int(m)) for h, m in re.findall("(?<![0-9:])([0-9]+):([0-9]{2})(?=:00(?![0-9])|(?![0-9:]))", plain_text)
    ]
    read = {(t.hour, t.minute) for span in found for t in (span.start, span.end)}
    assert set(clocks) <= read, (text, found)


@settings(max_examples=600, deadline=None)
@given(st.text(alphabet="0123456789:：-—~至时分点节课第上午下晚星期一（）()、，. x共学", max_size=24))
def test_a_span_is_read_only_where_two_clocks_stand_beside_a_dash(text: str) -> None:
    try:
        found = read_time(text).spans
    except UnreadableCell:
        return
    assert len(found) <= len(re.findall("[-—~至一]", text)), text
    assert all(str(t.hour) in text for span in found for t in (span.start, span.end)), (text, found)


DAYS = [
    "{m}月{d}日",
    "{m} 月 {d} 日",
    "第一天 {m}月{d}日",
    "{m}月{d}号",
    "{y}-{m:02}-{d:02}",
    "{y}年{m}月{d}日",
    "{y}/{m}/{d}",
    "{m}/{d}",
    "{m}月{d}日（星期{w}）",
    "第十二天 {m}月{d}日 周{w}",
    "星期{w} {m}月{d}日",
    "{y}.{m}.{d}",
    "第3天（{m}月{d}日）",
]


@settings(max_examples=300, deadline=None)
@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.integers(0, 40), st.sampled_from(DAYS), st.booleans())
def test_days_are_read_as_they_were_meant(first: date, later: int, form: str, wide: bool) -> None:
    day = first + timedelta(days=later)
    text = form.format(y=day.year, m=day.month, d=day.day, w="一二三四五六日"[day.weekday()])
    body = {"first_day": first.isoformat(), "last_day": (first + timedelta(days=40)).isoformat()}
    assert read_day(text.translate(WIDE) if wide else text, body, typed=True).value == day


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_cell_is_read_or_refused(text: str) -> None:
    for read in (read_time, lambda value: read_day(value, {}, typed=True)):
        try:
            read(text)
        except UnreadableCell as problem:
            assert problem.key
