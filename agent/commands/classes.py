"""`site-agent classes`: import FILE [--class ID], list, show ID, now, template."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from agent import i18n
from agent.attendance.approved import import_class
from agent.class_files import template
from agent.class_files.classes import LoadedClass, format_clock_time, load_class_with_notes, serialize_class
from agent.class_files.fields import ClassFileProblems
from agent.commands import common
from agent.core import schedule
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock, format_local
from agent.core.errors import InputError

_MOST_LINES = 10


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("classes", help=i18n.translate("classes.help"))
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    importing = actions.add_parser("import", help=i18n.translate("classes.help_import"))
    importing.add_argument("file", type=Path, metavar="FILE", help=i18n.translate("classes.help_file"))
    importing.add_argument("--class", dest="plan_of", metavar="CLASS_ID", help=i18n.translate("classes.plan_of_help"))
    importing.add_argument("--yes", action="store_true", help=i18n.translate("classes.yes_help"))
    importing.set_defaults(run=import_file)
    actions.add_parser("list", help=i18n.translate("classes.help_list")).set_defaults(run=list_all)
    showing = actions.add_parser("show", help=i18n.translate("classes.help_show"))
    showing.add_argument("class_id", metavar="CLASS_ID", help=i18n.translate("commands.help_class_id"))
    showing.set_defaults(run=show)
    actions.add_parser("now", help=i18n.translate("classes.help_now")).set_defaults(run=list_under_way)
    making = actions.add_parser("template", help=i18n.translate("classes.help_template"))
    making.add_argument("--out", type=Path, default=Path(), metavar="DIR", help=i18n.translate("classes.help_out"))
    making.set_defaults(run=make_templates)


def import_file(args: argparse.Namespace) -> int:
    """Show the content of a class file, ask on a terminal, then import it.

    Exit status 1 where the user says no, or the approval of the bureau overrides something in the file.
    """
    settings = common.load_settings(args)
    plan_of = getattr(args, "plan_of", None)
    try:
        with common.open_box_catalog(settings) as catalog:
            known = common.load_class(catalog, plan_of) if plan_of else None
            loaded = load_class_with_notes(args.file, settings.zone, known)
            _show_understood(args, loaded, settings.zone)
            if not common.ask_yes(args, "classes.ask"):
                common.print_message(i18n.translate("classes.not_taken"))
                return 1
            taken = import_class(catalog, loaded.cls, "file", SystemClock().now(), name=args.file.name)
    except ClassFileProblems as problems:
        for line in problems.problems[:_MOST_LINES]:
            common.print_message(f"site-agent: {line}")
        if len(problems.problems) > _MOST_LINES:
            common.print_message(i18n.translate("classes.more", count=len(problems.problems) - _MOST_LINES))
        return problems.exit_status
    cls = taken.cls
    common.emit_json(args, {**serialize_class(cls, settings.zone), "source": taken.source})
    common.print_message(
        i18n.translate(
            "classes.imported",
            class_id=cls.class_id,
            occupation=cls.occupation,
            number=cls.class_number,
            expected=cls.expected,
            half_days=len(cls.half_days()),
            rooms=len(cls.rooms),
            lessons=sum(not x.cancelled for x in cls.lessons),
        )
    )
    for room in cls.rooms:
        if not room.cameras:
            common.print_message(i18n.translate("classes.no_camera", room=room.room_id))
    if taken.differences:
        common.print_message(i18n.translate("classes.bureau_wins", class_id=cls.class_id, count=len(taken.differences)))
        for difference in taken.differences:
            common.print_message(f"  {difference}")
    return 1 if taken.differences else 0


def _show_understood(args: argparse.Namespace, loaded: LoadedClass, zone: ZoneInfo) -> None:
    """Print the lessons as a table, so that a wrong one is noticed; on standard error where standard output is JSON."""
    rows = [
        (
            str(x.date),
            x.session.folder,
            format_clock_time(x.start, zone),
            format_clock_time(x.end, zone),
            loaded.cls.room(x.room_id).name,
            x.content,
            i18n.translate("classes.cancelled") if x.cancelled else "",
        )
        for x in loaded.cls.lessons
    ]
    text = i18n.translate("classes.understood", file=args.file.name) + "\n"
    text += common.format_table(rows, i18n.translate("classes.understood_headings").split("|")) + "\n"
    if common.wants_json(args):
        common.print_message(text.rstrip("\n"))
    else:
        sys.stdout.write(text)
        sys.stdout.flush()
    for note in loaded.notes:
        common.print_message(note)


def list_all(args: argparse.Namespace) -> int:
    """List the classes in the catalog."""
    settings = common.load_settings(args)
    rows = []
    with common.open_box_catalog(settings) as catalog:
        sources = {row.class_id: row.source for row in catalog.classes.all()}
        for cls in common.load_classes(catalog):
            source = sources[cls.class_id]
            common.emit_json(args, {**serialize_class(cls, settings.zone), "source": source})
            rows.append(
                (
                    cls.class_id,
                    cls.occupation,
                    str(cls.class_number),
                    str(cls.first_day),
                    str(cls.last_day),
                    str(cls.expected),
                    i18n.translate(f"classes.source_{source}"),
                )
            )
    if not rows:
        common.print_message(i18n.translate("classes.none"))
    elif not common.wants_json(args):
        sys.stdout.write(common.format_table(rows, i18n.translate("classes.headings").split("|")) + "\n")
    return 0


def show(args: argparse.Namespace) -> int:
    """Print one class with its rooms, amendments and lessons."""
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        cls = common.load_class(catalog, args.class_id)
        row = catalog.classes.get(cls.class_id)
        source = row.source if row else "file"
    body = {**serialize_class(cls, settings.zone), "source": source}
    common.emit_json(args, body)
    if not common.wants_json(args):
        head = [f"{key} = {value}" for key, value in body.items() if not isinstance(value, list | dict)]
        rooms = [
            f"{r.room_id} {r.name} {i18n.translate(f'classes.kind_{r.kind}')}: {', '.join(r.cameras)}"
            for r in cls.rooms
        ]
        changes = [f"{a.first_date} {a.first_session.folder}: {a.reason}" for a in cls.amendments]
        sys.stdout.write("\n".join([*head, *rooms, *changes, _lesson_table(cls, settings.zone)]) + "\n")
    return 0


def _lesson_table(cls: TrainingClass, zone: ZoneInfo) -> str:
    rows = [
        (
            str(x.date),
            x.session.folder,
            format_clock_time(x.start, zone),
            format_clock_time(x.end, zone),
            x.room_id,
            i18n.translate(f"classes.kind_{x.kind}"),
            x.content,
            x.teacher,
            i18n.translate("classes.cancelled") if x.cancelled else "",
        )
        for x in cls.lessons
    ]
    return common.format_table(rows, i18n.translate("classes.lesson_headings").split("|"))


def list_under_way(args: argparse.Namespace) -> int:
    """List the half-days that cameras are to record now, margins included; nothing on standard output where there is none.

    scripts/install.sh asks this before it restarts the service.
    """
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        classes = {cls.class_id: cls for cls in common.load_classes(catalog)}
    found: dict[tuple[str, str, str], list[schedule.Placement]] = {}
    for place in schedule.list_current(classes.values(), SystemClock().now()):
        found.setdefault((place.class_id, place.date.isoformat(), place.session.value), []).append(place)
    rows = []
    for (class_id, day, session), places in found.items():
        cls, end = classes[class_id], max(place.end for place in places)
        rooms = list(dict.fromkeys(place.room_id for place in places))
        body = {"class_id": class_id, "date": day, "session": session, "rooms": rooms}
        common.emit_json(args, {**body, "end": format_local(end, settings.zone)})
        names = "、".join(cls.room(room).name for room in rooms)
        rows.append((class_id, cls.occupation, str(cls.class_number), names, format_clock_time(end, settings.zone)))
    if not rows:
        common.print_message(i18n.translate("classes.none_now"))
    elif not common.wants_json(args):
        sys.stdout.write(common.format_table(rows, i18n.translate("classes.now_headings").split("|")) + "\n")
    return 0


def make_templates(args: argparse.Namespace) -> int:
    """Write the class file templates. Needs no settings file; overwrites nothing."""
    folder: Path = args.out
    files = template.build_templates()
    for name in files:
        if (folder / name).exists():
            raise InputError("classes.exists", path=folder / name)
    for name, data in files.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        except OSError as error:
            raise InputError("classes.no_folder", path=folder / name, detail=error.strerror) from error
        common.emit_json(args, {"path": str(folder / name)})
        common.print_message(i18n.translate("classes.written", path=folder / name))
    return 0
