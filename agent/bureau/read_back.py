"""What the broker knows of this box: its own retained messages, read back after each connection before it sends.

A box whose state and drive were put back to an earlier copy cannot know it by itself; the broker's copy is newer. Where the
broker knows more or other than the catalog, the box says so (`evidence.rollback`) and begins a new statement log, so that
it does not put other statements under numbers that the bureau has.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from agent import i18n
from agent.bureau.options import BureauOptions
from agent.catalog import Catalog
from agent.contract.envelope import unwrap
from agent.core.alert_model import AlertKind
from agent.core.clock import Clock
from agent.core.errors import BureauError
from agent.core.statement_model import LogPosition, is_hash, is_number, parse_position
from agent.mqtt.connection import ReceivedMessage

log = logging.getLogger(__name__)
READ_BACK_TOPICS = ("chain/+", "statements", "state")
_SUBJECT = "box"
_SHOWN = timedelta(days=7)


class BrokerKnowledge:
    """For one thread; `start` with each connection."""

    def __init__(self, catalog: Catalog, clock: Clock, options: BureauOptions) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self.start()

    def start(self) -> None:
        """Forget what was read on the connection before."""
        self._places: list[LogPosition] = []
        self._heads: dict[str, tuple[int, str]] = {}
        self._delivered: tuple[str, int] | None = None

    def take(self, message: ReceivedMessage) -> None:
        """Take in a retained message on one of the box's own topics; anything malformed says nothing."""
        kind, _, name = message.topic.removeprefix(f"{self._options.prefix}/").partition("/")
        try:
            body = unwrap(message.payload).body if message.payload else {}
        except BureauError:
            return
        if kind == "chain":
            self._take_head(name, body)
            return
        place = parse_position(body.get("newest" if kind == "statements" else "statements"))
        if place is None:
            return
        self._places.append(place)
        number = body.get("delivered")
        if kind == "statements" and isinstance(number, int) and 0 <= number <= place.number:
            self._delivered = (place.log, number)

    def _take_head(self, class_id: str, body: Mapping[str, object]) -> None:
        sequence, head = body.get("sequence"), body.get("head")
        if body.get("class_id") == class_id and is_number(sequence) and is_hash(head):
            self._heads[class_id] = (int(str(sequence)), str(head))

    def conclude(self) -> None:
        """Compare with the catalog; queue again what neither broker nor outbox has."""
        more = [place for place in self._places if not self._is_ours(place)]
        heads = {class_id: known for class_id, known in self._heads.items() if not self._is_head_ours(class_id, *known)}
        now = self._clock.now()
        if more or heads:
            self._raise(more, heads)
        else:
            known = self._catalog.alerts.open_one(AlertKind.EVIDENCE_ROLLBACK, _SUBJECT)
            if known and not timedelta(0) <= now - known.since < _SHOWN:
                self._catalog.alerts.clear(AlertKind.EVIDENCE_ROLLBACK, _SUBJECT, now)
        newest = self._catalog.statements.current()
        same = self._delivered if newest and self._delivered and self._delivered[0] == newest.log else None
        self._catalog.outbox.requeue(min(same[1], newest.number) if same and newest else 0)

    def _is_ours(self, place: LogPosition) -> bool:
        """Return whether the catalog has this statement, or had it before it was pruned."""
        end = next((x for x in self._catalog.statements.ends() if x.log == place.log), None)
        if end is None or place.number > end.number:
            return False
        known = self._catalog.statements.at(place.log, place.number)
        return known is None or known == place

    def _is_head_ours(self, class_id: str, sequence: int, head: str) -> bool:
        links = {link.sequence: link.head for link in self._catalog.chain.of_class(class_id)}
        if sequence in links:
            return links[sequence] == head
        # closed anew since (late video): the row holds the newest closing of each half-day only
        return bool(links) and sequence < max(links)

    def _raise(self, more: list[LogPosition], heads: Mapping[str, tuple[int, str]]) -> None:
        now, current = self._clock.now(), self._catalog.statements.current()
        newest = max(more, key=lambda place: place.number, default=None)
        evidence: dict[str, object] = {
            "broker": {
                "statements": newest.as_data() if newest else None,
                "chain": {name: {"sequence": n, "head": head} for name, (n, head) in sorted(heads.items())},
            },
            "box": current.as_data() if current else None,
        }
        about = f"{newest.number if newest else 0}/{current.number if current else 0}"
        text = i18n.translate("bureau.rollback", numbers=about, classes=", ".join(sorted(heads)) or "-")
        log.error("%s", text)
        with self._catalog.store.write():
            if newest and current and newest.log == current.log:
                self._catalog.outbox.begin_log("rollback", now, before=newest)
            self._catalog.alerts.raise_(AlertKind.EVIDENCE_ROLLBACK, _SUBJECT, text, now, evidence=evidence)
