"""A board whose pages are served, and people who are signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.core.account_model import SignedInUser
from agent.core.clock import Clock
from agent.website.auth.access import generate_password
from board.clips.options import FetchOptions
from board.shelf.options import ShelfOptions
from board.web.options import BoardWebOptions
from board.web.server import BoardServer
from tests.support.board_store import BoardStore
from tests.support.web_client import Browser, running


class ServedBoard:
    """The pages of a board. `store` says what boxes reported."""

    def __init__(self, store: BoardStore, server: BoardServer) -> None:
        self.store, self.server = store, server
        self.certificate = server.site.options.folder / "tls" / "page.pem"

    @property
    def url(self) -> str:
        return self.server.url.rstrip("/")

    def browser(self) -> Browser:
        return Browser(self.server.url, self.certificate)

    def make_account(self, role: str, institution: str = "") -> tuple[str, str]:
        """Make an account with a password of its owner's; return both."""
        site, name = self.server.site, f"the-{role}"
        handed_over, own = site.access.make(name, role), generate_password()
        if institution:
            site.people.set_institution(name, institution, site.clock.now(), "test")
        token = site.access.change_password(SignedInUser(name, role, "", site.clock.now()), handed_over, own, "-")
        assert token
        site.people.sign_out(token)
        return name, own

    def signed_in(self, role: str = "inspector", institution: str = "") -> Browser:
        browser = self.browser()
        assert browser.sign_in(*self.make_account(role, institution)).status_code == 200
        return browser

    def actions(self) -> list[str]:
        return [entry.action for entry in reversed(self.server.site.audit.recent(1000))]


@contextmanager
def serving_board(
    store: BoardStore,
    folder: Path,
    *,
    clock: Clock | None = None,
    tls: bool = True,
    fetch: FetchOptions | None = None,
    shelf: ShelfOptions | None = None,
) -> Iterator[ServedBoard]:
    """Serve the board's pages on the loopback; with the store's own clock unless another is given."""
    options = BoardWebOptions(
        folder,
        host="127.0.0.1",
        port=0,
        tls=tls,
        county="wenshui",
        bureau="文水县人社局",
        signing_key_file=folder / "bureau_ed25519",
        fetch=fetch or FetchOptions(),
        shelf=shelf or ShelfOptions((folder / "drives",)),
    )
    server = BoardServer(store.database, clock or store.clock, options)
    with closing(server), running(server):
        yield ServedBoard(store, server)
