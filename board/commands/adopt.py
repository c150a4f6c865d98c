"""`site-agent-board adopt REQUEST`: the bureau's signed word that a box may take over the drive of a dead one."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from sqlalchemy import or_, select, update

from agent import i18n
from agent.core.adoption_text import ADOPTION_NAMESPACE, MAX_WORD, AdoptionWord, pack_word, parse_request
from agent.core.clock import SystemClock, format_utc
from agent.core.errors import InputError
from agent.core.openssh import ensure_key_file, sign_with
from agent.program.console import print_message
from board.commands import common
from board.store.tables import boxes, heads


def add(subparsers: common.SubParsers[argparse.ArgumentParser]) -> None:
    text = i18n.translate("board.help.adopt")
    parser = subparsers.add_parser("adopt", help=text, description=text)
    parser.add_argument("request", type=Path, metavar="REQUEST", help=i18n.translate("board.help.adopt_request"))
    parser.add_argument("--reason", required=True, metavar="TEXT", help=i18n.translate("board.help.adopt_reason"))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=i18n.translate("board.help.adopt_out"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_of(args)
    try:
        with args.request.open("rb") as opened:
            request = parse_request(opened.read(MAX_WORD).decode())
    except OSError as error:
        raise InputError("board.cannot_read", file=args.request, detail=error.strerror) from None
    except ValueError:
        raise InputError("board.no_adoption_request", file=args.request) from None
    reason = " ".join(args.reason.split())
    if not reason:
        raise InputError("board.adoption_reason")
    now = SystemClock().now()
    with common.open_database(settings) as database, database.write() as connection:
        known = connection.execute(select(boxes).where(boxes.c.name == request.box)).first()
        if known is None or known.enrolled_at is None or known.revoked_at is not None:
            raise InputError("board.not_enrolled", box=request.box)
        told = select(boxes.c.name).outerjoin(heads, heads.c.box_id == boxes.c.id)
        owner = connection.execute(
            told.where(or_(boxes.c.key == request.old_key, heads.c.key == request.old_key))
        ).scalar()
        if owner is None:
            raise InputError("board.adoption_unknown_key", drive_id=request.drive_id)
        word = AdoptionWord(request, now, reason).write()
        ensure_key_file(settings.witness_key_file, "site-agent-board")
        signature = sign_with(word.encode(), settings.witness_key_file, ADOPTION_NAMESPACE).decode()
        descriptor = common.make_file(args.out)
        try:
            os.write(descriptor, pack_word(word, signature))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # its new log and its new key are expected once
        connection.execute(update(boxes).where(boxes.c.id == known.id).values(replaced_at=format_utc(now)))
    if not common.emit(args, {"box": request.box, "drive_id": request.drive_id, "owner": owner, "file": str(args.out)}):
        print_message(
            i18n.translate(
                "board.adoption_granted", box=request.box, drive_id=request.drive_id, owner=owner, file=args.out
            )
        )
    return 0
