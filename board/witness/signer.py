"""Countersigns heads that are due, and says of each that it does not sign why not."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, RowMapping, Select, and_, exists, insert, or_, select, update

from agent.core.clock import Clock, format_utc
from agent.core.openssh import WITNESS_NAMESPACE, ensure_key_file, sign_with
from agent.core.statement_model import LogPosition
from agent.core.witness_rule import StatedHead, compose_witness_text, is_covered
from agent.core.witness_text import WitnessText
from board.ingest.heads import make_countersignature
from board.store.database import Database
from board.store.tables import alarms, boxes, countersignatures, heads, logs

_AT_ONCE = 100
_COMMENT = "site-agent-board"


class Signer:
    """Signs with a key of its own, once for each box, class and sequence. For one process at a time."""

    def __init__(self, database: Database, key_file: Path, name: str, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._name = name
        self._clock = clock

    def prepare(self) -> str:
        """Make the key where there is none; return the public one. Raises DriveError."""
        return ensure_key_file(self._key_file, _COMMENT)

    def sign_due(self) -> int:
        """Sign what is due; return how many. Raises DriveError, StoreError."""
        with self._database.read() as connection:
            found = connection.execute(_build_due()).mappings().all()
        signed = sum(self._sign(row) for row in found)
        with self._database.write() as connection:
            _explain(connection)
        return signed

    def _sign(self, row: RowMapping) -> bool:
        place = LogPosition(row["log"], row["number"], row["hash"])
        head = StatedHead(row["class_id"], row["date"], row["session"], row["sequence"], row["head"], row["key"], place)
        of_now = row["log"] == row["present"]
        whole = LogPosition(
            row["log"],
            row["whole_number"] if of_now else row["ended_whole"],
            row["whole_hash"] if of_now else row["ended_hash"],
        )
        assert is_covered(head, whole)
        text = compose_witness_text(row["name"], head, whole, self._clock.now(), self._name)
        if text is None:
            self._refuse(row["id"], "malformed")
            return False
        raw = text.write()
        signature = sign_with(raw.encode(), self._key_file, WITNESS_NAMESPACE).decode()
        return self._keep(row["id"], row["box_id"], text, raw, signature)

    def _keep(self, head_id: int, box_id: int, text: WitnessText, raw: str, signature: str) -> bool:
        """Store a countersignature before anybody hears of it; False where the sequence has one already."""
        table = countersignatures
        with self._database.write() as connection:
            known = connection.execute(
                select(table.c.head).where(
                    table.c.box_id == box_id, table.c.class_id == text.class_id, table.c.sequence == text.sequence
                )
            ).scalar()
            state, reason = ("signed", "") if known in (None, text.head) else ("refused", "second_head")
            if known is None:
                connection.execute(
                    insert(table).values(make_countersignature(box_id, text, raw, signature, published_at=None))
                )
            connection.execute(update(heads).where(heads.c.id == head_id).values(state=state, reason=reason))
        return known is None

    def _refuse(self, head_id: int, reason: str) -> None:
        with self._database.write() as connection:
            connection.execute(update(heads).where(heads.c.id == head_id).values(state="refused", reason=reason))

    def list_unpublished(self) -> list[tuple[int, str, str, str]]:
        """Return (ID, box, text, signature) of what the broker does not have yet."""
        table = countersignatures
        query = (
            select(table, boxes.c.name).join(boxes, boxes.c.id == table.c.box_id).where(table.c.published_at.is_(None))
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.id).limit(_AT_ONCE)).mappings().all()
        return [(row["id"], row["name"], row["text"], row["signature"]) for row in rows]

    def mark_published(self, countersignature_id: int) -> None:
        """Note that the broker has it."""
        at = format_utc(self._clock.now())
        table = countersignatures
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == countersignature_id).values(published_at=at))


def _build_due() -> Select[*tuple[object, ...]]:
    """Return the query for heads that can be signed: covered by the present log, or by what came of an earlier one."""
    present = and_(heads.c.log == boxes.c.log, heads.c.number <= boxes.c.whole_number)
    earlier = and_(logs.c.ended_number.is_not(None), heads.c.number <= logs.c.whole_number)
    joined = heads.join(boxes, boxes.c.id == heads.c.box_id).join(
        logs, and_(logs.c.box_id == heads.c.box_id, logs.c.log == heads.c.log)
    )
    columns = (
        heads, boxes.c.name, boxes.c.log.label("present"), boxes.c.whole_number, boxes.c.whole_hash,
        logs.c.whole_number.label("ended_whole"), logs.c.whole_hash.label("ended_hash"),
    )  # fmt: skip
    query = select(*columns).select_from(joined).where(heads.c.state == "due", or_(present, earlier))
    return query.order_by(heads.c.id).limit(_AT_ONCE)


def _explain(connection: Connection) -> None:
    """Write why heads that are still due are not signed yet."""
    in_log = (alarms.c.box_id == heads.c.box_id, alarms.c.log == heads.c.log)
    forked = exists().where(*in_log, alarms.c.kind == "fork", alarms.c.number <= heads.c.number)
    missing = exists().where(*in_log, alarms.c.kind == "hole", alarms.c.cleared_at.is_(None))
    ended = exists().where(
        logs.c.box_id == heads.c.box_id, logs.c.log == heads.c.log, logs.c.ended_number.is_not(None),
        heads.c.number > logs.c.whole_number,
    )  # fmt: skip
    due = update(heads).where(heads.c.state == "due")
    connection.execute(due.where(ended).values(state="refused", reason="new_log"))
    connection.execute(due.where(forked, heads.c.reason != "fork").values(reason="fork"))
    connection.execute(due.where(~forked, missing, heads.c.reason != "hole").values(reason="hole"))
