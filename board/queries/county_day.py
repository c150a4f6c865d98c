"""The county on one day: classes under way, missing, later and over, and boxes that need somebody first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, select, union

from agent.core.clock import parse_time
from agent.core.model import Session
from board.queries.boxes import BoxState, Presence, list_boxes
from board.queries.course_plan import ApprovedDay, DayPlans, PlannedHalfDay
from board.queries.overview import ClassCard, load_overview
from board.store.database import Database
from board.store.tables import boxes, class_boxes, classes, half_days

OLD_S = 600.0
"""A figure of a half-day under way that is older is marked: a box sends it anew each five minutes."""
LOST_S = 7200.0
"""Without a plan, a half-day of which nothing was heard for so long is taken for over."""
LATE_S = 600.0
"""A class of which nothing has come so long after its first lesson's start is missing; a box needs some minutes."""
ENDING_S = 900.0
"""After the last lesson a box judges the half-day once more, then its figures are final."""
DRIVE_DAYS = 3.0
_REASONS = ("alarms", "presence", "self_check", "drive")
AWAY: tuple[Presence, ...] = ("silent", "offline", "stopped", "never", "revoked")
Weight = Literal["missing", "critical", "warning", "waiting", "well"]
_WEIGHTS: tuple[Weight, ...] = ("missing", "critical", "warning", "waiting", "well")


@dataclass(frozen=True, slots=True)
class BoxFigures:
    """A half-day as one box reports it. `old`: newer ones should have come."""

    card: ClassCard
    presence: Presence
    at: datetime
    age_s: float
    old: bool

    @property
    def weight(self) -> Weight:
        critical = any(group.severity == "critical" for group in self.card.alerts)
        if critical or self.old or self.presence in AWAY:
            return "critical"
        return "warning" if self.card.alerts else "well"


@dataclass(frozen=True, slots=True)
class ClassNow:
    """A half-day of a class. `figures`: one for each box that reports it, never added; `quiet`: its boxes that do not.

    `since`: the plan's start, else the first report.
    """

    class_id: str
    session: str
    institution: str
    occupation: str
    class_number: int | None
    place: str
    expected: int | None
    plan: PlannedHalfDay | None
    since: datetime
    figures: tuple[BoxFigures, ...]
    quiet: tuple[tuple[str, Presence], ...]
    weight: Weight


@dataclass(frozen=True, slots=True)
class BoxNeed:
    """A box that needs somebody. `reasons`: presence, alarms, self_check, drive."""

    box: BoxState
    reasons: tuple[str, ...]
    busy: bool


@dataclass(frozen=True, slots=True)
class CountyDay:
    """`unplanned`: classes open today whose course plan the board does not know. `newest`: time of the newest figures."""

    now: datetime
    under_way: tuple[ClassNow, ...]
    later: tuple[ClassNow, ...]
    over: tuple[ClassNow, ...]
    needs: tuple[BoxNeed, ...]
    unplanned: int
    newest: datetime | None

    @property
    def missing(self) -> int:
        return sum(item.weight == "missing" for item in self.under_way)


def load_county_day(database: Database, plans: DayPlans, now: datetime, *, institution: str = "") -> CountyDay:
    """Return the day of the county, or of one institution."""
    local = now.astimezone(plans.zone)
    cards = load_overview(database, local.date(), institution=institution)
    with database.read() as connection:
        approved = plans.load(connection, local.date(), institution)
        holders = _list_holders(connection, local.date().isoformat())
    states = {state.name: state for state in list_boxes(database, now)}
    own = states if not institution else {x.name: x for x in list_boxes(database, now, institution=institution)}
    found = _Sorter(local, {name: state.presence for name, state in states.items()}, holders).sort(cards, approved)
    busy = {
        name for item in found["now"] for name in (*(f.card.box for f in item.figures), *(n for n, _ in item.quiet))
    }
    return CountyDay(
        now=now,
        under_way=tuple(sorted(found["now"], key=_rank)),
        later=tuple(sorted(found["later"], key=lambda item: (item.since, item.institution, item.class_id))),
        over=tuple(
            sorted(found["over"], key=lambda item: (-Session(item.session).order, item.institution, item.class_id))
        ),
        needs=tuple(_find_needs(own.values(), busy)),
        unplanned=sum(item.half_days is None for item in approved),
        newest=max((parse_time(card.at) for card in cards), default=None),
    )


