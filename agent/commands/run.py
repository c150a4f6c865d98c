"""`site-agent run`: the daemon. Shuts down cleanly on SIGTERM and SIGINT."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading

from agent import i18n
from agent.commands import common
from agent.core import logs
from agent.core.clock import SystemClock
from agent.service.app import App
from agent.service.startup import SingleInstanceLock, open_catalog


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("run", help=i18n.translate("run.help"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings(args)
    logs.set_up_logging()
    stop = threading.Event()
    common.make_state_dir(settings)
    # until the catalog is open a signal ends the process at once: nothing is lost, the next start does it again
    with SingleInstanceLock(settings), open_catalog(settings, SystemClock()) as catalog:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        app = App(settings, catalog, file=common.find_config_file(args))
        status = app.run(stop)
    if app.late:
        # Python would wait for the remaining threads; everything important is closed and written by now
        logging.shutdown()
        os._exit(status)
    return status
