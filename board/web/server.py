"""The board's pages as a process beside the one that receives."""

from __future__ import annotations

from agent.core.clock import Clock
from agent.website.server import WebsiteServer
from board.store.database import Database
from board.web.options import BoardWebOptions
from board.web.routes import build_board_application
from board.web.site import BoardSite


class BoardServer(WebsiteServer):
    """The board's server. It listens from construction on: a port in use or a bad certificate fails at once (InputError)."""

    site: BoardSite

    def __init__(self, database: Database, clock: Clock, options: BoardWebOptions) -> None:
        site = BoardSite(database, clock, options)
        super().__init__(site, build_board_application(site))

    def begin(self) -> None:
        """Mark the check of a drive that a kill cut off."""
        self.site.drive_checker.mark_interrupted()

    def ending(self) -> None:
        """End the streams, so that none has to be cut off, and the check of a drive."""
        self.site.changes.close()
        self.site.drive_checker.close()
