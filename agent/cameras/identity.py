"""Identity check at each new connection: model and serial of the device that a camera is recorded from."""

from __future__ import annotations

import logging
from dataclasses import replace
from urllib.parse import urlsplit

from agent.cameras import discovery, networks
from agent.cameras.auth import Credentials
from agent.cameras.device import DeviceDescription, identify_device
from agent.cameras.networks import replace_host
from agent.cameras.options import CameraOptions
from agent.cameras.registry import choose_credentials
from agent.cameras.replacement import is_same_model
from agent.cameras.search import CameraFinder
from agent.catalog import Catalog
from agent.core.camera_model import Camera, UnitCheck
from agent.core.clock import Clock
from agent.core.errors import CameraError, InputError
from agent.credentials.attempts import AttemptBudget

log = logging.getLogger(__name__)
_TIMEOUT_S = 3.0
"""Timeout of one exchange: the recorder waits for it, and a later search allows more time."""


class IdentityCheck:
    """Asks a camera for its identity; thread-safe. `budget` is shared by all code that sends passwords to cameras."""

    def __init__(self, catalog: Catalog, clock: Clock, options: CameraOptions, budget: AttemptBudget) -> None:
        self._catalog = catalog
        self._clock = clock
        self._options = replace(options, timeout_s=min(options.timeout_s, _TIMEOUT_S))
        self._budget = budget

    def ask(self, camera_id: str) -> UnitCheck:
        """Check whether the unit of `camera_id` answers where its stream comes from, and record the result.

        If it is another unit, a new search is requested.
        """
        camera = self._catalog.cameras.get(camera_id)
        if camera is None or not camera.identity:
            return UnitCheck.SILENT
        try:
            found = self._ask_identity(camera)
        except CameraError as error:
            log.debug("%s: %s", camera_id, error)
            return UnitCheck.SILENT
        except InputError:
            # this machine has no address in the configured networks at the moment
            return UnitCheck.SILENT
        now = self._clock.now()
        if found.identity == camera.identity and is_same_model(camera, found):
            self._catalog.cameras.checked(camera_id, found.identity, now, camera.connected_at)
            return UnitCheck.SAME
        self._catalog.cameras.ask(camera_id, now)
        return UnitCheck.OTHER

    def _ask_identity(self, camera: Camera) -> DeviceDescription:
        """Ask the device at the host that sends the stream for its identity. Raises CameraError, InputError."""
        url = camera.url or discovery.make_direct_match(camera.address).urls[0]
        host = urlsplit(camera.main_stream.uri).hostname if camera.main_stream else None
        match = discovery.ProbeMatch(
            camera.endpoint, camera.address.partition(":")[0], (replace_host(url, host) if host else url,)
        )
        options = self._options
        where = networks.choose_networks(options.networks, options.interfaces)

        def account(match: discovery.ProbeMatch) -> Credentials | None:
            return choose_credentials(match, options.known, self._catalog.cameras.all(), options.credentials)

        finder = CameraFinder(where, self._clock, self._budget, account, options.timeout_s)
        return identify_device(finder.session(match.urls[0], match))[0]
