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

from agent import i18n
from agent.cameras import soap
from agent.cameras.device import DeviceDescription, list_services
from agent.cameras.profiles import find_audio_encoder, find_video_encoder, sort_main_first
from agent.cameras.session import OnvifSession
from agent.cameras.transport import Transport
from agent.cameras.xml_reader import Element, get_local_name
from agent.core.camera_models import Requirement
from agent.core.clock import Clock
from agent.core.errors import CameraError

_ENCODING_NAMES = {"h264": "H264", "h265": "H265"}


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """One value that differs. `apply` sets it; it raises CameraError if the camera refuses."""

    name: str
    before: str
    after: str
    apply: Callable[[], None]


def plan_changes(
    session: OnvifSession, transport: Transport, camera: DeviceDescription, require: Requirement, ntp: str = ""
) -> list[ParameterChange]:
    """Return the changes that would be made, in order.

    `ntp`: the time server to set. Raises CameraError if the camera cannot be asked.
    """
    media = _MediaService(session, transport)
    return [*media.changes(camera, require), *_plan_time_changes(session, camera, require, ntp)]


class _MediaService:
    """The encoder configurations of the main profile, by Media2 if the camera has it, else by Media."""

    def __init__(self, session: OnvifSession, transport: Transport) -> None:
        known = list_services(session, transport)
        self._session = session
        self._namespace = soap.MEDIA2 if soap.MEDIA2 in known else soap.MEDIA
        self._url = known.get(self._namespace) or session.url
        self._video, self._audio = self._ask_main_profile()

    def changes(self, camera: DeviceDescription, require: Requirement) -> Iterator[ParameterChange]:
        stream = camera.streams[0] if camera.streams else None
        if stream is None or self._video is None:
            return
        codec = stream.codec or "?"
        if require.codecs and codec not in require.codecs:
            wanted = self._choose_codec(require.codecs)
            yield self._make_change("codec", codec, wanted, lambda: self._set_codec(_ENCODING_NAMES[wanted]))
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
    def _make_change(what: str, before: str, after: str, apply: Callable[[], None]) -> ParameterChange:
        return ParameterChange(i18n.translate(f"cameras.parameter.{what}"), before, after, apply)

    def _ask_main_profile(self) -> tuple[Element | None, Element | None]:
        """Ask for the video and audio encoder configurations of the main stream's profile."""
        media2 = self._namespace == soap.MEDIA2
        texts = {"Type": "All"} if media2 else {}
        request = soap.build_plain_request(self._namespace, "GetProfiles", **texts)
        answer = self._session.send(request, f"{self._namespace}/GetProfiles", url=self._url)
        found = sort_main_first(p for p in answer if get_local_name(p) == "Profiles")
        return (find_video_encoder(found[0]), find_audio_encoder(found[0])) if found else (None, None)

    def _set_codec(self, encoding: str) -> None:
        _set_text(self._video, "Encoding", encoding)
        self._send("SetVideoEncoderConfiguration", self._video)

    def _set_keyframes(self, frames: int) -> None:
        video = self._video
        assert video is not None
        reported = list(soap.find_all_named(video, "GovLength"))
        for element in reported:
            element.text = str(frames)
        if self._namespace == soap.MEDIA2:
            video.set("GovLength", str(frames))
        elif not reported:
            raise CameraError("cameras.cannot_set", name=i18n.translate("cameras.parameter.keyframes"))
        self._send("SetVideoEncoderConfiguration", video)

    def _set_sound(self) -> None:
        _set_text(self._audio, "Encoding", "MP4A-LATM" if self._namespace == soap.MEDIA2 else "AAC")
        self._send("SetAudioEncoderConfiguration", self._audio)

    def _send(self, operation: str, configuration: Element) -> None:
        sent = copy.deepcopy(configuration)
        sent.tag = f"{{{self._namespace}}}Configuration"
        children = [sent]
        if self._namespace == soap.MEDIA:
            children.append(soap.build_element(self._namespace, "ForcePersistence", "true"))
        message = soap.build_plain_request(self._namespace, operation, *children)
        self._session.send(message, f"{self._namespace}/{operation}", url=self._url, empty=True)


def _plan_time_changes(
    session: OnvifSession, camera: DeviceDescription, require: Requirement, ntp: str
) -> Iterator[ParameterChange]:
    if ntp and ntp not in camera.ntp:
        name = i18n.translate("cameras.parameter.ntp")
        yield ParameterChange(name, ", ".join(camera.ntp) or "-", ntp, lambda: _set_ntp(session, ntp))
    if require.time_source == "ntp" and camera.time_source != "ntp" and (ntp or camera.ntp):
        name = i18n.translate("cameras.parameter.time_source")
        yield ParameterChange(name, camera.time_source or "?", "ntp", lambda: _set_time_source(session))


def _set_ntp(session: OnvifSession, server: str) -> None:
    try:
        ipaddress.IPv4Address(server)
        host = {"Type": "IPv4", "IPv4Address": server}
    except ValueError:
        host = {"Type": "DNS", "DNSname": server}
    message = soap.build_request(soap.DEVICE, "SetNTP", FromDHCP=False, NTPManual=[host])
    session.send(message, f"{soap.DEVICE}/SetNTP", empty=True)


def _set_time_source(session: OnvifSession) -> None:
    message = soap.build_request(soap.DEVICE, "SetSystemDateAndTime", DateTimeType="NTP", DaylightSavings=False)
    session.send(message, f"{soap.DEVICE}/SetSystemDateAndTime", empty=True)


def set_camera_clock(session: OnvifSession, clock: Clock) -> None:
    """Set the camera's clock to the box's time, once (DateTimeType Manual); its time zone stays. Raises CameraError."""
    session.read_clock()
    now = clock.now().astimezone(UTC)
    moment = {
        "Time": {"Hour": now.hour, "Minute": now.minute, "Second": now.second},
        "Date": {"Year": now.year, "Month": now.month, "Day": now.day},
    }
    message = soap.build_request(
        soap.DEVICE, "SetSystemDateAndTime", DateTimeType="Manual", DaylightSavings=False, UTCDateTime=moment
    )
    session.send(message, f"{soap.DEVICE}/SetSystemDateAndTime", empty=True)


def _set_text(parent: Element | None, name: str, value: str) -> None:
    found = soap.find_child(parent, name)
    if found is None:
        raise CameraError("cameras.cannot_set", name=name)
    found.text = value
