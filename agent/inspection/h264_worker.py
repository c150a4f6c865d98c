"""The process that makes H.264 of H.265 for the player: requests on its input, answers on its output.

It runs only while nobody else wants the processor or the disk, and ends when its input ends.

A request is one line of JSON: `path` of the file, `part` (-1: describe the file), `begins`. The answer is one line of JSON with
`bytes`, and for a description `codecs`, or `key` and `detail` of an error; then so many bytes.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from agent.core.errors import MediaError
from agent.inspection import h264_parts

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_PROCESS, _IOPRIO_IDLE = 1, 3 << 13


def main() -> None:
    """Answer requests until the input ends."""
    lower_priority()
    answer_requests(sys.stdin.buffer, sys.stdout.buffer)


def lower_priority() -> None:
    """Give way to every other process: SCHED_IDLE, nice 19, the idle class of the disk's queue."""
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None, use_errno=True).syscall(number, _IOPRIO_PROCESS, 0, _IOPRIO_IDLE)


def answer_requests(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer each line of `requests`."""
    for line in requests:
        head, data = _answer(json.loads(line))
        answers.write(json.dumps({**head, "bytes": len(data)}).encode() + b"\n" + data)
        answers.flush()


def _answer(request: dict[str, object]) -> tuple[dict[str, object], bytes]:
    path, part, begins = Path(str(request["path"])), int(str(request["part"])), float(str(request["begins"]))
    try:
        file = h264_parts.open_source(path, path.stat().st_mtime_ns)
        if part < 0:
            made = h264_parts.describe_as_h264(file)
            return {"codecs": made.codecs}, made.initialization
        return {}, h264_parts.encode_part(file, part, begins)
    except MediaError as error:
        return {"key": error.key, "detail": str(error.params.get("detail", ""))}, b""
    except OSError as error:
        return {"key": "media.unreadable", "detail": error.strerror or "?"}, b""


if __name__ == "__main__":
    main()
