"""`site-agent serve`: the web page for inspectors, a process beside `run`, and its accounts."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import datetime

from agent import i18n
from agent.catalog import Catalog
from agent.catalog.accounts import ROLES, Role
from agent.commands import common
from agent.core import logs
from agent.core.account_model import COMMAND_ACTOR, AccountRow
from agent.core.clock import SystemClock, format_local
from agent.core.errors import InputError
from agent.service.page_process import PageProcess, exit_now
from agent.settings.schema import Settings
from agent.website.auth.access import Authenticator, check_account_name, normalise_name

_LONGEST_DAYS = 366


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("serve", help=i18n.translate("web.help"), description=i18n.translate("web.help"))
    acts = parser.add_mutually_exclusive_group()
    acts.add_argument("--account", metavar="NAME", help=i18n.translate("web.help_account"))
    acts.add_argument("--token", metavar="NAME", help=i18n.translate("web.help_token"))
    parser.add_argument("--days", type=int, default=90, metavar="N", help=i18n.translate("web.help_days"))
    acts.add_argument("--revoke", metavar="NAME", help=i18n.translate("web.help_revoke"))
    acts.add_argument("--accounts", action="store_true", help=i18n.translate("web.help_accounts"))
    acts.add_argument("--disable", metavar="NAME", help=i18n.translate("web.help_disable"))
    acts.add_argument("--enable", metavar="NAME", help=i18n.translate("web.help_enable"))
    parser.add_argument("--role", choices=ROLES, help=i18n.translate("web.help_role"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings(args)
    if not args.accounts and all(x is None for x in (args.account, args.token, args.revoke, args.disable, args.enable)):
        return _serve_page(settings)
    with common.open_box_catalog(settings) as catalog:
        if args.account is not None:
            return _make_account(args, catalog)
        if args.token is not None:
            return _make_token(args, catalog)
        if args.revoke is not None:
            return _revoke_token(args, catalog)
        if args.accounts:
            return _list_accounts(args, catalog)
        if args.disable is not None:
            return _disable_account(args, catalog)
        return _enable_account(args, catalog)


def _serve_page(settings: Settings) -> int:
    logs.set_up_logging(limit=1, identifier="site-agent-page")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    page = PageProcess(settings, SystemClock())
    status = page.run(stop)
    if page.late:
        exit_now(status)
    return status


def _make_account(args: argparse.Namespace, catalog: Catalog) -> int:
    name = check_account_name(args.account)
    password = Authenticator(catalog.accounts, catalog.origins, SystemClock()).make(name, args.role)
    role = catalog.accounts.the(name).role
    common.emit_json(args, {"account": name, "role": role, "password": password})
    if not common.wants_json(args):
        common.print_message(i18n.translate("web.account_made", name=name, role=role, password=password))
    return 0


def _make_token(args: argparse.Namespace, catalog: Catalog) -> int:
    name = check_account_name(args.token)
    role: Role = args.role or "inspector"
    if not 1 <= args.days <= _LONGEST_DAYS:
        raise InputError("web.bad_days", days=args.days)
    token, until = Authenticator(catalog.accounts, catalog.origins, SystemClock()).make_token(name, role, args.days)
    ends = format_local(until, catalog.zone)
    common.emit_json(args, {"token_name": name, "role": role, "until": ends, "token": token})
    if not common.wants_json(args):
        common.print_message(i18n.translate("web.token_made", name=name, role=role, until=ends, token=token))
    return 0


def _revoke_token(args: argparse.Namespace, catalog: Catalog) -> int:
    if not catalog.accounts.drop_token(args.revoke, SystemClock().now(), COMMAND_ACTOR):
        raise InputError("web.no_token", name=repr(args.revoke)[1:-1][:64])
    common.emit_json(args, {"token_name": args.revoke, "revoked": True})
    common.print_message(i18n.translate("web.token_ended", name=args.revoke))
    return 0


def _disable_account(args: argparse.Namespace, catalog: Catalog) -> int:
    account = catalog.accounts.disable(_account_name(catalog, args.disable), SystemClock().now(), COMMAND_ACTOR)
    common.emit_json(args, {"account": account.name, "role": account.role, "disabled": True})
    common.print_message(i18n.translate("web.account_is_disabled", name=account.name))
    return 0


def _enable_account(args: argparse.Namespace, catalog: Catalog) -> int:
    account = catalog.accounts.enable(_account_name(catalog, args.enable), SystemClock().now(), COMMAND_ACTOR)
    common.emit_json(args, {"account": account.name, "role": account.role, "disabled": False})
    common.print_message(i18n.translate("web.account_is_enabled", name=account.name))
    return 0


def _account_name(catalog: Catalog, given: str) -> str:
    return given if catalog.accounts.get(given) else normalise_name(given)


def _list_accounts(args: argparse.Namespace, catalog: Catalog) -> int:
    accounts, tokens = catalog.accounts.all(), catalog.accounts.tokens(SystemClock().now())
    for a in accounts:
        common.emit_json(
            args,
            {
                "account": a.name,
                "role": a.role,
                "created": _format_rfc3339(catalog, a.created_at),
                "created_by": a.created_by,
                "last_use": _format_rfc3339(catalog, a.used_at),
                "disabled": a.disabled_at is not None,
                "must_change": a.must_change,
            },
        )
    for k in tokens:
        common.emit_json(
            args,
            {
                "token_name": k.name,
                "role": k.role,
                "created": _format_rfc3339(catalog, k.created_at),
                "created_by": k.created_by,
                "last_use": _format_rfc3339(catalog, k.used_at),
                "until": _format_rfc3339(catalog, k.expires_at),
            },
        )
    if common.wants_json(args):
        return 0
    rows = [
        [
            a.name,
            a.role,
            _format_moment(catalog, a.created_at),
            _format_creator(a.created_by),
            _format_moment(catalog, a.used_at),
            _format_state(catalog, a),
        ]
        for a in accounts
    ]
    sys.stdout.write(common.format_table(rows, i18n.translate("web.accounts_headings").split(",")) + "\n")
    if tokens:
        rows = [
            [
                k.name,
                k.role,
                _format_moment(catalog, k.created_at),
                _format_creator(k.created_by),
                _format_moment(catalog, k.used_at),
                _format_moment(catalog, k.expires_at),
            ]
            for k in tokens
        ]
        sys.stdout.write("\n" + common.format_table(rows, i18n.translate("web.tokens_headings").split(",")) + "\n")
    return 0


def _format_rfc3339(catalog: Catalog, at: datetime | None) -> str | None:
    return format_local(at, catalog.zone) if at else None


def _format_moment(catalog: Catalog, at: datetime | None) -> str:
    return f"{at.astimezone(catalog.zone):%Y-%m-%d %H:%M}" if at else "-"


def _format_creator(who: str) -> str:
    return i18n.translate("web.by_command") if who == COMMAND_ACTOR else who or "-"


def _format_state(catalog: Catalog, account: AccountRow) -> str:
    if account.disabled_at:
        return i18n.translate("web.account_disabled", at=_format_moment(catalog, account.disabled_at))
    return i18n.translate("web.account_must_change" if account.must_change else "web.account_good")
