"""The notifier: gathers what is new, writes it as one notification, delivers it; a thread of the leading process."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import datetime

from agent.core.clock import Clock
from agent.core.errors import SiteAgentError
from board.notify.ledger import give_up, list_due, note_try, write_notice
from board.notify.message import NewsItem, compose
from board.notify.news import list_news
from board.notify.options import NotifyOptions
from board.notify.sender import NoticeSender
from board.queries.notices import NOTIFY_FACT
from board.store.database import Database
from board.store.facts import write_fact

log = logging.getLogger(__name__)
EVERY_S = 2.0
_LONGEST_GATHERING = 5  # times `gather_s`: something new every few seconds must not hold back the rest for ever


class Notifier:
    """Tells of open alerts and alarms. `is_leading`: whether this process is the one that does so."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sender: NoticeSender,
        options: NotifyOptions,
        is_leading: Callable[[], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._sender = sender
        self._options = options
        self._is_leading = is_leading
        self._known: frozenset[tuple[str, int, str, str]] = frozenset()
        self._first = self._newest = 0.0
        self._resting: dict[int, datetime] = {}
        self._described = False

    def run(self, stop: threading.Event) -> None:
        """Gather and deliver until `stop`."""
        problem = ""
        while not self._clock.wait(stop, EVERY_S):
            try:
                self.step(stop)
                problem = ""
            except SiteAgentError as error:
                if str(error) != problem:
                    log.warning("%s", error)
                problem = str(error)

    def step(self, stop: threading.Event | None = None) -> None:
        """Do what is due. Raises StoreError."""
        if not self._is_leading():
            self._described = False
            return
        if not self._described:
            kinds = list(dict.fromkeys(self._sender.kinds.values()))
            write_fact(self._database, NOTIFY_FACT, json.dumps({"kinds": kinds, "problem": self._sender.problem}))
            self._described = True
        if self._sender.kinds:
            self._gather()
        self._deliver(stop or threading.Event())

    def _gather(self) -> None:
        """Write a notification once nothing new has come for a while."""
        now = self._clock.now()
        news = list_news(self._database, self._options, self._options.list_severities(now))
        if news and self._is_calm(news):
            text = compose(news, self._options)
            write_notice(self._database, news, text, self._sender.kinds, now)
            news = []
        if not news:
            self._known = frozenset()

    def _is_calm(self, news: list[NewsItem]) -> bool:
        now, keys = self._clock.monotonic(), frozenset(item.key for item in news)
        if not self._known:
            self._first = now
        if keys - self._known:
            self._newest = now
        self._known = keys
        wait = self._options.gather_s
        return now - self._newest >= wait or now - self._first >= _LONGEST_GATHERING * wait

    def _deliver(self, stop: threading.Event) -> None:
        now = self._clock.now()
        self._resting = {place: until for place, until in self._resting.items() if until > now}
        quiet = self._options.is_quiet(now)
        for due in list_due(self._database, now, self._resting, critical_only=quiet):
            if stop.is_set():
                return
            if due.is_stale(now) or due.place not in self._sender.kinds:
                give_up(self._database, due, now)
                log.warning("notification %d was given up after %d tries", due.notice_id, due.tries)
            elif due.place not in self._resting:
                # noted after the try: a kill in between sends twice, noting it before could lose it
                arrived = self._sender.send(due.place, due.title, due.body, due.severity)
                again = note_try(self._database, due, self._clock.now(), arrived=arrived)
                if again is not None:
                    self._rest(due.place, due.notice_id, again)

    def _rest(self, place: int, notice_id: int, until: datetime) -> None:
        """Leave an address alone for a while, so that a dead one costs one try and not one for each notification."""
        self._resting[place] = until
        log.warning("notification %d did not arrive by %s; tried again", notice_id, self._sender.kinds[place])
