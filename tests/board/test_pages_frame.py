"""The frame of the board's pages: sign-in, roles, accounts, audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from agent.core.errors import InputError
from board.accounts.audit import BoardAudit
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.web_client import csrf_of


@pytest.fixture
def board(store: BoardStore, tmp_path: Path) -> Iterator[ServedBoard]:
    with serving_board(store, tmp_path / "page") as served:
        yield served


def test_a_stranger_signs_in_first_and_a_handed_over_password_is_changed(board: ServedBoard) -> None:
    browser = board.browser()
    assert "/sign-in" in browser.open("/").url
    assert browser.sign_in("nobody", "x" * 12).status_code == 401
    password = board.server.site.access.make("zhang", "clerk")
    browser.first_sign_in("zhang", password)
    page = browser.open("/")
    assert page.status_code == 200 and "培训监管看板" in page.text and "文水县人社局" in page.text
    assert {"sign-in.refused", "account", "sign-in", "password"} <= set(board.actions())


def test_roles_decide_who_manages_accounts_and_reads_the_audit(board: ServedBoard) -> None:
    may = {"clerk": (200, 200), "inspector": (403, 403), "leader": (403, 403), "auditor": (403, 200)}
    for role, wanted in may.items():
        browser = board.signed_in(role)
        assert (browser.open("/accounts").status_code, browser.open("/audit").status_code) == wanted, role


def test_an_institution_gets_an_account_of_its_own(board: ServedBoard) -> None:
    browser = board.signed_in("clerk")
    form = {"csrf": csrf_of(browser.open("/accounts").text), "name": "school", "role": "institution"}
    refused = browser.submit("/accounts", form)
    assert refused.status_code == 400 and "机构名称" in refused.text
    assert board.server.site.people.get("school") is None
    assert browser.submit("/accounts", form | {"institution": "某职业培训学校"}).status_code == 200
    assert board.server.site.people.the("school").institution == "某职业培训学校"


def test_the_last_clerk_stays(board: ServedBoard) -> None:
    people, now = board.server.site.people, board.store.clock.now()
    board.make_account("clerk")
    with pytest.raises(InputError, match="the-clerk"):
        people.disable("the-clerk", now, "test")
    with pytest.raises(InputError, match="the-clerk"):
        people.put("the-clerk", "leader", "x", now, "test")
    people.put("second", "clerk", "x", now, "test")
    assert people.disable("the-clerk", now, "test").disabled_at


def test_a_changed_audit_is_found(board: ServedBoard) -> None:
    board.make_account("clerk")
    audit = BoardAudit(board.store.database)
    assert audit.verify() is None and len(audit.recent()) >= 2
    with board.store.database.write() as connection:
        connection.execute(text("update audit set who = 'another' where id = 1"))
    assert audit.verify() == 1
    assert "1" in board.signed_in("auditor").open("/audit?whole=1").text
