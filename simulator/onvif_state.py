"""The state of a virtual ONVIF device, and its XML (ONVIF device and Media 1 services)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from xml.sax.saxutils import escape

NAMESPACES = {
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tt": "http://www.onvif.org/ver10/schema",
    "ter": "http://www.onvif.org/ver10/error",
}


@dataclass
class VideoEncoder:
    """One video encoder configuration; `encoding` is H264, H265 or JPEG, `bit_rate` in kbit/s, `gop` in frames."""

    token: str
    encoding: str = "H264"
    width: int = 1280
    height: int = 720
    fps: int = 25
    bit_rate: int = 2048
    gop: int = 50
    quality: float = 4.0

    def xml(self, element: str) -> str:
        codec = f"<tt:H264>{make_tag('GovLength', self.gop)}{make_tag('H264Profile', 'Main')}</tt:H264>"
        return (
            f'<{element} token="{self.token}">{make_tag("Name", self.token)}{make_tag("UseCount", 1)}'
            f"{make_tag('Encoding', self.encoding)}<tt:Resolution>{make_tag('Width', self.width)}"
            f"{make_tag('Height', self.height)}</tt:Resolution>{make_tag('Quality', self.quality)}<tt:RateControl>"
            f"{make_tag('FrameRateLimit', self.fps)}{make_tag('EncodingInterval', 1)}{make_tag('BitrateLimit', self.bit_rate)}"
            f"</tt:RateControl>{codec}{_MULTICAST}</{element}>"
        )


@dataclass
class AudioEncoder:
    """One audio encoder configuration; `encoding` is G711, AAC or G726, rates in kbit/s and kHz."""

    token: str
    encoding: str = "AAC"
    bit_rate: int = 32
    sample_rate: int = 16

    def xml(self, element: str) -> str:
        return (
            f'<{element} token="{self.token}">{make_tag("Name", self.token)}{make_tag("UseCount", 1)}'
            f"{make_tag('Encoding', self.encoding)}{make_tag('Bitrate', self.bit_rate)}"
            f"{make_tag('SampleRate', self.sample_rate)}{_MULTICAST}</{element}>"
        )


@dataclass
class DeviceState:
    """Identity, clock source and configurations of a device; a changed field appears in the next reply."""

    manufacturer: str = "Example"
    model: str = "VC-1"
    firmware: str = "1.0.0"
    serial: str = "VC0001"
    hardware: str = "VC-HW"
    name: str = "camera"
    location: str = "classroom"
    mac: str = "02:00:00:00:00:01"
    endpoint: str = field(default_factory=lambda: f"urn:uuid:{uuid.uuid4()}")
    time_zone: str = "CST-8"
    time_type: str = "NTP"
    ntp: list[str] = field(default_factory=lambda: ["192.0.2.123"])
    ntp_from_dhcp: bool = False
    video: list[VideoEncoder] = field(default_factory=lambda: [VideoEncoder("main"), VideoEncoder("sub")])
    audio: list[AudioEncoder] = field(default_factory=lambda: [AudioEncoder("audio")])
    resolutions: list[tuple[int, int]] = field(default_factory=lambda: [(1920, 1080), (1280, 720), (640, 360)])

    def scopes(self) -> list[str]:
        pairs = {"name": f"{self.manufacturer} {self.name}", "hardware": self.model, "location": self.location}
        base = "onvif://www.onvif.org/"
        scopes = [f"{base}type/video_encoder", f"{base}type/Network_Video_Transmitter", f"{base}Profile/Streaming"]
        return scopes + [f"{base}{key}/{value.replace(' ', '%20')}" for key, value in pairs.items()]

    def information(self) -> str:
        pairs = [("Manufacturer", self.manufacturer), ("Model", self.model), ("FirmwareVersion", self.firmware)]
        pairs += [("SerialNumber", self.serial), ("HardwareId", self.hardware)]
        return "".join(make_tag(name, value, "tds") for name, value in pairs)

    def profiles(self) -> str:
        """Return the XML of one profile for each video encoder (`profile_main`, `profile_sub`)."""
        return "".join(self._profile(encoder) for encoder in self.video)

    def _profile(self, encoder: VideoEncoder) -> str:
        source = self.video[0]
        video_source = (
            '<tt:VideoSourceConfiguration token="video_source_config"><tt:Name>source</tt:Name>'
            "<tt:UseCount>2</tt:UseCount><tt:SourceToken>video_source</tt:SourceToken>"
            f'<tt:Bounds x="0" y="0" width="{source.width}" height="{source.height}"/></tt:VideoSourceConfiguration>'
        )
        audio_source = (
            '<tt:AudioSourceConfiguration token="audio_source_config"><tt:Name>source</tt:Name>'
            "<tt:UseCount>2</tt:UseCount><tt:SourceToken>audio_source</tt:SourceToken></tt:AudioSourceConfiguration>"
        )
        audio = "".join(a.xml("tt:AudioEncoderConfiguration") for a in self.audio[:1])
        return (
            f'<trt:Profiles token="profile_{encoder.token}" fixed="true">{make_tag("Name", encoder.token)}'
            f"{video_source}{audio_source if audio else ''}{encoder.xml('tt:VideoEncoderConfiguration')}{audio}</trt:Profiles>"
        )

    def date_and_time(self, now: datetime) -> str:
        """Return the XML of the time; `now` is the device's own clock, UTC."""
        moment = (
            f"<tt:Time>{make_tag('Hour', now.hour)}{make_tag('Minute', now.minute)}{make_tag('Second', now.second)}</tt:Time>"
            f"<tt:Date>{make_tag('Year', now.year)}{make_tag('Month', now.month)}{make_tag('Day', now.day)}</tt:Date>"
        )
        return (
            f"<tds:SystemDateAndTime>{make_tag('DateTimeType', self.time_type)}{make_tag('DaylightSavings', 'false')}"
            f"<tt:TimeZone>{make_tag('TZ', self.time_zone)}</tt:TimeZone><tt:UTCDateTime>{moment}</tt:UTCDateTime>"
            "</tds:SystemDateAndTime>"
        )

    def ntp_information(self) -> str:
        kind = "NTPFromDHCP" if self.ntp_from_dhcp else "NTPManual"
        servers = "".join(f"<tt:{kind}>{_build_host(server)}</tt:{kind}>" for server in self.ntp)
        return (
            f"<tds:NTPInformation>{make_tag('FromDHCP', str(self.ntp_from_dhcp).lower())}{servers}</tds:NTPInformation>"
        )

    def network_interfaces(self, address: str) -> str:
        return (
            '<tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled><tt:Info><tt:Name>eth0</tt:Name>'
            f"{make_tag('HwAddress', self.mac)}</tt:Info><tt:IPv4><tt:Enabled>true</tt:Enabled><tt:Config><tt:Manual>"
            f"{make_tag('Address', address)}{make_tag('PrefixLength', 24)}</tt:Manual><tt:DHCP>false</tt:DHCP></tt:Config>"
            "</tt:IPv4></tds:NetworkInterfaces>"
        )

    def video_options(self) -> str:
        sizes = "".join(
            f"<tt:ResolutionsAvailable>{make_tag('Width', w)}{make_tag('Height', h)}</tt:ResolutionsAvailable>"
            for w, h in self.resolutions
        )
        return (
            f"<trt:Options>{_build_range('QualityRange', 1, 6)}<tt:H264>{sizes}{_build_range('GovLengthRange', 1, 250)}"
            f"{_build_range('FrameRateRange', 1, 30)}{_build_range('EncodingIntervalRange', 1, 1)}"
            f"{make_tag('H264ProfilesSupported', 'Main')}</tt:H264></trt:Options>"
        )

    def audio_options(self) -> str:
        rows = {"G711": ([64], [8]), "AAC": ([32, 64], [16, 48])}
        return "<trt:Options>{}</trt:Options>".format(
            "".join(
                f"<tt:Options>{make_tag('Encoding', name)}<tt:BitrateList>{_build_items(bits)}</tt:BitrateList>"
                f"<tt:SampleRateList>{_build_items(rates)}</tt:SampleRateList></tt:Options>"
                for name, (bits, rates) in rows.items()
            )
        )


def make_tag(name: str, value: object, prefix: str = "tt") -> str:
    return f"<{prefix}:{name}>{escape(str(value))}</{prefix}:{name}>"


def _build_items(values: Iterable[int]) -> str:
    return "".join(make_tag("Items", value) for value in values)


def _build_range(name: str, low: int, high: int) -> str:
    return f"<tt:{name}>{make_tag('Min', low)}{make_tag('Max', high)}</tt:{name}>"


def _build_host(server: str) -> str:
    if server.replace(".", "").isdigit():
        return f"{make_tag('Type', 'IPv4')}{make_tag('IPv4Address', server)}"
    return f"{make_tag('Type', 'DNS')}{make_tag('DNSname', server)}"


_MULTICAST = (
    "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
    "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
    "<tt:SessionTimeout>PT60S</tt:SessionTimeout>"
)
