"""What the board remembers of each box while it judges its statements: LogObserver's state, kept in the database.

A worker locks the rows of the boxes that its batch is about; `revision` tells whether another worker has been there since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from agent.core.clock import Clock, format_utc, parse_time
from agent.core.statement_model import LogPosition, Statement, parse_statement
from agent.core.statement_rule import LogObserver
from board.store.boxes import insert_boxes
from board.store.tables import boxes, logs, statements

_MOST_WAITING = 100_000
_AT_ONCE = 500


class StoredHashes(MutableMapping[int, str]):
    """Hashes by number in the present log of a box: those that came in this batch, else what the database has."""

    def __init__(self) -> None:
        self._fresh: dict[int, str] = {}
        self._connection: Connection | None = None
        self._log_id: int | None = None

    def use(self, connection: Connection, log_id: int | None) -> None:
        """Look up in this transaction; `log_id` is the present log's."""
        self._connection, self._log_id = connection, log_id

    def __getitem__(self, number: int) -> str:
        if number in self._fresh:
            return self._fresh[number]
        assert self._connection is not None
        query = select(statements.c.hash).where(statements.c.log_id == self._log_id, statements.c.number == number)
        # of a fork both are stored: the one that came first was taken
        found = self._connection.execute(query.order_by(statements.c.id).limit(1)).scalar()
        if found is None:
            raise KeyError(number)
        return str(found)

    def __setitem__(self, number: int, digest: str) -> None:
        self._fresh[number] = digest

    def __delitem__(self, number: int) -> None:
        del self._fresh[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._fresh)

    def __len__(self) -> int:
        return len(self._fresh)

    def pop(self, number: int, default: str | None = None) -> str | None:  # type: ignore[override]
        """Forget a number of this batch; the database keeps what it has."""
        return self._fresh.pop(number, default)

    def settle(self) -> None:
        """Forget what the database has by now."""
        self._fresh.clear()


@dataclass(slots=True)
class BoxMemory:
    """One box. `changes` are columns of its row to write at the end of the batch."""

    box_id: int
    name: str
    revision: int
    row: Mapping[str, object]
    observer: LogObserver
    hashes: StoredHashes
    log_ids: dict[str, int]
    changes: dict[str, object] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)

    def recall(self, column: str) -> object:
        """Return a column of its row, with what this batch changed."""
        return self.changes.get(column, self.row[column])


