"""One search: probe, ask everybody who answered, and those that the settings name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent.attempts import Budget
from agent.cameras import discovery
from agent.cameras.auth import Credentials
from agent.cameras.device import Description, describe
from agent.cameras.discovery import Match
from agent.cameras.networks import Networks
from agent.cameras.session import Session
from agent.cameras.soap import SoapFault
from agent.cameras.transport import NoConnection, Transport
from agent.clock import Clock
from agent.errors import CameraDenied, CameraError, CameraUnreachable

_WORKERS = 8
_KNOWN_WORKERS = 4  # of their own, so that a crowd of strangers holds no camera of ours up
_PATIENCE = 3  # exchanges' worth of time that one address of a camera gets in all
_SEARCH = 4  # exchanges' worth of time for everybody, after the window


@dataclass(frozen=True, slots=True)
class Sighting:
    """One camera as a search met it: described, or the error that stood in the way. `address` is `host` or `host:port`
    as a person would type it; `dropped` are addresses in its reply that may not be contacted; `twins` are addresses of other
    devices that say the same serial."""

    endpoint: str
    address: str
    description: Description | None = None
    error: CameraError | None = None
    dropped: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return self.address.partition(":")[0]


class Finder:
    """Searches. One object serves one thread; it may be used again and again, and remembers wrong passwords in `budget`.
    `stop` ends a search within some three seconds (a connection that is being made), whoever is out there."""

    def __init__(
        self,
        networks: Networks,
        clock: Clock,
        budget: Budget,
        credentials: Callable[[Match], Credentials | None],
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
        """Everybody met, by address; each camera once. `known` are addresses (`host` or `host:port`) that are asked even
        where they do not answer a probe; they, and those of the known `endpoints`, wait for nobody. What answers at two of
        the addresses `named` by the settings is two cameras, whatever its serial. Ends in any case
        after the window and five exchanges' time; what a stopped search met is not worth believing."""
        hosts = list(dict.fromkeys(known))
        familiar = {_host(host) for host in hosts}
        self._end = self._clock.monotonic() + self._window + _SEARCH * self._timeout
        looks: list[Future[Sighting]] = []
        met: set[str] = set()
        with (
            ThreadPoolExecutor(_WORKERS, thread_name_prefix="camera-search") as crowd,
            ThreadPoolExecutor(_KNOWN_WORKERS, thread_name_prefix="camera-known") as ours,
        ):
            for match in discovery.probe(self.networks, self._clock, self._window, familiar, self.transport.stop):
                met.update(place for url in match.urls for place in _places(url))
                pool = ours if match.address in familiar or match.endpoint in endpoints else crowd
                looks.append(pool.submit(self.look, match))
            silent = [h for h in hosts if h not in met and self.networks.holds(_host(h))]
            looks += [ours.submit(self.look, discovery.direct(host)) for host in silent]
            sightings = [look.result() for look in looks]
        return sorted(_merged(sightings, set(endpoints) - {""}, named), key=lambda s: (_order(s.host), s.address))

    def session(self, url: str, match: Match) -> Session:
        """A conversation with the device of `match` at `url`."""
        names = tuple(name for name in (match.endpoint, _short(url)) if name)
        patience = min(_PATIENCE * self._timeout, self._end - self._clock.monotonic())
        return Session(url, names, self.transport, self._credentials(match), self._budget, self._clock, patience)

    def look(self, match: Match) -> Sighting:
        """Ask one device, at each of its addresses until one answers."""
        error: CameraError | None = None
        for url in match.urls:
            if self._clock.monotonic() > self._end or self.transport.stop.is_set():
                break
            try:
                description = describe(self.session(url, match), self.transport)
            except CameraUnreachable as unreachable:
                # an answer that could not be read tells more than silence elsewhere
                error = error or unreachable
                if not match.endpoint and isinstance(unreachable, NoConnection) and not unreachable.refused:
                    break  # no machine answers there, at whatever port
            except CameraDenied as denied:
                # another address is the same camera: trying there would cost another wrong answer
                return Sighting(match.endpoint, _short(url), error=denied, dropped=match.dropped)
            except CameraError as other:
                # of two answers the fault is a camera's
                error = error if isinstance(error, SoapFault) else other
            else:
                return Sighting(match.endpoint, _short(description.url), description, dropped=match.dropped)
        error = error or CameraUnreachable("cameras.nowhere", address=match.address)
        address = _short(match.urls[0]) if match.urls else match.address
        return Sighting(match.endpoint, address, error=error, dropped=match.dropped)


def _merged(sightings: Iterable[Sighting], endpoints: Collection[str], named: Collection[str]) -> Iterator[Sighting]:
    """A camera with two network cards answers twice: endpoints were merged by the probe, serials are merged here. Two cameras
    of one serial look the same but for their endpoints: the one that is known stays it, and the other is told."""

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


def _host(address: str) -> str:
    return address.partition(":")[0]


def _short(url: str) -> str:
    """`host` or `host:port`, by which the same place is found again (`discovery.direct`)."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 443}" if parts.scheme == "https" else parts.netloc.removesuffix(":80")


def _places(url: str) -> tuple[str, ...]:
    """Under what names the place of a URL may be known; plain HTTP may have been sent on to HTTPS."""
    short = _short(url)
    return (urlsplit(url).netloc, short) if ":" in short else (short, f"{short}:443")


def _order(host: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 999 for part in host.split("."))
