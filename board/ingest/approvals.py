"""Classes as the bureau approved them, heard on `classes/{class_id}`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from agent.contract.envelope import unwrap
from agent.core.errors import BureauError
from board.ingest.fields import Data, Malformed, dump, need_id, read_text, read_whole
from board.ingest.message import Arrival
from board.store.tables import class_boxes, classes


def put_class(connection: Connection, box_id: int, arrival: Arrival) -> None:
    """Store an approved class and that this box has it. Raises Malformed."""
    try:
        body = unwrap(arrival.payload).body
    except BureauError:
        raise Malformed("data") from None
    class_id = need_id(body, "class_id")
    if arrival.address != f"classes/{class_id}":
        raise Malformed("class_id")
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = _make_row(class_id, body) | {"approved_at": arrival.at}
    connection.execute(make(classes).values(row).on_conflict_do_update(index_elements=["class_id"], set_=row))
    seen = {"class_id": class_id, "box_id": box_id, "first_seen": arrival.at}
    connection.execute(make(class_boxes).values(seen).on_conflict_do_nothing())


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
