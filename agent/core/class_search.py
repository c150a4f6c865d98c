"""Find classes by what officials call them: ID, institution, teacher, 电工第1班, 第3班, a date or month, a state. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from agent.core.class_model import TrainingClass
from agent.core.model import Session

ClassState = Literal["open", "ahead", "over"]
STATES: Sequence[ClassState] = ("open", "ahead", "over")
"""In the order of the list: what is under way first."""
_STATE_WORDS: dict[str, ClassState] = {
    "进行中": "open", "未开始": "ahead", "已结束": "over", "underway": "open", "ahead": "ahead", "over": "over",
}  # fmt: skip
_NUMBER = re.compile(r"(?P<before>.*?)第?(?P<n>[0-9]{1,4}|[一二三四五六七八九十]{1,3})(?:班|期)(?P<after>.*)")
_DATE = re.compile(r"(?:(?P<y>20[0-9]{2})(?:[-/.]|年))?(?P<m>[0-9]{1,2})(?:[-/.]|月)(?P<d>[0-9]{1,2})[日号]?")
_MONTH = re.compile(r"(?P<y>20[0-9]{2})(?:[-/.]|年)(?P<m>[0-9]{1,2})月?")
_DIGITS = "〇一二三四五六七八九"
_MOST_WORDS = 8


@dataclass(frozen=True, slots=True)
class ClassQuery:
    """What is looked for. All of `words` must match; `state` "" and `month` "" (YYYY-MM) leave nothing out."""

    words: tuple[str, ...] = ()
    state: str = ""
    month: str = ""


def parse_query(text: str, state: str = "", month: str = "") -> ClassQuery:
    """Split what was typed into words; an unknown state or month is ignored."""
    words = tuple(_fold(word) for word in text.split()[:_MOST_WORDS])
    named = state if state in STATES else ""
    return ClassQuery(words, named, month if re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", month) else "")


def get_class_state(cls: TrainingClass, today: date) -> ClassState:
    """Return whether a class is under way, still to come, or over."""
    last = max([cls.last_day, *(x.date for x in cls.lessons if not x.cancelled)])
    return "ahead" if today < cls.first_day else "over" if today > last else "open"


def search_classes(classes: Iterable[TrainingClass], query: ClassQuery, today: date) -> list[TrainingClass]:
    """Return the classes that match, under way first, then those to come (the next first), then the newest."""
    found = [c for c in classes if _matches(c, query, today)]
    return sorted(found, key=lambda c: _rank(c, today))


def _rank(cls: TrainingClass, today: date) -> tuple[int, int, str]:
    state = get_class_state(cls, today)
    day = cls.first_day.toordinal()
    return STATES.index(state), day if state == "ahead" else -day, cls.class_id


def list_months(classes: Iterable[TrainingClass], most: int = 60) -> list[str]:
    """Return the months (YYYY-MM) in which classes run, the newest first."""
    found = {f"{day:%Y-%m}" for c in classes for day in _list_month_starts(c.first_day, c.last_day)}
    return sorted(found, reverse=True)[:most]


def _list_month_starts(first: date, last: date) -> list[date]:
    months = (last.year - first.year) * 12 + last.month - first.month
    return [_add_months(first, n) for n in range(min(max(months, 0), 24) + 1)]


def _add_months(day: date, n: int) -> date:
    year, month = divmod(day.month - 1 + n, 12)
    return date(day.year + year, month + 1, 1)


def find_day(query: ClassQuery, cls: TrainingClass) -> date | None:
    """Return the day that the query names, where the class has lessons on it."""
    days = {day for day, _ in cls.half_days()}
    return next((d for word in query.words for d in _list_days(word, days)), None)


def find_half_days_beside(
    cls: TrainingClass, day: date, session: Session
) -> tuple[tuple[date, Session] | None, tuple[date, Session] | None]:
    """Return the half-days before and after this one in the class's plan."""
    halves = cls.half_days()
    at = halves.index((day, session))
    return halves[at - 1] if at else None, halves[at + 1] if at + 1 < len(halves) else None


def _matches(cls: TrainingClass, query: ClassQuery, today: date) -> bool:
    state = get_class_state(cls, today)
    if query.state and state != query.state:
        return False
    if query.month and query.month not in {f"{d:%Y-%m}" for d in _list_month_starts(cls.first_day, cls.last_day)}:
        return False
    texts = _fold_texts(cls) if query.words else []
    return all(_matches_word(cls, word, texts, state) for word in query.words)


def _matches_word(cls: TrainingClass, word: str, texts: Sequence[str], state: ClassState) -> bool:
    if _STATE_WORDS.get(word) == state:
        return True
    if re.fullmatch("[0-9]{1,3}", word):
        # a bare number is the class's number, or a number within its ID
        return int(word) == cls.class_number or int(word) in {int(n) for n in re.findall("[0-9]+", cls.class_id)}
    if _list_days(word, {day for day, _ in cls.half_days()}) or _is_month_of(word, cls):
        return True
    if any(word in text for text in texts):
        return True
    named = _NUMBER.fullmatch(word)
    return (
        named is not None
        and _parse_number(named["n"]) == cls.class_number
        and all(any(part in text for text in texts) for part in (named["before"], named["after"]) if part)
    )


def _fold_texts(cls: TrainingClass) -> list[str]:
    names = [cls.class_id, cls.project, cls.occupation, cls.place, cls.institution, cls.head_teacher, *cls.staff]
    names += [room.name for room in cls.rooms] + [x.teacher for x in cls.lessons]
    return [_fold(name) for name in dict.fromkeys(names) if name]


def _fold(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _parse_number(text: str) -> int:
    """Parse 12, 三, 十, 十二, 二十, 二十一."""
    if text.isdigit():
        return int(text)
    tens, ten, ones = text.rpartition("十")
    if not ten:
        return _DIGITS.index(text) if len(text) == 1 else 0
    return (_DIGITS.find(tens) if tens else 1) * 10 + (_DIGITS.find(ones) if ones else 0)


def _list_days(word: str, days: Iterable[date]) -> list[date]:
    found = _DATE.fullmatch(word)
    if not found:
        return []
    wanted = (found["y"], int(found["m"]), int(found["d"]))
    return sorted(d for d in days if (str(d.year) if wanted[0] else None, d.month, d.day) == wanted)


def _is_month_of(word: str, cls: TrainingClass) -> bool:
    found = _MONTH.fullmatch(word)
    if not found or not 1 <= int(found["m"]) <= 12:
        return False
    wanted = f"{found['y']}-{int(found['m']):02}"
    return wanted in {f"{d:%Y-%m}" for d in _list_month_starts(cls.first_day, cls.last_day)}