def _list_holders(connection: Connection, day: str) -> dict[str, list[str]]:
    """Return the boxes of each class that is open on a day, or reported then."""
    held: dict[str, list[str]] = defaultdict(list)
    # looked up by the database: a list of thousands of IDs takes longer to write than to answer
    on_day = union(
        select(classes.c.class_id).where(classes.c.last_day >= day, classes.c.first_day <= day),
        select(half_days.c.class_id).where(half_days.c.date == day),
    )
    query = select(class_boxes.c.class_id, boxes.c.name).join(boxes, boxes.c.id == class_boxes.c.box_id)
    query = query.where(class_boxes.c.class_id.in_(on_day), boxes.c.revoked_at.is_(None))
    for class_id, name in connection.execute(query.order_by(boxes.c.name)):
        held[class_id].append(name)
    return held


def _rank(item: ClassNow) -> tuple[int, str, str, int, str]:
    return _WEIGHTS.index(item.weight), item.institution, item.occupation, item.class_number or 0, item.class_id


@dataclass(slots=True)
class _Sorter:
    """Puts half-days where they belong: now, later or over."""

    now: datetime
    presence: dict[str, Presence]
    holders: dict[str, list[str]]

    def sort(self, cards: list[ClassCard], approved: list[ApprovedDay]) -> dict[str, list[ClassNow]]:
        reported: dict[tuple[str, str], list[ClassCard]] = defaultdict(list)
        for card in sorted(cards, key=lambda card: card.box):
            reported[card.class_id, card.session].append(card)
        known = {item.class_id: item for item in approved}
        plans = {(plan.class_id, plan.session): plan for item in approved for plan in item.half_days or ()}
        found: dict[str, list[ClassNow]] = {"now": [], "later": [], "over": []}
        for key in sorted({*reported, *plans}):
            plan, own = plans.get(key), reported.get(key, [])
            when = self._place(plan, own)
            found[when].append(self._make(key, plan, own, known.get(key[0]), under_way=when == "now"))
        return found

    def _place(self, plan: PlannedHalfDay | None, cards: list[ClassCard]) -> str:
        if cards and all(card.status != "provisional" for card in cards):
            return "over"
        if plan is not None:
            after = (self.now - plan.end).total_seconds()
            if after > (ENDING_S if cards else 0):
                return "over"
            return "now" if cards or self.now >= plan.start else "later"
        newest = max(parse_time(card.at) for card in cards)
        return "over" if (self.now - newest).total_seconds() > LOST_S else "now"

    def _make(
        self,
        key: tuple[str, str],
        plan: PlannedHalfDay | None,
        cards: list[ClassCard],
        approved: ApprovedDay | None,
        *,
        under_way: bool,
    ) -> ClassNow:
        about = approved or cards[0]
        figures = tuple(self._figures(card, under_way=under_way) for card in cards)
        reporting = {card.box for card in cards}
        quiet = tuple((name, self.presence.get(name, "never")) for name in self.holders.get(key[0], ()))
        since = plan.start if plan else min(parse_time(card.since) for card in cards)
        return ClassNow(
            class_id=key[0],
            session=key[1],
            institution=about.institution,
            occupation=about.occupation,
            class_number=about.class_number,
            place=plan.place if plan and plan.place else about.place,
            expected=plan.expected if plan and plan.expected is not None else about.expected,
            plan=plan,
            since=since,
            figures=figures,
            quiet=tuple(item for item in quiet if item[0] not in reporting),
            weight=self._weigh(figures, since),
        )

    def _figures(self, card: ClassCard, *, under_way: bool) -> BoxFigures:
        at = parse_time(card.at)
        age = max(0.0, (self.now - at).total_seconds())
        old = under_way and card.status == "provisional" and age > OLD_S
        return BoxFigures(card, self.presence.get(card.box, "never"), at, age, old)

    def _weigh(self, figures: tuple[BoxFigures, ...], since: datetime) -> Weight:
        if not figures:
            return "missing" if (self.now - since).total_seconds() > LATE_S else "waiting"
        return min((item.weight for item in figures), key=_WEIGHTS.index)


def _find_needs(states: Iterable[BoxState], busy: set[str]) -> list[BoxNeed]:
    """Return the boxes that need somebody, those with a class under way first."""
    found = []
    for state in states:
        if state.presence in ("revoked", "never"):
            continue
        reasons = {
            "alarms": state.alarms > 0,
            "presence": state.presence != "online",
            "self_check": state.worst == "critical",
            "drive": state.days_left is not None and state.days_left < DRIVE_DAYS,
        }
        if any(reasons.values()):
            found.append(BoxNeed(state, tuple(name for name, holds in reasons.items() if holds), state.name in busy))
    return sorted(found, key=lambda need: (not need.busy, _REASONS.index(need.reasons[0]), need.box.name))
