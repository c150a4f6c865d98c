"""What one camera says of itself: identity, streams, encoder parameters, time source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent.cameras import soap
from agent.cameras.networks import with_host
from agent.cameras.session import CameraClock, Session
from agent.cameras.soap import Element
from agent.cameras.transport import Transport
from agent.errors import CameraDenied, CameraError, CameraUnreachable
from agent.model import Stream

_CODECS = {"H264": "h264", "H265": "h265", "HEVC": "h265", "JPEG": "jpeg", "MPEG4": "mpeg4", "MPV4-ES": "mpeg4"}
_SOUND = {
    "AAC": "aac", "MP4A-LATM": "aac", "MPEG4-GENERIC": "aac", "G711": "g711", "PCMU": "g711", "PCMA": "g711", "G726": "g726",
}  # fmt: skip
_NOT_RECORDED = ("jpeg", "mpeg4")
_PROFILE_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Description:
    """A camera's own words, cleaned. `url` is the device service that answered; `time_source` is ntp or manual; None is
    what it does not tell. `stream_problem` says why there are no streams."""

    url: str
    address: str
    manufacturer: str
    model: str
    firmware: str
    serial: str
    hardware_id: str
    streams: tuple[Stream, ...] = ()
    clock: CameraClock | None = None
    time_source: str | None = None
    ntp: tuple[str, ...] = ()
    stream_problem: str = ""

    @property
    def identity(self) -> str:
        """The serial; where it is empty, the hardware ID."""
        return self.serial or self.hardware_id


def describe(session: Session, transport: Transport) -> Description:
    """Ask everything that admission needs. Raises CameraUnreachable, CameraDenied, CameraError where the identity cannot be
    had; what is missing beyond that is left out and judged later."""
    description, told = identify(session)
    time_source = _time_source(session, told)
    try:
        streams = read_streams(session, transport)
        problem = ""
    except CameraError as error:
        streams, problem = (), str(error)
    return replace(description, time_source=time_source, streams=streams, ntp=_ntp(session), stream_problem=problem)


def identify(session: Session) -> tuple[Description, Element | None]:
    """Ask for maker, model and serial alone; with them SystemDateAndTime where it was told. Raises as `describe`."""
    told = session.read_clock()
    found = session.call(soap.DEVICE, "GetDeviceInformation")
    description = Description(
        url=session.url,
        address=urlsplit(session.url).netloc,
        manufacturer=soap.text(found, "Manufacturer", limit=64),
        model=soap.text(found, "Model", limit=64),
        firmware=soap.text(found, "FirmwareVersion", limit=64),
        serial=soap.text(found, "SerialNumber", limit=64),
        hardware_id=soap.text(found, "HardwareId", limit=64),
        clock=session.camera_clock,
    )
    return description, told


def services(session: Session, transport: Transport) -> dict[str, str]:
    """Namespace to address of the camera's services, each brought inside the camera networks."""
    found: dict[str, str] = {}
    try:
        answer = session.call(soap.DEVICE, "GetServices", IncludeCapability=False)
        for service in soap.everywhere(answer, "Service"):
            found[soap.text(service, "Namespace")] = soap.text(service, "XAddr", limit=512)
    except CameraUnreachable:
        raise
    except CameraError:
        # older firmware knows GetCapabilities only
        answer = session.call(soap.DEVICE, "GetCapabilities", Category="All")
        media = soap.child(answer, "Capabilities", "Media")
        found[soap.MEDIA] = soap.text(media, "XAddr", limit=512)
    return {namespace: _brought_home(url, session, transport) for namespace, url in found.items()}


def read_streams(session: Session, transport: Transport) -> tuple[Stream, ...]:
    """Streams by picture size, the largest (the one that is recorded) first. Media2 tells of H.265, which Media cannot."""
    known = services(session, transport)
    for namespace in (soap.MEDIA2, soap.MEDIA):
        if namespace == soap.MEDIA2 and namespace not in known:
            continue
        try:
            found = list(_streams(session, transport, namespace, known.get(namespace) or session.url))
        except (CameraUnreachable, CameraDenied):
            raise
        except CameraError:
            if namespace == soap.MEDIA:
                raise
            continue
        if found:
            return tuple(found)
    raise CameraError("cameras.no_profile")


def _streams(session: Session, transport: Transport, namespace: str, url: str) -> Iterator[Stream]:
    if namespace == soap.MEDIA2:
        request = soap.plain_request(namespace, "GetProfiles", Type="All")
    else:
        request = soap.request(namespace, "GetProfiles")
    answer = session.send(request, f"{namespace}/GetProfiles", url=url)
    profiles = [p for p in answer if soap.local(p) == "Profiles"] if answer is not None else []
    told = [(s, token) for p in profiles if (s := _stream(p)) is not None and (token := p.get("token", ""))]
    told.sort(key=lambda pair: rank(pair[0].codec, (pair[0].width or 0) * (pair[0].height or 0)), reverse=True)
    for number, (stream, token) in enumerate(told[:_PROFILE_LIMIT]):
        try:
            yield replace(stream, uri=_stream_uri(session, transport, namespace, url, token))
        except (CameraUnreachable, CameraDenied):
            raise
        except CameraError:
            # a profile that somebody added and that has no stream; but nothing stands in for the one that is recorded
            if number == 0:
                raise


