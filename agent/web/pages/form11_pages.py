"""Form 11 for one minute of a class: what video can answer, to be completed and printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.responses import Response

from agent import i18n
from agent.core import clock as clocks
from agent.core.class_model import TrainingClass
from agent.core.errors import InputError
from agent.core.model import Gap
from agent.drive import class_gaps
from agent.web.pages import form11_facts
from agent.web.pages.class_pages import find_half_day, parse_half_day_time
from agent.web.pages.document_pages import t
from agent.web.pages.form11_facts import MinuteFacts, RoomMinute
from agent.web.pages.retry_page import RetryField, show_retry
from agent.web.site import PageVisit
from agent.website.pages.form_fields import FORM_11, collapse_spaces, read_fields

_MOST_GAPS = 6


def edit_form_11(v: PageVisit) -> Response:
    """Show form 11 with what video can answer, to be completed; `at` is HH:MM[:SS] of the half-day."""
    try:
        seen = _minute(v, v.query("at"))
    except InputError as error:
        return show_retry(
            v,
            error,
            title=v.t("web.form11"),
            back=v.request.url.path.removesuffix("/form11"),
            fields=[RetryField("at", v.t("web.at"), v.query("at")[:20], "time")],
            method="get",
        )
    v.note("view.form11", seen.cls.class_id, {"at": clocks.format_local(seen.at, v.site.catalog.zone)})
    return v.page("form11_edit.html", cls=seen.cls, seen=seen, offered=fill_form_11(v, seen), fields=FORM_11)


def print_form_11(v: PageVisit) -> Response:
    """Show the completed form, to print."""
    seen = _minute(v, v.form.get("moment", ""))
    before, now = fill_form_11(v, seen), read_fields(v, FORM_11)
    changed = [
        name
        for name in ("expected", "present", "as_planned", "video")
        if collapse_spaces(now[name]) != collapse_spaces(before[name])
    ]
    figures = {name: before[name] for name in ("expected", "present", "video")}
    moment = clocks.format_local(seen.at, v.site.catalog.zone)
    v.note("print.form11", seen.cls.class_id, {"at": moment, "offered": figures, "changed": changed})
    return v.page(
        "form11.html",
        f=now,
        before=before,
        changed=changed,
        seen=seen,
        head=v.site.catalog.audit.head(),
        count=v.site.catalog.sign_ins.get(seen.cls.class_id, seen.day, seen.session),
        z=t,
    )


def _minute(v: PageVisit, text: str) -> MinuteFacts:
    cls = v.the_class()
    day, session = find_half_day(v, cls)
    at = parse_half_day_time(cls, day, session, text, v)
    if at is None:
        raise InputError("clip.bad_time", value=text[:20])
    now = v.site.clock.now()
    return form11_facts.collect_form11_facts(
        v.site.catalog, v.site.classes(), cls, day, session, at, now, v.site.options.rules
    )


def fill_form_11(v: PageVisit, seen: MinuteFacts) -> dict[str, str]:
    """Fill in the fields of form 11 that the evidence answers; the others are empty."""
    cls, local = seen.cls, seen.at.astimezone(v.site.catalog.zone)
    return dict.fromkeys(FORM_11, "") | {
        "institution": cls.institution,
        "number": str(cls.class_number),
        "occupation": cls.occupation,
        "place": cls.place,
        "at": _say_when(v, local),
        "inspectors": v.me.name if v.me else "",
        "expected": str(seen.expected),
        "present": _present(v, seen),
        "as_planned": _as_planned(seen),
        "video": _video(v, seen),
    }


def _say_when(v: PageVisit, local: datetime) -> str:
    """Return the moment of the video, and the day on which it is looked at: the form is signed on that."""
    today = clocks.get_local_day(v.site.clock.now(), v.site.catalog.zone)
    viewed = t("form.day", y=today.year, m=today.month, d=today.day)
    moment = {"y": local.year, "m": local.month, "d": local.day, "h": local.hour, "min": f"{local.minute:02}"}
    return t("form.at", **moment, viewed=viewed)


def _present(v: PageVisit, seen: MinuteFacts) -> str:
    block = seen.block
    if block is None or block.present is None:
        return ""
    zone = v.site.catalog.zone
    return t(
        "form.present",
        n=block.present,
        low=block.low,
        high=block.high,
        start=f"{block.start.astimezone(zone):%H:%M}",
        end=f"{block.end.astimezone(zone):%H:%M}",
    )


def _as_planned(seen: MinuteFacts) -> str:
    said = [] if seen.as_planned is None else [t("form.yes" if seen.as_planned else "form.no") + "，" + _held(seen)]
    groups = [line for one in seen.rooms for line in describe_groups(one, t)]
    return "\n".join(said + ([f"{t('web.groups')}：" + "；".join(groups)] if groups else []))


def _held(seen: MinuteFacts) -> str:
    rooms = []
    for one in seen.rooms:
        if one.held is None or (one.lesson is None and not one.held):
            continue
        plan = t(f"form.planned_{one.lesson.kind}" if one.lesson else "form.planned_nothing")
        rooms.append(
            t(
                "form.room",
                room=one.room.name or one.room.room_id,
                plan=plan,
                held=t("form.held" if one.held else "form.not_held"),
            )
        )
    return "；".join(rooms)


def describe_groups(seen: RoomMinute, say: Callable[..., str]) -> list[str]:
    """Describe how many people are at each bench of a practice lesson's room; unknown where no benches are marked."""
    if seen.lesson is None or seen.lesson.kind != "practice":
        return []
    room = seen.room.name or seen.room.room_id
    if not seen.groups:
        return [say("web.groups_undivided", room=room)]
    return [
        say("web.groups_unjudged", room=room, bench=bench.name)
        if people is None
        else say("web.groups_bench", room=room, bench=bench.name, people=people, limit=bench.limit)
        for bench, people in seen.groups
    ]


