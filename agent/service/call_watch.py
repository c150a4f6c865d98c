"""Looks for the code of a call in what the cameras of its class record: a look a second while a call is open, else none."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from agent import i18n
from agent.catalog import Catalog
from agent.core.call_model import LATE_FOR, CallSighting, OpenCall, is_call_text
from agent.core.clock import Clock
from agent.core.errors import MediaError
from agent.core.model import Segment
from agent.core.periodic import run_every
from agent.counting.qr_code import read_qr
from agent.counting.worker import lower_priority
from agent.media import containers
from agent.media.containers import BgrImage

_NEVER = datetime.min.replace(tzinfo=UTC)
_log = logging.getLogger(__name__)
POLL_S = 1.0
LATE_POLL = timedelta(seconds=5)
"""After the code's end a look is taken less often."""
BEHIND = timedelta(seconds=8)
"""A picture is found in its file this much later than it was taken, at most: a group of pictures, and the writer's fragment."""


class CallWatch:
    """The worker. It reads key frames from the recorded files, as counting does: what it finds is in the evidence.

    A recorded picture says when it was taken, so how long a look takes does not matter. `read` finds texts in a picture.
    """

    def __init__(self, catalog: Catalog, clock: Clock, read: Callable[[BgrImage], set[str]] = read_qr) -> None:
        self._catalog = catalog
        self._clock = clock
        self._read = read
        self._seen: dict[str, datetime] = {}
        self._other = False
        self._call_id = ""
        self._looked: datetime | None = None

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        lower_priority()
        run_every(self._clock, stop, POLL_S, self.run_once)

    def run_once(self) -> int:
        """Take the look that is due; return how many pictures were looked at.

        One at a time, however many cameras there are: they take turns, and a code is held up for ten seconds.
        """
        now, calls = self._clock.now(), self._catalog.calls
        call = calls.current(now)
        if call is None:
            if self._call_id:
                calls.forget()
                self._begin("")
            return 0
        if call.call_id != self._call_id:
            self._begin(call.call_id)
        if call.state == "answered" or not self._is_due(call, now):
            return 0
        mine = [segment for segment in self._catalog.segments.opened() if segment.class_id == call.class_id]
        looks = (self._look(x, call) for x in sorted(mine, key=lambda x: self._seen.get(x.camera_id, _NEVER)))
        found = next((look for look in looks if look is not None), None)
        if found:
            state = calls.answer(call, found, now, other=self._other)
            _log.info("%s", i18n.translate(f"call.{state}", camera_id=found.camera_id, class_id=call.class_id))
            return 1
        if call.state == "open" and now >= call.until + BEHIND:
            calls.miss(call, now, other=self._other)
            _log.warning("%s", i18n.translate("call.unanswered", class_id=call.class_id))
        return 0 if found is None else 1

    def _begin(self, call_id: str) -> None:
        self._call_id, self._other, self._looked = call_id, False, None
        self._seen.clear()

    def _is_due(self, call: OpenCall, now: datetime) -> bool:
        if now < call.until + BEHIND or self._looked is None or not timedelta(0) <= now - self._looked < LATE_POLL:
            self._looked = now
            return now < call.until + LATE_FOR
        return False

    def _look(self, segment: Segment, call: OpenCall) -> CallSighting | Literal[False] | None:
        """Return where the code was seen, False for a picture without it, None where there is no new picture."""
        drive = self._catalog.drives.get(segment.drive_id)
        path = Path(drive.path) / segment.temporary if drive else None
        if path is None or not os.access(path, os.R_OK):  # not Path.exists, which raises where the drive fails
            return None
        try:
            found = containers.read_last_key_frame(path)
        except MediaError:  # its first fragment is not written yet, or it was renamed: counting says what lasts
            return None
        if found is None:
            return None
        at, picture = segment.start + timedelta(seconds=found[0]), found[1]
        if self._seen.get(segment.camera_id) == at:
            return None
        self._seen[segment.camera_id] = at
        texts = self._read(picture)
        if call.text not in texts:
            self._other = self._other or any(map(is_call_text, texts))
            return False
        return CallSighting(at, segment.room_id, segment.camera_id, segment.drive_id, segment.path)
