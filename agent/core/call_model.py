"""A call to a camera: the bureau asks a class for a sign of life, and somebody holds a code before the camera in time.

The code is made for the call: six digits, and a QR code with the call's ID and the digits. So a picture that shows it was
taken after the call, and no recording of before can hold it. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

CALL_LASTS = timedelta(minutes=3)
LATE_FOR = timedelta(minutes=10)
"""So long after its end a code is still looked for: shown late, it says that the stream is live after all."""
CallState = Literal["open", "answered", "late", "unanswered", "refused"]
CALL_STATES: tuple[CallState, ...] = ("open", "answered", "late", "unanswered", "refused")
CALL_ID = "^[0-9A-Z]{8}$"
CALL_CODE = "^[0-9]{6}$"
_TEXT = re.compile(r"SA1:([0-9A-Z]{8}):([0-9]{6})")


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call at a box. `qr`: rows of the QR code, `1` for a dark module; `state` answered: it was seen before `until`."""

    call_id: str
    code: str
    class_id: str
    date: str
    session: str
    since: datetime
    until: datetime
    qr: tuple[str, ...] = ()
    state: CallState = "open"

    @property
    def text(self) -> str:
        """Return what its QR code holds."""
        return build_call_text(self.call_id, self.code)


@dataclass(frozen=True, slots=True)
class CallSighting:
    """Where the code was seen: instant of the picture, camera, and the recorded file, whose path is relative to the drive."""

    at: datetime
    room_id: str
    camera_id: str
    drive_id: str
    path: str


def build_call_text(call_id: str, code: str) -> str:
    """Return the text of a call's QR code: 19 characters of QR's alphanumeric set, which fit into the smallest code."""
    return f"SA1:{call_id}:{code}"


def is_call_text(text: str) -> bool:
    """Return whether a text is that of a call, of whichever."""
    return _TEXT.fullmatch(text) is not None


def judge_sighting(seen_at: datetime, until: datetime) -> CallState:
    """Return what a code that was seen at an instant says."""
    return "answered" if seen_at <= until else "late"
