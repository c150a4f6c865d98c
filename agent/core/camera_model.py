"""Values of a camera: its identity, its streams and the verdict on it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Verdict(StrEnum):
    ADMITTED = "admitted"
    FAULTY = "faulty"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"

    @property
    def recordable(self) -> bool:
        return self in (Verdict.ADMITTED, Verdict.FAULTY)


@dataclass(frozen=True, slots=True)
class Stream:
    """One media profile. `uri` never carries credentials; `codec` is h264, h265, jpeg …; `audio` None: no sound."""

    name: str
    uri: str
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    keyframe_interval: int | None = None
    bitrate_kbps: int | None = None
    audio: str | None = None


@dataclass(frozen=True, slots=True)
class Camera:
    """What is known of one camera. `serial` and names come from the wire: data, never a topic or a path.

    `url` is the device service that reported its identity, `checked_at` when model and serial were last read there
    and agreed with this row, `connected_at` when the recorder began its current or last connection. `accepted` is the
    identity that was accepted under this name; `judged` the last verdict other than unreachable; `successor` the ID
    of another camera that answers in its place now. `signs`: this unit has sent pictures with ONVIF media signing.
    """

    camera_id: str
    address: str
    endpoint: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    hardware_id: str = ""
    verdict: Verdict = Verdict.UNREACHABLE
    reasons: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()
    clock_offset_s: float | None = None
    up: bool = False
    url: str = ""
    accepted: str = ""
    judged: Verdict = Verdict.UNREACHABLE
    successor: str = ""
    checked_at: datetime | None = None
    connected_at: datetime | None = None
    signs: bool = False

    @property
    def identity(self) -> str:
        """The serial; where it is empty, the hardware ID."""
        return self.serial or self.hardware_id

    @property
    def recordable(self) -> bool:
        """Whether its stream may be recorded: also where ONVIF is silent, unless another unit answers in its place."""
        verdict = self.judged if self.verdict is Verdict.UNREACHABLE else self.verdict
        return verdict.recordable and not self.successor

    @property
    def exchanged(self) -> bool:
        """Whether another unit than the accepted one stands under this name."""
        return bool(self.accepted) and self.accepted != self.identity

    @property
    def unverified_since(self) -> datetime | None:
        """The last check of the identity, where it was not read on the connection being recorded; else None."""
        if not self.up or self.connected_at is None:
            return None
        if self.checked_at is None:
            return self.connected_at
        return self.checked_at if self.checked_at < self.connected_at else None

    @property
    def main_stream(self) -> Stream | None:
        return self.streams[0] if self.streams else None


class UnitCheck(StrEnum):
    """Result of asking for a camera's identity: its own unit, another one, or no answer."""

    SAME = "same"
    OTHER = "other"
    SILENT = "silent"
