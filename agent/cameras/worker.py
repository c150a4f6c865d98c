"""The camera watch: searches for cameras, judges them by the bureau's list and records the results.

It searches at start, at an interval, and at once when the recorder has lost a camera. It updates the catalog, the alerts and
the retained message of each camera.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from pathlib import Path

from agent import i18n
from agent.cameras import admission, networks, parameters
from agent.cameras.assessment import CameraAssessor
from agent.cameras.auth import Credentials
from agent.cameras.device import DeviceDescription
from agent.cameras.discovery import ProbeMatch
from agent.cameras.model_list import WatchedModelList
from agent.cameras.options import CameraOptions
from agent.cameras.registry import (
    NamedSighting,
    assign_ids,
    choose_credentials,
    find_former_rows,
    find_given_up_rows,
    find_successor,
)
from agent.cameras.report import CameraReporter
from agent.cameras.search import CameraFinder, Sighting
from agent.cameras.soap import SoapFault
from agent.catalog import Catalog
from agent.core import shortage
from agent.core.camera_model import Camera, Verdict
from agent.core.camera_models import ModelList
from agent.core.clock import Clock
from agent.core.errors import CameraDenied, CameraError
from agent.core.model import Segment
from agent.core.periodic import ErrorLog
from agent.credentials import attempts
from agent.credentials.attempts import AttemptBudget

log = logging.getLogger(__name__)
_POLL_S = 0.5
_LEAST_PAUSE_S = 3.0  # shortest pause between searches, however often one is requested
_MISSES_UNTIL_LOST = 2  # consecutive searches that do not find a camera before it counts as unreachable
_PATIENT_MISSES = 100  # about ten minutes
_PATIENT_FACTOR = 6  # after that, factor of the pause between searches


class CameraWorker:
    """The worker that searches and reports; see the docstring of this module.

    `busy(camera_id)`: whether a class is being recorded from the camera; a worse verdict is deferred until it is over.
    `file_of(segment)`: the file of a recorded segment, to measure what the camera delivers; None while it cannot be read.
    `budget`: shared by all code that sends passwords to cameras. `planned`: IDs of the cameras that classes use.
    """

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        options: CameraOptions,
        busy: Callable[[str], bool] = lambda camera_id: False,
        file_of: Callable[[Segment], Path | None] = lambda segment: None,
        budget: AttemptBudget | None = None,
        planned: Callable[[], Collection[str]] = lambda: (),
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = options
        self._busy = busy
        self._planned = planned
        self._list = WatchedModelList(
            options.model_list, options.model_list_key, options.list_copy, options.list_received
        )
        self._list_problem = ""
        self._search_errors = ErrorLog(log, level=logging.ERROR)
        self._budget = budget or attempts.open_box_budget(catalog, clock)
        self._assessor = CameraAssessor(catalog, clock, busy, file_of)
        self._reporter = CameraReporter(catalog, clock, options.clock_bound_s)
        self._misses: dict[str, int] = {}
        self._asked_on: dict[str, datetime | None] = {}
        """Begin of the recorder's connection at the start of the present search, by camera ID."""
        self._warned: set[str] = set()
        self._rename_known()

    def run(self, stop: threading.Event) -> None:
        """Search and report until `stop` is set."""
        due = self._clock.monotonic()
        last = due - _LEAST_PAUSE_S
        while not stop.is_set():
            now = self._clock.monotonic()
            if now >= due or (now - last >= _LEAST_PAUSE_S and self._catalog.cameras.asked()):
                self._try_search(stop)
                last = self._clock.monotonic()
                due = last + self._compute_pause()
            self._reporter.publish()
            self._clock.wait(stop, _POLL_S)

    def _try_search(self, stop: threading.Event) -> None:
        with self._search_errors, shortage.convert_shortage():
            self.search(stop)

    def search(self, stop: threading.Event | None = None) -> list[Camera]:
        """Search once, judge and record the results; return the cameras found.

        `stop` cancels the search; then its results are discarded.
        """
        stop = stop or threading.Event()
        approved = self._load_approved()
        finder = self._make_finder(stop)
        cameras = self._catalog.cameras.all()
        addresses = [*self._list_known_addresses(finder), *[c.address for c in cameras if c.streams]]
        named = {known.address for known in self._options.known if known.address}
        self._asked_on = {c.camera_id: c.connected_at for c in cameras}
        sightings = finder.find(addresses, [c.endpoint for c in cameras], named)
        if stop.is_set():
            return []
        found = self._assign_ids(sightings, approved)
        met = [self._record(named, approved, finder) for named in self._select_recordable(found, len(cameras))]
        answered = {c.camera_id for c in met if c.verdict is not Verdict.UNREACHABLE}
        for camera in self._catalog.cameras.all():
            self._misses[camera.camera_id] = (
                0 if camera.camera_id in answered else self._misses.get(camera.camera_id, 0) + 1
            )
            if camera.camera_id not in answered:
                with self._catalog.store.write():
                    self._report_missing(camera, found)
        self._reporter.publish()
        return met

    def _assign_ids(self, sightings: list[Sighting], approved: ModelList) -> list[NamedSighting]:
        """Assign IDs to the sightings by the present settings; rows under earlier IDs are renamed."""
        known, cameras, retired = self._options.known, self._catalog.cameras.all(), self._reporter.retired()

        def admitted(found: DeviceDescription) -> bool:
            return admission.judge_camera(found, approved).verdict.recordable

        spare = self._find_spare_ids(cameras)
        found = assign_ids(sightings, known, cameras, retired, admitted, spare)
        renamed = [(row, named.camera_id) for named in found for row in find_former_rows(named, known, cameras)]
        renamed += [
            (row, named.camera_id)
            for named in found
            for row in find_given_up_rows(named, cameras)
            if row.camera_id in spare
        ]
        for row, camera_id in renamed:
            self._reporter.rename(row, camera_id)
        if not renamed:
            return found
        return assign_ids(sightings, known, self._catalog.cameras.all(), self._reporter.retired(), admitted, spare)

    def _find_spare_ids(self, cameras: list[Camera]) -> set[str]:
        """Return the IDs that nothing depends on: in no class, not in the settings, without recordings."""
        wanted = {*self._planned(), *(known.camera_id for known in self._options.known)}
        ids = {c.camera_id for c in cameras} - wanted
        return {camera_id for camera_id in ids if not self._catalog.segments.recorded(camera_id)}

    def _rename_known(self) -> None:
        """Rename the cameras that the settings name by serial, before a recorder starts with the old ID."""
        reserved = {known.camera_id for known in self._options.known}
        for known in self._options.known:
            for row in self._catalog.cameras.all():
                if known.serial and row.serial == known.serial and row.camera_id not in reserved:
                    self._reporter.rename(row, known.camera_id)

    def _make_finder(self, stop: threading.Event) -> CameraFinder:
        # chosen for each search: network interfaces can change
        options = self._options
        where = networks.choose_networks(options.networks, options.interfaces)
        return CameraFinder(
            where, self._clock, self._budget, self._choose_credentials, options.timeout_s, options.window_s, stop
        )

    def _choose_credentials(self, match: ProbeMatch) -> Credentials | None:
        return choose_credentials(match, self._options.known, self._catalog.cameras.all(), self._options.credentials)

    def _list_known_addresses(self, finder: CameraFinder) -> list[str]:
        found = []
        for known in self._options.known:
            if known.address and finder.networks.holds(known.address.partition(":")[0]):
                found.append(known.address)
            elif known.address and known.camera_id not in self._warned:
                self._warned.add(known.camera_id)
                words = i18n.translate("cameras.known_outside", camera_id=known.camera_id, address=known.address)
                log.warning("%s", words)
        return found

    def _load_approved(self) -> ModelList:
        loaded = self._list.current()
        problem = str(loaded.problem) if loaded.problem else ""
        if problem != self._list_problem:
            self._list_problem = problem
            if problem:
                log.error("%s", problem)
        return loaded.approved

    def _select_recordable(self, found: list[NamedSighting], count: int) -> Iterator[NamedSighting]:
        """Yield the sightings to record; leave out unknown devices that do not speak ONVIF, or exceed `camera_limit`."""
        for named in found:
            # a device that answers only with faults speaks ONVIF too
            spoke = named.sighting.description is not None or isinstance(named.sighting.error, CameraDenied | SoapFault)
            if named.before is not None or self._is_named(named.camera_id):
                yield named
            elif spoke and count < self._options.camera_limit:
                count += 1
                yield named

    def _is_named(self, camera_id: str) -> bool:
        return any(known.camera_id == camera_id for known in self._options.known)

    def _record(self, named: NamedSighting, approved: ModelList, finder: CameraFinder) -> Camera:
        before = named.before
        identified = named.sighting.description is not None
        if identified:
            self._correct_clock(named, finder)
        camera = self._assessor.assess(named, approved)
        if camera.verdict is not Verdict.UNREACHABLE:
            busy = self._busy(camera.camera_id)
            with self._catalog.store.write():  # one transaction: `cameras forget` runs before or after it
                self._reporter.take(
                    camera,
                    before,
                    named.replaces,
                    busy=busy,
                    identified=identified,
                    asked_on=self._asked_on.get(camera.camera_id),
                )
        elif before is None:
            self._catalog.cameras.put(camera, self._clock.now())
        return camera

    def _report_missing(self, camera: Camera, found: list[NamedSighting]) -> None:
        """Report a camera that was not found.

        A camera whose stream is up is not unreachable, whatever its ONVIF service does, unless another unit answers where it
        is recorded from.
        """
        wanted = camera.verdict.recordable or self._is_named(camera.camera_id)
        other = find_successor(camera, found)
        if other is not None and camera.identity:
            known_elsewhere = other.before is not None and other.before.address != other.sighting.address
            # an exchange takes longer than two searches, so the camera already counts as unreachable
            missed = wanted or camera.judged.recordable
            self._reporter.displace(camera, other.camera_id, wanted=missed, moved=known_elsewhere)
        elif self._misses[camera.camera_id] >= _MISSES_UNTIL_LOST and not camera.up:
            # `wanted` is false for a refused unknown camera that was removed: no alert
            self._reporter.lose(camera, wanted=wanted)
        else:
            self._reporter.unmet(camera)

    def _compute_pause(self) -> float:
        """Return the seconds to the next search: few while an expected camera is missing, more if it stays away."""
        misses = {i: n for i, n in self._misses.items() if n and self._is_expected(i)}
        if not misses:
            return self._options.search_interval_s
        urgent = min(misses.values()) < _PATIENT_MISSES or any(self._busy(camera_id) for camera_id in misses)
        return self._options.retry_s * (1 if urgent else _PATIENT_FACTOR)

    def _is_expected(self, camera_id: str) -> bool:
        camera = self._catalog.cameras.get(camera_id)
        return self._is_named(camera_id) or (camera is not None and bool(camera.streams))

    def _correct_clock(self, named: NamedSighting, finder: CameraFinder) -> None:
        found = named.sighting.description
        if not self._options.set_clock or found is None or found.clock is None or self._clock.trust() != "trusted":
            return
        if abs(found.clock.offset(self._clock)) <= self._options.clock_bound_s:
            return
        match = ProbeMatch(named.sighting.endpoint, named.sighting.host, (found.url,))
        try:
            parameters.set_camera_clock(finder.session(found.url, match), self._clock)
        except CameraError as error:
            log.warning("%s: %s", named.camera_id, error)
