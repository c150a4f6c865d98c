"""The page as a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.catalog import Catalog
from agent.core.class_model import TrainingClass
from agent.core.clock import Clock
from agent.core.errors import CatalogError
from agent.web.options import WebOptions
from agent.web.routes import build_application
from agent.web.site import Site
from agent.website.server import WebsiteServer

log = logging.getLogger(__name__)


class PageServer(WebsiteServer):
    """The page's server. It listens from construction on: a port in use or a bad certificate fails at once (InputError)."""

    site: Site

    def __init__(
        self, catalog: Catalog, clock: Clock, options: WebOptions, classes: Callable[[], list[TrainingClass]]
    ) -> None:
        site = Site(catalog, clock, options, classes)
        super().__init__(site, build_application(site))

    def begin(self) -> None:
        """Write into the audit what a process that was killed left pending."""
        self._settle()

    def ending(self) -> None:
        """Write what was sent so far, and end the conversions."""
        self.site.tell_sent()
        self.site.playback.h264.close()

    def end(self) -> None:
        """Write what videos that were cut off could not report any more."""
        self.site.tell_sent()
        self._settle()

    def beat(self) -> None:
        """Read the catalog and write what was played."""
        super().beat()
        self.site.played.tick()
        self.site.playback.h264.sweep()

    def _settle(self) -> None:
        """Write into the audit what was sent of video and is still pending."""
        try:
            self.site.catalog.deliveries.settle(self.site.clock.now())
        except CatalogError as error:
            log.warning("%s", error)
