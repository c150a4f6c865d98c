"""A time cell of a course plan -> from-to spans. The whole cell is understood, or it is refused with what is left over.

What may stand in a cell: words for the half-day (上午, AM), spans (8:30-11:30, 8时30分至11时30分, 8点半—11点, 8:30AM-11:30AM),
several of them apart by signs or blanks, periods and hours (第1-4节, 共4学时), the weekday, and remarks in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import pairwise
from typing import NoReturn

from agent.attendance.fields import Unread, plain, shown
from agent.model import Session

DASH = r"(?:(?:[-‐‑‒–—―−~〜∼─━ー一至到→]|->)\s*)+"
WEEKDAY = r"(?:星期|礼拜|周)([一二三四五六日天])"
_WORDS = {
    Session.AM: r"上\s*午|早\s*上|早晨|清晨|(?<![a-z])(?:am|a\.m\.?)(?![a-z])",
    Session.PM: r"下\s*午|午后|(?<![a-z])(?:pm|p\.m\.?)(?![a-z])",
    Session.EV: r"晚\s*上|晚间|夜间|夜晚|傍晚|晚|(?<![a-z])ev(?![a-z])",
}
_COUNT = r"第?\s?(?:[0-9]{1,3}|[一二三四五六七八九十]{1,3})\s?(?:节\s?)?"
_BETWEEN = r"(?:[-‐‑‒–—―−~〜∼─━至到]{1,2}|[,，、和及/])\s?"
_PERIOD = rf"(?:共计|合计|共|计)?\s?{_COUNT}(?:{_BETWEEN}{_COUNT})*个?[大小]?(?:节课?|学时|课时)"
_CLOCK = (
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
            *(rf"(?P<{half}>(?:{word})(?:\s?:)?)" for half, word in _WORDS.items()),
            rf"(?P<clock>{_CLOCK})",
            r"(?P<bare>(?<![0-9])(?<![0-9]:)[0-9]{1,2}(?![0-9:]))",
            rf"(?P<dash>{DASH})",
            r"(?P<sign>[、,，;；/|&+。和及与]|中午|全天|整天|[①-⒛])",
        ]
    ),
    re.IGNORECASE,
)
_CLOCKS = re.compile(_CLOCK)
_ONE_CLOCK = re.compile(
    rf"(?:(?P<am>{_WORDS[Session.AM]})|(?P<pm>{_WORDS[Session.PM]})|(?P<ev>{_WORDS[Session.EV]}))?\s*"
    rf"(?:(?P<clock>{_CLOCK})|(?P<bare>[0-9]{{1,2}}))\s*(?P<suffix>am|pm)?",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"[(\[{【〔「《<]([^()\[\]{}【】〔〕「」《》<>]*)[)\]}】〕」》>]")
_CALLED_OFF = re.compile("停课|停上|取消|暂停|放假|改|调")
_UNFILLED = re.compile(
    "(?:" + "|".join([*_WORDS.values(), r"[-‐‑‒–—―−~〜∼─━ー一至到→时時点點分年月日:._/ ]", "全天|整天|无"]) + ")*",
    re.IGNORECASE,
)
_NIGHT_ENDS, _MORNING, _NIGHT_BEGINS = 6, 5, 22
_EARLIEST = {Session.PM: 10, Session.EV: 12}
_NOON_OVER = 13
_LONGEST, _MOST_PERIODS = 200, 20


@dataclass(frozen=True, slots=True)
class Span:
    """`half`: what the cell calls the half-day of this span; None where it says nothing."""

    start: time
    end: time
    half: Session | None = None


@dataclass(frozen=True, slots=True)
class TimeCell:
    """`half`: the word of a cell that holds no span."""

    spans: tuple[Span, ...] = ()
    half: Session | None = None


def read_time(value: object) -> TimeCell:
    """What a time cell says; no spans where it holds no more than a form prints. Raises Unread."""
    text = " ".join(plain(str(value)).split())
    if len(text) > _LONGEST:
        raise Unread("classes.too_long", limit=_LONGEST)
    if _UNFILLED.fullmatch(text):
        words = [half for half, word in _WORDS.items() if re.search(word, text, re.IGNORECASE)]
        return TimeCell(half=words[0] if len(words) == 1 else None)
    return _Reader(text).cell()


def read_clock(value: object) -> tuple[time, Session | None]:
    """A cell that holds one time of day, and the half-day that it names. Hours alone (8时, 8) mean the full hour; a fraction
    of a day (0.354…) is how a spreadsheet keeps a time. Raises Unread.
    """
    if isinstance(value, datetime):
        value = value.time()
    if isinstance(value, time):
        return value.replace(microsecond=0), None
    if isinstance(value, float) and 0 < value < 1:
        minutes = round(value * 1440)
        if abs(value * 1440 - minutes) < 1 / 60 and minutes < 1440:
            return time(minutes // 60, minutes % 60), None
    found = _ONE_CLOCK.fullmatch(" ".join(plain(str(value)).split())[:_LONGEST])
    if not found or isinstance(value, bool):
        raise Unread("classes.not_time", value=shown(value if isinstance(value, str) else str(value)))
    moment = time_of(found) if found["clock"] else _clock(int(found["bare"]), 0, 0, found[0])
    if found["suffix"]:
        return _twelve(moment, found["suffix"], found[0]), None
    half = next((half for half in Session if found[half.value]), None)
    return moment, half


def time_text(value: object) -> object:
    """A cell that holds a time, as text; the unreadable goes on as it is and is reported where it is used."""
    try:
        return read_clock(value)[0].isoformat()
    except Unread:
        return value


def check_half(start: time, half: Session | None) -> None:
    """Raises Unread where a lesson cannot begin then: the hours of a clock with twelve, a half-day that is not meant, or the
    night, in which a lesson must say 晚上.
    """
    if half and start.hour < _EARLIEST.get(half, 0):
        raise Unread("classes.twelve_hours", session=half.folder, start=start, hour=start.hour + 12)
    if half == Session.AM and start.hour >= _NOON_OVER:
        raise Unread("classes.other_half", session=half.folder, start=start)
    if start.hour < (_MORNING if half == Session.AM else _NIGHT_ENDS) or (
        start.hour >= _NIGHT_BEGINS and half != Session.EV
    ):
        raise Unread("classes.night", start=start)


def time_of(found: re.Match[str]) -> time:
    """The time of a match of the clock's pattern. Raises Unread where there is no such time."""
    part = {"半": 30, "一刻": 15, "三刻": 45}.get(found["part"] or "", 0)
    minute = int(found["minute"] or found["spoken"] or found["short"] or part)
    return _clock(int(found["hour"]), minute, int(found["second"] or 0), found["clock"])


