"""The plan: so many moments in each hour of the day, drawn by the board itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import delete, exists, insert, select

from agent.core.clock import format_utc
from agent.core.errors import InputError
from board.accounts.audit import BoardAudit
from board.spot_checks.drawing import LONGEST_S, MOST_MOMENTS
from board.store.database import Database
from board.store.tables import spot_draws, spot_plans


@dataclass(frozen=True, slots=True)
class SpotPlan:
    """`first_hour` to `last_hour`: in which hours of the county's day moments are drawn, both included."""

    enabled: bool = False
    count: int = 3
    seconds: int = 60
    first_hour: int = 9
    last_hour: int = 17
    set_at: str = ""
    set_by: str = ""


def load_plan(database: Database) -> SpotPlan:
    """Return the plan; one that is off where none was set."""
    with database.read() as connection:
        row = connection.execute(select(*[c for c in spot_plans.c if c.name != "id"])).mappings().first()
    return SpotPlan(**row) if row else SpotPlan()


def save_plan(database: Database, plan: SpotPlan, by: str, who: str, now: datetime) -> None:
    """Set the plan, and enter it into the audit. Raises InputError."""
    if not (0 < plan.count <= MOST_MOMENTS and 0 < plan.seconds <= LONGEST_S):
        raise InputError("spot.bad_draw", most=MOST_MOMENTS, longest=LONGEST_S)
    if not 0 <= plan.first_hour <= plan.last_hour <= 23:
        raise InputError("spot.bad_hours")
    values = {name: getattr(plan, name) for name in ("enabled", "count", "seconds", "first_hour", "last_hour")}
    with database.write() as connection:
        connection.execute(delete(spot_plans))
        connection.execute(insert(spot_plans).values(values | {"id": 1, "set_at": format_utc(now), "set_by": by[:64]}))
        BoardAudit(database).add_in(connection, now, who, "spot.plan", "", values)


def find_due_slot(database: Database, plan: SpotPlan, now: datetime, zone: ZoneInfo) -> str | None:
    """Return the hour that moments are to be drawn for now; None where it is not one of the plan's, or was drawn for.

    An hour that the board was not running in is not made up for: its moments are as likely to be hit by a later draw, which
    draws over the whole day.
    """
    local = now.astimezone(zone)
    if not plan.enabled or not plan.first_hour <= local.hour <= plan.last_hour:
        return None
    slot = f"{local:%Y-%m-%dT%H}"
    with database.read() as connection:
        known = connection.execute(select(exists().where(spot_draws.c.slot == slot))).scalar()
    return None if known else slot
