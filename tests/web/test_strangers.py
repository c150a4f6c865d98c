"""What strangers can do to the page is bounded: passwords tried, rows of the audit written, memory kept."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.website.auth import refusal_log
from agent.website.http import throttle
from agent.website.http.throttle import BURST, FREE_TRIES, NAME_TRIES, SignInThrottle, SignInThrottled, identify_sender
from tests.support.clocks import HandClock
from tests.support.drive_factory import at
from tests.support.web_client import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as found:
        yield found


@pytest.mark.parametrize("names", [1, 300])
def test_parallel_tries_share_one_allowance(served: Served, names: int) -> None:
    served.page.site.access.make("n0", "inspector")

    def one(number: int) -> int:
        with served.browser() as browser:
            return browser.sign_in(f"n{number % names}", f"wrong-{number}").status_code

    with ThreadPoolExecutor(150) as pool:
        answers = Counter(pool.map(one, range(300)))
    assert answers == {401: FREE_TRIES, 429: 300 - FREE_TRIES}


def test_nobody_keeps_an_inspector_out_from_another_address(served: Served) -> None:
    password = served.page.site.access.make("zhang", "inspector")
    for number in range(40):
        served.browser("127.0.0.66").sign_in("zhang", f"wrong-{number}")
    assert served.browser("127.0.0.66").sign_in("zhang", password).status_code == 429
    assert served.browser("127.0.0.77").sign_in("zhang", password).status_code == 200


def test_an_address_that_is_known_keeps_its_way_while_many_machines_guess(served: Served) -> None:
    password = served.page.site.access.make("zhang", "inspector")
    assert served.browser("127.0.0.77").sign_in("zhang", password).status_code == 200
    with ThreadPoolExecutor(20) as pool:
        answers = Counter(
            pool.map(lambda n: served.browser(f"127.0.7.{n % 50}").sign_in("zhang", "x").status_code, range(250))
        )
    assert answers[401] <= BURST + 30, "all together are slow"
    assert served.browser("127.0.0.77").sign_in("zhang", password).status_code == 200
    # and behind the same address as a machine that goes through other names
    for number in range(10):
        served.browser("127.0.0.77").sign_in(f"n{number}", "x")
    assert served.browser("127.0.0.77").sign_in("zhang", password).status_code == 200


def tries(slow: SignInThrottle, name: str, address: str, *, right: bool = False) -> bool:
    try:
        with slow.turn(name, address) as passed:
            if right:
                passed()
    except SignInThrottled:
        return False
    return True


def test_many_machines_together_guess_a_name_slowly() -> None:
    clock = HandClock(at("09:00"))
    slow = SignInThrottle(clock, lambda name, where: False)
    heard = 0
    for number in range(3600):  # an hour in which a new machine tries each second
        heard += tries(slow, "zhang", f"10.{number // 250}.0.{number % 250}")
        clock.go(1)
    assert heard == NAME_TRIES
    assert tries(slow, "li", "10.99.0.1"), "other names are not held up by that"
    clock.go(throttle.FORGET_S)
    assert tries(slow, "zhang", "10.99.0.2")


def test_waits_double_to_a_quarter_of_an_hour_and_a_right_password_ends_them() -> None:
    clock = HandClock(at("09:00"))
    slow = SignInThrottle(clock, lambda name, where: False)
    waits = []
    for _ in range(14):
        if not tries(slow, "zhang", "10.0.0.1"):
            with pytest.raises(SignInThrottled) as held, slow.turn("zhang", "10.0.0.1"):
                pass
            waits.append(held.value.wait_s)
            clock.go(held.value.wait_s)
    assert waits == [30, 60, 120, 240, 480]
    for _ in range(4):
        clock.go(900)
        assert tries(slow, "zhang", "10.0.0.1")
    clock.go(900)
    assert tries(slow, "zhang", "10.0.0.1", right=True)
    assert slow._pairs.by_key == {}


def test_an_account_of_ones_own_buys_no_guesses_at_others() -> None:
    slow = SignInThrottle(HandClock(at("09:00")), lambda name, where: False)
    heard = 0
    for _ in range(50):
        tries(slow, "mine", "10.0.0.1", right=True)
        heard += tries(slow, "zhang", "10.0.0.1")
    assert heard == FREE_TRIES


def test_an_ipv6_network_is_one_sender() -> None:
    assert identify_sender("2001:db8::1") == identify_sender("2001:db8::ffff:1") != identify_sender("2001:db8:0:1::1")
    assert identify_sender("::ffff:10.0.0.1") == identify_sender("10.0.0.1") == "10.0.0.1"
    assert identify_sender("fe80::1%eth0") == identify_sender("fe80::2")
    assert identify_sender("-") == "-"


def test_what_is_remembered_of_strangers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_REMEMBERED", 50)
    clock = HandClock(at("09:00"))
    slow = SignInThrottle(clock, lambda name, where: False)
    for number in range(500):
        tries(slow, f"n{number}", f"10.0.{number // 250}.{number % 250}")
        clock.go(1)
    assert max(len(kept.by_key) for kept in (slow._pairs, slow._origins, slow._names)) <= 50


def flood(served: Served, count: int, addresses: int, one: object) -> None:
    def work(part: int) -> None:
        browser = served.browser(f"127.0.9.{1 + part % addresses}")
        for number in range(count // 8):
            one(browser, f"{part}-{number}")  # type: ignore[operator]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


@pytest.mark.long
@pytest.mark.parametrize("addresses", [1, 8])
@pytest.mark.timeout(180)
def test_thousands_of_forged_requests_make_few_rows(served: Served, addresses: int) -> None:
    """Sign-ins with ever new names, posts of another site with ever new paths, calls with no token: 5,000 in all."""
    audit = served.box.catalog.audit
    evil = {"Origin": "https://evil.example"}
    before = len(audit.recent(10_000))
    flood(served, 2000, addresses, lambda b, n: b.sign_in(f"n{n}", "x"))
    flood(served, 2000, addresses, lambda b, n: b.submit(f"/classes/{'A' * 150}{n}/draw", {"a": "b"}, headers=evil))
    flood(served, 1000, addresses, lambda b, n: b.open(f"/api/v1/classes/{n}"))
    served.page.site.refusals.close()
    rows = audit.recent(10_000)
    assert len(rows) - before < 50
    told = rows[0]
    assert told.action == refusal_log.SUMMARY
    written = Counter(e.action for e in rows)
    assert sum(told.detail["held"].values()) + written["refused"] + written["sign-in.refused"] == 5000
    assert told.detail["origins"] == addresses
    assert audit.verify() is None
    # what a person who is signed in is refused has room of its own
    browser = served.signed_in("inspector")
    assert browser.open("/audit").status_code == 403
    assert audit.recent(1)[0].detail["reason"] == "web.not_yours"


@pytest.mark.parametrize("url", ["http://[", "https://[::1", "https://]/x", "x"])
def test_a_header_that_is_no_url_is_another_site_and_no_fault_of_the_page(
    served: Served, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {"name": "a", "password": "b"}
    for host in ("", "box"):
        forged = served.browser().submit("/sign-in", fields, headers={"Origin": url, "Host": host})
        assert forged.status_code == 403
    stranger = served.browser().submit("/password", {"old": "x"}, headers={"Referer": url}, allow_redirects=False)
    assert (stranger.status_code, stranger.headers["Location"]) == (303, "/sign-in?next=/")
    assert not [r for r in caplog.records if r.exc_info]


def test_an_hour_that_is_over_tells_what_it_held_back_and_the_next_has_rows_again(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        clock, catalog = HandClock(at("09:00")), served.box.catalog
        limits = refusal_log.Refusals(catalog.audit, clock, catalog.zone)
        before = len(catalog.audit.recent(10_000))
        for number in itertools.count():
            if number == 500:
                break
            limits.add("@x", f"10.0.0.{number}", "refused", f"/{number}", {"reason": "web.forged"}, signed_in=False)
        assert len(catalog.audit.recent(10_000)) - before == refusal_log.MOST
        clock.go(refusal_log.HOUR_S)
        limits.tick()
        limits.tick()
        told = catalog.audit.recent(1)[0]
        assert told.detail["held"] == {"refused web.forged": 500 - refusal_log.MOST}
        limits.add("@x", "10.0.0.1", "refused", "/", {"reason": "web.forged"}, signed_in=False)
        assert catalog.audit.recent(1)[0].object == "/"
        assert len(catalog.audit.recent(10_000)) - before == refusal_log.MOST + 2


def test_sign_ins_wait_their_turn_without_taking_the_pages_threads(served: Served) -> None:
    """A hundred machines at once: whoever is signed in gets pages meanwhile."""
    browser = served.signed_in()
    over = threading.Event()

    def one(number: int) -> None:
        while not over.is_set():
            served.browser(f"127.0.11.{number}").sign_in(f"n{number}", "x")

    with ThreadPoolExecutor(30) as pool:
        done = [pool.submit(one, number) for number in range(30)]
        took = []
        for _ in range(10):
            begun = time.perf_counter()
            assert browser.open("/").status_code == 200
            took.append(time.perf_counter() - begun)
        over.set()
        [d.result() for d in done]
    assert sorted(took)[5] < 2.0