def _clock(hour: int, minute: int, second: int, text: str) -> time:
    try:
        return time(hour, minute, second)
    except ValueError:
        word = "classes.midnight" if (hour, minute, second) == (24, 0, 0) else "classes.not_time"
        raise Unread(word, value=shown(text.strip())) from None


def _twelve(moment: time, suffix: str, text: str) -> time:
    """8:30 AM, 2:30 PM. A time that is past twelve already stays what it is."""
    later = suffix.lower().startswith("p")
    if moment.hour > 12 and not later:
        raise Unread("classes.not_time", value=shown(text))
    if moment.hour == 12:
        return moment.replace(hour=12 if later else 0)
    return moment.replace(hour=moment.hour + 12) if later and moment.hour < 12 else moment


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    found: re.Match[str]

    @property
    def text(self) -> str:
        return str(self.found[0]).strip()


class _Reader:
    """One pass over the tokens of a cell."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(self._without_brackets(text)))
        self._at = 0
        self._just_read = False

    def cell(self) -> TimeCell:
        spans: list[Span] = []
        words: list[Session] = []
        inherited: Session | None = None
        behind = False  # a word that stands behind its span: with several spans nobody can tell whose it is
        while token := self._next():
            if token.kind in set(Session):
                words.append(Session(token.kind))
                behind = behind or (self._just_read and self._peek() in ("sign", ""))
            elif token.kind == "period":
                self._check_periods(token)
            elif token.kind in ("clock", "bare"):
                start, end = self._span(token)
                if len(words) > 1:
                    raise Unread("classes.words_for_times", value=shown(self._text))
                half = words.pop() if words else None
                inherited = half or (inherited if inherited and _fits(start, inherited) else None)
                spans.append(Span(start, end, inherited))
                self._just_read = True
                continue
            elif token.kind not in ("sign", "weekday"):
                self._left_over(token.text)
            self._just_read = False
        if spans and ((behind and len(spans) > 1) or len(words) > 1 or (words and (len(spans) > 1 or spans[0].half))):
            raise Unread("classes.words_for_times", value=shown(self._text))
        if words and spans:
            spans = [replace(spans[0], half=words[0])]
        self._refuse_overlaps(spans)
        if not spans and (len(words) > 1 or any(t.kind == "period" for t in self._tokens)):
            raise Unread("classes.not_span", value=shown(self._text))
        return TimeCell(tuple(spans), words[0] if words and not spans else None)

    def _next(self) -> _Token | None:
        """The next token that is no blank."""
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "blank":
            self._at += 1
        self._at += 1
        return self._tokens[self._at - 1] if self._at <= len(self._tokens) else None

    def _peek(self) -> str:
        """Kind of the token that comes next, `""` at the end."""
        return next((token.kind for token in self._tokens[self._at :] if token.kind != "blank"), "")

    def _check_periods(self, token: _Token) -> None:
        """1-4节 counts up: what does not is a minute that ran into it."""
        numbers = [int(digits) for digits in re.findall("[0-9]+", token.text)]
        if len(numbers) > 1 and (numbers != sorted(set(numbers)) or numbers[-1] > _MOST_PERIODS):
            self._left_over(token.text)

    def _span(self, first: _Token) -> tuple[time, time]:
        """From the clock in hand to the one behind the dash."""
        before = self._suffix()
        dash = self._next()
        if dash is None or dash.kind != "dash":
            self._left_over(first.text)
        second = self._next()
        if second is None or second.kind not in ("clock", "bare"):
            self._left_over(f"{first.text}{dash.text}{second.text if second else ''}")
        after = self._suffix()
        if first.kind == second.kind == "bare":
            raise Unread("classes.bare_hours", value=shown(f"{first.text}-{second.text}"))
        if after.lower().startswith("p") and not before:
            self._left_over(after)
        follows = self._next()
        if follows and follows.kind == "dash":
            self._left_over(f"{follows.text}{''.join(t.found[0] for t in self._tokens[self._at :])}")
        self._at -= 1
        return self._moment(first, before), self._moment(second, after)

    def _moment(self, token: _Token, suffix: str) -> time:
        hour_alone = token.kind == "bare"
        moment = _clock(int(token.text), 0, 0, token.text) if hour_alone else time_of(token.found)
        return _twelve(moment, suffix, self._text) if suffix else moment

    def _suffix(self) -> str:
        """AM or PM behind a clock."""
        token = self._next()
        if token and token.text[:1].lower() in ("a", "p") and token.kind in set(Session):
            return token.text
        self._at -= 1
        return ""

    def _without_brackets(self, text: str) -> str:
        """Brackets hold remarks, unless nothing outside them is a time: then they hold the times."""
        outside = _CLOCKS.search(_BRACKETS.sub(" ", text)) is not None

        def inner(found: re.Match[str]) -> str:
            said = found[1]
            if _CALLED_OFF.search(said) or (outside and _CLOCKS.search(said)):
                self._left_over(found[0])
            try:
                tokens = [t.kind for t in _tokens(said)]
            except Unread:
                if _CLOCKS.search(said):
                    raise
                return " "
            speaks = {"weekday", "clock", *Session}
            return f" {said} " if speaks.intersection(tokens) else " "

        return _BRACKETS.sub(inner, text)

    def _left_over(self, rest: str) -> NoReturn:
        raise Unread("classes.left_over", value=shown(self._text), rest=shown(rest))

    def _refuse_overlaps(self, spans: list[Span]) -> None:
        ordered = sorted(spans, key=lambda s: s.start)
        for one, two in pairwise(ordered):
            if two.start < one.end:
                raise Unread("classes.spans_overlap", value=shown(self._text), start=two.start)


def _fits(start: time, half: Session) -> bool:
    return Session.of(datetime.combine(date.min, start)) == half


def _tokens(text: str) -> Iterator[_Token]:
    """Raises Unread naming the first piece that is no token."""
    at = 0
    while at < len(text):
        found = _TOKENS.match(text, at)
        if not found:
            rest = re.match(r"[^\s,，;；、]*", text[at:])
            raise Unread("classes.left_over", value=shown(text), rest=shown((rest[0] if rest else "") or text[at]))
        yield _Token(_kind(found), found)
        at = found.end()


def _kind(found: re.Match[str]) -> str:
    kinds: tuple[str, ...] = ("blank", "weekday", "period", *Session, "clock", "bare", "dash", "sign")
    return next(kind for kind in kinds if found[kind])
