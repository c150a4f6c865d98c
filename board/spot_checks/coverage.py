"""Coverage by institution: half-days held in a span of days, in how many of them moments were drawn, and looked at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from board.queries.course_plan import read_approved_class
from board.store.database import Database
from board.store.tables import classes, half_days, spot_moments

HalfDay = tuple[str, str, str]


@dataclass(slots=True)
class InstitutionCoverage:
    """One institution. Half-days are those that have begun; `moments`, `opened` and `results` count drawn moments."""

    institution: str
    held: set[HalfDay] = field(default_factory=set)
    drawn: set[HalfDay] = field(default_factory=set)
    judged: set[HalfDay] = field(default_factory=set)
    moments: int = 0
    opened: int = 0
    results: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def waiting(self) -> int:
        """Return how many moments nobody has judged."""
        return self.moments - sum(self.results.values())


def load_coverage(
    database: Database, first: date, last: date, now: datetime, zone: ZoneInfo
) -> list[InstitutionCoverage]:
    """Return coverage from `first` to `last` by institution; what belongs to no approved class stands under ""."""
    found: dict[str, InstitutionCoverage] = {}
    with database.read() as connection:
        owners = _add_held(connection, found, first, last, now, zone)
        span = (spot_moments.c.date >= first.isoformat(), spot_moments.c.date <= last.isoformat())
        for row in connection.execute(select(spot_moments).where(*span)):
            own = _of(found, owners.get(row.class_id, ""))
            place = (row.class_id, row.date, row.session)
            own.moments += 1
            own.opened += row.opened_at is not None
            own.drawn.add(place)
            if row.judged_at is not None:
                own.judged.add(place)
                own.results[row.result] += 1
    return sorted(found.values(), key=lambda x: (x.institution == "", x.institution))


def _add_held(
    connection: Connection,
    found: dict[str, InstitutionCoverage],
    first: date,
    last: date,
    now: datetime,
    zone: ZoneInfo,
) -> dict[str, str]:
    """Add the half-days that have begun: by the approved plan, else as boxes reported; return the institution of a class."""
    named = select(classes.c.class_id, classes.c.institution)
    owners = {row.class_id: row.institution for row in connection.execute(named)}
    planned = set()
    of_days = (classes.c.first_day <= last.isoformat(), classes.c.last_day >= first.isoformat())
    query = select(classes.c.class_id, classes.c.institution, classes.c.body).where(*of_days)
    for row in connection.execute(query):
        approved = read_approved_class(row.body, zone)
        if approved is None or not approved.lessons:
            continue
        planned.add(row.class_id)
        for day, session in approved.half_days():
            if first <= day <= last and approved.lessons_of(day, session)[0].start <= now:
                _of(found, row.institution).held.add((row.class_id, day.isoformat(), session.value))
    reported = (half_days.c.date >= first.isoformat(), half_days.c.date <= last.isoformat())
    for row in connection.execute(select(half_days.c.class_id, half_days.c.date, half_days.c.session).where(*reported)):
        if row.class_id not in planned:
            _of(found, owners.get(row.class_id, "")).held.add((row.class_id, row.date, row.session))
    return owners


def _of(found: dict[str, InstitutionCoverage], institution: str) -> InstitutionCoverage:
    return found.setdefault(institution, InstitutionCoverage(institution))
