"""What one camera reports about itself: identity, streams, encoder parameters, time source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent.cameras import soap
from agent.cameras.camera_clock import CameraClock
from agent.cameras.markup import Element, local
from agent.cameras.networks import with_host
from agent.cameras.profiles import main_first, parse_profile
from agent.cameras.session import Session
from agent.cameras.transport import NoConnection, Transport
from agent.errors import CameraDenied, CameraError
from agent.model_cameras import Stream

_PROFILE_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Description:
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


def describe(session: Session, transport: Transport) -> Description:
    """Ask for everything that admission needs.

    Raises CameraUnreachable, CameraDenied or CameraError if the identity cannot be read. Any other question that fails only
    leaves its own answer out; admission judges that later.
    """
    description, told = identify(session)
    try:
        streams, problem = read_streams(session, transport), ""
    except CameraError as error:
        streams, problem = (), str(error)
    time_source = _time_source(session, told)
    return replace(description, time_source=time_source, streams=streams, ntp=_ntp(session), stream_problem=problem)


def identify(session: Session) -> tuple[Description, Element | None]:
    """Ask for manufacturer, model and serial only; return them with SystemDateAndTime, if reported. Raises as `describe`."""
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
    """Return the URLs of the camera's services by namespace; empty if it does not report them.

    Each URL is moved to the host that answered. Raises NoConnection.
    """
    for ask in (_services, _capabilities):
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
        return {namespace: _brought_home(url, session, transport) for namespace, url in found.items()}
    return {}


def _services(session: Session) -> dict[str, str]:
    answer = session.call(soap.DEVICE, "GetServices", IncludeCapability=False)
    return {soap.text(s, "Namespace"): soap.address(s, "XAddr") for s in soap.everywhere(answer, "Service")}


def _capabilities(session: Session) -> dict[str, str]:
    """Ask for the services with GetCapabilities, which older firmware supports."""
    answer = session.call(soap.DEVICE, "GetCapabilities", Category="All")
    return {soap.MEDIA: soap.address(answer, "Capabilities", "Media", "XAddr")}


def read_streams(session: Session, transport: Transport) -> tuple[Stream, ...]:
    """Return the streams by picture size, the largest (the one that is recorded) first.

    Media2 is asked first: it reports H.265, which Media cannot. Raises CameraError.
    """
    known = services(session, transport)
    if soap.MEDIA2 in known:
        try:
            if found := tuple(_streams(session, transport, soap.MEDIA2, known[soap.MEDIA2])):
                return found
        except (NoConnection, CameraDenied):
            raise
        except CameraError:
            pass  # Media may answer
    found = tuple(_streams(session, transport, soap.MEDIA, known.get(soap.MEDIA) or session.url))
    if not found:
        raise CameraError("cameras.no_profile")
    return found


def _streams(session: Session, transport: Transport, namespace: str, url: str) -> Iterator[Stream]:
    if namespace == soap.MEDIA2:
        request = soap.plain_request(namespace, "GetProfiles", Type="All")
    else:
        request = soap.request(namespace, "GetProfiles")
    answer = session.send(request, f"{namespace}/GetProfiles", url=url)
    told = main_first(p for p in answer if local(p) == "Profiles")
    for number, profile in enumerate(told[:_PROFILE_LIMIT]):
        try:
            uri = _stream_uri(session, transport, namespace, url, soap.exact(profile.get("token")))
        except CameraError as error:
            # an added profile may have no stream; but the recorded one must not be replaced by another
            if number == 0:
                raise
            if isinstance(error, NoConnection | CameraDenied):
                return  # the others would fail as well
        else:
            yield replace(parse_profile(profile), uri=uri)


def _stream_uri(session: Session, transport: Transport, namespace: str, url: str, token: str) -> str:
    if not token:
        raise CameraError("cameras.bad_stream")
    if namespace == soap.MEDIA2:
        message = soap.plain_request(namespace, "GetStreamUri", Protocol="RTSP", ProfileToken=token)
    else:
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        message = soap.request(namespace, "GetStreamUri", StreamSetup=setup, ProfileToken=token)
    answer = session.send(message, f"{namespace}/GetStreamUri", url=url)
    told = next((soap.address(e, limit=1024) for e in soap.everywhere(answer, "Uri")), "")
    return _reachable(told, session, transport)


def _reachable(uri: str, session: Session, transport: Transport) -> str:
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
    told = with_host(uri, str(parts.hostname))
    if parts.hostname == answering or transport.opens(parts.hostname, port):
        return told
    return with_host(uri, answering)


def _brought_home(url: str, session: Session, transport: Transport) -> str:
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
    moved = with_host(url, home)
    return moved if transport.networks.allows(moved) else session.url


def _time_source(session: Session, told: Element | None) -> str | None:
    """Return `ntp` or `manual`; `told`: SystemDateAndTime as reported without a password, if it was."""
    if told is None and session.time_refused:
        try:
            told = soap.child(session.call(soap.DEVICE, "GetSystemDateAndTime"), "SystemDateAndTime")
        except CameraError:
            return None
    return {"NTP": "ntp", "Manual": "manual"}.get(soap.text(told, "DateTimeType"))


def _ntp(session: Session) -> tuple[str, ...]:
    try:
        message = soap.request(soap.DEVICE, "GetNTP")
        answer = session.send(message, f"{soap.DEVICE}/GetNTP", forgiving=True)
    except CameraError:
        return ()
    names = [soap.clean(e.text or "", 64) for e in soap.everywhere(answer, "IPv4Address", "IPv6Address", "DNSname")]
    return tuple(n for n in names if n)[:4]
