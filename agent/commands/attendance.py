"""`site-agent attendance CLASS_ID`: present and expected people by half-day, estimated from video."""

from __future__ import annotations

import argparse
import sys
from datetime import date

from agent import i18n
from agent.attendance.figures import HalfDayFigures, load_half_day_figures
from agent.attendance.judge import JudgementRules
from agent.attendance.summary import ClassSummary, summarize_class
from agent.class_files.fields import parse_day
from agent.class_files.fields import sanitize_value as shown_text
from agent.commands import common
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.core.model import Session
from agent.core.sign_in import SignInCount


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("attendance", help=i18n.translate("attendance.help"))
    parser.add_argument("class_id", metavar="CLASS_ID", help=i18n.translate("commands.help_class_id"))
    parser.add_argument("--on", metavar="YYYY-MM-DD", help=i18n.translate("commands.help_on"))
    parser.add_argument("--session", choices=[s.value for s in Session], help=i18n.translate("signins.help_session"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the half-days that have begun; those of a day given by --on also where they are in the future."""
    settings = common.load_settings(args)
    now, rules = SystemClock().now(), JudgementRules.for_looks_every(settings.counting.interval)
    with common.open_box_catalog(settings) as catalog:
        cls = common.load_class(catalog, args.class_id)
        wanted = _select_half_days(cls, args.on, args.session)
        asked = bool(args.on)
        begun = [pair for pair in wanted if asked or cls.lessons_of(*pair)[0].start <= now]
        rows = [load_half_day_figures(catalog, cls, day, session, now, rules) for day, session in begun]
        signed = catalog.sign_ins.of_class(cls.class_id)
    for row in rows:
        common.emit_json(args, row.as_object(settings.zone))
    if not common.wants_json(args):
        table = [_table_row(row, signed.get((row.half.date, row.half.session))) for row in rows]
        sys.stdout.write(common.format_table(table, i18n.translate("attendance.headings").split("|")) + "\n")
        total = summarize_class(cls, [row.half for row in rows], now, rules)
        sys.stdout.write(_summary_text(total, whole=not args.on and not args.session) + "\n")
    return 0


def _select_half_days(cls: TrainingClass, on: str | None, session: str | None) -> list[tuple[date, Session]]:
    day = parse_day(on) if on else None
    if on and day is None:
        raise InputError("attendance.bad_date", value=shown_text(on))
    found = [p for p in cls.half_days() if day in (None, p[0]) and session in (None, p[1].value)]
    if not cls.half_days():
        raise InputError("attendance.no_plan", class_id=cls.class_id)
    if not found:
        days = sorted({day.isoformat() for day, _ in cls.half_days()})
        name = Session(session).folder if session else ""
        raise InputError(
            "attendance.no_half_day", class_id=cls.class_id, on=on or "", session=name, days=", ".join(days)
        )
    return found


def _table_row(row: HalfDayFigures, signed: SignInCount | None) -> tuple[str, ...]:
    body = row.body
    ratio, span = body["ratio"], body["lesson_s"]
    return (
        body["date"],
        Session(body["session"]).folder,
        str(body["expected"]),
        _format_count(body["present"]),
        _format_count(body["absent"]),
        "–" if body["low"] is None else f"{body['low']}–{body['high']}",
        _format_share(ratio),
        _format_count(body["at_start"]),
        _format_count(body["at_end"]),
        _format_share(body["judged_s"] / span if span else None),
        _format_count(signed.signed_in if signed else None),
        _format_count(signed.signed_out if signed else None),
        i18n.translate(f"attendance.{body['status']}"),
        "；".join(i18n.translate(f"attendance.finding_{f.kind}", minutes=round(f.seconds / 60)) for f in row.findings),
    )


def _summary_text(total: ClassSummary, *, whole: bool) -> str:
    lines = [
        i18n.translate("attendance.day_rate", date=d, ratio=_format_share(r.ratio)) for d, r in total.by_day.items()
    ]
    if whole:
        hours, overall = total.hours, total.overall
        lines.append(
            i18n.translate(
                "attendance.summary",
                ratio=_format_share(overall.ratio),
                half_days=overall.half_days,
                unjudged=overall.unjudged,
                planned=_format_hours(hours.planned),
                due=_format_hours(hours.due),
                taught=_format_hours(hours.taught),
                not_taught=_format_hours(hours.not_taught),
                unknown=_format_hours(hours.unknown),
            )
        )
    return "\n".join(lines)


def _format_count(value: int | None) -> str:
    return "–" if value is None else str(value)


def _format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _format_hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}"
