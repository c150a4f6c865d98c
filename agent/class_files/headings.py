"""Headings of a course plan: the meaning of each column, by the names that schools and bureaus use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.class_files.cells import Cells
from agent.class_files.fields import normalize_width

_HEADINGS: Mapping[str, str] = {
    "date": "date 培训时间 日期 上课日期 培训日期 授课日期",
    "session": "session 半天 时段 上午/下午 午别",
    "time": "time 时间 上课时间 授课时间 起止时间 具体时间",
    "start": "start 开始 开始时间",
    "end": "end 结束 结束时间 下课时间",
    "content": "content 课程内容 授课内容 培训内容 教学内容 课程名称 课程 内容 课题 培训课程",
    "kind": "kind 理论/实操 理论/实践 理论或实操 理论或实践",
    "teacher": "teacher 授课教师 授课老师 任课教师 任课老师 主讲教师 主讲老师 主讲人 教师 老师 讲师 教师姓名 授课人",
    "room_id": "room_id 教室 上课地点 授课地点 培训地点 上课教室 地点",
    "staff_in_room": "staff_in_room 室内教职工",
}
COLUMN_KEYS: Mapping[str, str] = {heading: key for key, headings in _HEADINGS.items() for heading in headings.split()}
IGNORED_HEADINGS = re.compile(
    "(?:序号|编号|no|星期|周次|节次|课时|学时|课时数|学时数|(?:理论|实操|实践)(?:课时|学时)|备注)(?:（.*）)?"
)
_TIMES = frozenset({"time", "start", "session"})


def strip_whitespace(value: object) -> str:
    """Return a cell's text without whitespace, with half-width digits and signs.

    Parentheses become full-width （ ）, as the forms print them.
    """
    if value is None:
        return ""
    text = "".join(normalize_width(str(value)).split())
    return text.replace("(", "（").replace(")", "）")


def normalize_heading(value: object) -> str:
    """Return a heading in the form used for lookup: without whitespace, colon and asterisk, in lower case."""
    return strip_whitespace(value).strip(":*").lower()


def map_columns(row: Cells) -> list[str]:
    """Return the lesson key of each column, "" where the heading is unknown.

    The column without a heading to the right of 培训时间 holds half-day and time, as on the form. 培训时间 holds the day, or
    the time if another column holds the day. 上课时间 beside 下课时间 is the start of a lesson.
    """
    names = [normalize_heading(value) for value in row]
    found = [COLUMN_KEYS.get(heading, "") for heading in names]
    for column, heading in enumerate(names):
        others = found[:column] + found[column + 1 :]
        if heading == "培训时间" and "date" in others and not _TIMES.intersection(others):
            found[column] = "time"
        elif heading == "上课时间" and "end" in others and "start" not in others:
            found[column] = "start"
    for column in range(1, len(found)):
        if not found[column] and found[column - 1] == "date" and strip_whitespace(row[column]) == "":
            found[column] = "time"
    return found


def is_heading_row(row: Cells) -> bool:
    """Return whether a row holds headings.

    It must have a heading for the content and one for day or time, and more known headings than other cells: a line above
    the table (课程 电工 培训时间 3月) has as many values as headings.
    """
    found = map_columns(row)
    names = [heading for heading in map(normalize_heading, row) if heading]
    known = sum(heading in COLUMN_KEYS or IGNORED_HEADINGS.fullmatch(heading) is not None for heading in names)
    return "content" in found and bool({"date", *_TIMES}.intersection(found)) and 2 * known > len(names)


def find_heading_row(rows: list[Cells]) -> int | None:
    """Return the index of the row with the plan's headings, or None."""
    named = [i for i, row in enumerate(rows) if "content" in map_columns(row)]
    return next((i for i in named if is_heading_row(rows[i])), named[0] if named else None)
