"""Processes that make H.264 for players without H.265: a bounded number, started when needed and ended soon after."""

from __future__ import annotations

import json
import logging
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from agent.core.errors import MediaError

log = logging.getLogger(__name__)
MOST_PROCESSES = 1
MOST_WAITING = 6
ANSWER_S = 40.0
"""A request that takes longer ends its process: a file may be made to take for ever."""
IDLE_S = 15.0
"""A process that got no request for so long ends: its reader has left, or has read ahead."""
_LONGEST_HEAD = 4096
_LARGEST_ANSWER = 128 << 20


class H264Processes:
    """Makes parts as H.264 in a process of low priority. Threads may share it; a caller waits for its turn."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(MOST_PROCESSES)
        self._places = threading.Semaphore(MOST_PROCESSES + MOST_WAITING)
        self._lock = threading.Lock()
        self._idle: list[_H264Process] = []

    def describe(self, path: Path) -> tuple[str, bytes]:
        """Return (names of codecs, initialization segment) of a file. Raises MediaError."""
        head, data = self._ask({"path": str(path), "part": -1, "begins": 0})
        return str(head["codecs"]), data

    def make(self, path: Path, part: int, begins: float) -> bytes:
        """Return a part as a media segment. Raises MediaError."""
        return self._ask({"path": str(path), "part": part, "begins": begins})[1]

    def close(self) -> None:
        """End all processes that wait for requests."""
        with self._lock:
            ended, self._idle = self._idle, []
        for process in ended:
            process.end()

    def sweep(self) -> None:
        """End processes that got no request for IDLE_S."""
        limit = time.monotonic() - IDLE_S
        with self._lock:
            ended = [p for p in self._idle if p.used < limit]
            self._idle = [p for p in self._idle if p.used >= limit]
        for process in ended:
            process.end()

    def _ask(self, request: dict[str, object]) -> tuple[dict[str, object], bytes]:
        if not self._places.acquire(blocking=False):
            raise MediaError("player.h264_busy")
        try:
            if not self._free.acquire(timeout=ANSWER_S):
                raise MediaError("player.h264_busy")
            try:
                head, data = self._use_process(request)
            finally:
                self._free.release()
        finally:
            self._places.release()
        if "key" in head:
            raise MediaError(str(head["key"]), file=Path(str(request["path"])).name, detail=head.get("detail", ""))
        return head, data

    def _use_process(self, request: dict[str, object]) -> tuple[dict[str, object], bytes]:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        try:
            process = process or _H264Process()
            answer = process.ask(request)
        except (OSError, ValueError) as error:
            log.warning("h264: %s", error)
            if process is not None:
                process.kill()
            raise MediaError("clip.cannot_encode", detail=error) from error
        with self._lock:
            self._idle.append(process)
        return answer


class _H264Process:
    """One process of `h264_worker`."""

    def __init__(self) -> None:
        self.used = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "agent.inspection.h264_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def ask(self, request: dict[str, object]) -> tuple[dict[str, object], bytes]:
        """Send a request and read the answer. Raises OSError, ValueError."""
        assert self._process.stdin is not None
        until = time.monotonic() + ANSWER_S
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        head = b""
        while not head.endswith(b"\n"):
            if len(head) > _LONGEST_HEAD:
                raise ValueError("answer without a head")
            head += self._read(1, until)
        values = json.loads(head)
        size = int(values["bytes"])
        if not 0 <= size <= _LARGEST_ANSWER:
            raise ValueError(f"answer of {size} bytes")
        blocks = []
        while size > 0:
            blocks.append(self._read(min(size, 1 << 20), until))
            size -= len(blocks[-1])
        self.used = time.monotonic()
        return values, b"".join(blocks)

    def _read(self, size: int, until: float) -> bytes:
        assert self._process.stdout is not None
        waiting = select.poll()
        waiting.register(self._process.stdout, select.POLLIN | select.POLLHUP)
        if not waiting.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError(f"no answer in {ANSWER_S:.0f} s")
        data = self._process.stdout.read(size)
        if not data:
            raise OSError("the process ended")
        return data

    def end(self) -> None:
        """End it; it does so by itself when its input ends."""
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self.kill()
        else:
            assert self._process.stdout is not None
            self._process.stdout.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
