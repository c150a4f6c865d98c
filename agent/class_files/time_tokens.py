"""Tokens of a time cell: clock times, half-day words, weekdays, periods, dashes and separators.

Patterns allow for the notations found in course plans. Clock times: 8:30, 8时30分, 8点半, 8:30:15. Half-day words: 上午, AM.
Periods: 第1-4节, 共4学时.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time

from agent.class_files.fields import UnreadableCell, sanitize_value
from agent.core.model import Session

DASH = r"(?:(?:[-‐‑‒–—―−~〜∼─━ー一至到→]|->)\s*)+"
WEEKDAY = r"(?:星期|礼拜|周)([一二三四五六日天])"
HALF_DAY_WORDS = {
    Session.AM: r"上\s*午|早\s*上|早晨|清晨|(?<![a-z])(?:am|a\.m\.?)(?![a-z])",
    Session.PM: r"下\s*午|午后|(?<![a-z])(?:pm|p\.m\.?)(?![a-z])",
    Session.EV: r"晚\s*上|晚间|夜间|夜晚|傍晚|晚|(?<![a-z])ev(?![a-z])",
}
_COUNT = r"第?\s?(?:[0-9]{1,3}|[一二三四五六七八九十]{1,3})\s?(?:节\s?)?"
_BETWEEN = r"(?:[-‐‑‒–—―−~〜∼─━至到]{1,2}|[,，、和及/])\s?"
_PERIOD = rf"(?:共计|合计|共|计)?\s?{_COUNT}(?:{_BETWEEN}{_COUNT})*个?[大小]?(?:节课?|学时|课时)"
CLOCK = (
    r"(?<![0-9])(?<![0-9]:)(?P<hour>[0-9]{1,2})\s?(?::\s?(?P<minute>[0-9]{2})(?:\s?:\s?(?P<second>[0-9]{2}))?(?![0-9:])(?:\s?分)?"
    r"|[时時点點]\s?(?:(?P<spoken>[0-9]{1,2})\s?分|"
    rf"(?!{_PERIOD})(?P<short>[0-9]{{2}})(?![0-9])(?!\s?[:时時点點])|(?P<part>半|整|[一三]刻)|钟)?)"
)
_TOKENS = re.compile(
    "|".join(
        [
            r"(?P<blank>\s+)",
            rf"(?P<weekday>{WEEKDAY})",
            rf"(?P<period>{_PERIOD}(?:\s?:(?=\D|\d{{1,2}}\s?[:时時点點]))?)",
            *(rf"(?P<{half}>(?:{word})(?:\s?:)?)" for half, word in HALF_DAY_WORDS.items()),
            rf"(?P<clock>{CLOCK})",
            r"(?P<bare>(?<![0-9])(?<![0-9]:)[0-9]{1,2}(?![0-9:]))",
            rf"(?P<dash>{DASH})",
            r"(?P<sign>[、,，;；/|&+。和及与]|中午|全天|整天|[①-⒛])",
        ]
    ),
    re.IGNORECASE,
)
CLOCK_PATTERN = re.compile(CLOCK)


@dataclass(frozen=True, slots=True)
class TimeToken:
    """One token. `kind`: the name of its group in the pattern, for half-day words the session."""

    kind: str
    found: re.Match[str]

    @property
    def text(self) -> str:
        return str(self.found[0]).strip()


def tokenize(text: str) -> Iterator[TimeToken]:
    """Yield the tokens of a text. Raises Unread with the first part that is not a token."""
    at = 0
    while at < len(text):
        found = _TOKENS.match(text, at)
        if not found:
            rest = re.match(r"[^\s,，;；、]*", text[at:])
            raise UnreadableCell(
                "classes.left_over",
                value=sanitize_value(text),
                rest=sanitize_value((rest[0] if rest else "") or text[at]),
            )
        yield TimeToken(_find_kind(found), found)
        at = found.end()


def _find_kind(found: re.Match[str]) -> str:
    kinds: tuple[str, ...] = ("blank", "weekday", "period", *Session, "clock", "bare", "dash", "sign")
    return next(kind for kind in kinds if found[kind])


def parse_clock_match(found: re.Match[str]) -> time:
    """Convert a match of CLOCK to a time. Raises Unread if there is no such time."""
    part = {"半": 30, "一刻": 15, "三刻": 45}.get(found["part"] or "", 0)
    minute = int(found["minute"] or found["spoken"] or found["short"] or part)
    return make_time(int(found["hour"]), minute, int(found["second"] or 0), found["clock"])


def make_time(hour: int, minute: int, second: int, text: str) -> time:
    """Build a time. Raises Unread with `text` if there is no such time."""
    try:
        return time(hour, minute, second)
    except ValueError:
        word = "classes.midnight" if (hour, minute, second) == (24, 0, 0) else "classes.not_time"
        raise UnreadableCell(word, value=sanitize_value(text.strip())) from None


def to_24_hours(moment: time, suffix: str, text: str) -> time:
    """Apply the suffix of 8:30 AM or 2:30 PM; with PM, a time of 13:00 or later is unchanged."""
    later = suffix.lower().startswith("p")
    if moment.hour > 12 and not later:
        raise UnreadableCell("classes.not_time", value=sanitize_value(text))
    if moment.hour == 12:
        return moment.replace(hour=12 if later else 0)
    return moment.replace(hour=moment.hour + 12) if later and moment.hour < 12 else moment
