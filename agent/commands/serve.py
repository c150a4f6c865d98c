"""`site-agent serve`: the inspectors' page, a process beside `run`, and its accounts."""

from __future__ import annotations

import argparse
import re
import signal
import threading

from agent import logs, words
from agent.catalog import Catalog
from agent.catalog.accounts import ROLES
from agent.clock import SystemClock, rfc3339
from agent.commands import common
from agent.errors import InputError
from agent.page import PageProcess, end
from agent.settings import Settings
from agent.web.access import Access

_LONGEST_DAYS = 366
_NAME = re.compile(r"[\w.\-]{1,32}\Z")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("serve", help=words.text("web.help"), description=words.text("web.help"))
    parser.add_argument("--account", metavar="NAME", help=words.text("web.help_account"))
    parser.add_argument("--token", metavar="NAME", help=words.text("web.help_token"))
    parser.add_argument("--days", type=int, default=90, metavar="N", help=words.text("web.help_days"))
    parser.add_argument("--revoke", metavar="NAME", help=words.text("web.help_revoke"))
    parser.add_argument("--role", choices=ROLES, default="inspector", help=words.text("web.help_role"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.settings(args)
    if args.account is None and args.token is None and args.revoke is None:
        return _serve(settings)
    with common.catalog(settings) as catalog:
        if args.account is not None:
            return _account(args, catalog)
        if args.token is not None:
            return _token(args, catalog)
        if args.revoke is not None:
            return _revoke(args, catalog)
    raise AssertionError("one of the three was given")


def _serve(settings: Settings) -> int:
    logs.begin(limit=1, identifier="site-agent-page")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    page = PageProcess(settings, SystemClock())
    status = page.run(stop)
    if page.late:
        end(status)
    return status


def _named(name: str) -> str:
    if not _NAME.match(name):
        raise InputError("web.bad_account", name=repr(name)[1:-1][:64])
    return name


def _account(args: argparse.Namespace, catalog: Catalog) -> int:
    clock, name = SystemClock(), _named(args.account)
    password = Access(catalog, clock).make(name, args.role)
    catalog.audit.add(clock.now(), "shell", "account", name, {"role": args.role})
    common.emit(args, {"account": name, "role": args.role, "password": password})
    if not common.wants_json(args):
        common.say(words.text("web.account_made", name=name, role=args.role, password=password))
    return 0


def _token(args: argparse.Namespace, catalog: Catalog) -> int:
    clock, name = SystemClock(), _named(args.token)
    if not 1 <= args.days <= _LONGEST_DAYS:
        raise InputError("web.bad_days", days=args.days)
    token, until = Access(catalog, clock).make_token(name, args.role, args.days)
    ends = rfc3339(until, catalog.zone)
    catalog.audit.add(clock.now(), "shell", "token", name, {"role": args.role, "until": ends})
    common.emit(args, {"token_name": name, "role": args.role, "until": ends, "token": token})
    if not common.wants_json(args):
        common.say(words.text("web.token_made", name=name, role=args.role, until=ends, token=token))
    return 0


def _revoke(args: argparse.Namespace, catalog: Catalog) -> int:
    if not catalog.accounts.drop_token(args.revoke):
        raise InputError("web.no_token", name=repr(args.revoke)[1:-1][:64])
    catalog.audit.add(SystemClock().now(), "shell", "token.revoke", args.revoke)
    common.emit(args, {"token_name": args.revoke, "revoked": True})
    common.say(words.text("web.token_ended", name=args.revoke))
    return 0
