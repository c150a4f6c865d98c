"""Bringing to the disk what was written, away from the thread that reads the camera: a disk may take seconds for it, and what
is not read meanwhile dies with the process."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import Self

from agent.clock import Clock
from agent.drive import Drive
from agent.drive.identity import os_error
from agent.errors import DriveError, Shortage
from agent.recording.writer import SegmentWriter

PATIENCE = 10.0
"""Seconds that a sync may take before the drive is held to hang."""
_LAST = 2.0


class Syncer:
    """One thread for one connection and its drive, as a context manager: what a drive did wrong must not be held against the
    next. One sync runs at a time; what went wrong in it is raised by the next `ask`."""

    def __init__(self, camera_id: str, clock: Clock) -> None:
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[Drive, list[int]] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._asked = 0.0
        self._failure: DriveError | Shortage | None = None
        # daemon: stuck in the kernel on a dead disk it must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name=f"sync-{camera_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the sync under way finish, unless it hangs; the end of a segment syncs for itself."""
        self._queue.put(None)
        self._thread.join(_LAST)

    def ask(self, drive: Drive, writers: list[SegmentWriter]) -> bool:
        """Have the files synced soon; False where the sync before is still under way. Raises DriveError: what that met,
        `drive.hangs` where it takes too long, `drive.missing` where a file is no longer where its name says."""
        for writer in writers:
            writer.check_place()
        if not self._idle.is_set():
            if self._clock.monotonic() - self._asked > PATIENCE:
                raise DriveError("drive.hangs", "drive.error", root=drive.root)
            return False
        failure, self._failure = self._failure, None
        if failure:
            raise failure
        self._asked = self._clock.monotonic()
        self._idle.clear()
        self._queue.put((drive, [writer.handle() for writer in writers]))
        return True

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            drive, handles = job
            try:
                for handle in handles:
                    os.fdatasync(handle)
            except OSError as error:
                self._failure = os_error(error, drive.root)
            finally:
                for handle in handles:
                    # as in SegmentWriter: FUSE tells at close what has failed
                    with suppress(OSError):
                        os.close(handle)
                self._idle.set()
