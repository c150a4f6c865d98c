"""Setting parameters that differ from the bureau's requirements: codec, key-frame interval, sound, time source.

Nothing is changed that was not shown first. A configuration is sent back as the camera reported it, with only the named
values replaced, so that a manufacturer's own extensions are kept.
"""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC

from agent import words
from agent.cameras import soap
from agent.cameras.admission import Requirement
from agent.cameras.device import Description, services
from agent.cameras.markup import Element, local
from agent.cameras.profiles import audio_of, main_first, video_of
from agent.cameras.session import Session
from agent.cameras.transport import Transport
from agent.clock import Clock
from agent.errors import CameraError

_NAMES = {"h264": "H264", "h265": "H265"}


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. `apply` sets it; it raises CameraError if the camera refuses."""

    name: str
    before: str
    after: str
    apply: Callable[[], None]


def plan(
    session: Session, transport: Transport, camera: Description, require: Requirement, ntp: str = ""
) -> list[Change]:
    """Return the changes that would be made, in order.

    `ntp`: the time server to set. Raises CameraError if the camera cannot be asked.
    """
    media = _Media(session, transport)
    return [*media.changes(camera, require), *_time_changes(session, camera, require, ntp)]


class _Media:
    """The encoder configurations of the main profile, by Media2 if the camera has it, else by Media."""

    def __init__(self, session: Session, transport: Transport) -> None:
        known = services(session, transport)
        self._session = session
        self._namespace = soap.MEDIA2 if soap.MEDIA2 in known else soap.MEDIA
        self._url = known.get(self._namespace) or session.url
        self._video, self._audio = self._ask_main_profile()

    def changes(self, camera: Description, require: Requirement) -> Iterator[Change]:
        stream = camera.streams[0] if camera.streams else None
        if stream is None or self._video is None:
            return
        codec = stream.codec or "?"
        if require.codecs and codec not in require.codecs:
            wanted = self._choose_codec(require.codecs)
            yield self._make_change("codec", codec, wanted, lambda: self._set_codec(_NAMES[wanted]))
        longest = require.keyframe_interval_s
        if longest and stream.fps and (stream.keyframe_interval or 1 << 30) > longest * stream.fps * 1.05:
            frames = max(1, int(longest * stream.fps))
            before = f"{stream.keyframe_interval / stream.fps:g} s" if stream.keyframe_interval else "?"
            yield self._make_change(
                "keyframes", before, f"{frames / stream.fps:g} s", lambda: self._set_keyframes(frames)
            )
        sound = require.audio_codecs and stream.audio not in require.audio_codecs
        if sound and "aac" in require.audio_codecs and self._audio is not None:
            yield self._make_change("audio", stream.audio or "?", "aac", self._set_sound)

    def _choose_codec(self, allowed: tuple[str, ...]) -> str:
        """Choose the codec to set; Media cannot express H.265."""
        return "h264" if "h264" in allowed or self._namespace == soap.MEDIA else allowed[0]

    @staticmethod
    def _make_change(what: str, before: str, after: str, apply: Callable[[], None]) -> Change:
        return Change(words.text(f"cameras.parameter.{what}"), before, after, apply)

    def _ask_main_profile(self) -> tuple[Element | None, Element | None]:
        """Ask for the video and audio encoder configurations of the main stream's profile."""
        media2 = self._namespace == soap.MEDIA2
        texts = {"Type": "All"} if media2 else {}
        request = soap.plain_request(self._namespace, "GetProfiles", **texts)
        answer = self._session.send(request, f"{self._namespace}/GetProfiles", url=self._url)
        found = main_first(p for p in answer if local(p) == "Profiles")
        return (video_of(found[0]), audio_of(found[0])) if found else (None, None)

    def _set_codec(self, encoding: str) -> None:
        _put(self._video, "Encoding", encoding)
        self._send("SetVideoEncoderConfiguration", self._video)

    def _set_keyframes(self, frames: int) -> None:
        video = self._video
        assert video is not None
        told = list(soap.everywhere(video, "GovLength"))
        for element in told:
            element.text = str(frames)
        if self._namespace == soap.MEDIA2:
            video.set("GovLength", str(frames))
        elif not told:
            raise CameraError("cameras.cannot_set", name=words.text("cameras.parameter.keyframes"))
        self._send("SetVideoEncoderConfiguration", video)

    def _set_sound(self) -> None:
        _put(self._audio, "Encoding", "MP4A-LATM" if self._namespace == soap.MEDIA2 else "AAC")
        self._send("SetAudioEncoderConfiguration", self._audio)

    def _send(self, operation: str, configuration: Element) -> None:
        told = copy.deepcopy(configuration)
        told.tag = f"{{{self._namespace}}}Configuration"
        children = [told]
        if self._namespace == soap.MEDIA:
            children.append(soap.element(self._namespace, "ForcePersistence", "true"))
        message = soap.plain_request(self._namespace, operation, *children)
        self._session.send(message, f"{self._namespace}/{operation}", url=self._url, empty=True)


def _time_changes(session: Session, camera: Description, require: Requirement, ntp: str) -> Iterator[Change]:
    if ntp and ntp not in camera.ntp:
        name = words.text("cameras.parameter.ntp")
        yield Change(name, ", ".join(camera.ntp) or "-", ntp, lambda: _set_ntp(session, ntp))
    if require.time_source == "ntp" and camera.time_source != "ntp" and (ntp or camera.ntp):
        name = words.text("cameras.parameter.time_source")
        yield Change(name, camera.time_source or "?", "ntp", lambda: _set_time_source(session))


def _set_ntp(session: Session, server: str) -> None:
    try:
        ipaddress.IPv4Address(server)
        host = {"Type": "IPv4", "IPv4Address": server}
    except ValueError:
        host = {"Type": "DNS", "DNSname": server}
    message = soap.request(soap.DEVICE, "SetNTP", FromDHCP=False, NTPManual=[host])
    session.send(message, f"{soap.DEVICE}/SetNTP", empty=True)


def _set_time_source(session: Session) -> None:
    message = soap.request(soap.DEVICE, "SetSystemDateAndTime", DateTimeType="NTP", DaylightSavings=False)
    session.send(message, f"{soap.DEVICE}/SetSystemDateAndTime", empty=True)


def set_clock(session: Session, clock: Clock) -> None:
    """Set the camera's clock to the box's time, once (DateTimeType Manual); its time zone stays. Raises CameraError."""
    session.read_clock()
    now = clock.now().astimezone(UTC)
    moment = {
        "Time": {"Hour": now.hour, "Minute": now.minute, "Second": now.second},
        "Date": {"Year": now.year, "Month": now.month, "Day": now.day},
    }
    message = soap.request(
        soap.DEVICE, "SetSystemDateAndTime", DateTimeType="Manual", DaylightSavings=False, UTCDateTime=moment
    )
    session.send(message, f"{soap.DEVICE}/SetSystemDateAndTime", empty=True)


def _put(parent: Element | None, name: str, value: str) -> None:
    found = soap.child(parent, name)
    if found is None:
        raise CameraError("cameras.cannot_set", name=name)
    found.text = value
