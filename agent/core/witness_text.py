"""The text that the bureau countersigns for a closed half-day: lines `key: value`, readable and checked by ssh-keygen alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from agent.core.clock import format_utc, parse_time
from agent.core.model import Session, is_id
from agent.core.statement_model import LogPosition, is_hash, is_number, parse_position

WITNESS_FORMAT = "site-agent witness 1"
MAX_WITNESS = 4096
_KEYS = ("box", "class_id", "date", "session", "sequence", "head", "key", "log", "number", "hash", "time", "witness")


@dataclass(frozen=True, slots=True)
class WitnessText:
    """What a witness says: at `time` it had seen the half-day's `head`, and every statement up to `position`.

    `box` is county/site/box; `key` the box's public key as published with the head; `witness` who signs.
    """

    box: str
    class_id: str
    date: date
    session: Session
    sequence: int
    head: str
    key: str
    position: LogPosition
    time: datetime
    witness: str

    def write(self) -> str:
        """Return the text to be signed."""
        place = self.position
        values = (
            self.box, self.class_id, self.date.isoformat(), self.session.value, str(self.sequence), self.head, self.key,
            place.log, str(place.number), place.hash, format_utc(self.time), self.witness,
        )  # fmt: skip
        lines = [WITNESS_FORMAT, *(f"{key}: {value}" for key, value in zip(_KEYS, values, strict=True))]
        return "".join(f"{line}\n" for line in lines)


def parse_witness_text(text: str) -> WitnessText:
    """Parse a countersigned text. Raises ValueError for anything that `write` cannot have written."""
    first, *rest = text.split("\n")
    pairs = [line.split(": ", 1) for line in rest[:-1]]
    if first != WITNESS_FORMAT or rest[-1:] != [""] or [pair[0] for pair in pairs] != list(_KEYS):
        raise ValueError(first[:80])
    values: Mapping[str, str] = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
    try:
        sequence, number = int(values["sequence"]), int(values["number"])
        position = parse_position({"log": values["log"], "number": number, "hash": values["hash"]})
        found = WitnessText(
            box=values["box"],
            class_id=values["class_id"],
            date=date.fromisoformat(values["date"]),
            session=Session(values["session"]),
            sequence=sequence,
            head=values["head"],
            key=values["key"],
            position=position or LogPosition("", 0, ""),
            time=parse_time(values["time"]),
            witness=values["witness"],
        )
    except KeyError as error:
        raise ValueError(str(error)) from error
    if position is None or not is_number(sequence) or not is_hash(found.head) or not is_id(found.class_id):
        raise ValueError("out of range")
    return found
