"""Draws moments: chooses the seed, draws by the published rule, and enters the draw into the audit in the same transaction.

So no draw can be thrown away unseen: it stands in the audit before anybody knows what it hit.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select

from agent.core.clock import format_utc, get_local_day
from agent.core.errors import InputError
from agent.core.sampling import DrawnMoment, draw_from
from board.accounts.audit import BoardAudit
from board.ingest.fields import clean
from board.queries.course_plan import read_approved_class
from board.spot_checks.population import (
    ClassLesson,
    Population,
    dump_population,
    list_class_population,
    load_day_population,
)
from board.store.database import Database
from board.store.tables import classes, heads, spot_draws, spot_moments

MOST_MOMENTS, LONGEST_S = 50, 600
RULE = 'SHA-256("{seed}\\n{scope}\\n{k}") mod T'
"""The published rule; docs/board.md says what k and T are."""


@dataclass(frozen=True, slots=True)
class SpotOrder:
    """What is to be drawn. `class_id` "": over all classes of today; `slot`: the hour of the plan that asks for it.

    `who`: how the audit names the person, with the address; empty: as `by`.
    """

    count: int
    seconds: int
    by: str
    class_id: str = ""
    first_day: date | None = None
    last_day: date | None = None
    seed: str = ""
    slot: str | None = None
    who: str = ""


class SpotDrawer:
    """Draws. `make_random` gives the part of a seed that nobody could know before."""

    def __init__(
        self, database: Database, zone: ZoneInfo, make_random: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> None:
        self._database = database
        self._audit = BoardAudit(database)
        self._zone = zone
        self._make_random = make_random

    def draw(self, order: SpotOrder, now: datetime) -> int:
        """Draw and return the draw's number. Raises InputError where there is too little lesson time, StoreError."""
        if not (0 < order.count <= MOST_MOMENTS and 0 < order.seconds <= LONGEST_S):
            raise InputError("spot.bad_draw", most=MOST_MOMENTS, longest=LONGEST_S)
        until = now.replace(microsecond=0)  # the population is written down by the second
        with self._database.write() as connection:
            population, scope = self._load(connection, order, until)
            seed, source = self._choose_seed(connection, order.seed)
            found = draw_from(population, scope, order.count, order.seconds, seed, lambda lesson: lesson.place)
            if len(found) < order.count:
                raise InputError("spot.little_time", count=order.count, seconds=order.seconds)
            about = {"kind": "class" if order.class_id else "day", "scope": scope, "seed": seed, "seed_from": source,
                     "count": order.count, "seconds": order.seconds}  # fmt: skip
            number = self._store(connection, order, about, population, found, now)
            told = {**about, "number": number, "moments": [_describe(x) for x in found]}
            who = order.who or order.by
            self._audit.add_in(connection, now, who, "spot.draw", scope, told)
        return number

    def _load(self, connection: Connection, order: SpotOrder, until: datetime) -> tuple[Population, str]:
        """Return what is drawn from, and the scope. Raises InputError for a class without an approved plan."""
        today = get_local_day(until, self._zone)
        if not order.class_id:
            return load_day_population(connection, today, self._zone, order.seconds, until), today.isoformat()
        body = connection.execute(select(classes.c.body).where(classes.c.class_id == order.class_id)).scalar()
        approved = read_approved_class(str(body), self._zone) if body else None
        if approved is None or not approved.lessons:
            raise InputError("spot.no_plan", class_id=order.class_id)
        first, last = order.first_day or approved.first_day, order.last_day or today
        begin = datetime(first.year, first.month, first.day, tzinfo=self._zone)
        end = datetime(last.year, last.month, last.day, 23, 59, 59, tzinfo=self._zone)
        return list_class_population(approved, order.seconds, begin, min(until, end)), order.class_id

    def _choose_seed(self, connection: Connection, given: str) -> tuple[str, str]:
        """Return the seed and where it is from.

        The newest head that a box published shows that the seed was not made before; the random part, that nobody at a site
        could reckon beforehand which moments it would hit.
        """
        if given:
            return clean(given, 200), "given"
        head = connection.execute(select(heads.c.head).order_by(heads.c.id.desc()).limit(1)).scalar()
        return f"{head}:{self._make_random()}" if head else self._make_random(), "board"

    def _store(
        self,
        connection: Connection,
        order: SpotOrder,
        about: Mapping[str, object],
        population: Population,
        found: Sequence[DrawnMoment[ClassLesson]],
        now: datetime,
    ) -> int:
        begin, end = population[0][1][0], max(span[1] for _, span in population)
        row = {**about, "made_at": format_utc(now), "made_by": order.by[:64], "slot": order.slot,
               "begin": format_utc(begin), "end": format_utc(end),
               "population": json.dumps(dump_population(population), ensure_ascii=False)}  # fmt: skip
        made = connection.execute(insert(spot_draws).values(row).returning(spot_draws.c.id)).scalar_one()
        rows = [
            {
                "draw_id": made,
                "draw": x.draw,
                "class_id": x.item.class_id,
                "date": x.item.date,
                "session": x.item.session,
                "room_id": x.item.room_id,
                "start": format_utc(x.start),
                "end": format_utc(x.end),
                "state": "due",
            }
            for x in found
        ]
        connection.execute(insert(spot_moments), rows)
        return int(made)


def _describe(moment: DrawnMoment[ClassLesson]) -> dict[str, object]:
    item = moment.item
    return {"draw": moment.draw, "class_id": item.class_id, "room_id": item.room_id, "start": format_utc(moment.start)}


def build_recipe(draw: Mapping[str, Any], moments: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Return all that a stranger needs to draw the same moments: rule, seed, scope, population; and the moments."""
    return {
        "rule": RULE,
        "seed": draw["seed"],
        "scope": draw["scope"],
        "count": draw["count"],
        "seconds": draw["seconds"],
        "made_at": draw["made_at"],
        "population": [
            dict(zip(("class_id", "date", "session", "room_id", "start", "end"), row, strict=True))
            for row in json.loads(draw["population"])
        ],
        "moments": [{name: x[name] for name in ("draw", "class_id", "room_id", "start", "end")} for x in moments],
    }
