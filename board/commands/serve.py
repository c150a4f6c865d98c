"""`site-agent-board serve`: the pages, in a process beside the one that receives."""

from __future__ import annotations

import argparse
import logging

from agent import i18n
from agent.core import sd_notify
from agent.core.clock import SystemClock
from board.commands import common
from board.store.database import Database
from board.web.server import BoardServer

log = logging.getLogger(__name__)


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.serve")
    subparsers.add_parser("serve", help=text, description=text).set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    stop = common.begin_service()
    if not settings.pages.enabled:
        log.info("%s", i18n.translate("board.pages_off"))
        sd_notify.notify_systemd("READY=1", f"STATUS={i18n.translate('board.pages_off')}")
        return 0
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    with sd_notify.extend_start_timeout():
        database.migrate()
    server = BoardServer(database, SystemClock(), settings.make_web_options())
    sd_notify.notify_systemd("READY=1", f"STATUS={i18n.translate('web.serving', url=server.shown_url)}")
    server.run(stop, lambda: sd_notify.notify_systemd("WATCHDOG=1"))
    sd_notify.notify_systemd("STOPPING=1")
    server.close()
    database.close()
    return 0
