"""Syncs to the disk what was written, away from the thread that reads the camera.

A disk may take seconds for it, and what is not read meanwhile is lost if the process dies.
"""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import Self

from agent.core.clock import Clock
from agent.core.errors import DriveError, Shortage
from agent.drive import Drive
from agent.drive.identity import to_drive_error
from agent.recording.writer import SegmentWriter

PATIENCE = 10.0
"""Seconds that a sync may take before the drive counts as hanging."""
_LAST = 2.0
"""Seconds to wait at the end for the sync under way."""


class Syncer:
    """One thread for one connection and its drive, as a context manager: errors must not carry over to another drive.

    One sync runs at a time; its error is raised by the next `ask`.
    """

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
        """Have the files synced soon; return False where the sync before is still under way.

        Raises DriveError: that of the sync before, `drive.hangs` where that takes too long, `drive.missing` where a file is no
        longer where its name says.
        """
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
                self._failure = to_drive_error(error, drive.root)
            finally:
                for handle in handles:
                    # as in SegmentWriter: a file system behind FUSE reports at close what has failed
                    with suppress(OSError):
                        os.close(handle)
                self._idle.set()
