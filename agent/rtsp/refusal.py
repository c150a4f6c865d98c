"""Turns what went wrong with a stream into the project's errors: faults of the network, and statuses of replies."""

from __future__ import annotations

import re

from agent.core import shortage
from agent.core.errors import CameraDenied, CameraError, CameraUnreachable, SiteAgentError
from agent.rtsp.message import RtspMessage

UNREACHABLE = "recording.unreachable"
_KEYS = {
    404: "recording.no_path",
    453: "recording.too_many",
    461: "recording.only_udp",
    503: "recording.not_ready",
}


def build_unreachable_error(url: str, error: Exception) -> SiteAgentError:
    """Return the error of a connection that failed: a fault of the network, or no file handles left on this box."""
    if found := shortage.find_shortage(error):
        return found
    detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return CameraUnreachable(UNREACHABLE, url=url, detail=detail)


def build_refusal_error(reply: RtspMessage, url: str) -> CameraError:
    """Return the error that a status other than 2xx, 3xx and 401 stands for."""
    status = reply.status
    if status == 403:
        return CameraDenied("recording.forbidden", url=url)
    if key := _KEYS.get(status):
        return CameraUnreachable(key, url=url)
    reason = sanitize_camera_text(reply.start.partition(str(status))[2])
    return CameraUnreachable("recording.answers", url=url, answer=f"{status} {reason}".strip())


def build_redirect_error(location: str, url: str) -> CameraError:
    """Return the error of a redirect that is not followed."""
    host = sanitize_camera_text(location.partition("://")[2].partition("/")[0].rpartition("@")[2])
    return CameraUnreachable("recording.redirect", url=url, host=host or "—")


def sanitize_camera_text(text: str) -> str:
    """Return text of a camera fit for a line of a log: printable ASCII, 60 characters at most."""
    return re.sub(r"[^\x20-\x7e]+", " ", text)[:60].strip()
