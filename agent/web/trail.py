"""What the audit says about a class, in the words of the inspection sheet: spans watched, moments drawn, clips cut."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent import clock, words
from agent.catalog import AuditEntry, Catalog
from agent.catalog.base import dump
from agent.inspection import chance

_NEAR = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Watched:
    """What one person opened of one camera; neighbouring spans are one."""

    who: str
    camera_id: str
    start: datetime
    end: datetime


@dataclass(slots=True)
class Trail:
    watched: list[Watched] = field(default_factory=list)
    draws: list[AuditEntry] = field(default_factory=list)
    clips: list[AuditEntry] = field(default_factory=list)


def of_class(catalog: Catalog, class_id: str, who: str | None) -> Trail:
    """`who`: only what this account did (from whatever address); None: everybody."""
    found = Trail()
    for entry in catalog.audit.of_object(class_id):
        if who is not None and entry.who.rsplit("@", 1)[0] != who:
            continue
        if entry.action == "watch":
            found.watched.append(_watched(entry))
        elif entry.action == chance.ACTION:
            found.draws.append(entry)
        elif entry.action == "clip":
            found.clips.append(entry)
    found.watched = _joined(found.watched)
    return found


def _watched(entry: AuditEntry) -> Watched:
    start, end = (datetime.fromisoformat(str(entry.detail[key])) for key in ("start", "end"))
    return Watched(entry.who.rsplit("@", 1)[0], str(entry.detail["camera_id"]), start, end)


def _joined(spans: list[Watched]) -> list[Watched]:
    found: list[Watched] = []
    for one in sorted(spans, key=lambda w: (w.who, w.camera_id, w.start)):
        last = found[-1] if found else None
        if last and (last.who, last.camera_id) == (one.who, one.camera_id) and one.start - last.end <= _NEAR:
            found[-1] = Watched(last.who, last.camera_id, last.start, max(last.end, one.end))
        else:
            found.append(one)
    return sorted(found, key=lambda w: (w.start, w.camera_id))


def span_lines(catalog: Catalog, seen: Trail) -> list[str]:
    zone = catalog.zone
    lines = []
    for w in seen.watched:
        start, end = f"{w.start.astimezone(zone):%Y-%m-%d %H:%M:%S}", f"{w.end.astimezone(zone):%H:%M:%S}"
        lines.append(words.text_in("zh", "form.watched", who=w.who, camera=w.camera_id, start=start, end=end))
    for e in seen.clips:
        start, end = str(e.detail["asked"]["start"])[:19].replace("T", " "), str(e.detail["asked"]["end"])[11:19]
        about = {
            "who": e.who.rsplit("@", 1)[0],
            "camera": e.detail["camera_id"],
            "start": start,
            "end": end,
            "sha256": str(e.detail["sha256"])[:16],
        }
        lines.append(words.text_in("zh", "form.clipped", **about))
    return lines


def seed_lines(catalog: Catalog, seen: Trail) -> list[str]:
    lines = []
    for entry in seen.draws:
        about = entry.detail
        key = "form.seed_chain" if about["seed_from"] == "chain" else "form.seed_given"
        moments = "、".join(str(m["start"])[5:16].replace("T", " ") for m in about["moments"])
        at = f"{entry.at.astimezone(catalog.zone):%Y-%m-%d %H:%M}"
        lines.append(
            words.text_in(
                "zh", key, seed=about["seed"], at=at, count=about["count"], seconds=about["seconds"], moments=moments
            )
        )
    return lines


def lines(catalog: Catalog, class_id: str) -> list[str]:
    """The entries about a class, one JSON object each."""
    return [
        json.dumps(as_row(entry), ensure_ascii=False, sort_keys=True) for entry in catalog.audit.of_object(class_id)
    ]


def as_row(entry: AuditEntry) -> dict[str, Any]:
    """As the catalog keeps it: what the hash is made of."""
    return {"id": entry.entry_id, "at": clock.stamp(entry.at), "who": entry.who, "action": entry.action, "object": entry.object,
            "detail": dump(dict(entry.detail)), "previous": entry.previous, "hash": entry.hash}  # fmt: skip
