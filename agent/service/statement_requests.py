"""Answers the bureau's request for statements that did not come, from the catalog and the journals of attached drives."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from agent.catalog import Catalog
from agent.contract.envelope import build_past_event
from agent.contract.requests import Invalid, StatementsParameters, validate
from agent.core.errors import BureauError, DriveError
from agent.core.statement_model import Statement
from agent.drive import Drive
from agent.drive.journal_search import find_statements

if TYPE_CHECKING:
    from agent.contract.statements import StatementsResult

log = logging.getLogger(__name__)
MOST_STATEMENTS = 100
MOST_BYTES = 48 * 1024
"""An answer must pass a broker that takes packets of 64 KiB."""


class StatementRequests:
    """The handler of the request `statements`; it reads only, so a request may be repeated.

    `drives` returns the attached drives; `source` is the box's name in its messages.
    """

    def __init__(self, catalog: Catalog, drives: Callable[[], Iterable[Drive]], source: str) -> None:
        self._catalog = catalog
        self._drives = drives
        self._source = source

    def answer(self, asked: Mapping[str, object]) -> StatementsResult:
        """Return statements from `from` on, as many as an answer holds. Raises BureauError where that one is not at hand."""
        try:
            given = validate(StatementsParameters, asked)
        except Invalid as error:
            key = error.faults[0].key
            raise BureauError("answers.bad", key=key, value=repr(asked.get(key))[:40]) from None
        current = self._catalog.statements.current()
        name = given.log or (current.log if current else "")
        newest = next((x.number for x in self._catalog.statements.ends() if x.log == name), 0)
        if not newest:
            raise BureauError("answers.no_log", log=name or "-")
        # as with sending: a box that loses its catalog must go on behind the last number that has left it
        if (held := self._catalog.statements.find_held(name)) is not None:
            newest = min(newest, held - 1)
        if given.from_ > min(newest, given.to):
            raise BureauError("answers.no_statement", number=given.from_, newest=newest)
        last = min(newest, given.to)
        found = self._find(name, given.from_, min(last, given.from_ + MOST_STATEMENTS - 1))
        events = self._fill(found, given.from_)
        if not events:
            raise BureauError("answers.statement_gone", number=given.from_)
        following = given.from_ + len(events)
        return {"log": name, "statements": events, "next": following if following <= last else None}

    def _find(self, name: str, first: int, last: int) -> dict[int, Statement]:
        """Return statements by number: from the catalog, and what it has pruned from the drives."""
        found = {s.number: s for s in self._catalog.statements.list_range(name, first, last)}
        for drive in self._drives():
            missing = [number for number in range(first, last + 1) if number not in found]
            if not missing:
                break
            try:
                for statement in find_statements(drive, name, missing[0], missing[-1]):
                    found.setdefault(statement.number, statement)
            except DriveError as error:
                log.warning("%s", error)
        return found

    def _fill(self, found: Mapping[int, Statement], first: int) -> list[dict[str, object]]:
        """Return the events from `first` on, up to the first one that is missing and to the size of an answer."""
        events: list[dict[str, object]] = []
        size, number = 0, first
        while (statement := found.get(number)) is not None:
            event = build_past_event(statement, self._source)
            size += len(json.dumps(event, ensure_ascii=False).encode())
            if events and size > MOST_BYTES:
                break
            events.append(event)
            number += 1
        return events
