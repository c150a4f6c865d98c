"""`site-agent-board account`: makes and lists the accounts of people who use the pages."""

from __future__ import annotations

import argparse
import sys

from agent import i18n
from agent.core.account_model import COMMAND_ACTOR
from agent.core.clock import SystemClock, format_utc
from agent.core.errors import InputError
from agent.website.auth.access import Authenticator, check_account_name
from board.accounts.accounts import BoardAccounts
from board.accounts.audit import BoardAudit
from board.accounts.origins import BoardOrigins
from board.accounts.roles import ALL, INSTITUTION
from board.commands import common
from board.store.database import Database

_DAYS, _LONGEST_DAYS = 90, 366


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.account")
    parser = subparsers.add_parser("account", help=text, description=text)
    acts = parser.add_mutually_exclusive_group(required=True)
    acts.add_argument("name", nargs="?", metavar="NAME", help=i18n.translate("board.help.account_name"))
    acts.add_argument("--list", action="store_true", help=i18n.translate("board.help.accounts_list"))
    acts.add_argument("--disable", metavar="NAME", help=i18n.translate("board.help.disable"))
    acts.add_argument("--enable", metavar="NAME", help=i18n.translate("board.help.enable"))
    acts.add_argument("--token", metavar="NAME", help=i18n.translate("board.help.token"))
    acts.add_argument("--revoke", metavar="NAME", help=i18n.translate("board.help.revoke_token"))
    parser.add_argument("--days", type=int, default=_DAYS, help=i18n.translate("board.help.days"))
    parser.add_argument("--role", choices=ALL, help=i18n.translate("board.help.role"))
    parser.add_argument("--institution", metavar="NAME", default="", help=i18n.translate("board.help.institution"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    clock = SystemClock()
    with common.open_database(settings) as database:
        accounts = BoardAccounts(database, BoardAudit(database))
        if args.list:
            return _list(args, accounts, clock)
        if args.disable or args.enable:
            change = accounts.disable if args.disable else accounts.enable
            account = change(args.disable or args.enable, clock.now(), COMMAND_ACTOR)
            common.emit(args, {"account": account.name, "disabled": account.disabled_at is not None})
            return 0
        if args.token:
            return _make_token(args, database, accounts, clock)
        if args.revoke:
            return _revoke_token(args, accounts, clock)
        return _make(args, database, accounts, clock)


def _make(args: argparse.Namespace, database: Database, accounts: BoardAccounts, clock: SystemClock) -> int:
    name = check_account_name(args.name)
    known = accounts.get(name)
    role = args.role or (known.role if known else None)
    institution = args.institution.strip() or (known.institution if known else "")
    if role == INSTITUTION and not institution:
        raise InputError("accounts.no_institution")
    password = Authenticator(accounts, BoardOrigins(database), clock).make(name, role)
    accounts.set_institution(name, institution if role == INSTITUTION else "", clock.now(), COMMAND_ACTOR)
    role = accounts.the(name).role
    if not common.emit(args, {"account": name, "role": role, "password": password}):
        said = i18n.translate(
            "board.person_made", name=name, role=i18n.translate(f"board.role.{role}"), password=password
        )
        sys.stdout.write(said + "\n")
    return 0


def _make_token(args: argparse.Namespace, database: Database, accounts: BoardAccounts, clock: SystemClock) -> int:
    account = accounts.the(args.token)
    if not 1 <= args.days <= _LONGEST_DAYS:
        raise InputError("web.bad_days", days=args.days)
    if account.disabled_at is not None:
        raise InputError("board.said.accounts.disabled", name=account.name)
    access = Authenticator(accounts, BoardOrigins(database), clock)
    token, until = access.make_token(account.name, account.role, args.days)
    ends, role = format_utc(until), i18n.translate(f"board.role.{account.role}")
    made = {"account": account.name, "role": account.role, "institution": account.institution, "until": ends}
    if not common.emit(args, made | {"token": token}):
        said = i18n.translate("web.token_made", name=account.name, role=role, until=ends, token=token)
        sys.stdout.write(said + "\n")
    return 0


def _revoke_token(args: argparse.Namespace, accounts: BoardAccounts, clock: SystemClock) -> int:
    if not accounts.drop_token(args.revoke, clock.now(), COMMAND_ACTOR):
        raise InputError("board.no_token", name=repr(args.revoke)[1:-1][:64])
    if not common.emit(args, {"account": args.revoke, "revoked": True}):
        sys.stdout.write(i18n.translate("web.token_ended", name=args.revoke) + "\n")
    return 0


def _list(args: argparse.Namespace, accounts: BoardAccounts, clock: SystemClock) -> int:
    tokens = {token.name: token for token in accounts.tokens(clock.now())}
    for account in accounts.all():
        token = tokens.get(account.name)
        until = format_utc(token.expires_at) if token else None
        used = format_utc(token.used_at) if token and token.used_at else None
        item: dict[str, object] = {"account": account.name, "role": account.role, "institution": account.institution}
        item |= {"token_until": until, "token_used": used}
        if not common.emit(args, item | {"disabled": account.disabled_at is not None}):
            said = i18n.translate(f"board.role.{account.role}")
            state = i18n.translate("web.account_good") if account.disabled_at is None else "-"
            sys.stdout.write(f"{account.name}  {said}  {account.institution}  {state}\n")
            if token:
                sys.stdout.write(i18n.translate("board.token_listed", until=until, used=used or "—") + "\n")
    return 0
