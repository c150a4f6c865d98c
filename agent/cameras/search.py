"""One search: send probes, then ask every device that answered and those that the settings name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent.cameras import discovery
from agent.cameras.auth import Credentials
from agent.cameras.device import DeviceDescription, describe_device
from agent.cameras.discovery import ProbeMatch
from agent.cameras.networks import Networks
from agent.cameras.session import OnvifSession
from agent.cameras.soap import SoapFault
from agent.cameras.transport import NoConnection, Transport
from agent.core.clock import Clock
from agent.core.errors import CameraDenied, CameraError, CameraUnreachable
from agent.credentials.attempts import AttemptBudget

_WORKERS = 8
_KNOWN_WORKERS = 4  # separate threads, so that many unknown devices do not delay the known cameras
_SESSION_TIMEOUTS = 3  # limit for one address of a camera, in timeouts of one exchange
_SEARCH_TIMEOUTS = 4  # limit for all devices after the window, in timeouts of one exchange


@dataclass(frozen=True, slots=True)
class Sighting:
    """One device as a search found it: its description, or the error that prevented one.

    `address`: `host` or `host:port` as a person would type it; `dropped`: addresses in its reply that must not be contacted;
    `twins`: addresses of other devices that report the same serial.
    """

    endpoint: str
    address: str
    description: DeviceDescription | None = None
    error: CameraError | None = None
    dropped: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return self.address.partition(":")[0]


class CameraFinder:
    """Searches for cameras. Use one object in one thread only; it can be used repeatedly.

    Wrong passwords are counted in `budget`. `stop` ends a search within about three seconds (a pending connection), whatever
    devices there are.
    """

    def __init__(
        self,
        networks: Networks,
        clock: Clock,
        budget: AttemptBudget,
        credentials: Callable[[ProbeMatch], Credentials | None],
        timeout: float = 5.0,
        window: float = 2.0,
        stop: threading.Event | None = None,
    ) -> None:
        self.networks = networks
        self.transport = Transport(networks, clock, timeout, stop)
        self._clock = clock
        self._budget = budget
        self._credentials = credentials
        self._timeout = timeout
        self._window = window
        self._end = float("inf")

    def find(
        self, known: Iterable[str] = (), endpoints: Collection[str] = (), named: Collection[str] = ()
    ) -> list[Sighting]:
        """Search once; return each camera found once, sorted by address.

        `known`: addresses (`host` or `host:port`) that are asked even if they do not answer a probe; they, and cameras with
        one of the known `endpoints`, do not wait for other devices. Devices at two of the addresses `named` by the settings
        are two cameras, whatever their serials. The search ends at the latest after the window and five timeouts of one
        exchange. The result of a stopped search is incomplete and must not be used.
        """
        hosts = list(dict.fromkeys(known))
        familiar = {_get_host(host) for host in hosts}
        self._end = self._clock.monotonic() + self._window + _SEARCH_TIMEOUTS * self._timeout
        looks: list[Future[Sighting]] = []
        met: set[str] = set()
        with (
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="camera-search") as crowd,
            ThreadPoolExecutor(_KNOWN_WORKERS, thread_name_prefix="camera-known") as ours,
        ):
            for match in discovery.probe_networks(
                self.networks, self._clock, self._window, familiar, self.transport.stop
            ):
                met.update(place for url in match.urls for place in _list_places(url))
                pool = ours if match.address in familiar or match.endpoint in endpoints else crowd
                looks.append(pool.submit(self.look, match))
            silent = [h for h in hosts if h not in met and self.networks.holds(_get_host(h))]
            looks += [ours.submit(self.look, discovery.make_direct_match(host)) for host in silent]
            sightings = [look.result() for look in looks]
        return sorted(
            _merge_sightings(sightings, set(endpoints) - {""}, named), key=lambda s: (_get_sort_key(s.host), s.address)
        )

    def session(self, url: str, match: ProbeMatch) -> OnvifSession:
        """Return a new session with the device of `match` at `url`."""
        names = tuple(name for name in (match.endpoint, _shorten_url(url)) if name)
        patience = min(_SESSION_TIMEOUTS * self._timeout, self._end - self._clock.monotonic())
        return OnvifSession(url, names, self.transport, self._credentials(match), self._budget, self._clock, patience)

    def look(self, match: ProbeMatch) -> Sighting:
        """Ask one device, at each of its addresses until one answers."""
        error: CameraError | None = None
        for url in match.urls:
            if self._clock.monotonic() > self._end or self.transport.stop.is_set():
                break
            try:
                description = describe_device(self.session(url, match), self.transport)
            except CameraUnreachable as unreachable:
                # the error of an answer that could not be read is more useful than no answer from another address
                error = error or unreachable
                if not match.endpoint and isinstance(unreachable, NoConnection) and not unreachable.refused:
                    break  # no machine has this address: other ports would not answer either
            except CameraDenied as denied:
                # another address is the same camera: trying there would count as another wrong password
                return Sighting(match.endpoint, _shorten_url(url), error=denied, dropped=match.dropped)
            except CameraError as other:
                # of two errors keep a SOAP fault: only a camera sends one
                error = error if isinstance(error, SoapFault) else other
            else:
                return Sighting(match.endpoint, _shorten_url(description.url), description, dropped=match.dropped)
        error = error or CameraUnreachable("cameras.nowhere", address=match.address)
        address = _shorten_url(match.urls[0]) if match.urls else match.address
        return Sighting(match.endpoint, address, error=error, dropped=match.dropped)


def _merge_sightings(
    sightings: Iterable[Sighting], endpoints: Collection[str], named: Collection[str]
) -> Iterator[Sighting]:
    """Merge the sightings of one camera, which answers twice if it has two network interfaces.

    The probe has merged equal endpoints; here equal serials are merged. Two cameras with one serial differ in their
    endpoints: the known one is kept, and the address of the other is added to its `twins`.
    """

    def is_named(sighting: Sighting) -> bool:
        return sighting.address in named or sighting.host in named

    kept: dict[str, list[Sighting]] = {}
    for sighting in sorted(
        sightings, key=lambda s: (s.description is None, not is_named(s), s.endpoint not in endpoints)
    ):
        serial = sighting.description.serial if sighting.description else ""
        same = kept.setdefault(serial, [])
        if not serial or not same or (is_named(sighting) and all(s.host != sighting.host for s in same)):
            same.append(sighting)
        elif all(_is_another(sighting, s) for s in same):
            same[0] = replace(same[0], twins=(*same[0].twins, sighting.address))
    yield from (sighting for same in kept.values() for sighting in same)


def _is_another(one: Sighting, other: Sighting) -> bool:
    return one.host != other.host and "" not in (one.endpoint, other.endpoint) and one.endpoint != other.endpoint


def _get_host(address: str) -> str:
    return address.partition(":")[0]


def _shorten_url(url: str) -> str:
    """Return `host` or `host:port`, by which the device is found again without discovery."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}" if parts.scheme == "https" else parts.netloc.removesuffix(":80")


def _list_places(url: str) -> tuple[str, ...]:
    """Return the forms in which the address of a URL may be known; plain HTTP may have been redirected to HTTPS."""
    short = _shorten_url(url)
    return (urlsplit(url).netloc, short) if ":" in short else (short, f"{short}:443")


def _get_sort_key(host: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 999 for part in host.split("."))
