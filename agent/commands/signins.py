"""`site-agent signins`: show CLASS_ID, set CLASS_ID DATE SESSION, import FILE: sign-ins beside the video estimate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from agent import i18n
from agent.attendance.punch_columns import PUNCH_ROLES
from agent.attendance.punch_import import MOST_BYTES, PunchCounts, count_punches, read_sheets
from agent.catalog import Catalog
from agent.class_files.fields import parse_day, sanitize_value
from agent.class_files.headings import normalize_heading
from agent.commands import common
from agent.core import sign_in
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock, format_local
from agent.core.errors import InputError
from agent.core.model import Session
from agent.core.sign_in import SignInCount, SignInSource


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("signins", help=i18n.translate("signins.help"))
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    showing = actions.add_parser("show", help=i18n.translate("signins.help_show"))
    showing.add_argument("class_id", metavar="CLASS_ID", help=i18n.translate("commands.help_class_id"))
    showing.set_defaults(run=show)
    setting = actions.add_parser("set", help=i18n.translate("signins.help_set"))
    setting.add_argument("class_id", metavar="CLASS_ID", help=i18n.translate("commands.help_class_id"))
    setting.add_argument("on", metavar="YYYY-MM-DD", help=i18n.translate("commands.help_on"))
    setting.add_argument("session", choices=[s.value for s in Session], help=i18n.translate("signins.help_session"))
    setting.add_argument("--in", dest="signed_in", default="", metavar="N", help=i18n.translate("signins.help_in"))
    setting.add_argument("--out", dest="signed_out", default="", metavar="N", help=i18n.translate("signins.help_out"))
    setting.set_defaults(run=set_counts)
    importing = actions.add_parser("import", help=i18n.translate("signins.help_import"))
    importing.add_argument("file", type=Path, metavar="FILE", help=i18n.translate("signins.help_file"))
    importing.add_argument(
        "--class", dest="class_id", required=True, metavar="CLASS_ID", help=i18n.translate("commands.help_class_id")
    )
    importing.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        metavar="HEADING=ROLE",
        help=i18n.translate("signins.help_column", roles=", ".join(PUNCH_ROLES)),
    )
    importing.add_argument("--yes", action="store_true", help=i18n.translate("signins.help_yes"))
    importing.set_defaults(run=import_file)


def show(args: argparse.Namespace) -> int:
    """Print the sign-ins of a class beside the published estimate."""
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        cls = common.load_class(catalog, args.class_id)
        counts = catalog.sign_ins.of_class(cls.class_id)
        figures = {(a["date"], a["session"]): a for a in catalog.attendance.of_class(cls.class_id)}
    rows = []
    for (day, session), count in sorted(counts.items(), key=lambda x: (x[0][0], x[0][1].order)):
        known = figures.get((day.isoformat(), session.value))
        found = sign_in.find_differences(count, known, settings.attendance.sign_in_share)
        common.emit_json(
            args,
            {
                "class_id": cls.class_id,
                "date": day.isoformat(),
                "session": session.value,
                "signed_in": count.signed_in,
                "signed_out": count.signed_out,
                "source": count.source,
                "by": count.by,
                "at": format_local(count.at, settings.zone),
                "differences": [{"kind": d.kind, "signed": d.signed, "estimate": d.estimate} for d in found],
            },
        )
        rows.append(
            (
                day.isoformat(),
                session.folder,
                str(cls.expected_on(day, session)),
                _say(known["present"] if known else None),
                _say(count.signed_in),
                _say(count.signed_out),
                "；".join(describe_difference(d) for d in found),
                i18n.translate(f"signins.source_{count.source}"),
                f"{count.by} {count.at.astimezone(settings.zone):%Y-%m-%d %H:%M}",
            )
        )
    if not rows:
        common.print_message(i18n.translate("signins.none"))
    elif not common.wants_json(args):
        sys.stdout.write(common.format_table(rows, i18n.translate("signins.headings").split(",")) + "\n")
    return 0


def describe_difference(found: sign_in.SignInDifference) -> str:
    """Describe a difference in the language of the process."""
    kind = i18n.translate(f"signins.kind_{found.kind}")
    return i18n.translate("signins.more" if found.by > 0 else "signins.fewer", kind=kind, n=abs(found.by))


def set_counts(args: argparse.Namespace) -> int:
    """Enter the counts of one half-day."""
    signed = sign_in.parse_counts(args.signed_in, args.signed_out)
    day, session = parse_day(args.on), Session(args.session)
    if day is None:
        raise InputError("signins.bad_day", value=sanitize_value(args.on))
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        cls = common.load_class(catalog, args.class_id)
        if (day, session) not in cls.half_days():
            raise InputError("signins.no_half_day", class_id=cls.class_id, date=f"{day} {session.folder}")
        _enter(catalog, cls, {(day, session): signed}, "typed")
    common.print_message(i18n.translate("signins.taken", n=1))
    return 0


def import_file(args: argparse.Namespace) -> int:
    """Count the sign-ins of an export, show them, ask on a terminal, then enter them."""
    settings = common.load_settings(args)
    named = dict(map(_parse_column, args.columns))
    data = _read_file(args.file)
    with common.open_box_catalog(settings) as catalog:
        cls = common.load_class(catalog, args.class_id)
        if named:
            catalog.sign_ins.map_columns(named)
        found = count_punches(
            args.file.name, read_sheets(args.file.name, data), cls, settings.zone, catalog.sign_ins.columns()
        )
        _print_found(args, found, catalog.sign_ins.of_class(cls.class_id))
        if not common.ask_yes(args, "signins.ask"):
            common.print_message(i18n.translate("signins.not_taken"))
            return 1
        _enter(catalog, cls, found.counts, "file")
    common.print_message(i18n.translate("signins.taken", n=len(found.counts)))
    return 0


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError("signins.unreadable", file=path, detail=error.strerror) from None


def _parse_column(text: str) -> tuple[str, str]:
    heading, equals, role = text.rpartition("=")
    if not equals or not heading or role not in (*PUNCH_ROLES, ""):
        raise InputError("signins.bad_column", value=sanitize_value(text), roles=", ".join(PUNCH_ROLES))
    return normalize_heading(heading)[:60], role


def _print_found(
    args: argparse.Namespace, found: PunchCounts, known: Mapping[tuple[date, Session], SignInCount]
) -> None:
    rows = []
    for (day, session), (signed_in, signed_out) in found.counts.items():
        before = known.get((day, session))
        common.emit_json(
            args,
            {
                "date": day.isoformat(),
                "session": session.value,
                "signed_in": signed_in,
                "signed_out": signed_out,
            },
        )
        rows.append(
            (
                day.isoformat(),
                session.folder,
                _say(signed_in),
                _say(signed_out),
                _say(before.signed_in if before else None),
                _say(before.signed_out if before else None),
            )
        )
    if not common.wants_json(args):
        sys.stdout.write(common.format_table(rows, i18n.translate("signins.found_headings").split(",")) + "\n")
        sys.stdout.flush()
    common.print_message(
        i18n.translate("signins.read", file=args.file.name, persons=found.persons, punches=found.punches)
    )
    for why, (n, places) in found.skipped.items():
        common.print_message(
            i18n.translate(
                "signins.skipped", why=i18n.translate(why), n=n, places=i18n.translate("papers.and").join(places)
            )
        )


def _enter(
    catalog: Catalog,
    cls: TrainingClass,
    counts: Mapping[tuple[date, Session], tuple[int | None, int | None]],
    source: SignInSource,
) -> None:
    """Store the counts and an audit entry, in one transaction."""
    now, by = SystemClock().now(), common.identify_user()
    with catalog.store.write():
        for (day, session), (signed_in, signed_out) in counts.items():
            catalog.sign_ins.put(SignInCount(cls.class_id, day, session, signed_in, signed_out, source, by, now))
        catalog.audit.add(now, by, "signins", cls.class_id, sign_in.describe_entry(counts, source))


def _say(value: int | None) -> str:
    return "–" if value is None else str(value)
