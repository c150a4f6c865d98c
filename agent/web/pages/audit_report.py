"""The audit of a class for the inspection sheet: video opened and sent, moments drawn, clips cut.

What a person looked at cannot be known. The sheet states what was opened and which time of video was received, no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from agent import i18n
from agent.catalog import Catalog, deliveries
from agent.catalog.audit import AuditEntry
from agent.catalog.base import dump_json
from agent.contract.audit import AuditEntryBody
from agent.core import clock as clocks
from agent.core.intervals import bridge_pauses, intersect_intervals, merge_intervals, sum_seconds
from agent.core.model import JsonObject
from agent.inspection import spot_check

_JOIN = timedelta(milliseconds=100)
Stretch = tuple[datetime, datetime]


@dataclass(slots=True)
class SeenTime:
    """What one person opened of one camera, and what was sent; both only where there is video."""

    opened: list[Stretch] = field(default_factory=list)
    sent: list[Stretch] = field(default_factory=list)


@dataclass(slots=True)
class AuditReport:
    """What was done with the video of a class. `seen` is by (who, camera)."""

    seen: dict[tuple[str, str], SeenTime] = field(default_factory=dict)
    draws: list[AuditEntry] = field(default_factory=list)
    clips: list[AuditEntry] = field(default_factory=list)


def collect_audit_report(catalog: Catalog, class_id: str, who: str | None) -> AuditReport:
    """Collect it from the audit. `who`: only what this account did (from any address); None: everybody."""
    found = AuditReport()
    film = _ClipAccess(catalog, class_id)
    for entry in catalog.audit.of_object(class_id):
        name = entry.who.rsplit("@", 1)[0]
        if who is not None and name != who:
            continue
        if entry.action == "watch":
            found.seen.setdefault((name, str(entry.detail["camera_id"])), SeenTime()).opened += film.of(entry.detail)
        elif entry.action == deliveries.DELIVERY_ACTION:
            seen = found.seen.setdefault((name, str(entry.detail["camera_id"])), SeenTime())
            seen.sent += _stretches(entry.detail["spans"])
            # the player opens as it goes: its `watch` entries say only where somebody began
            seen.opened += _stretches(entry.detail["spans"])
        elif entry.action == spot_check.DRAW_ACTION:
            found.draws.append(entry)
        elif entry.action == "clip":
            found.clips.append(entry)
    return found


class _ClipAccess:
    """The video that an entry is about.

    Entries of older versions name only what was requested; the catalog's segments say what exists of it.
    """

    def __init__(self, catalog: Catalog, class_id: str) -> None:
        self._catalog, self._class_id = catalog, class_id
        self._known: dict[str, list[Stretch]] | None = None

    def of(self, detail: JsonObject) -> list[Stretch]:
        if "film" in detail:
            return _stretches(detail["film"])
        if self._known is None:
            rows: dict[str, list[Stretch]] = {}
            for s in self._catalog.segments.of_class(self._class_id):
                if s.end is not None:
                    rows.setdefault(s.camera_id, []).append((s.start, s.end))
            self._known = {camera: merge_intervals(found) for camera, found in rows.items()}
        return intersect_intervals(self._known.get(str(detail["camera_id"]), []), _stretches([detail]))


def _stretches(rows: Iterable[JsonObject]) -> list[Stretch]:
    return merge_intervals(
        (datetime.fromisoformat(str(x["start"])), datetime.fromisoformat(str(x["end"]))) for x in rows
    )


def describe_spans(catalog: Catalog, trail: AuditReport) -> list[str]:
    """Describe what was opened, by person, camera and day, with what of it was sent; then the clips."""
    found = []
    for (who, camera), seen in trail.seen.items():
        opened, sent = _by_day(seen.opened, catalog.zone), _by_day(seen.sent, catalog.zone)
        for day in opened.keys() | sent.keys():
            about = {"who": who, "camera": camera, "day": day}
            lines = []
            if day in opened:
                lines.append(_t("form.opened", spans=_clocks(opened[day], catalog.zone), **about))
            total = sum_seconds(sent.get(day, ()))
            key = "form.sent" if total >= 1 else "form.nothing_sent"
            lines.append(_t(key, spans=_clocks(sent.get(day, ()), catalog.zone), length=_length(total), **about))
            found.append((day, camera, who, lines))
    rows = [line for *_, lines in sorted(found) for line in lines]
    return rows + [_clip_line(e, catalog.zone) for e in trail.clips]


def _clip_line(e: AuditEntry, zone: ZoneInfo) -> str:
    """Describe what the clip shows; for an entry of an older version only what was requested."""
    known = "film" in e.detail
    spans = _stretches(e.detail["film"] if known else [e.detail["asked"]])
    about = {"who": e.who.rsplit("@", 1)[0], "camera": e.detail["camera_id"], "sha256": str(e.detail["sha256"])[:16]}
    day = min((a for a, _ in spans), default=e.at).astimezone(zone).date()
    return _t("form.clipped" if known else "form.clip_asked", day=day, spans=_clocks(spans, zone), **about)


def _by_day(spans: Iterable[Stretch], zone: ZoneInfo) -> dict[date, list[Stretch]]:
    """Group by the day on which each begins; spans without a visible pause between them are joined."""
    found: dict[date, list[Stretch]] = {}
    for start, end in bridge_pauses(merge_intervals(spans), _JOIN):
        found.setdefault(start.astimezone(zone).date(), []).append((start, end))
    return found


def _clocks(spans: Iterable[Stretch], zone: ZoneInfo) -> str:
    half = timedelta(milliseconds=500)
    shown = [tuple(f"{(x + half).astimezone(zone):%H:%M:%S}" for x in span) for span in spans]
    return _t("papers.and").join(_t("form.from_to", start=a, end=b) for a, b in shown if a != b)


def _length(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return _t("form.length", minutes=minutes, seconds=rest) if minutes else _t("papers.seconds", n=rest)


def _t(key: str, /, **params: object) -> str:
    return i18n.translate_to("zh", key, **params)


def describe_seeds(catalog: Catalog, seen: AuditReport) -> list[str]:
    lines = []
    for entry in seen.draws:
        about = entry.detail
        key = "form.seed_chain" if about["seed_from"] == "chain" else "form.seed_given"
        moments = "、".join(str(m["start"])[5:16].replace("T", " ") for m in about["moments"])
        at = f"{entry.at.astimezone(catalog.zone):%Y-%m-%d %H:%M}"
        lines.append(
            _t(key, seed=about["seed"], at=at, count=about["count"], seconds=about["seconds"], moments=moments)
        )
    return lines


def dump_entries(catalog: Catalog, class_id: str) -> list[str]:
    """Return the entries about a class, one JSON object each."""
    return [
        json.dumps(build_audit_row(entry), ensure_ascii=False, sort_keys=True)
        for entry in catalog.audit.of_object(class_id)
    ]


def build_audit_row(entry: AuditEntry) -> AuditEntryBody:
    """As the catalog keeps it: what the hash is made of."""
    return {"id": entry.entry_id, "at": clocks.format_utc(entry.at), "who": entry.who, "action": entry.action,
            "object": entry.object, "detail": dump_json(dict(entry.detail)), "previous": entry.previous,
            "hash": entry.hash}  # fmt: skip
