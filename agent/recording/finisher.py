"""Does the slow work at the end of a segment (sync, hash, name, row), away from the thread that reads the camera."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from agent.catalog import Catalog
from agent.core import shortage
from agent.core.clock import Clock
from agent.core.errors import DriveError, SiteAgentError
from agent.core.model import Segment
from agent.drive import Drive
from agent.recording.recover import list_open_rows, recover_rows
from agent.recording.writer import SegmentWriter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FinishJob:
    """A closed file that waits for its name, and when its pictures end."""

    segment_id: int
    writer: SegmentWriter
    end: datetime


class Finisher:
    """One thread for each recorder.

    finished    called with each segment once its row is finished
    complain    called with a drive that fails
    left        something was not finished, so its row is still open; it is taken up with the next segment, or by `recover`
    opening     hold it from writing an open row until its file exists: recovery takes a row without a file for a lost one
    """

    def __init__(
        self,
        camera_id: str,
        catalog: Catalog,
        clock: Clock,
        finished: Callable[[Segment], None] | None = None,
        complain: Callable[[Drive, DriveError], None] | None = None,
    ) -> None:
        self._camera_id, self._catalog, self._clock, self._finished = camera_id, catalog, clock, finished
        self._complain = complain
        self._queue: queue.SimpleQueue[FinishJob | Drive | None] = queue.SimpleQueue()
        self.opening = threading.Lock()
        self.left = False
        self._thread = threading.Thread(target=self._run, name=f"finish-{camera_id}")

    def start(self) -> None:
        self._thread.start()

    def put(self, job: FinishJob) -> None:
        self._queue.put(job)

    def recover(self, drive: Drive) -> None:
        """Queue the recovery of what this camera left open on `drive`."""
        self._queue.put(drive)

    def close(self) -> None:
        """Do what is queued, then end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            drive = item.writer.drive if isinstance(item, FinishJob) else item
            try:
                with shortage.convert_shortage():
                    if isinstance(item, FinishJob):
                        self._finish(item)
                    if self.left or not isinstance(item, FinishJob):
                        self._take_up(drive)
            except SiteAgentError as error:
                # the row stays open, and recovery takes it up when drive and catalog work again; where the drive failed,
                # recovery waits for the drive to return
                self.left = not isinstance(error, DriveError)
                log.warning("%s: %s", self._camera_id, error)
                if self._complain and isinstance(error, DriveError):
                    self._complain(drive, error)

    def _take_up(self, drive: Drive) -> None:
        with self.opening:
            rows = list_open_rows(self._catalog, drive, self._camera_id)
        recover_rows(self._catalog, drive, rows, self._clock)
        self.left = False

    def _finish(self, job: FinishJob) -> None:
        size, digest = job.writer.commit()
        self._catalog.segments.finish(job.segment_id, end=job.end, size=size, sha256=digest)
        segment = self._catalog.segments.get(job.segment_id)
        if self._finished and segment:
            self._finished(segment)
