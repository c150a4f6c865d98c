"""`site-agent-board account`: makes and lists the accounts of people who use the pages."""

from __future__ import annotations

import argparse
import sys

from agent import i18n
from agent.core.account_model import COMMAND_ACTOR
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.website.auth.access import Authenticator, check_account_name
from board.accounts.accounts import BoardAccounts
from board.accounts.audit import BoardAudit
from board.accounts.origins import BoardOrigins
from board.accounts.roles import ALL, INSTITUTION
from board.commands import common
from board.store.database import Database


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.account")
    parser = subparsers.add_parser("account", help=text, description=text)
    acts = parser.add_mutually_exclusive_group(required=True)
    acts.add_argument("name", nargs="?", metavar="NAME", help=i18n.translate("board.help.account_name"))
    acts.add_argument("--list", action="store_true", help=i18n.translate("board.help.accounts_list"))
    acts.add_argument("--disable", metavar="NAME", help=i18n.translate("board.help.disable"))
    acts.add_argument("--enable", metavar="NAME", help=i18n.translate("board.help.enable"))
    parser.add_argument("--role", choices=ALL, help=i18n.translate("board.help.role"))
    parser.add_argument("--institution", metavar="NAME", default="", help=i18n.translate("board.help.institution"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    clock = SystemClock()
    with common.open_database(settings) as database:
        accounts = BoardAccounts(database, BoardAudit(database))
        if args.list:
            return _list(args, accounts)
        if args.disable or args.enable:
            change = accounts.disable if args.disable else accounts.enable
            account = change(args.disable or args.enable, clock.now(), COMMAND_ACTOR)
            common.emit(args, {"account": account.name, "disabled": account.disabled_at is not None})
            return 0
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


def _list(args: argparse.Namespace, accounts: BoardAccounts) -> int:
    for account in accounts.all():
        item = {"account": account.name, "role": account.role, "institution": account.institution}
        if not common.emit(args, item | {"disabled": account.disabled_at is not None}):
            said = i18n.translate(f"board.role.{account.role}")
            state = i18n.translate("web.account_good") if account.disabled_at is None else "-"
            sys.stdout.write(f"{account.name}  {said}  {account.institution}  {state}\n")
    return 0