def _video(v: PageVisit, seen: MinuteFacts) -> str:
    """Answer 完整 and 清晰 with the facts behind them."""
    zone = v.site.catalog.zone
    parts = []
    if seen.complete is True:
        parts.append(t("form.complete", until=f"{seen.until.astimezone(zone):%H:%M}"))
    elif seen.complete is False:
        rooms = class_gaps.describe_room_gaps(seen.missing, seen.cls, t)
        said = t("forms.rooms_lack", rooms=rooms) if seen.missing.seconds else t("forms.rooms_have")
        parts.append(t("form.incomplete", gaps=_gap_words(v, seen.cls, seen.gaps), rooms=said))
    if seen.clear is not None:
        why = [t(f"web.alert.{a.kind.value}") for a in seen.alerts]
        why += [t("form.reason", reason=_reason(reason), n=n) for reason, n in seen.reasons.most_common(3)]
        parts.append(
            t(
                "form.clear" if seen.clear else "form.unclear",
                looks=seen.looks,
                every=t("forms.every", n=seen.every_s) if seen.every_s else "",
                judged_said=t("forms.all_clear") if seen.judged == seen.looks else t("forms.some_clear", n=seen.judged),
                why="（" + "、".join(dict.fromkeys(why)) + "）" if why else "",
            )
        )
    return "\n".join(parts)


def _reason(reason: str) -> str:
    for key in (f"web.alert.picture.{reason}", f"web.alert.sound.{reason}"):
        if key in i18n.load_catalogue():
            return t(key)
    return t("form.other_reason")


def _name_camera(cls: TrainingClass, camera_id: str) -> str:
    """Return the camera with its room: officials know rooms, not numbers of cameras."""
    rooms = [room.name for room in cls.rooms if camera_id in room.cameras and room.name]
    return f"{rooms[0]} {camera_id}" if rooms else camera_id


def _gap_words(v: PageVisit, cls: TrainingClass, found: Sequence[Gap]) -> str:
    zone, said = v.site.catalog.zone, []
    for g in found[:_MOST_GAPS]:
        start, end = class_gaps.format_gap_times(g, zone)
        said.append(
            t("form.gap", camera=_name_camera(cls, g.camera_id), start=start, end=end, reason=t(f"gap.{g.reason}"))
        )
    rest = len(found) - len(said)
    return "；".join(said) + (t("form.more_gaps", n=rest) if rest > 0 else "")
