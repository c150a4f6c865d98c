"""Parse a time cell of a course plan into time spans: the whole cell must be understood, else the rest is reported.

A cell may contain words for the half-day (上午, AM), spans (8:30-11:30, 8时30分至11时30分, 8点半—11点, 8:30AM-11:30AM), several
of them separated by punctuation or blanks, periods and hours (第1-4节, 共4学时), the weekday, and remarks in brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import pairwise
from typing import NoReturn

from agent.class_files.fields import UnreadableCell, normalize_width, sanitize_value
from agent.class_files.time_tokens import (
    CLOCK,
    CLOCK_PATTERN,
    HALF_DAY_WORDS,
    TimeToken,
    make_time,
    parse_clock_match,
    to_24_hours,
    tokenize,
)
from agent.core.model import Session

_ONE_CLOCK = re.compile(
    rf"(?:(?P<am>{HALF_DAY_WORDS[Session.AM]})|(?P<pm>{HALF_DAY_WORDS[Session.PM]})|(?P<ev>{HALF_DAY_WORDS[Session.EV]}))?\s*"
    rf"(?:(?P<clock>{CLOCK})|(?P<bare>[0-9]{{1,2}}))\s*(?P<suffix>am|pm)?",
    re.IGNORECASE,
)
_BRACKETS = re.compile(r"[(\[{【〔「《<]([^()\[\]{}【】〔〕「」《》<>]*)[)\]}】〕」》>]")
_CALLED_OFF = re.compile("停课|停上|取消|暂停|放假|改|调")
_UNFILLED = re.compile(
    "(?:"
    + "|".join([*HALF_DAY_WORDS.values(), r"[-‐‑‒–—―−~〜∼─━ー一至到→时時点點分年月日:._/ ]", "全天|整天|无"])
    + ")*",
    re.IGNORECASE,
)
_NIGHT_ENDS, _MORNING, _NIGHT_BEGINS = 6, 5, 22
_EARLIEST = {Session.PM: 10, Session.EV: 12}
_NOON_OVER = 13
_LONGEST, _MOST_PERIODS = 200, 20


@dataclass(frozen=True, slots=True)
class CellSpan:
    """One span in a time cell. `half`: the half-day that the cell names for it, if any."""

    start: time
    end: time
    half: Session | None = None


@dataclass(frozen=True, slots=True)
class TimeCell:
    """A parsed time cell. `half`: the half-day named by a cell without spans."""

    spans: tuple[CellSpan, ...] = ()
    half: Session | None = None


def read_time(value: object) -> TimeCell:
    """Parse a time cell; no spans if it contains only what the form prints. Raises Unread."""
    text = " ".join(normalize_width(str(value)).split())
    if len(text) > _LONGEST:
        raise UnreadableCell("classes.too_long", limit=_LONGEST)
    if _UNFILLED.fullmatch(text):
        words = [half for half, word in HALF_DAY_WORDS.items() if re.search(word, text, re.IGNORECASE)]
        return TimeCell(half=words[0] if len(words) == 1 else None)
    return _TimeCellParser(text).parse()


def read_clock(value: object) -> tuple[time, Session | None]:
    """Parse a cell with one time of day; return it with the half-day that the cell names. Raises Unread.

    Hours alone (8时, 8) mean the full hour; a spreadsheet stores a time as a fraction of a day (0.354…).
    """
    if isinstance(value, datetime):
        value = value.time()
    if isinstance(value, time):
        return value.replace(microsecond=0), None
    if isinstance(value, float) and 0 < value < 1:
        minutes = round(value * 1440)
        if abs(value * 1440 - minutes) < 1 / 60 and minutes < 1440:
            return time(minutes // 60, minutes % 60), None
    found = _ONE_CLOCK.fullmatch(" ".join(normalize_width(str(value)).split())[:_LONGEST])
    if not found or isinstance(value, bool):
        raise UnreadableCell("classes.not_time", value=sanitize_value(value if isinstance(value, str) else str(value)))
    moment = parse_clock_match(found) if found["clock"] else make_time(int(found["bare"]), 0, 0, found[0])
    if found["suffix"]:
        return to_24_hours(moment, found["suffix"], found[0]), None
    half = next((half for half in Session if found[half.value]), None)
    return moment, half


def normalize_time_cell(value: object) -> object:
    """Convert a time cell to ISO text; one that cannot be parsed is returned unchanged, and reported where it is used."""
    try:
        return read_clock(value)[0].isoformat()
    except UnreadableCell:
        return value


def check_half_day(start: time, half: Session | None) -> None:
    """Raise Unread if a lesson cannot start at this time.

    That is: 12-hour times, a time outside the named half-day, or the night (an evening lesson must say 晚上).
    """
    if half and start.hour < _EARLIEST.get(half, 0):
        raise UnreadableCell("classes.twelve_hours", session=half.folder, start=start, hour=start.hour + 12)
    if half == Session.AM and start.hour >= _NOON_OVER:
        raise UnreadableCell("classes.other_half", session=half.folder, start=start)
    if start.hour < (_MORNING if half == Session.AM else _NIGHT_ENDS) or (
        start.hour >= _NIGHT_BEGINS and half != Session.EV
    ):
        raise UnreadableCell("classes.night", start=start)


class _TimeCellParser:
    """Parses the tokens of a cell in one pass."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokenize(self._remove_brackets(text)))
        self._at = 0
        self._after_span = False

    def parse(self) -> TimeCell:
        """Return spans and half-day of the cell. Raises Unread."""
        spans: list[CellSpan] = []
        words: list[Session] = []
        inherited: Session | None = None
        behind = False  # a half-day word after its span; with several spans it is unclear to which it belongs
        while token := self._next():
            if token.kind in set(Session):
                words.append(Session(token.kind))
                behind = behind or (self._after_span and self._peek() in ("sign", ""))
            elif token.kind == "period":
                self._check_periods(token)
            elif token.kind in ("clock", "bare"):
                start, end = self._parse_span(token)
                if len(words) > 1:
                    raise UnreadableCell("classes.words_for_times", value=sanitize_value(self._text))
                half = words.pop() if words else None
                inherited = half or (inherited if inherited and _is_in_half_day(start, inherited) else None)
                spans.append(CellSpan(start, end, inherited))
                self._after_span = True
                continue
            elif token.kind not in ("sign", "weekday"):
                self._refuse_rest(token.text)
            self._after_span = False
        if spans and ((behind and len(spans) > 1) or len(words) > 1 or (words and (len(spans) > 1 or spans[0].half))):
            raise UnreadableCell("classes.words_for_times", value=sanitize_value(self._text))
        if words and spans:
            spans = [replace(spans[0], half=words[0])]
        self._refuse_overlaps(spans)
        if not spans and (len(words) > 1 or any(t.kind == "period" for t in self._tokens)):
            raise UnreadableCell("classes.not_span", value=sanitize_value(self._text))
        return TimeCell(tuple(spans), words[0] if words and not spans else None)

    def _next(self) -> TimeToken | None:
        """Consume and return the next token that is not blank, None at the end."""
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "blank":
            self._at += 1
        self._at += 1
        return self._tokens[self._at - 1] if self._at <= len(self._tokens) else None

    def _peek(self) -> str:
        """Return the kind of the next token that is not blank, "" at the end."""
        return next((token.kind for token in self._tokens[self._at :] if token.kind != "blank"), "")

    def _check_periods(self, token: TimeToken) -> None:
        """Raise Unread if period numbers do not increase (1-4节): then a minute was taken for a period."""
        numbers = [int(digits) for digits in re.findall("[0-9]+", token.text)]
        if len(numbers) > 1 and (numbers != sorted(set(numbers)) or numbers[-1] > _MOST_PERIODS):
            self._refuse_rest(token.text)

    def _parse_span(self, first: TimeToken) -> tuple[time, time]:
        """Parse a span from its first clock time on: dash, second clock time, AM or PM of both."""
        before = self._read_suffix()
        dash = self._next()
        if dash is None or dash.kind != "dash":
            self._refuse_rest(first.text)
        second = self._next()
        if second is None or second.kind not in ("clock", "bare"):
            self._refuse_rest(f"{first.text}{dash.text}{second.text if second else ''}")
        after = self._read_suffix()
        if first.kind == second.kind == "bare":
            raise UnreadableCell("classes.bare_hours", value=sanitize_value(f"{first.text}-{second.text}"))
        if after.lower().startswith("p") and not before:
            self._refuse_rest(after)
        follows = self._next()
        if follows and follows.kind == "dash":
            self._refuse_rest(f"{follows.text}{''.join(t.found[0] for t in self._tokens[self._at :])}")
        self._at -= 1
        return self._to_time(first, before), self._to_time(second, after)

    def _to_time(self, token: TimeToken, suffix: str) -> time:
        hour_alone = token.kind == "bare"
        moment = make_time(int(token.text), 0, 0, token.text) if hour_alone else parse_clock_match(token.found)
        return to_24_hours(moment, suffix, self._text) if suffix else moment

    def _read_suffix(self) -> str:
        """Consume AM or PM after a clock time; return it, "" if there is none."""
        token = self._next()
        if token and token.text[:1].lower() in ("a", "p") and token.kind in set(Session):
            return token.text
        self._at -= 1
        return ""

    def _remove_brackets(self, text: str) -> str:
        """Remove brackets: their content is a remark, but is kept if all clock times are inside brackets."""
        outside = CLOCK_PATTERN.search(_BRACKETS.sub(" ", text)) is not None

        def inner(found: re.Match[str]) -> str:
            said = found[1]
            if _CALLED_OFF.search(said) or (outside and CLOCK_PATTERN.search(said)):
                self._refuse_rest(found[0])
            try:
                tokens = [t.kind for t in tokenize(said)]
            except UnreadableCell:
                if CLOCK_PATTERN.search(said):
                    raise
                return " "
            speaks = {"weekday", "clock", *Session}
            return f" {said} " if speaks.intersection(tokens) else " "

        return _BRACKETS.sub(inner, text)

    def _refuse_rest(self, rest: str) -> NoReturn:
        raise UnreadableCell("classes.left_over", value=sanitize_value(self._text), rest=sanitize_value(rest))

    def _refuse_overlaps(self, spans: list[CellSpan]) -> None:
        ordered = sorted(spans, key=lambda s: s.start)
        for one, two in pairwise(ordered):
            if two.start < one.end:
                raise UnreadableCell("classes.spans_overlap", value=sanitize_value(self._text), start=two.start)


def _is_in_half_day(start: time, half: Session) -> bool:
    return Session.of(datetime.combine(date.min, start)) == half
