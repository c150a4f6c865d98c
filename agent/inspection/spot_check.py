"""Draw random moments for a class: choose the seed, draw, and enter the draw into the audit."""

from __future__ import annotations

from dataclasses import dataclass

from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import InputError
from agent.inspection import sampling
from agent.inspection.cut import ClipSpan
from agent.inspection.sampling import SampledMoment

DRAW_ACTION = "clip.draw"


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """The moments of one draw. `about` goes into the manifests: with it anybody draws the same moments again."""

    moments: list[SampledMoment]
    about: dict[str, object]


def draw_and_record(
    catalog: Catalog,
    clock: Clock,
    cls: TrainingClass,
    *,
    count: int,
    seconds: int,
    seed: str | None,
    within: ClipSpan | None,
    who: str,
) -> DrawnSample:
    """Draw `count` moments of `seconds` seconds and record them in the audit.

    The audit entry is made before anything is cut, so that an unwanted draw cannot be discarded unseen. `within` narrows
    the lesson time. Without a seed it is `{head}:{n}`: the published head of the class's last closed half-day, and the number
    of draws made with that head before. Raises InputError where there is no seed or not enough lesson time.
    """
    if count < 1 or seconds < 1:
        raise InputError("clip.bad_draw")
    now, zone = clock.now(), catalog.zone
    first, last = min((x.start for x in cls.lessons), default=now), max((x.end for x in cls.lessons), default=now)
    limit = ClipSpan(max(first, within.start) if within else first, min(now, last, within.end if within else last))
    with catalog.store.write():
        used, about = _choose_seed(catalog, cls.class_id, seed)
        lessons = sampling.select_population(cls.lessons, seconds, limit)
        found = sampling.draw_moments(lessons, cls.class_id, count, seconds, used)
        if len(found) < count:
            raise InputError("clip.little_time", class_id=cls.class_id, count=count, seconds=seconds)
        begin, end = clocks.format_local(limit.start, zone), clocks.format_local(limit.end, zone)
        about |= {"count": count, "seconds": seconds, "from": begin, "to": end}
        listed = [
            {"draw": m.draw, "start": clocks.format_local(m.span.start, zone), "room_id": m.lesson.room_id}
            for m in found
        ]
        catalog.audit.add(now, who, DRAW_ACTION, cls.class_id, {**about, "moments": listed})
    return DrawnSample(found, about)


def _choose_seed(catalog: Catalog, class_id: str, given: str | None) -> tuple[str, dict[str, object]]:
    """Return (seed, what the audit and the manifests state about it)."""
    if given is not None:
        return given, {"seed": given, "seed_from": "given"}
    link = catalog.chain.last(class_id)
    if link is None:
        raise InputError("clip.no_seed", class_id=class_id)
    earlier = sum(e.detail.get("head") == link.head for e in catalog.audit.of_object(class_id, DRAW_ACTION))
    seed = f"{link.head}:{earlier}"
    return seed, {
        "seed": seed,
        "seed_from": "chain",
        "head": link.head,
        "counter": earlier,
        "sequence": link.sequence,
        "date": link.date.isoformat(),
        "session": link.session.value,
    }
