"""What the columns of a punch-in export mean, by the headings that attendance systems use, and by what a person said once.

Headings may stand in two rows (上午 above 签到 and 签退). A role is one of PUNCH_ROLES; "" is a column that is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.class_files.cells import MOST_COLUMNS, Cell, Cells, Merged
from agent.class_files.headings import normalize_heading
from agent.class_files.sheets import Sheet
from agent.core.model import Session

PUNCH_ROLES = (
    "person", "person_id", "date", "session", "time", "kind", "result", "in", "out",
    "am_in", "am_out", "pm_in", "pm_out", "ev_in", "ev_out", "class",
)  # fmt: skip
_NAMED: Mapping[str, str] = {
    "person": "name 姓名 学员姓名 学员 员工姓名 人员姓名 人员 打卡人 打卡人员 成员 成员姓名 名字 员工 参训人员",
    "person_id": "学号 工号 员工号 员工编号 学员编号 人员编号 人员id 用户id userid 手机号 手机号码 手机 电话 联系电话"
    " 身份证号 身份证号码 证件号码 账号 帐号",
    "date": "date 日期 打卡日期 考勤日期 签到日期 上课日期 培训日期 刷卡日期",
    "session": "session 半天 时段 上午/下午 上下午 午别 班段",
    "time": "time 时间 打卡时间 打卡时刻 实际打卡时间 考勤时间 刷卡时间 签到签退时间 打卡日期时间 日期时间 记录时间",
    "kind": "类型 打卡类型 考勤类型 签到类型 签到/签退 签到签退 上下班 进出 方向",
    "result": "result 打卡结果 考勤结果 结果 状态 打卡状态 考勤状态 签到状态",
    "class": "class 班级 班级名称 培训班 培训班名称 所属班级 课程班 班级编号",
}
_ROLES = {heading: role for role, headings in _NAMED.items() for heading in headings.split()}
_HALVES = {"上午": Session.AM, "下午": Session.PM, "晚上": Session.EV, "晚间": Session.EV, "晚": Session.EV}
_IN_OUT = re.compile(
    r"(?P<half>上午|下午|晚上|晚间|晚)?(?:[/_\-—·、\s]*)"
    r"(?:(?P<in>签到|上班|上课|进|入场|签入|到课|in)|(?P<out>签退|下班|下课|出|离场|签出|离课|out))"
    r"(?P<n>[1-3])?(?:打卡|签到|签退)?(?:时间|时刻|情况)?(?P<n2>[1-3])?"
)
_SHIFTS = {"1": Session.AM, "2": Session.PM, "3": Session.EV}
_HEAD_ROWS = 20
_LONGEST_HEADING = 60


@dataclass(frozen=True, slots=True)
class PunchColumns:
    """The columns of a sheet. `roles` by column; `first` is the index of the first row below the headings."""

    headings: tuple[str, ...]
    roles: tuple[str, ...]
    first: int

    @property
    def complete(self) -> bool:
        """Whether persons and something of their punches are known; the day may stand above the table."""
        found = set(self.roles)
        return bool(found & {"person", "person_id"}) and bool(found - {"", "person", "person_id", "date", "class"})


def recognise_heading(heading: str) -> str:
    """Return the role of a heading, "" where it is unknown."""
    if heading in _ROLES:
        return _ROLES[heading]
    found = _IN_OUT.fullmatch(heading.removesuffix("打卡时间") or heading) or _IN_OUT.fullmatch(heading)
    if not found:
        return ""
    half = _HALVES.get(found["half"] or "") or _SHIFTS.get(found["n"] or found["n2"] or "")
    way = "in" if found["in"] else "out"
    return f"{half.value}_{way}" if half else way


def find_columns(sheet: Sheet, named: Mapping[str, str]) -> PunchColumns | None:
    """Find the headings of a sheet; None where no row looks like headings. `named`: heading to role, as a person said."""
    tries = [c for i in range(min(len(sheet.rows), _HEAD_ROWS)) for c in _read_headings(sheet, i, named)]
    best = max(tries, key=_weigh, default=None)
    return best if best and any(best.roles) else None


def _weigh(columns: PunchColumns) -> tuple[bool, int, int]:
    return columns.complete, len(set(columns.roles) - {""}), -columns.first


def _read_headings(sheet: Sheet, index: int, named: Mapping[str, str]) -> list[PunchColumns]:
    """Read row `index` as headings, alone and together with the row below."""
    one = _spread_merged(sheet.rows[index], index + 1, sheet.merged)
    tries = [_name_columns(list(map(_say, one)), index + 1, named)]
    if index + 1 < len(sheet.rows):
        below = list(sheet.rows[index + 1])
        above = _spread_blanks(one, below)
        width = max(len(above), len(below))
        pairs = [(_at(above, i), _at(below, i)) for i in range(width)]
        # a sub-heading names the column; what stands above it says of which half-day
        joined = [_join(upper, lower) for upper, lower in pairs]
        tries.append(_name_columns(joined, index + 2, named))
    return tries


def _join(upper: Cell, lower: Cell) -> str:
    over, under = _say(upper), _say(lower)
    return (
        over
        if not under or over == under
        else over + under
        if over in _HALVES
        else under
        if over == ""
        else over + under
    )


def _name_columns(headings: Sequence[str], first: int, named: Mapping[str, str]) -> PunchColumns:
    cut = tuple(h[:_LONGEST_HEADING] for h in headings[:MOST_COLUMNS])
    return PunchColumns(cut, tuple(named.get(h, recognise_heading(h)) if h else "" for h in cut), first)


def _say(value: Cell) -> str:
    return normalize_heading(value) if isinstance(value, str) else ""


def _at(row: Sequence[Cell], column: int) -> Cell:
    return row[column] if column < len(row) else None


def _spread_merged(row: Cells, number: int, merged: Sequence[Merged]) -> Cells:
    """Repeat the value of a merged heading over its columns."""
    found = list(row)
    for top, left, bottom, right in merged:
        if top <= number <= bottom and left < len(row):
            right = min(right, MOST_COLUMNS - 1)
            found += [None] * (right + 1 - len(found))
            for column in range(left + 1, right + 1):
                found[column] = row[left]
    return found


def _spread_blanks(upper: Cells, lower: Cells) -> Cells:
    """Repeat a half-day's heading over the blanks beside it, which is how a merged heading arrives in a CSV file."""
    found, last = list(upper) + [None] * (len(lower) - len(upper)), ""
    for column, value in enumerate(found):
        if _say(value):
            last = _say(value)
        elif last in _HALVES and _say(_at(lower, column)):
            found[column] = last
    return found