def rank(codec: str | None, pixels: float) -> tuple[float, bool]:
    """By which the main stream is chosen: the largest picture, of equal ones the codec that can be recorded. A main stream of
    another codec is told and set by `--fix`; a small one recorded in its place would be nobody's wish."""
    return pixels, codec not in _NOT_RECORDED


def codec_of(video: Element) -> str | None:
    """What a video encoder configuration encodes, by the project's name; None where it does not say."""
    encoding = soap.text(video, "Encoding").upper()
    return _CODECS.get(encoding, encoding.lower()[:16] or None)


def _stream(profile: Element) -> Stream | None:
    """One media profile of Media or Media2; None where it has no picture."""
    inside = soap.child(profile, "Configurations")
    video = (
        soap.child(inside, "VideoEncoder") if inside is not None else soap.child(profile, "VideoEncoderConfiguration")
    )
    audio = (
        soap.child(inside, "AudioEncoder") if inside is not None else soap.child(profile, "AudioEncoderConfiguration")
    )
    if video is None:
        return None
    sound = soap.text(audio, "Encoding").upper()
    # Media keeps it in an element named after a codec, Media2 in an attribute
    gop = next((e.text or "" for e in soap.everywhere(video, "GovLength")), video.get("GovLength", ""))
    return Stream(
        name=soap.text(profile, "Name", limit=64) or soap.clean(profile.get("token", ""), 64),
        uri="",
        codec=codec_of(video),
        width=_whole(soap.number(video, "Resolution", "Width")),
        height=_whole(soap.number(video, "Resolution", "Height")),
        fps=soap.number(video, "RateControl", "FrameRateLimit"),
        keyframe_interval=int(gop) if gop.strip().isdecimal() and len(gop) < 7 else None,
        bitrate_kbps=_whole(soap.number(video, "RateControl", "BitrateLimit")),
        audio=_SOUND.get(sound, sound.lower()[:16]) if sound else None,
    )


def _stream_uri(session: Session, transport: Transport, namespace: str, url: str, token: str) -> str:
    if namespace == soap.MEDIA2:
        message = soap.plain_request(namespace, "GetStreamUri", Protocol="RTSP", ProfileToken=token)
    else:
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        message = soap.request(namespace, "GetStreamUri", StreamSetup=setup, ProfileToken=token)
    answer = session.send(message, f"{namespace}/GetStreamUri", url=url)
    told = next((soap.clean(e.text or "", 512) for e in soap.everywhere(answer, "Uri")), "")
    return _reachable(told, session, transport)


def _reachable(uri: str, session: Session, transport: Transport) -> str:
    """The stream's address without credentials: as told where that opens, else at the address that answered."""
    try:
        parts = urlsplit(uri)
        port = parts.port or 554
    except ValueError:
        raise CameraError("cameras.bad_stream") from None
    if parts.scheme != "rtsp" or not parts.hostname:
        raise CameraError("cameras.bad_stream")
    answering = str(urlsplit(session.url).hostname)
    told = with_host(uri, str(parts.hostname))
    if parts.hostname == answering or transport.opens(parts.hostname, port):
        return told
    return with_host(uri, answering)


def _brought_home(url: str, session: Session, transport: Transport) -> str:
    """A service's address: its host as told where that is the one that answered, else the one that answered. A service on
    another host would be another camera, and after a move the told one is stale."""
    own = urlsplit(session.url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return session.url
    if parts.scheme not in ("http", "https") or not parts.path:
        return session.url
    home = own.hostname or ""
    usual = {"http": 80, "https": 443}
    if parts.hostname != home and (port or usual[parts.scheme]) != (own.port or usual.get(own.scheme)):
        # behind NAT the told port is the inner one
        return own._replace(path=parts.path, query=parts.query).geturl()
    moved = with_host(url, home)
    return moved if transport.networks.allows(moved) else session.url


def _time_source(session: Session, told: Element | None) -> str | None:
    """`told` is what it said without a password, where it did."""
    if told is None:
        try:
            told = soap.child(session.call(soap.DEVICE, "GetSystemDateAndTime"), "SystemDateAndTime")
        except CameraError:
            return None
    return {"NTP": "ntp", "Manual": "manual"}.get(soap.text(told, "DateTimeType"))


def _ntp(session: Session) -> tuple[str, ...]:
    try:
        answer = session.call(soap.DEVICE, "GetNTP")
    except CameraError:
        return ()
    names = [soap.clean(e.text or "", 64) for e in soap.everywhere(answer, "IPv4Address", "IPv6Address", "DNSname")]
    return tuple(n for n in names if n)[:4]


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
