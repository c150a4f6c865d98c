"""`site-agent clip`: cuts video of a class by date, time and camera, lossless, with a manifest; `--verify` checks clips."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from agent import i18n
from agent.catalog import Catalog
from agent.commands import common
from agent.core.class_model import TrainingClass
from agent.core.clock import SystemClock
from agent.core.errors import InputError, SiteAgentError
from agent.drive import keys
from agent.drive.against import read_bureau_list
from agent.inspection import manifest, spot_check
from agent.inspection.clip import ClipOptions, ClipRequest, ClipService
from agent.inspection.cut import ClipSpan
from agent.inspection.sources import SOURCE_FOUND

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\Z")
_LONGEST_S = 3600
_MOST_DRAWN = 1000
_OVER_MIDNIGHT = timedelta(hours=1)  # longest span across midnight; a longer one is more likely a typing error


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("clip", help=i18n.translate("clip.help"), description=i18n.translate("clip.help"))
    parser.add_argument("class_id", metavar="CLASS_ID", nargs="?", help=i18n.translate("commands.help_class_id"))
    parser.add_argument("--on", metavar="YYYY-MM-DD", help=i18n.translate("commands.help_on"))
    parser.add_argument("--from", dest="start", metavar="HH:MM[:SS]", help=i18n.translate("help.from"))
    parser.add_argument("--to", dest="end", metavar="HH:MM[:SS]", help=i18n.translate("help.to"))
    parser.add_argument(
        "--camera", dest="cameras", metavar="ID", action="append", default=[], help=i18n.translate("help.camera")
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=i18n.translate("help.clip_out"))
    parser.add_argument(
        "--drive",
        dest="drives",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help=i18n.translate("clip.help_drive"),
    )
    parser.add_argument("--why", metavar="TEXT", default="", help=i18n.translate("clip.help_why"))
    parser.add_argument("--exact", action="store_true", help=i18n.translate("clip.help_exact"))
    parser.add_argument("--h264", action="store_true", help=i18n.translate("clip.help_h264"))
    parser.add_argument("--random", type=int, metavar="N", help=i18n.translate("clip.help_random"))
    parser.add_argument("--seconds", type=int, metavar="S", default=60, help=i18n.translate("help.random_seconds"))
    parser.add_argument("--seed", metavar="X", help=i18n.translate("help.seed"))
    parser.add_argument("--verify", nargs="+", type=Path, metavar="FILE", help=i18n.translate("clip.help_verify"))
    parser.add_argument("--key", type=Path, metavar="FILE", help=i18n.translate("clip.help_key"))
    parser.add_argument("--against", type=Path, metavar="FILE", help=i18n.translate("clip.help_against"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.verify:
        return _verify(args)
    if args.class_id is None or args.out is None:
        raise InputError("clip.incomplete")
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        cls = common.load_class(catalog, args.class_id)
        options = ClipOptions((*args.drives, *settings.recording.drives), settings.key_dir, settings.box)
        clips = ClipService(catalog, SystemClock(), options, lambda: common.load_classes(catalog))
        broken = 0
        for request in _requests(args, catalog, cls):
            broken = max(broken, _cut(args, clips, request))
        return broken


def _cut(args: argparse.Namespace, clips: ClipService, request: ClipRequest) -> int:
    """Cut what one request asks for. Of several random moments one without video does not stop the others."""
    try:
        plans = clips.plan(request)
    except SiteAgentError as error:
        if request.draw is None:
            raise
        common.print_message(f"site-agent: {error}")
        return 1
    for plan in plans:
        result = clips.save(plan, args.out)
        common.emit_json(args, result)
        common.print_message(i18n.translate("clip.made", path=result["path"], start=result["start"], end=result["end"]))
        for gap in result["gaps"]:
            reason = i18n.translate(f"gap.{gap['reason']}")
            common.print_message(
                i18n.translate("clip.gap", start=gap["start"], end=gap["end"], seconds=gap["seconds"], reason=reason)
            )
    return 0


def _requests(args: argparse.Namespace, catalog: Catalog, cls: TrainingClass) -> Iterator[ClipRequest]:
    who = common.identify_user()
    cameras = tuple(dict.fromkeys(args.cameras))
    if args.random is None:
        if not (args.on and args.start and args.end):
            raise InputError("clip.incomplete")
        span = _span(args, catalog.zone)
        yield ClipRequest(cls, span, who, args.why, cameras, exact=args.exact, h264=args.h264)
        return
    if args.seconds > _LONGEST_S or args.random > _MOST_DRAWN:
        raise InputError("clip.bad_draw")
    within = _span(args, catalog.zone) if args.on else None
    found = spot_check.draw_and_record(
        catalog, SystemClock(), cls, count=args.random, seconds=args.seconds, seed=args.seed, within=within, who=who
    )
    for moment in found.moments:
        mine = cameras or cls.room(moment.lesson.room_id).cameras
        about = {**found.about, "draw": moment.draw}
        yield ClipRequest(cls, moment.span, who, args.why, mine, about, exact=args.exact, h264=args.h264)


def _span(args: argparse.Namespace, zone: ZoneInfo) -> ClipSpan:
    try:
        day = date.fromisoformat(args.on)
    except ValueError:
        raise InputError("clip.bad_date", value=args.on) from None
    if not 1970 <= day.year < 9999:
        raise InputError("clip.bad_date", value=args.on)
    start, end = _moment(day, args.start or "00:00", zone), _moment(day, args.end or "24:00", zone)
    if end <= start and end + timedelta(days=1) - start <= _OVER_MIDNIGHT:
        end += timedelta(days=1)
    if end <= start:
        raise InputError("clip.backwards")
    return ClipSpan(start, end)


def _moment(day: date, text: str, zone: ZoneInfo) -> datetime:
    match = _TIME.match(text)
    hours, minutes, seconds = (int(x or 0) for x in match.groups()) if match else (99, 0, 0)
    whole = hours * 3600 + minutes * 60 + seconds
    if hours > 24 or minutes > 59 or seconds > 59:
        raise InputError("clip.bad_time", value=text)
    return datetime.combine(day, time(), zone) + timedelta(seconds=whole)


def _verify(args: argparse.Namespace) -> int:
    key = keys.read_public_key_file(args.key) if args.key else None
    drives = [common.open_drive(root) for root in args.drives] if args.drives else None
    against = read_bureau_list(args.against) if args.against else None
    status = 0
    for file in args.verify:
        result = manifest.check_clip(file, key, drives, against)
        common.emit_json(
            args,
            {
                "file": str(file),
                "ok": result.ok,
                "anchored": result.anchored,
                "problems": [{"kind": kind, "detail": detail} for kind, detail in result.problems],
                "checked": result.checked,
                "not_checked": result.not_checked,
                "sources": [asdict(x) for x in result.looked],
            },
        )
        _say_checked(file, result)
        status = max(status, 0 if result.ok else 1)
    return status


def _say_checked(file: Path, result: manifest.CheckedManifest) -> None:
    """Print what was verified first, then what was not checked, so that the two are not confused."""
    for kind, detail in result.problems:
        common.print_message(i18n.translate(f"clip.{kind}", file=file, detail=common.escape_control(detail)))
    if result.ok:
        common.print_message(i18n.translate("clip.whole" if result.anchored else "clip.whole_unanchored", file=file))
    if result.looked:
        found = sum(x.state == SOURCE_FOUND for x in result.looked)
        common.print_message(i18n.translate("clip.sources", file=file, found=found, count=len(result.looked)))
    for name in result.not_checked:
        common.print_message(i18n.translate(f"clip.not_checked.{name}", file=file))
