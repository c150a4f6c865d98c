"""Classes as the bureau approved them, heard on `classes/{class_id}`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from agent.contract.envelope import IncomingEnvelope, unwrap
from agent.core.errors import BureauError
from agent.core.openssh import NAMESPACE, verify_signed
from board.ingest.fields import Data, Malformed, dump, need_id, read_text, read_whole
from board.ingest.message import Arrival
from board.store.tables import class_boxes, classes


class UnsignedClass(Exception):
    """An approval without the bureau's signature."""


def put_class(connection: Connection, box_id: int, arrival: Arrival, find_signing_key: Callable[[], str]) -> None:
    """Store an approved class and that this box has it. Raises Malformed, UnsignedClass.

    What is approved already is not checked again: the broker keeps approvals, and they are heard again.
    """
    try:
        sent = unwrap(arrival.payload)
    except BureauError:
        raise Malformed("data") from None
    class_id = need_id(sent.body, "class_id")
    if arrival.address != f"classes/{class_id}":
        raise Malformed("class_id")
    row = _make_row(class_id, sent.body) | {"approved_at": arrival.at}
    known = connection.execute(
        select(classes.c.approved_at, classes.c.body).where(classes.c.class_id == class_id)
    ).first()
    if known and known.approved_at and known.body == row["body"]:
        row["approved_at"] = known.approved_at
    elif (key := find_signing_key()) and not _is_signed(sent, key):
        raise UnsignedClass(f"{class_id} {hashlib.sha256(arrival.payload).hexdigest()[:12]}")
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(make(classes).values(row).on_conflict_do_update(index_elements=["class_id"], set_=row))
    seen = {"class_id": class_id, "box_id": box_id, "first_seen": arrival.at}
    connection.execute(make(class_boxes).values(seen).on_conflict_do_nothing())


def _is_signed(sent: IncomingEnvelope, key: str) -> bool:
    return (
        sent.signed is not None
        and sent.signature is not None
        and verify_signed(sent.signed, sent.signature, key, NAMESPACE)
    )


def _make_row(class_id: str, body: Data) -> dict[str, object]:
    texts = {name: read_text(body, name) for name in ("institution", "place", "project", "occupation")}
    number = read_whole(body, "class_number")
    known = number if number is not None and number < 10_000 else None
    expected = read_whole(body, "expected")
    changes = body.get("amendments")
    amended = [change for change in changes if isinstance(change, Mapping)] if isinstance(changes, list) else []
    days = {
        name: [day for source in (body, *amended) if (day := read_text(source, name, 10))]
        for name in ("first_day", "last_day")
    }
    searched = [class_id, *texts.values()]
    if known is not None:
        searched += [f"{texts['occupation']}第{known}班", f"第 {known} 班"]
    return {
        "class_id": class_id,
        **texts,
        "class_number": known,
        # amendments may have moved them: the class is looked for in all of its time
        "first_day": min(days["first_day"], default=None),
        "last_day": max(days["last_day"], default=None),
        "expected": expected if expected is not None and expected < 100_000 else None,
        "body": dump(body),
        "search": "\n".join(searched).lower(),
    }
