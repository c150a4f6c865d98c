"""`site-agent-board clip`: has boxes send the video of a class and a time, checked as on the page."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import shutil
from datetime import date, datetime, time
from pathlib import Path
from threading import Event

from agent import i18n
from agent.core.clock import Clock, SystemClock
from agent.core.errors import InputError
from agent.program.console import print_message
from board.clips.orders import OrderedClip, find_boxes_of, load_clip, order_clip
from board.commands import common
from board.settings import BoardSettings
from board.store.database import Database

_POLL_S = 0.3
_STEP = 0.1


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.clip")
    parser = subparsers.add_parser("clip", help=text, description=text)
    parser.add_argument("class_id", metavar="CLASS_ID", help=i18n.translate("commands.help_class_id"))
    parser.add_argument("--on", required=True, metavar="YYYY-MM-DD", help=i18n.translate("commands.help_on"))
    parser.add_argument("--from", required=True, dest="start", metavar="HH:MM[:SS]", help=i18n.translate("help.from"))
    parser.add_argument("--to", required=True, dest="end", metavar="HH:MM[:SS]", help=i18n.translate("help.to"))
    parser.add_argument("--camera", default="", metavar="ID", help=i18n.translate("help.camera"))
    parser.add_argument("--box", default="", metavar="SITE/BOX", help=i18n.translate("board.help.clip_box"))
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help=i18n.translate("board.help.clip_out"))
    parser.add_argument("--why", default="", metavar="TEXT", help=i18n.translate("clip.help_why"))
    wait = i18n.translate("board.help.clip_wait")
    parser.add_argument("--wait", type=float, default=600.0, metavar="SECONDS", help=wait)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    start, end = _read_span(args, settings)
    clock = SystemClock()
    with common.open_database(settings) as database:
        asked = [f"{settings.county}/{args.box}"] if args.box else []
        asked = asked or find_boxes_of(database, args.class_id, start, end, args.camera)
        if not asked:
            raise InputError("board.clip_nobody", class_id=args.class_id)
        by = f"shell:{os.environ.get('SUDO_USER') or getpass.getuser()}"
        orders = [
            order_clip(
                database, class_id=args.class_id, box=box, start=start, end=end, camera=args.camera, by=by,
                purpose=args.why, now=clock.now(),
            )
            for box in asked
        ]  # fmt: skip
        deadline = clock.monotonic() + args.wait
        return max([_follow(args, settings, database, clock, order, deadline) for order in orders])


def _read_span(args: argparse.Namespace, settings: BoardSettings) -> tuple[datetime, datetime]:
    """Return the span that was asked for. Raises InputError."""
    try:
        day = date.fromisoformat(args.on)
    except ValueError:
        raise InputError("clip.bad_date", value=args.on[:40]) from None
    bounds = []
    for value in (args.start, args.end):
        try:
            bounds.append(datetime.combine(day, time.fromisoformat(value.zfill(5)), settings.zone))
        except ValueError:
            raise InputError("clip.bad_time", value=value[:40]) from None
    return bounds[0], bounds[1]


def _follow(
    args: argparse.Namespace, settings: BoardSettings, database: Database, clock: Clock, order_id: str, deadline: float
) -> int:
    """Wait for one order, report its progress and copy what came; return the exit status."""
    told: tuple[str, int] = ("", -1)
    while True:
        order = load_clip(database, order_id)
        assert order is not None
        step = (order.state, int(order.progress / _STEP))
        if step != told:
            told = step
            print_message(f"{order.box}: {i18n.translate(f'board.clip_state.{order.state}')} {order.progress:.0%}")
        if not order.is_open:
            break
        if clock.monotonic() > deadline:
            print_message(i18n.translate("board.clip_waiting", box=order.box, seconds=int(args.wait)))
            return 1
        clock.wait(Event(), _POLL_S)
    if order.state != "ready":
        print_message(i18n.translate("board.clip_refused", box=order.box, reason=order.reason))
        return 1
    for name in _copy(order, settings.make_fetch_options().folder / order.clip_id, args.out):
        _report(args, order, args.out / name)
    return 0


def _copy(order: OrderedClip, folder: Path, out: Path) -> list[str]:
    """Copy the files of an order; return those to look at. Raises InputError, also where one is there already."""
    there = [out / file.name for file in order.files if (out / file.name).exists()]
    if there:
        raise InputError("board.exists", file=there[0])
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file in order.files:
            shutil.copyfile(folder / file.name, out / file.name)
    except OSError as error:
        raise InputError("board.cannot_write", file=out, detail=error.strerror) from None
    return [file.name for file in order.videos]


def _report(args: argparse.Namespace, order: OrderedClip, video: Path) -> None:
    papers = video.with_suffix(".json")
    body = json.loads(papers.read_bytes())
    item = {
        "path": str(video),
        "manifest": str(papers),
        "camera_id": body["camera_id"],
        "asked_start": body["asked"]["start"],
        "asked_end": body["asked"]["end"],
        "start": body["given"]["start"],
        "end": body["given"]["end"],
        "gaps": body["gaps"],
        "sha256": body["clip"]["sha256"],
        "box": order.box,
        "order": order.clip_id,
        "checks": dict(order.checks),
    }
    if not common.emit(args, item):
        print_message(i18n.translate("board.clip_here", file=video))
