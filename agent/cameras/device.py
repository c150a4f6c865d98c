"""What one camera reports about itself: identity, streams, encoder parameters, time source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent.cameras import soap
from agent.cameras.camera_clock import CameraClock
from agent.cameras.networks import replace_host
from agent.cameras.profiles import parse_profile, sort_main_first
from agent.cameras.session import OnvifSession
from agent.cameras.transport import NoConnection, Transport
from agent.cameras.xml_reader import Element, get_local_name
from agent.core.camera_model import Stream
from agent.core.errors import CameraDenied, CameraError

_PROFILE_LIMIT = 8


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What a camera reports about itself, cleaned; None for what it does not report.

    `url`: the device service that answered; `time_source`: `ntp` or `manual`; `stream_problem`: why there are no streams.
    """

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
        """The serial; if it is empty, the hardware ID."""
        return self.serial or self.hardware_id


def describe_device(session: OnvifSession, transport: Transport) -> DeviceDescription:
    """Ask for everything that admission needs.

    Raises CameraUnreachable, CameraDenied or CameraError if the identity cannot be read. Any other question that fails only
    leaves its own answer out; admission judges that later.
    """
    description, reported = identify_device(session)
    try:
        streams, problem = read_streams(session, transport), ""
    except CameraError as error:
        streams, problem = (), str(error)
    time_source = _read_time_source(session, reported)
    return replace(
        description, time_source=time_source, streams=streams, ntp=_ask_ntp_servers(session), stream_problem=problem
    )


def identify_device(session: OnvifSession) -> tuple[DeviceDescription, Element | None]:
    """Ask for manufacturer, model and serial only; return them with SystemDateAndTime, if reported. Raises as `describe`."""
    reported = session.read_clock()
    found = session.call(soap.DEVICE, "GetDeviceInformation")
    description = DeviceDescription(
        url=session.url,
        address=urlsplit(session.url).netloc,
        manufacturer=soap.read_element_text(found, "Manufacturer", limit=64),
        model=soap.read_element_text(found, "Model", limit=64),
        firmware=soap.read_element_text(found, "FirmwareVersion", limit=64),
        serial=soap.read_element_text(found, "SerialNumber", limit=64),
        hardware_id=soap.read_element_text(found, "HardwareId", limit=64),
        clock=session.camera_clock,
    )
    return description, reported


def list_services(session: OnvifSession, transport: Transport) -> dict[str, str]:
    """Return the URLs of the camera's services by namespace; empty if it does not report them.

    Each URL is moved to the host that answered. Raises NoConnection.
    """
    for ask in (_ask_services, _ask_capabilities):
        try:
            found = ask(session)
        except NoConnection:
            raise
        except CameraDenied:
            break  # the other question would be refused too
        except CameraError as error:
            if error.key == "cameras.too_slow":
                break  # the session's time is nearly used up
            continue
        return {namespace: _move_to_answering_host(url, session, transport) for namespace, url in found.items()}
    return {}


def _ask_services(session: OnvifSession) -> dict[str, str]:
    answer = session.call(soap.DEVICE, "GetServices", IncludeCapability=False)
    return {
        soap.read_element_text(s, "Namespace"): soap.read_url(s, "XAddr")
        for s in soap.find_all_named(answer, "Service")
    }


def _ask_capabilities(session: OnvifSession) -> dict[str, str]:
    """Ask for the services with GetCapabilities, which older firmware supports."""
    answer = session.call(soap.DEVICE, "GetCapabilities", Category="All")
    return {soap.MEDIA: soap.read_url(answer, "Capabilities", "Media", "XAddr")}


def read_streams(session: OnvifSession, transport: Transport) -> tuple[Stream, ...]:
    """Return the streams by picture size, the largest (the one that is recorded) first.

    Media2 is asked first: it reports H.265, which Media cannot. Raises CameraError.
    """
    known = list_services(session, transport)
    if soap.MEDIA2 in known:
        try:
            if found := tuple(_ask_streams(session, transport, soap.MEDIA2, known[soap.MEDIA2])):
                return found
        except (NoConnection, CameraDenied):
            raise
        except CameraError:
            pass  # Media may answer
    found = tuple(_ask_streams(session, transport, soap.MEDIA, known.get(soap.MEDIA) or session.url))
    if not found:
        raise CameraError("cameras.no_profile")
    return found


