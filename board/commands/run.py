"""`site-agent-board run`: receives what boxes report until it is stopped."""

from __future__ import annotations

import argparse

from agent import i18n
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.core.model import is_id
from agent.program.console import print_message
from board.commands import common
from board.ingest.batch import BatchWriter
from board.ingest.worker import IngestWorker
from board.service import BoardService
from board.settings import BoardSettings


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.run")
    parser = subparsers.add_parser("run", help=text, description=text)
    parser.add_argument("--worker", metavar="NAME", help=i18n.translate("board.help.worker"))
    parser.add_argument("--leave", action="store_true", help=i18n.translate("board.help.leave"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    if args.worker or args.leave:
        settings = _choose_worker(settings, args.worker or settings.ingest.worker)
    stop = common.begin_service()
    if args.leave:
        with common.open_database(settings) as database:
            clock = SystemClock()
            writer = BatchWriter(database, clock, find_signing_key=settings.load_signing_key)
            worker = IngestWorker(
                database, writer, clock, settings.make_broker_options(), settings.make_ingest_options()
            )
            count = worker.leave(stop)
        print_message(i18n.translate("board.left", worker=settings.ingest.worker, count=count))
        return 1 if stop.is_set() else 0
    service = BoardService(settings)
    service.run(stop)
    return 1 if service.failed else 0


def _choose_worker(settings: BoardSettings, name: str) -> BoardSettings:
    """Return the settings for another worker of the shared subscription. Raises InputError."""
    if not settings.ingest.shared or settings.database_url.startswith("sqlite"):
        raise InputError("board.not_shared")
    if not is_id(name):
        raise InputError("board.bad_worker", name=repr(name)[1:-1][:64])
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"worker": name})})
