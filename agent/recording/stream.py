"""Opens the stream of a camera within the attempts that its password allows."""

from __future__ import annotations

import threading

from agent.core.errors import CameraDenied
from agent.credentials.attempts import AttemptBudget
from agent.recording.options import StreamSource
from agent.rtsp.connection import RtspConnection
from agent.rtsp.target import StreamTarget


def connect(
    source: StreamSource, timeout: float, budget: AttemptBudget, nap: float = 0.0, stop: threading.Event | None = None
) -> RtspConnection:
    """Open a stream. A wrong password counts against the camera's budget, which its web services share.

    Raises as RtspConnection does, and CameraDenied where the password may not be tried now.
    """
    target = StreamTarget(source.url, source.username, source.password, source.allow_basic)
    if not source.username:
        return RtspConnection(target, timeout, nap, stop)
    with budget.attempt("rtsp", source.names or (source.host,), source) as attempt:
        try:
            stream = RtspConnection(target, timeout, nap, stop)
        except CameraDenied as error:
            if error.key == "recording.denied":
                attempt.wrong()
            raise
        attempt.right()
        return stream
