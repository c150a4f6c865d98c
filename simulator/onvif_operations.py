"""The operations of a virtual ONVIF device: device service and Media 1, over one state."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from simulator.onvif_state import NAMESPACES, AudioEncoder, DeviceState, VideoEncoder, make_tag
from simulator.personality import Personality

Encoder = TypeVar("Encoder", VideoEncoder, AudioEncoder)


class SimulatedSoapFault(Exception):
    """A SOAP fault: HTTP status, subcode (ter:…) and reason."""

    def __init__(self, status: int, subcode: str, reason: str, challenge: bool = False) -> None:
        super().__init__(reason)
        self.status, self.subcode, self.challenge = status, subcode, challenge


class Operations:
    """The operations of a device; each `_do_…` returns the content of one response element.

    `streams` maps profile tokens to the URI that is reported for them; `changes` lists the operations that set something.
    """

    address: str
    port: int

    def __init__(
        self, state: DeviceState, personality: Personality, streams: Mapping[str, Callable[[], str]] | None
    ) -> None:
        self.state, self.personality = state, personality
        self.streams = dict(streams or {})
        self.changes: list[str] = []

    @property
    def host(self) -> str:
        """The host:port that the device reports as its own."""
        return self.personality.xaddr_host or f"{self.address}:{self.port}"

    def xaddr(self, service: str = "device") -> str:
        """Return the address of a service."""
        return f"http://{self.host}/onvif/{service}_service"

    def now(self) -> datetime:
        """Return the time of the device's own clock."""
        return datetime.now(UTC) + self.personality.clock_offset

    def answer(self, operation: str, request: ET.Element) -> str:
        """Return the content of the response element. Raises Fault. Override to add or change operations."""
        handler: Callable[[ET.Element], str] | None = getattr(self, f"_do_{_to_snake_case(operation)}", None)
        if handler is None:
            raise SimulatedSoapFault(400, "ter:ActionNotSupported", f"{operation} is not supported")
        if operation.startswith("Set"):
            self.changes.append(operation)
        return handler(request)

    def _do_get_system_date_and_time(self, request: ET.Element) -> str:
        return self.state.date_and_time(self.now())

    def _do_set_system_date_and_time(self, request: ET.Element) -> str:
        self.state.time_type = _read_text(request, "DateTimeType") or self.state.time_type
        self.state.time_zone = _read_text(request, "TZ") or self.state.time_zone
        moment = request.find(".//{*}UTCDateTime")
        if moment is not None and self.state.time_type == "Manual":
            parts = [int(_read_text(moment, n) or 0) for n in ("Year", "Month", "Day", "Hour", "Minute", "Second")]
            given = datetime(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], tzinfo=UTC)
            self.personality.clock_offset = given - datetime.now(UTC)
        return ""

    def _do_get_device_information(self, request: ET.Element) -> str:
        return self.state.information()

    def _do_get_hostname(self, request: ET.Element) -> str:
        return (
            f"<tds:HostnameInformation>{make_tag('FromDHCP', 'false')}{make_tag('Name', self.state.name)}"
            "</tds:HostnameInformation>"
        )

    def _do_get_scopes(self, request: ET.Element) -> str:
        return "".join(
            f"<tds:Scopes>{make_tag('ScopeDef', 'Fixed')}{make_tag('ScopeItem', s)}</tds:Scopes>"
            for s in self.state.scopes()
        )

    def _do_get_services(self, request: ET.Element) -> str:
        return "".join(
            f"<tds:Service>{make_tag('Namespace', NAMESPACES[prefix], 'tds')}{make_tag('XAddr', self.xaddr(name), 'tds')}"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>5</tt:Minor></tds:Version></tds:Service>"
            for name, prefix in (("device", "tds"), ("media", "trt"))
        )

    def _do_get_capabilities(self, request: ET.Element) -> str:
        streaming = "<tt:StreamingCapabilities>{}</tt:StreamingCapabilities>".format(
            make_tag("RTPMulticast", "false") + make_tag("RTP_TCP", "true") + make_tag("RTP_RTSP_TCP", "true")
        )
        return (
            f"<tds:Capabilities><tt:Device>{make_tag('XAddr', self.xaddr())}</tt:Device>"
            f"<tt:Media>{make_tag('XAddr', self.xaddr('media'))}{streaming}</tt:Media></tds:Capabilities>"
        )

    def _do_get_network_interfaces(self, request: ET.Element) -> str:
        return self.state.network_interfaces(self.address)

    def _do_get_ntp(self, request: ET.Element) -> str:
        return self.state.ntp_information()

    def _do_set_ntp(self, request: ET.Element) -> str:
        self.state.ntp_from_dhcp = _read_text(request, "FromDHCP") == "true"
        names = ("IPv4Address", "DNSname")
        found = [e.text or "" for e in request.iter() if e.tag.rpartition("}")[2] in names]
        self.state.ntp = found or self.state.ntp
        return ""

    def _do_get_profiles(self, request: ET.Element) -> str:
        return self.state.profiles()

    def _do_get_stream_uri(self, request: ET.Element) -> str:
        uri = self.streams.get(_read_text(request, "ProfileToken"))
        if uri is None:
            raise SimulatedSoapFault(400, "ter:NoProfile", "Profile does not exist")
        text, host = uri(), self.personality.stream_host
        if host:
            text = re.sub(r"^rtsp://[^/]+", f"rtsp://{host}", text)
        return _build_media_uri(text)

    def _do_get_snapshot_uri(self, request: ET.Element) -> str:
        return _build_media_uri(f"http://{self.host}/snapshot.jpg")

    def _do_get_video_encoder_configurations(self, request: ET.Element) -> str:
        return "".join(v.xml("trt:Configurations") for v in self.state.video)

    def _do_get_video_encoder_configuration(self, request: ET.Element) -> str:
        return self._configuration(self.state.video, _read_text(request, "ConfigurationToken")).xml("trt:Configuration")

    def _do_get_video_encoder_configuration_options(self, request: ET.Element) -> str:
        return self.state.video_options()

    def _do_set_video_encoder_configuration(self, request: ET.Element) -> str:
        given = request.find("{*}Configuration")
        if given is None:
            raise SimulatedSoapFault(400, "ter:InvalidArgVal", "No configuration")
        video = self._configuration(self.state.video, given.get("token", ""))
        size = int(_read_text(given, "Width") or video.width), int(_read_text(given, "Height") or video.height)
        if size not in [*self.state.resolutions, (video.width, video.height)]:
            raise SimulatedSoapFault(400, "ter:ConfigModify", "Resolution not supported")
        video.width, video.height = size
        video.encoding = _read_text(given, "Encoding") or video.encoding
        video.fps = int(_read_text(given, "FrameRateLimit") or video.fps)
        video.bit_rate = int(_read_text(given, "BitrateLimit") or video.bit_rate)
        video.gop = int(_read_text(given, "GovLength") or video.gop)
        return ""

    def _do_get_audio_encoder_configurations(self, request: ET.Element) -> str:
        return "".join(a.xml("trt:Configurations") for a in self.state.audio)

    def _do_get_audio_encoder_configuration(self, request: ET.Element) -> str:
        return self._configuration(self.state.audio, _read_text(request, "ConfigurationToken")).xml("trt:Configuration")

    def _do_get_audio_encoder_configuration_options(self, request: ET.Element) -> str:
        return self.state.audio_options()

    def _do_set_audio_encoder_configuration(self, request: ET.Element) -> str:
        given = request.find("{*}Configuration")
        if given is None:
            raise SimulatedSoapFault(400, "ter:InvalidArgVal", "No configuration")
        audio = self._configuration(self.state.audio, given.get("token", ""))
        audio.encoding = _read_text(given, "Encoding") or audio.encoding
        audio.bit_rate = int(_read_text(given, "Bitrate") or audio.bit_rate)
        audio.sample_rate = int(_read_text(given, "SampleRate") or audio.sample_rate)
        return ""

    @staticmethod
    def _configuration(known: Sequence[Encoder], token: str) -> Encoder:
        found = next((c for c in known if c.token == token), None)
        if found is None:
            raise SimulatedSoapFault(400, "ter:NoConfig", "Configuration does not exist")
        return found


def _to_snake_case(operation: str) -> str:
    """GetStreamUri, GetNTP: get_stream_uri, get_ntp."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def _read_text(element: ET.Element, name: str) -> str:
    found = element.find(f".//{{*}}{name}")
    return (found.text or "").strip() if found is not None else ""


def _build_media_uri(uri: str) -> str:
    flags = (
        make_tag("InvalidAfterConnect", "false")
        + make_tag("InvalidAfterReboot", "false")
        + make_tag("Timeout", "PT60S")
    )
    return f"<trt:MediaUri>{make_tag('Uri', uri)}{flags}</trt:MediaUri>"