class Memories:
    """All boxes that this worker has met. For one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, BoxMemory] = {}

    def forget(self) -> None:
        """Forget everything: after a transaction that failed, memory and database may differ."""
        self._known.clear()

    def lock(self, connection: Connection, names: Iterable[str], at: str | None) -> dict[str, BoxMemory]:
        """Lock the rows of these boxes, make those that are new (heard at `at`), and return what is remembered of each."""
        wanted = sorted(set(names))
        found = self._lock_all(connection, wanted)
        new = [name for name in wanted if name not in found]
        if new:
            # another worker may make the same box: the insert waits for it and then does nothing
            insert_boxes(connection, new, at)
            found |= self._lock_all(connection, new)
        return found

    def _lock_all(self, connection: Connection, names: list[str]) -> dict[str, BoxMemory]:
        query = select(boxes).where(boxes.c.name.in_(bindparam("names", expanding=True))).order_by(boxes.c.id)
        found = {}
        for begin in range(0, len(names), _AT_ONCE):
            some = {"names": names[begin : begin + _AT_ONCE]}
            for row in connection.execute(query.with_for_update(), some).mappings().all():
                memory = self._known.get(row["name"])
                if memory is None or memory.revision != row["revision"]:
                    memory = self._load(connection, row)
                    self._known[memory.name] = memory
                memory.row = dict(row)
                whole = memory.observer.whole
                memory.hashes.use(connection, memory.log_ids.get(whole.log) if whole else None)
                found[memory.name] = memory
        return found

    def _load(self, connection: Connection, row: RowMapping) -> BoxMemory:
        """Read what LogObserver needs: place, earlier logs, and statements that wait for those before them."""
        hashes = StoredHashes()
        observer = LogObserver(hashes=hashes, hole=row["hole"])
        known = connection.execute(select(logs).where(logs.c.box_id == row["id"])).mappings().all()
        log_ids = {str(log["log"]): int(log["id"]) for log in known}
        if row["log"] is not None:
            observer.whole = LogPosition(row["log"], row["whole_number"], row["whole_hash"])
            observer.ends = {log["log"]: log["ended_number"] for log in known if log["ended_number"] is not None}
            observer.waiting = dict(self._load_waiting(connection, log_ids[row["log"]], row["whole_number"]))
        if row["behind_number"] is not None:
            observer.stated = (row["behind_number"], self._to_monotonic(row["behind_since"]))
        return BoxMemory(row["id"], row["name"], row["revision"], dict(row), observer, hashes, log_ids)

    def _load_waiting(
        self, connection: Connection, log_id: int, whole: int
    ) -> Iterator[tuple[int, tuple[Statement, float]]]:
        query = select(statements.c.body, statements.c.received_at).where(
            statements.c.log_id == log_id, statements.c.number > whole
        )
        # of a fork the first that came waits: dict() keeps the last of equal keys
        for body, received_at in connection.execute(query.order_by(statements.c.id.desc()).limit(_MOST_WAITING)):
            statement = parse_statement(json.loads(body))
            if statement is not None:
                yield statement.number, (statement, self._to_monotonic(received_at))

    def _to_monotonic(self, at: str) -> float:
        """Return the monotonic time of an instant: holes are counted on past a restart."""
        return self._clock.monotonic() - (self._clock.now() - parse_time(at)).total_seconds()

    def _to_utc(self, monotonic: float) -> datetime:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic() - monotonic)

    def find_log(self, connection: Connection, memory: BoxMemory, log: str, at: str, cause: str = "") -> int:
        """Return the ID of a log of a box; it is made where it is new."""
        if log not in memory.log_ids:
            made = connection.execute(
                insert(logs).values(box_id=memory.box_id, log=log, begun_at=at, cause=cause[:16]).returning(logs.c.id)
            )
            memory.log_ids[log] = int(made.scalar_one())
        return memory.log_ids[log]

    def end_log(self, connection: Connection, memory: BoxMemory, whole: LogPosition) -> None:
        """Write where a log ended, once another has followed; `whole` is the place up to which all of it had come."""
        ended = memory.observer.ends[whole.log]
        row = {"ended_number": ended, "whole_number": whole.number, "whole_hash": whole.hash}
        connection.execute(update(logs).where(logs.c.id == memory.log_ids[whole.log]).values(**row))

    def save(self, connection: Connection, touched: Iterable[BoxMemory]) -> None:
        """Write what changed of these boxes."""
        groups: dict[tuple[str, ...], list[dict[str, object]]] = {}
        for memory in touched:
            observer, memory.revision = memory.observer, memory.revision + 1
            whole, stated = observer.whole, observer.stated
            behind = stated if whole and stated and stated[0] > whole.number else None
            changes = memory.changes | {
                "log": whole.log if whole else None,
                "whole_number": whole.number if whole else None,
                "whole_hash": whole.hash if whole else None,
                "hole": observer.hole,
                "behind_number": behind[0] if behind else None,
                "behind_since": format_utc(self._to_utc(behind[1])) if behind else None,
                "revision": memory.revision,
            }
            groups.setdefault(tuple(sorted(changes)), []).append(changes | {"this": memory.box_id})
            memory.changes = {}
            memory.hashes.settle()
        for names, rows in groups.items():
            connection.execute(
                update(boxes).where(boxes.c.id == bindparam("this")).values({n: bindparam(n) for n in names}), rows
            )
