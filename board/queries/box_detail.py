"""Everything that the board knows of one box."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from board.queries.scope import is_box_of_institution, is_of_institution
from board.queries.self_check import SelfCheck, read_self_check
from board.store.database import Database
from board.store.tables import boxes, cameras, classes, heads, identities, logs, readiness

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BoxDetail:
    """A box. `row`: its row; `beat`: data of its newest live heartbeat; `findings`: of its newest readiness sheets.

    `self_check`: findings and certificates of its own examination.
    """

    row: Row
    beat: Row
    fingerprint: str
    cameras: tuple[Row, ...]
    identities: Mapping[str, tuple[Row, ...]]
    logs: tuple[Row, ...]
    unsigned: tuple[Row, ...]
    findings: tuple[Row, ...]
    self_check: SelfCheck


def compute_key_fingerprint(public: str) -> str:
    """Return what `ssh-keygen -l` calls a public key (`SHA256:…`); "" for text that is none."""
    try:
        text = public.split()[1]
        blob = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (IndexError, binascii.Error):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def load_box(database: Database, county: str, site: str, box: str, *, institution: str = "") -> BoxDetail | None:
    """Return a box; None where there is none that this institution may see."""
    mine = (boxes.c.county == county, boxes.c.site == site, boxes.c.box == box, is_box_of_institution(institution))
    with database.read() as connection:
        row = connection.execute(select(boxes).where(*mine)).mappings().one_or_none()
        if row is None:
            return None
        number = row["id"]
        known = connection.execute(
            select(cameras).where(cameras.c.box_id == number).order_by(cameras.c.camera_id)
        ).mappings().all()  # fmt: skip
        units = connection.execute(
            select(identities).where(identities.c.box_id == number).order_by(identities.c.last_seen.desc())
        ).mappings().all()  # fmt: skip
        begun = connection.execute(
            select(logs).where(logs.c.box_id == number).order_by(logs.c.begun_at.desc())
        ).mappings().all()  # fmt: skip
        open_heads = (heads.c.box_id == number, heads.c.state != "signed")
        unsigned = connection.execute(select(heads).where(*open_heads).order_by(heads.c.id.desc()).limit(50))
        unsigned_rows = unsigned.mappings().all()
        known_class = readiness.outerjoin(classes, classes.c.class_id == readiness.c.class_id)
        sheets = connection.execute(
            select(readiness.c.class_id, readiness.c.body).select_from(known_class)
            .where(readiness.c.box_id == number, is_of_institution(institution))
            .order_by(readiness.c.at.desc()).limit(5)
        ).mappings().all()  # fmt: skip
    return BoxDetail(
        row=dict(row),
        beat=_read_object(row["beat"]),
        fingerprint=compute_key_fingerprint(row["key"] or ""),
        cameras=tuple(dict(camera) | {"data": _read_object(camera["body"])} for camera in known),
        identities={c: tuple(dict(u) for u in units if u["camera_id"] == c) for c in {u["camera_id"] for u in units}},
        logs=tuple(dict(found) for found in begun),
        unsigned=tuple(dict(found) for found in unsigned_rows),
        findings=tuple(_list_findings(sheets)),
        self_check=read_self_check(row["self_check"]),
    )


def _read_object(text: object) -> Row:
    found: object = json.loads(str(text)) if text else {}
    return found if isinstance(found, dict) else {}


def _list_findings(sheets: object) -> list[Row]:
    """Return what is wrong by the readiness sheets of the box's classes, each finding once."""
    found: dict[tuple[str, str], Row] = {}
    for sheet in sheets if isinstance(sheets, list) else []:
        listed = _read_object(sheet["body"]).get("findings")
        for item in listed if isinstance(listed, list) else []:
            if isinstance(item, dict) and item.get("severity") in ("warning", "critical"):
                key = (str(item.get("check", "")), str(item.get("finding", "")))
                texts = {name: str(item.get(name, ""))[:500] for name in ("check", "severity", "finding", "mend")}
                found.setdefault(key, texts | {"class_id": sheet["class_id"]})
    return list(found.values())
