"""Accounts of the page: own passwords, who manages whom, disabling, and that the bureau hears of every change."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.catalog import Catalog, copies
from agent.core.alert_model import AlertKind
from agent.core.clock import SystemClock
from agent.website.auth.access import SHORTEST_PASSWORD, TOUCH, Authenticator, generate_password
from tests.service.test_app import data
from tests.support.broker import Broker, Listener, needs_mosquitto
from tests.support.clip_factory import ZONE, ClipBox, make_box
from tests.support.contract_check import validate
from tests.support.daemon import Daemon
from tests.support.web_client import HALF, ID, Browser, Served, csrf_of, own_password, serving

LONG = "an evening in the reading room"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("accounts")) as found:
        yield found


@pytest.fixture
def box(tmp_path: Path) -> Iterator[ClipBox]:
    made = make_box(tmp_path)
    yield made
    made.catalog.close()


def told(catalog: Catalog) -> list[tuple[str, str, str, str]]:
    """(account, act, role, by) of each alert, as it waits for the bureau; raised and cleared in turn."""
    messages = [m for m in catalog.outbox.waiting(0) if m.topic == "alert/account.changed"]
    data = [json.loads(m.data) if isinstance(m.data, str) else m.data for m in messages]
    assert [d["state"] for d in data] == ["raised", "cleared"] * (len(data) // 2)
    assert {d["severity"] for d in data} <= {"warning"}
    seen = [d["evidence"] for d in data[::2]]
    return [(e["account"], e["act"], e["role"], e["by"].split("@")[0]) for e in seen]


def told_of(served: Served, name: str) -> list[str]:
    found = [a for a in reversed(served.box.catalog.alerts.recent(1000)) if a.kind == AlertKind.ACCOUNT_CHANGED]
    return [str(a.evidence["act"]) for a in found if a.evidence["account"] == name]


def change(browser: Browser, old: str, new: str, again: str | None = None) -> int:
    fields = {
        "old": old,
        "new": new,
        "again": new if again is None else again,
        "csrf": csrf_of(browser.open("/password").text),
    }
    return browser.submit("/password", fields, allow_redirects=False).status_code


def manage(browser: Browser, act: str, **fields: str) -> tuple[int, str]:
    """(status, page) of an act on /accounts."""
    fields["csrf"] = csrf_of(browser.open("/password").text)
    answer = browser.submit("/accounts" + (f"/{act}" if act else ""), fields)
    return answer.status_code, answer.text


def secret(page: str) -> str:
    found = re.search(r'class="secret">([^<]+)<', page)
    assert found
    return found[1]


def test_a_handed_over_password_must_be_changed_before_anything_else(served: Served) -> None:
    browser, password = served.browser(), served.page.site.access.make("newcomer", "bureau")
    assert browser.sign_in("newcomer", password).url.startswith(browser.base + "/password?next=")
    for path in ("/", HALF, "/now", "/audit", "/accounts", "/health", f"/classes/{ID}/review"):
        answer = browser.open(path, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (303, "/password"), path
    files = (
        f"/play/{ID}/2025-03-10/cam1/090000-090010.mp4",
        f"/classes/{ID}/attendance.xlsx",
        f"/classes/{ID}/audit.jsonl",
        "/now/cam1.jpg",
    )
    for path in files:
        answer = browser.open(path, allow_redirects=False)
        assert answer.status_code == 403 and "自己的密码" in answer.text, path
    token = csrf_of(browser.open("/password").text)
    cut = browser.submit(HALF + "/clips", {"from": "09:00:03", "to": "09:00:08", "csrf": token}, allow_redirects=False)
    assert cut.status_code == 403
    made = browser.submit("/accounts", {"name": "x", "role": "bureau", "csrf": token}, allow_redirects=False)
    assert made.status_code == 403 and served.box.catalog.accounts.get("x") is None
    form = browser.open(HALF)
    fields = {"old": password, "new": LONG, "again": LONG, "csrf": csrf_of(form.text), "next": HALF}
    assert browser.submit("/password", fields).url == browser.base + HALF, "on to where one wanted to go"
    assert browser.open("/audit").status_code == 200
    again = served.browser()
    assert again.sign_in("newcomer", password).status_code == 401
    assert again.sign_in("newcomer", LONG).url == again.base + "/"
    assert told_of(served, "newcomer") == ["made"], "a person's own doing is no alert"
    assert served.box.catalog.audit.of_object("newcomer", "password")


def test_changing_the_password_ends_the_other_sessions(served: Served) -> None:
    password = own_password(served.page, "two", "inspector")
    here, there = served.browser(), served.browser()
    for browser in (here, there):
        browser.sign_in("two", password)
    before = {c.value for c in here.cookies if c.name == served.page.site.cookie}
    assert change(here, password, LONG) == 303
    assert before.isdisjoint(c.value for c in here.cookies if c.name == served.page.site.cookie)
    assert here.open("/", allow_redirects=False).status_code == 200
    assert there.open("/", allow_redirects=False).status_code == 303


def test_what_is_no_password(served: Served) -> None:
    password = own_password(served.page, "picky-person", "inspector")
    browser = served.browser()
    browser.sign_in("picky-person", password)
    short = "Ab3-xyz"[: SHORTEST_PASSWORD - 1]
    for new in (short, "", "a" * 30, "picky-person", "Picky-Person1", password, "x1y2" * 60):
        assert change(browser, password, new) == 400, new
    assert change(browser, password, LONG, "something else") == 400
    assert change(browser, "not the old one", LONG) == 403
    page = browser.open("/password").text
    assert f'minlength="{SHORTEST_PASSWORD}"' in page and f"至少 {SHORTEST_PASSWORD} 个字符" in page
    assert browser.submit("/password", {"old": password, "new": LONG, "again": LONG}).status_code == 403, (
        "no CSRF token"
    )
    assert change(browser, password, "  spaces count  ") == 303
    assert served.browser().sign_in("picky-person", "  spaces count  ").status_code == 200


def test_the_old_password_cannot_be_guessed_at_the_form(served: Served) -> None:
    password = own_password(served.page, "left-open", "inspector")
    browser = served.browser()
    browser.sign_in("left-open", password)
    answers = [change(browser, f"wrong-{i}", LONG) for i in range(7)]
    assert answers == [403] * 5 + [429] * 2
    assert served.browser().sign_in("left-open", password).status_code == 429


def test_the_bureau_manages_everybody_on_the_page(served: Served) -> None:
    bureau = served.signed_in("bureau")
    status, page = manage(bureau, "", name="王检查", role="inspector")
    assert status == 200
    inspector, password = served.browser(), secret(page)
    own = inspector.first_sign_in("王检查", password)
    listed = bureau.open("/accounts").text
    assert re.search(r"<td>王检查</td><td>检查人员</td>.*?<td>the-bureau@127\.0\.0\.1</td>", listed, re.S)
    assert password not in listed and own not in listed, "shown once"

    assert manage(bureau, "disable", name="王检查")[0] == 200
    assert inspector.open("/", allow_redirects=False).status_code == 303, "at once"
    refused = served.browser().sign_in("王检查", own)
    assert refused.status_code == 403 and "已停用" in refused.text
    assert served.browser().sign_in("王检查", "wrong").status_code == 401, (
        "who does not know the password hears nothing of it"
    )
    status, page = manage(bureau, "reset", name="王检查")
    assert status == 400 and "先启用" in page
    assert manage(bureau, "enable", name="王检查")[0] == 200
    assert served.browser().sign_in("王检查", own).status_code == 200

    status, page = manage(bureau, "reset", name="王检查")
    assert status == 200 and served.browser().sign_in("王检查", own).status_code == 401
    served.browser().first_sign_in("王检查", secret(page))
    assert told_of(served, "王检查") == ["made", "disabled", "enabled", "reset"]
    by = [a.evidence["by"] for a in served.box.catalog.alerts.recent(1000) if a.evidence.get("account") == "王检查"]
    assert {*by} == {"the-bureau@127.0.0.1"}


def test_the_inspected_party_manages_its_own_accounts_alone(served: Served) -> None:
    own_password(served.page, "the-inspector", "inspector")
    own_password(served.page, "the-bureau", "bureau")
    operator = served.signed_in("operator")
    for role in ("inspector", "bureau", "", "root"):
        assert manage(operator, "", name="fake", role=role)[0] == 403
    for act in ("reset", "disable", "enable"):
        for name in ("the-inspector", "the-bureau"):
            assert manage(operator, act, name=name)[0] == 403, (act, name)
    assert served.box.catalog.accounts.get("fake") is None
    status, page = manage(operator, "", name="ban2", role="operator")
    assert status == 200
    served.browser().first_sign_in("ban2", secret(page))
    assert told_of(served, "ban2") == ["made"]
    inspector = served.signed_in("inspector")
    assert inspector.open("/accounts").status_code == 403
    assert manage(inspector, "", name="friend", role="inspector")[0] == 403
    assert "/accounts" not in inspector.open("/password").text


def test_what_the_inspected_party_may_not_do_fills_no_audit(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        operator, audit = served.signed_in("operator"), served.box.catalog.audit
        token = csrf_of(operator.open("/password").text)
        for number in range(50):
            fields = {"name": f"fake{number}", "role": "inspector", "csrf": token}
            assert operator.submit("/accounts", fields).status_code == 403
        assert operator.submit("/accounts/disable", {"name": "nobody", "csrf": token}).status_code == 400
        served.page.site.refusals.close()
        rows = audit.recent(1000)
        assert [r.object for r in rows if r.action == "account.refused"] == ["nobody", "fake2", "fake1", "fake0"]
        assert rows[0].detail["held"] == {"account.refused accounts.not_yours": 47}


def test_wrong_acts_on_the_page(served: Served) -> None:
    bureau = served.signed_in("bureau")
    own_password(served.page, "there", "inspector")
    for name in ("", "a b", "-x", ".x", "x" * 33, "a@b", "x\r\ny", "<b>", "there", "THERE", "ｔｈｅｒｅ"):
        status, page = manage(bureau, "", name=name, role="inspector")
        assert status == 400 and 'role="alert"' in page, name
    assert manage(bureau, "reset", name="nobody")[0] == 400
    for act in ("reset", "disable"):
        assert manage(bureau, act, name="the-bureau")[0] == 403, "not oneself"
    fields = {"name": "forged", "role": "inspector"}
    assert bureau.submit("/accounts", fields).status_code == 403
    token = csrf_of(bureau.open("/password").text)
    evil = bureau.submit("/accounts", fields | {"csrf": token}, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 403
    assert served.box.catalog.accounts.get("forged") is None


def test_what_was_typed_is_kept_where_it_was_not_accepted(served: Served) -> None:
    refused = served.browser().sign_in("李<检查", "x" * 12)
    assert refused.status_code == 401 and 'value="李&lt;检查"' in refused.text and "x" * 12 not in refused.text
    bureau = served.signed_in("bureau")
    fields = {"name": "the-bureau", "role": "operator", "csrf": bureau.token()}
    known = bureau.submit("/accounts", fields)
    assert known.status_code == 400 and 'value="the-bureau"' in known.text
    assert '<option value="operator" selected>' in known.text


def test_full_width_letters_are_the_same_name(served: Served) -> None:
    password = own_password(served.page, "wide", "inspector")
    assert served.browser().sign_in("ｗｉｄｅ", password).url.endswith("/")
    answers = [
        served.browser().sign_in(name, "x").status_code
        for name in ("wide", "ｗide", "wｉde", "wiｄe", "widｅ", "ｗｉde")
    ]
    assert answers == [401] * 5 + [429], "no more tries by writing it differently"


def test_the_last_use_is_kept_coarsely(served: Served) -> None:
    password = own_password(served.page, "seen", "inspector")
    browser, accounts, now = served.browser(), served.box.catalog.accounts, SystemClock().now()
    browser.sign_in("seen", password)
    first = accounts.the("seen").used_at
    assert first and abs(first - now) < timedelta(seconds=30)
    browser.open("/")
    assert accounts.the("seen").used_at == first, "a write each few minutes at most"
    token = next(c.value for c in browser.cookies if c.name == served.page.site.cookie)
    accounts.seen(str(token), now - TOUCH * 2, now + timedelta(hours=1))
    stale = accounts.the("seen").used_at
    assert stale and stale < now - TOUCH
    browser.open("/")
    assert (accounts.the("seen").used_at or stale) >= first

    text, _ = served.page.site.access.make_token("prog", "bureau", 1)
    assert next(t for t in accounts.tokens(now) if t.name == "prog").used_at is None
    headers = {"Authorization": f"Bearer {text}"}
    assert Browser(served.page.url, served.certificate).open("/api/v1/classes", headers=headers).status_code == 200
    used = next(t for t in accounts.tokens(now) if t.name == "prog").used_at
    assert used and abs(used - now) < timedelta(seconds=30)


def test_two_boxes_behind_one_name_do_not_sign_each_other_out(served: Served, tmp_path: Path) -> None:
    """Cookies know no port."""
    with serving(tmp_path) as other:
        one = served.browser()
        one.sign_in("both", own_password(served.page, "both", "inspector"))
        two = Browser(other.page.url, other.certificate)
        two.cookies = one.cookies
        two.sign_in("both", own_password(other.page, "both", "inspector"))
        for browser in (one, two, one):
            assert browser.open("/", allow_redirects=False).status_code == 200
        two.submit("/sign-out", {"csrf": two.token()})
        assert two.open("/", allow_redirects=False).status_code == 303
        assert one.open("/", allow_redirects=False).status_code == 200


@pytest.mark.long
def test_by_the_command_line_each_act_waits_for_the_bureau(box: ClipBox) -> None:
    """Nothing runs: what a command has changed is told as soon as the agent does."""

    def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = box.command("serve", *arguments)
        assert done.returncode == status, (arguments, done.stderr)
        if status:
            assert len(done.stderr.splitlines()) == 1 and done.stdout == ""
        return done

    first = json.loads(run("--account", "chief", "--role", "bureau", "--json").stdout)
    assert (first["account"], first["role"]) == ("chief", "bureau")
    run("--account", "wang")
    run("--account", "wang", "--json")
    assert json.loads(run("--account", "chief", "--json").stdout)["role"] == "bureau", (
        "a lost password does not cost the role"
    )
    run("--account", "wang", "--role", "operator")
    run("--disable", "wang")
    run("--disable", "wang")
    run("--account", "wang", status=2)
    run("--enable", "wang")
    run("--token", "prog", "--role", "bureau")
    run("--token", "prog")
    run("--revoke", "prog")
    run("--disable", "nobody", status=2)
    run("--enable", "a\x1bb", status=2)
    run("--disable", "chief", status=2)
    run("--account", "chief", "--role", "inspector", status=2)
    run("--account", "Wang", status=2)
    for bad in ("a b", "", "-", "..", "a/b", "x" * 33, "a\nb"):
        run(f"--account={bad}", status=2)
    assert box.command("serve", "--disable", "wang", "--enable", "wang").returncode == 2
    assert told(box.catalog) == [
        (name, act, role, "shell") for name, act, role in (
            ("chief", "made", "bureau"), ("wang", "made", "inspector"), ("wang", "reset", "inspector"),
            ("chief", "reset", "bureau"), ("wang", "role", "operator"), ("wang", "disabled", "operator"),
            ("wang", "enabled", "operator"), ("prog", "token_made", "bureau"), ("prog", "token_replaced", "inspector"),
            ("prog", "token_revoked", "inspector"))
    ]  # fmt: skip
    assert box.catalog.alerts.opened() == []
    everything = box.catalog.store.path.read_bytes() + Path(f"{box.catalog.store.path}-wal").read_bytes()
    assert first["password"].encode() not in everything
    assert [e.action for e in reversed(box.catalog.audit.recent())] == (
        ["account"] * 5 + ["account.disable", "account.enable", "token", "token", "token.revoke"]
    )
    now = SystemClock().now()
    kinds = [e.kind for e in box.catalog.events.between(now - timedelta(hours=1), now + timedelta(hours=1))]
    assert kinds == ["account.changed"] * 10


@pytest.mark.long
def test_the_list_by_the_command_line(box: ClipBox) -> None:
    box.command("serve", "--account", "局长", "--role", "bureau")
    box.command("serve", "--account", "li")
    box.command("serve", "--token", "prog")
    box.command("serve", "--disable", "li")
    lines = [json.loads(line) for line in box.command("serve", "--accounts", "--json").stdout.splitlines()]
    assert [
        (x["account"], x["role"], x["created_by"], x["last_use"], x["disabled"], x["must_change"]) for x in lines[:2]
    ] == [("li", "inspector", "shell", None, True, True), ("局长", "bureau", "shell", None, False, True)]
    assert lines[2]["token_name"] == "prog" and lines[2]["until"] > lines[2]["created"]
    text = box.command("serve", "--accounts").stdout
    assert "局长" in text and "已停用" in text and "prog" in text
    assert len(box.command("serve", "--accounts", "--json").stderr) == 0


@pytest.mark.long
def test_the_last_that_manages_stays(box: ClipBox) -> None:
    for name, role in (("admin", "operator"), ("admin2", "operator")):
        assert box.command("serve", "--account", name, "--role", role).returncode == 0
    assert box.command("serve", "--disable", "admin").returncode == 0
    last = box.command("serve", "--disable", "admin2")
    assert last.returncode == 2 and "admin2" in last.stderr
    box.command("serve", "--account", "chief", "--role", "bureau")
    assert box.command("serve", "--disable", "admin2").returncode == 0, "the bureau's account can make another"
    assert box.command("serve", "--disable", "chief").returncode == 2


def test_a_command_while_the_agent_does_not_run_is_no_sign_of_its_life(box: ClipBox) -> None:
    box.catalog.events.add("agent.stopped", SystemClock().now() - timedelta(hours=1))
    before = box.catalog.events.traces()
    box.command("serve", "--account", "late")
    after = box.catalog.events.traces()
    assert before and after and after[1] == before[1]


def test_accounts_of_an_earlier_version(tmp_path: Path) -> None:
    """They go on, with a password of their own from the next sign-in on; so do those of a copy from before."""
    old = tmp_path / "old.db"
    Catalog(old, ZONE).close()
    with sqlite3.connect(old) as db:
        for column in ("created_by", "used_at", "disabled_at", "must_change"):
            db.execute(f"alter table accounts drop column {column}")
        for column in ("created_by", "used_at"):
            db.execute(f"alter table tokens drop column {column}")
        db.execute("delete from _sqlite_migrations where name = 'm007_accounts_kept'")
        db.execute("insert into accounts values ('wang', 'inspector', 'x', '2026-01-02T03:04:05.000000Z')")
        db.execute(
            "insert into tokens values ('h', 'prog', 'bureau', '2026-01-02T03:04:05.000000Z', '2099-01-02T03:04:05.000000Z')"
        )
    db.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes(old.read_bytes())
    with Catalog(tmp_path / "new.db", ZONE) as made_again:
        assert copies.restore_from_copy(made_again.store, copy) == 2
        assert made_again.accounts.the("wang").must_change
    with Catalog(old, ZONE) as found:
        wang = found.accounts.the("wang")
        assert (wang.role, wang.must_change, wang.disabled_at, wang.created_by) == ("inspector", True, None, "")
        assert [t.name for t in found.accounts.tokens(SystemClock().now())] == ["prog"]


def test_a_password_that_was_replaced_while_it_was_checked_begins_no_session(box: ClipBox) -> None:
    access, accounts = Authenticator(box.catalog.accounts, box.catalog.origins, SystemClock()), box.catalog.accounts
    access.make("raced", "inspector")
    stale, now = accounts.the("raced"), SystemClock().now()
    access.make("raced", "inspector")
    assert not accounts.sign_in(generate_password(), stale, "c", now, now + timedelta(hours=1))
    accounts.disable("raced", now, "shell")
    assert not accounts.sign_in(generate_password(), accounts.the("raced"), "c", now, now + timedelta(hours=1))


@pytest.mark.long
@needs_mosquitto
def test_the_bureau_hears_of_it_from_the_running_agent_and_from_the_next_start(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Listener(broker) as ears, Daemon(tmp_path, broker.port) as daemon:
        daemon.environment["SITE_AGENT_CAMERAS__NETWORKS"] = '["127.0.0.99/32"]'  # other tests' cameras may be about
        daemon.json("serve", "--account", "wang")
        daemon.start()
        ears.wait(lambda: len(ears.on("/alert/account.changed")) == 2, 40)
        daemon.json("serve", "--account", "wang")
        ears.wait(lambda: len(ears.on("/alert/account.changed")) == 4, 20)
        for heard in ears.on("/alert/account.changed"):
            validate(heard.topic, heard.payload)
        seen = [
            (data(h)["state"], data(h)["evidence"]["act"], data(h)["evidence"]["by"])
            for h in ears.on("/alert/account.changed")
        ]
        assert seen == [(state, act, "shell") for act in ("made", "reset") for state in ("raised", "cleared")]
        assert daemon.stop() == 0
