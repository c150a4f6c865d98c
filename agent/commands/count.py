"""`site-agent count FILE…`: counts people in pictures and videos."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from agent import i18n
from agent.catalog import calibrations
from agent.commands import common
from agent.core.errors import InputError
from agent.counting import annotate, calibrate, files, weights
from agent.counting.detector import OpenVinoDetector
from agent.settings.schema import CountingSettings


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("count", help=i18n.translate("counting.help"))
    parser.add_argument("files", nargs="*", metavar="FILE", help=i18n.translate("counting.help_files"))
    parser.add_argument("--interval", type=_seconds, metavar="S", help=i18n.translate("counting.help_interval"))
    parser.add_argument("--annotate", type=Path, metavar="DIR", help=i18n.translate("counting.help_annotate"))
    parser.add_argument("--show-faces", action="store_true", help=i18n.translate("counting.help_show_faces"))
    parser.add_argument("--calibrate", metavar="CAMERA", help=i18n.translate("counting.help_calibrate"))
    parser.add_argument(
        "--hand", type=_hand, action="append", default=[], metavar="TIME=N", help=i18n.translate("counting.help_hand")
    )
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(text)
    return value


def _hand(text: str) -> tuple[datetime, int]:
    """Parse `2026-09-01T09:30:00=23`; the time is local time of the site unless it has an offset."""
    moment, _, people = text.rpartition("=")
    when = datetime.fromisoformat(moment)
    if not people.isascii() or not people.isdigit() or not 2000 <= when.year < 2100:
        raise argparse.ArgumentTypeError(text)
    return when, int(people)


def run(args: argparse.Namespace) -> int:
    if args.calibrate is not None or args.hand:
        return _calibrate(args)
    if not args.files:
        raise InputError("counting.no_files")
    settings = common.load_settings_if_any(args)
    counting = settings.counting if settings else CountingSettings()
    detector = OpenVinoDetector(weights.check_weights(counting.model, counting.sha256), counting.threads)
    status = 0
    for name in args.files:
        try:
            _count(args, name, detector, counting)
        except InputError as error:
            common.print_message(f"site-agent: {error}")
            status = error.exit_status
    return status


def _count(args: argparse.Namespace, name: str, detector: OpenVinoDetector, counting: CountingSettings) -> None:
    seen: list[files.FileLook] = []
    try:
        for look in files.count_in_file(
            name,
            detector,
            args.interval or counting.interval,
            exactly=args.interval is not None,
            limits=counting.limits,
        ):
            if args.annotate:
                drawing = annotate.draw_boxes(look.picture, look.seen, show_faces=args.show_faces)
                annotate.save_drawing(args.annotate, name, look.t, drawing)
            seen.append(look.without_picture())
    finally:
        # not before the last look: what it finds (a film that is not alive) holds for those before
        for look in seen:
            _print_look(args, look)
    total = files.summarize_clip(seen, detector) if seen[0].t is not None else None
    if total:
        people, low, high = total
        judged = sum(look.judged for look in seen)
        common.print_message(
            i18n.translate("counting.clip", file=name, people=people, low=low, high=high, looks=judged)
        )


def _print_look(args: argparse.Namespace, look: files.FileLook) -> None:
    common.emit_json(args, look.as_json())
    if not common.wants_json(args):
        sys.stdout.write(_line(look) + "\n")


def _calibrate(args: argparse.Namespace) -> int:
    if args.files or not args.calibrate:
        raise InputError("counting.calibrate_wanted")
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        counted, used = [], set()
        for given, people in args.hand:
            moment = given if given.tzinfo else given.replace(tzinfo=settings.zone)
            near = catalog.looks.since(args.calibrate, moment - calibrate.NEAREST_LOOK)
            look = calibrate.find_nearest_look(near, moment)
            if look is None:
                raise InputError("counting.calibrate_no_look", camera_id=args.calibrate, moment=given.isoformat())
            if look.at in used:
                raise InputError("counting.calibrate_twice", moment=given.isoformat())
            used.add(look.at)
            counted.append((look, people))
        found = calibrate.fit_looks(counted)
        catalog.facts.put(calibrations.make_calibration_key(args.calibrate), found.to_text())
    common.emit_json(args, {"camera_id": args.calibrate, **asdict(found)})
    common.print_message(
        i18n.translate("counting.calibrated", camera_id=args.calibrate, recall=found.recall, error=found.error)
    )
    return 0


def _line(look: files.FileLook) -> str:
    seen = look.seen
    at = "" if look.t is None else i18n.translate("counting.at", t=f"{look.t:.1f}")
    line = i18n.translate("counting.line", file=look.file, at=at, people=seen.people, low=seen.low, high=seen.high)
    return (
        line
        if look.judged
        else line + i18n.translate("counting.unjudged", reason=i18n.translate(f"counting.reason.{look.reason}"))
    )
