"""What the API answers, as JSON Schema. Fields may be added in answers; none is renamed or taken away within v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.alert_model import AlertKind
from agent.core.camera_model import Verdict

Schema = dict[str, Any]
ID: Schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9-]{0,31}$"}
DAY: Schema = {"type": "string", "format": "date", "description": "the site's calendar day"}
SESSION: Schema = {"type": "string", "enum": ["am", "pm", "ev"], "description": "am 上午, pm 下午, ev 晚上"}
TIME: Schema = {"type": "string", "format": "date-time", "description": "RFC 3339 with offset"}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number", "minimum": 0}
YES: Schema = {"type": "boolean"}
HREF: Schema = {"type": "string", "pattern": "^/api/v1/"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
ANY: Schema = {"type": "object"}
SEVERITY: Schema = {"type": "string", "enum": ["ok", "info", "warning", "critical"]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """Or null: unknown."""
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def record(about: str = "", /, **properties: Schema) -> Schema:
    """An object with all of these."""
    made: Schema = {"type": "object", "required": list(properties), "properties": properties}
    return made | {"description": about} if about else made


def listing(name: str, next_: Schema) -> Schema:
    return record(items=many(ref(name)), next=maybe(next_))


_FIGURES = {
    "expected": maybe(WHOLE),
    "present": maybe(WHOLE),
    "absent": maybe(WHOLE),
    "low": maybe(WHOLE),
    "high": maybe(WHOLE),
    "ratio": maybe(NUMBER),
    "at_start": maybe(WHOLE),
    "at_end": maybe(WHOLE),
    "lesson_s": WHOLE,
    "judged_s": WHOLE,
}
_ATTENDANCE = {
    "class_id": ID,
    "date": DAY,
    "session": SESSION,
    **_FIGURES,
    "status": {"type": "string", "enum": ["provisional", "final", "revised", "unjudged"]},
    "revision": WHOLE,
    "rooms": many(record(room_id=ID, **_FIGURES)),
}
_BRIEF = {
    "class_id": ID,
    "project": TEXT,
    "occupation": TEXT,
    "class_number": WHOLE,
    "institution": TEXT,
    "place": TEXT,
    "first_day": DAY,
    "last_day": DAY,
    "expected": WHOLE,
    "state": {"type": "string", "enum": ["ahead", "open", "over"]},
    "href": HREF,
}
_SPAN = record(start=TIME, end=TIME)
_MISSING = record(
    "planned time without video up to now. seconds: at least one room had no camera with video, each instant once;"
    " lesson_seconds: what of it lies in lessons, not in breaks; rooms and cameras: each one's own, never added up; what"
    " misses nothing may be left out",
    seconds=NUMBER,
    lesson_seconds=NUMBER,
    rooms=many(record(room_id=ID, seconds=NUMBER, lesson_seconds=NUMBER)),
    cameras=many(record(camera_id=ID, room_id=ID, seconds=NUMBER)),
)

SCHEMAS: Mapping[str, Schema] = {
    "ClassBrief": record("state: ahead 未开始, open 进行中, over 已结束", **_BRIEF),
    "ClassList": listing("ClassBrief", ID),
    "Class": record(
        "approved: the class file as approved, see docs/schemas/class.json",
        **_BRIEF,
        approved=ANY,
        half_days=many(record(date=DAY, session=SESSION, expected=WHOLE, missing=_MISSING)),
        chain=many(
            record(date=DAY, session=SESSION, sequence=WHOLE, drive_id=TEXT, head=TEXT, key=TEXT, closed_at=TIME)
        ),
    ),
    "Attendance": record("到课人数（视频估计）: counts of people, never of persons", **_ATTENDANCE),
    "AttendanceList": listing("Attendance", TEXT),
    "HalfDay": record(
        "",
        **_ATTENDANCE,
        lessons=many(
            record(
                start=TIME,
                end=TIME,
                room_id=ID,
                kind={"type": "string", "enum": ["theory", "practice"]},
                content=TEXT,
                present=maybe(WHOLE),
                low=maybe(WHOLE),
                high=maybe(WHOLE),
                at_start=maybe(WHOLE),
                at_end=maybe(WHOLE),
                lesson_s=WHOLE,
                judged_s=WHOLE,
            )
        ),
        curve=many(record(start=TIME, end=TIME, present=maybe(WHOLE), low=maybe(WHOLE), high=maybe(WHOLE))),
        findings=many(
            record(
                kind={"type": "string", "enum": ["late_start", "early_end", "empty", "interrupted", "over"]},
                start=TIME,
                end=TIME,
                seconds=WHOLE,
            )
        ),
        missing=_MISSING,
    ),
    "Look": record(
        "people includes staff",
        camera_id=ID,
        room_id=ID,
        at=TIME,
        people=WHOLE,
        low=WHOLE,
        high=WHOLE,
        judged=YES,
        reason=maybe(TEXT),
        detector=TEXT,
    ),
    "LookList": listing("Look", TEXT),
    "Gap": record(
        "planned time without video",
        camera_id=ID,
        date=DAY,
        session=SESSION,
        start=TIME,
        end=TIME,
        seconds=NUMBER,
        reason=TEXT,
        event=maybe(WHOLE),
        room_id=ID,
    ),
    "GapList": record(
        "missing: of the class, day or half-day asked for, whatever camera",
        items=many(ref("Gap")),
        next=maybe(TEXT),
        missing=_MISSING,
    ),
    "Segment": record(
        "path: on the drive",
        segment_id=WHOLE,
        drive_id=TEXT,
        path=TEXT,
        class_id=ID,
        date=DAY,
        session=SESSION,
        room_id=ID,
        camera_id=ID,
        start=TIME,
        end=TIME,
        bytes=maybe(WHOLE),
        sha256=maybe(TEXT),
        video=TEXT,
        width=WHOLE,
        height=WHOLE,
        sound=maybe(TEXT),
        clock={"type": "string", "enum": ["trusted", "free", "unknown"]},
        serial=maybe(TEXT),
        unchecked_since=maybe(TIME),
    ),
    "SegmentList": listing("Segment", WHOLE),
    "Alert": record(
        alert_id=TEXT,
        kind={"type": "string", "enum": [k.value for k in AlertKind]},
        state={"type": "string", "enum": ["raised", "updated", "cleared"]},
        severity={"type": "string", "enum": ["info", "warning", "critical"]},
        since=TIME,
        at=TIME,
        class_id=maybe(ID),
        date=maybe(DAY),
        session=maybe(SESSION),
        camera_id=maybe(ID),
        message=TEXT,
        first_message=TEXT,
        latest_message=TEXT,
        evidence=ANY,
        replayed=YES,
    ),
    "AlertList": listing("Alert", TEXT),
    "Manifest": record(
        "what was asked and given, from which files, what is missing, who and why; signed",
        clip=record(file=TEXT, bytes=WHOLE, sha256=SHA256, duration_s=NUMBER),
        class_id=ID,
        camera_id=ID,
        serials=many(TEXT),
        asked=_SPAN,
        given=_SPAN,
        sources=many(ANY),
        gaps=many(ANY),
        who=TEXT,
        why=TEXT,
        made_at=TIME,
        public_key=TEXT,
    ),
    "Clip": record(
        clip_id={"type": "string", "pattern": "^[0-9a-f]{24}$"},
        href=HREF,
        class_id=ID,
        files=many(record(href=HREF, manifest_href=HREF, manifest=ref("Manifest"), signature_href=maybe(HREF))),
    ),
    "Draw": record(
        "anybody draws the same moments again from the seed, see docs/guide/page.md",
        seed=TEXT,
        seed_from={"type": "string", "enum": ["given", "chain"]},
        head=maybe(TEXT),
        counter=maybe(WHOLE),
        moments=many(record(draw=WHOLE, start=TIME, end=TIME, room_id=ID, cameras=many(ID))),
        href=HREF,
    ),
    "Camera": record(
        "picture and look: null where there is none now",
        camera_id=ID,
        serial=TEXT,
        manufacturer=TEXT,
        model=TEXT,
        verdict={"type": "string", "enum": [x.value for x in Verdict]},
        reasons=many(TEXT),
        up=YES,
        exchanged=YES,
        accepted_serial=TEXT,
        unverified_since=maybe(TIME),
        class_id=maybe(ID),
        picture=maybe(HREF),
        look=maybe(ref("Look")),
    ),
    "CameraList": listing("Camera", TEXT),
    "Health": record(
        "at, worst: null before the first examination; fresh: false where it is over 15 minutes old or the agent does not run",
        at=maybe(TIME),
        fresh=YES,
        worst=maybe(SEVERITY),
        items=many(record("the worst first", check=TEXT, severity=SEVERITY, finding=TEXT, mend=TEXT)),
    ),
    "AuditEntry": record(
        "hash: SHA-256 of `previous`, a line feed and the compact JSON list [id, at, who, action, object, detail]",
        id=WHOLE,
        at=TEXT,
        who=TEXT,
        action=TEXT,
        object=TEXT,
        detail={"type": "string", "contentMediaType": "application/json"},
        previous=SHA256,
        hash=SHA256,
    ),
    "AuditList": listing("AuditEntry", WHOLE),
    "Audit": record(
        "broken_at: the first entry that does not fit the chain",
        items=many(ref("AuditEntry")),
        next=maybe(WHOLE),
        head=SHA256,
        broken_at=maybe(WHOLE),
    ),
    "Problem": record(
        "RFC 9457; `code` is stable, `detail` is for people",
        type=TEXT,
        title=TEXT,
        status={"type": "integer", "minimum": 400, "maximum": 599},
        detail=TEXT,
        code=TEXT,
    ),
}
