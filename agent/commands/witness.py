"""`site-agent witness`: the bureau's side of the statement log, for those whose dashboard does not do it itself."""

from __future__ import annotations

import argparse
import signal
import threading
from dataclasses import asdict
from pathlib import Path

from agent import i18n
from agent.bureau.options import BureauOptions
from agent.bureau.witness import Witness, WitnessAlarm
from agent.bureau.witness_link import run_witness
from agent.commands import common
from agent.core import defaults
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.drive import keys


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = i18n.translate("witness.help")
    parser = subparsers.add_parser("witness", help=text, description=text)
    parser.add_argument("--host", default=defaults.BROKER_HOST, metavar="HOST", help=i18n.translate("help.broker_host"))
    parser.add_argument(
        "--port", type=int, default=defaults.BROKER_PORT, metavar="N", help=i18n.translate("help.broker_port")
    )
    parser.add_argument("--no-tls", action="store_true", help=i18n.translate("help.no_tls"))
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help=i18n.translate("help.ca_file"))
    parser.add_argument("--username", default="", metavar="NAME", help=i18n.translate("help.broker_user"))
    parser.add_argument("--password-file", type=Path, metavar="FILE", help=i18n.translate("help.broker_password_file"))
    parser.add_argument("--key-dir", type=Path, metavar="DIR", required=True, help=i18n.translate("witness.help_key"))
    parser.add_argument("--lists", type=Path, metavar="DIR", required=True, help=i18n.translate("witness.help_lists"))
    parser.add_argument("--name", default="bureau", help=i18n.translate("witness.help_name"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    clock = SystemClock()
    public = keys.ensure_key(args.key_dir)
    options = BureauOptions(
        county="bureau",
        site="bureau",
        box="witness",
        host=args.host,
        port=args.port,
        tls=not args.no_tls,
        ca_file=args.ca_file,
        username=args.username,
        password=_read_password(args.password_file),
    )
    options.check()
    if not args.name.isprintable() or not 0 < len(args.name) <= 80:
        raise InputError("witness.bad_name", name=args.name[:80])
    try:
        witness = Witness(args.lists, args.key_dir, args.name, utcnow=clock.now, monotonic=clock.monotonic)
    except OSError as error:
        raise InputError("witness.bad_lists", folder=args.lists, detail=error.strerror) from None
    common.print_message(i18n.translate("witness.started", key=public))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run_witness(witness, options, clock, stop, lambda alarm: _report(args, alarm))
    return 0


def _read_password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("witness.bad_password", file=file, detail=error) from None


def _report(args: argparse.Namespace, alarm: WitnessAlarm) -> None:
    common.emit_json(args, asdict(alarm))
    text = i18n.translate(f"witness.alarm.{alarm.kind}", box=alarm.box, number=alarm.number, detail=alarm.detail or "-")
    common.print_message(text)