def _ask_streams(session: OnvifSession, transport: Transport, namespace: str, url: str) -> Iterator[Stream]:
    if namespace == soap.MEDIA2:
        request = soap.build_plain_request(namespace, "GetProfiles", Type="All")
    else:
        request = soap.build_request(namespace, "GetProfiles")
    answer = session.send(request, f"{namespace}/GetProfiles", url=url)
    reported = sort_main_first(p for p in answer if get_local_name(p) == "Profiles")
    for number, profile in enumerate(reported[:_PROFILE_LIMIT]):
        try:
            uri = _ask_stream_uri(session, transport, namespace, url, soap.clean_exact(profile.get("token")))
        except CameraError as error:
            # an added profile may have no stream; but the recorded one must not be replaced by another
            if number == 0:
                raise
            if isinstance(error, NoConnection | CameraDenied):
                return  # the others would fail as well
        else:
            yield replace(parse_profile(profile), uri=uri)


def _ask_stream_uri(session: OnvifSession, transport: Transport, namespace: str, url: str, token: str) -> str:
    if not token:
        raise CameraError("cameras.bad_stream")
    if namespace == soap.MEDIA2:
        message = soap.build_plain_request(namespace, "GetStreamUri", Protocol="RTSP", ProfileToken=token)
    else:
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        message = soap.build_request(namespace, "GetStreamUri", StreamSetup=setup, ProfileToken=token)
    answer = session.send(message, f"{namespace}/GetStreamUri", url=url)
    reported = next((soap.read_url(e, limit=1024) for e in soap.find_all_named(answer, "Uri")), "")
    return _choose_reachable_uri(reported, session, transport)


def _choose_reachable_uri(uri: str, session: OnvifSession, transport: Transport) -> str:
    """Return the stream's URL without credentials, at a host that can be reached.

    That is the reported host if it accepts connections, else the one that answered.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port or 554
    except ValueError:
        raise CameraError("cameras.bad_stream") from None
    if parts.scheme != "rtsp" or not parts.hostname:
        raise CameraError("cameras.bad_stream")
    answering = str(urlsplit(session.url).hostname)
    reported = replace_host(uri, str(parts.hostname))
    if parts.hostname == answering or transport.opens(parts.hostname, port):
        return reported
    return replace_host(uri, answering)


def _move_to_answering_host(url: str, session: OnvifSession, transport: Transport) -> str:
    """Return a service's URL at the host that answered.

    A service on another host would be another camera, and after a change of address the reported host is out of date.
    """
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
        # behind NAT the reported port is the inner one
        return own._replace(path=parts.path, query=parts.query).geturl()
    moved = replace_host(url, home)
    return moved if transport.networks.allows(moved) else session.url


def _read_time_source(session: OnvifSession, reported: Element | None) -> str | None:
    """Return `ntp` or `manual`; `reported`: SystemDateAndTime as read without a password, if it was."""
    if reported is None and session.time_refused:
        try:
            reported = soap.find_child(session.call(soap.DEVICE, "GetSystemDateAndTime"), "SystemDateAndTime")
        except CameraError:
            return None
    return {"NTP": "ntp", "Manual": "manual"}.get(soap.read_element_text(reported, "DateTimeType"))


def _ask_ntp_servers(session: OnvifSession) -> tuple[str, ...]:
    try:
        message = soap.build_request(soap.DEVICE, "GetNTP")
        answer = session.send(message, f"{soap.DEVICE}/GetNTP", forgiving=True)
    except CameraError:
        return ()
    names = [
        soap.clean_text(e.text or "", 64) for e in soap.find_all_named(answer, "IPv4Address", "IPv6Address", "DNSname")
    ]
    return tuple(n for n in names if n)[:4]
