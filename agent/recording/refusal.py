"""Why a stream cannot be had, in the project's own errors: by what the network says, and by the status of a reply."""

from __future__ import annotations

import re

from agent import shortage
from agent.errors import CameraDenied, CameraError, CameraUnreachable, SiteAgentError
from agent.recording.rtsp import Message

_KEYS = {404: "recording.no_path", 453: "recording.busy", 503: "recording.busy", 461: "recording.only_udp"}


def unreachable(url: str, error: Exception) -> SiteAgentError:
    """Nothing was connected, by a fault of the network; or of this box, which has no handle left for it."""
    if found := shortage.of(error):
        return found
    detail = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return CameraUnreachable("recording.unreachable", url=url, detail=detail)


def refusal(reply: Message, url: str) -> CameraError:
    """What a status other than 2xx, 3xx and 401 says."""
    status = reply.status
    if status == 403:
        return CameraDenied("recording.forbidden", url=url)
    if key := _KEYS.get(status):
        return CameraUnreachable(key, url=url)
    reason = clean(reply.start.partition(str(status))[2])
    return CameraUnreachable("recording.answers", url=url, answer=f"{status} {reason}".strip())


def clean(text: str) -> str:
    """What a camera says, fit for a line of a log."""
    return re.sub(r"[^\x20-\x7e]+", " ", text).strip()[:60]
