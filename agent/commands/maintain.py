"""`site-agent maintain`: the nightly run of site-agent-maintenance.timer. Exit status 1 where a fault was found."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from agent import i18n
from agent.commands import common
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.doctor import disks, reread


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("maintain", help=i18n.translate("help.maintain"))
    parser.add_argument("--smart", type=Path, metavar="FILE", help=i18n.translate("help.smart"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    now = SystemClock().now()
    if args.smart:
        count = disks.write_smart_report(args.smart, now)
        common.emit_json(args, {"disks": count})
        common.print_message(i18n.translate("maintain.smart", count=count, file=args.smart))
        return 0
    settings = common.load_settings(args)
    if not settings.catalog_file.exists():
        raise InputError("maintain.no_catalog", file=settings.catalog_file)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with common.open_box_catalog(settings) as catalog:
        problems = catalog.store.check(thorough=True)
        if problems:
            text = i18n.translate("maintain.database", file=settings.catalog_file, detail=problems[0])
            catalog.alerts.raise_(AlertKind.DRIVE_ERROR, "database", text, now)
            common.print_message(text)
        else:
            catalog.alerts.clear(AlertKind.DRIVE_ERROR, "database", now)
        drives = reread.open_drives(settings.recording.drives)
        done = reread.reread(catalog, drives, now, stop.is_set)
    common.emit_json(args, {"database": problems, "files": done.files, "bytes": done.bytes, "bad": list(done.bad)})
    common.print_message(
        i18n.translate("maintain.done", files=done.files, size=f"{done.bytes / 1e9:.1f}", bad=len(done.bad))
    )
    return int(bool(problems or done.bad))
