"""How long a session lasts, and how often a password may be tried, by a clock that the test moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from agent.catalog import Catalog
from agent.core.errors import InputError
from agent.website.auth.access import Authenticator
from agent.website.http import throttle as throttling
from agent.website.http.throttle import SignInThrottle, SignInThrottled, identify_sender
from tests.support.attendance_factory import ZONE, at
from tests.support.clocks import HandClock

HOUR = 3600.0
ADDRESS = "10.0.0.1"


@pytest.fixture
def clock() -> HandClock:
    return HandClock(at("09:00"))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZONE) as found:
        yield found


@pytest.fixture
def access(catalog: Catalog, clock: HandClock) -> Authenticator:
    return Authenticator(catalog.accounts, catalog.origins, clock)


@pytest.fixture
def throttle(clock: HandClock) -> SignInThrottle:
    """Of addresses that no account has signed in from."""
    return SignInThrottle(clock, lambda name, where: False)


def signed_in(access: Authenticator, name: str = "inspector", address: str = ADDRESS) -> str:
    token = access.sign_in(name, access.make(name, "inspector"), address)
    assert token
    return token


def fail(throttle: SignInThrottle, name: str = "a", address: str = ADDRESS) -> float:
    """Try a wrong password; return for how long the try is refused, 0 where it is heard."""
    try:
        with throttle.turn(name, address):
            return 0.0
    except SignInThrottled as refused:
        return refused.wait_s


def passes(throttle: SignInThrottle, name: str = "a", address: str = ADDRESS) -> None:
    """Try the right password."""
    with throttle.turn(name, address) as passed:
        passed()


# sessions


def test_a_session_that_is_not_used_ends_after_two_hours(access: Authenticator, clock: HandClock) -> None:
    token = signed_in(access)
    clock.go(2 * HOUR - 1)
    other = signed_in(access, "another")
    assert access.session(other)
    clock.go(2)
    assert access.session(token) is None
    assert access.session(other)


def test_use_prolongs_a_session(access: Authenticator, clock: HandClock) -> None:
    token = signed_in(access)
    for _ in range(6):
        clock.go(90 * 60)
        assert access.session(token), "used within two hours"
    clock.go(2 * HOUR + 1)
    assert access.session(token) is None


def test_use_within_minutes_of_the_last_is_not_written_again(access: Authenticator, clock: HandClock) -> None:
    token = signed_in(access)
    begun = clock.now()
    clock.go(4 * 60)
    assert access.session(token)
    found = access.session(token)
    assert found is not None
    assert found.seen_at == begun
    clock.go(2 * 60)
    access.session(token)
    found = access.session(token)
    assert found is not None
    assert found.seen_at == clock.now()


def test_a_new_password_ends_every_other_session(access: Authenticator, clock: HandClock) -> None:
    first = access.make("inspector", "inspector")
    other, own = (access.sign_in("inspector", first, ADDRESS) for _ in range(2))
    assert other
    assert own
    me = access.session(own)
    assert me is not None
    assert access.change_password(me, "wrong", "another good password", ADDRESS) is None
    assert access.session(other), "nothing changed"
    token = access.change_password(me, first, "another good password", ADDRESS)
    assert token
    assert access.session(token)
    assert access.session(own) is None
    assert access.session(other) is None


def test_a_disabled_account_is_told_so_only_with_its_password(
    access: Authenticator, catalog: Catalog, clock: HandClock
) -> None:
    password = access.make("gone", "inspector")
    token = access.sign_in("gone", password, ADDRESS)
    assert token
    catalog.accounts.disable("gone", clock.now(), "test")
    assert access.session(token) is None
    assert access.sign_in("gone", "wrong", ADDRESS) is None
    with pytest.raises(InputError, match="gone"):
        access.sign_in("gone", password, ADDRESS)


def test_a_token_of_a_program_ends_on_its_day(access: Authenticator, clock: HandClock) -> None:
    token, until = access.make_token("bureau", "bureau", 1)
    clock.go_to(until)
    clock.go(-1)
    found = access.token(token)
    assert found is not None
    assert found.name == "bureau"
    again = access.token(token)
    assert again is not None
    assert again.used_at == clock.now()
    clock.go(1)
    assert access.token(token) is None


def test_an_unknown_name_takes_as_long_as_a_known_one(access: Authenticator, clock: HandClock) -> None:
    access.make("known", "inspector")

    def took(name: str) -> float:
        clock.go(HOUR + 1)
        begun = time.process_time()
        assert access.sign_in(name, "wrong", ADDRESS) is None
        return time.process_time() - begun

    known, unknown = (median(took(name) for _ in range(5)) for name in ("known", "unknown"))
    assert unknown > known / 3, "an unknown name is answered without hashing"


# tries of passwords


def test_the_wait_doubles_up_to_a_quarter_of_an_hour(throttle: SignInThrottle, clock: HandClock) -> None:
    assert [fail(throttle) for _ in range(5)] == [0.0] * 5
    waits = []
    for _ in range(8):
        waits.append(fail(throttle))
        clock.go(waits[-1] - 0.5)
        assert fail(throttle) == pytest.approx(0.5), "half a second before its end"
        clock.go(0.5)
        assert fail(throttle) == 0.0
    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


def test_a_try_that_is_refused_does_not_prolong_the_wait(throttle: SignInThrottle, clock: HandClock) -> None:
    for _ in range(5):
        fail(throttle)
    for _ in range(29):
        assert fail(throttle) > 0
        clock.go(1)
    clock.go(1)
    assert fail(throttle) == 0.0


def test_another_address_is_not_held_up_by_tries_of_the_same_name(throttle: SignInThrottle) -> None:
    for _ in range(5):
        fail(throttle)
    assert fail(throttle) > 0
    assert fail(throttle, address="10.0.0.2") == 0.0


def test_one_address_cannot_go_through_a_list_of_names(throttle: SignInThrottle) -> None:
    assert [fail(throttle, f"name-{i}") for i in range(5)] == [0.0] * 5
    assert fail(throttle, "name-6") == 30
    assert fail(throttle, "name-6", "10.0.0.2") == 0.0


def test_a_name_is_tried_a_hundred_times_an_hour_by_all_addresses(throttle: SignInThrottle, clock: HandClock) -> None:
    begun = clock.monotonic()
    for i in range(100):
        assert fail(throttle, address=f"10.0.1.{i}") == 0.0
        clock.go(2)
    assert fail(throttle, address="10.0.2.1") == pytest.approx(begun + HOUR - clock.monotonic())
    assert fail(throttle, "b", "10.0.2.1") == 0.0, "another name"
    clock.go(begun + HOUR - clock.monotonic())
    for i in range(100):
        assert fail(throttle, address=f"10.0.3.{i}") == 0.0, "the hour is over, another begins"
        clock.go(2)
    assert fail(throttle, address="10.0.4.1") == pytest.approx(HOUR - 200)


def test_right_passwords_use_up_neither_the_name_s_hour_nor_the_burst(throttle: SignInThrottle) -> None:
    for i in range(120):
        passes(throttle, address=f"10.0.1.{i}")
    assert fail(throttle, address="10.0.2.1") == 0.0


def test_all_together_have_a_burst_and_then_one_a_second(throttle: SignInThrottle, clock: HandClock) -> None:
    tries = [fail(throttle, f"n{i}", f"10.0.{i}.1") for i in range(31)]
    assert tries[:30] == [0.0] * 30
    assert tries[30] == pytest.approx(1.0)
    clock.go(1)
    assert [fail(throttle, f"m{i}", f"10.1.{i}.1") > 0 for i in range(2)] == [False, True]


def test_success_clears_the_count_of_a_name_at_an_address(clock: HandClock) -> None:
    throttle = SignInThrottle(clock, lambda name, where: True)
    for _ in range(3):
        assert [fail(throttle) for _ in range(4)] == [0.0] * 4
        passes(throttle)
    assert [fail(throttle) for _ in range(6)] == [0.0] * 5 + [30]


def test_success_takes_back_one_try_of_the_address_alone(throttle: SignInThrottle) -> None:
    """Whoever has an account could otherwise go on guessing at those of others."""
    for i in range(4):
        fail(throttle, f"victim-{i}")
    passes(throttle, "mine")
    assert fail(throttle, "victim-5") == 0.0, "the fifth"
    assert fail(throttle, "victim-6") == 30


def test_what_was_counted_is_forgotten_after_an_hour(throttle: SignInThrottle, clock: HandClock) -> None:
    for _ in range(5):
        fail(throttle)
    clock.go(HOUR)
    assert [fail(throttle) for _ in range(5)] == [0.0] * 5


def test_its_own_address_is_not_held_up_by_strangers(access: Authenticator, clock: HandClock) -> None:
    password = access.make("inspector", "inspector")
    assert access.sign_in("inspector", password, ADDRESS)
    for i in range(31):
        fail(access.throttle, f"name-{i}", f"10.1.{i}.1")
    assert fail(access.throttle, "inspector", "10.9.9.9") > 0, "strangers wait"
    assert access.sign_in("inspector", password, ADDRESS)
    assert [fail(access.throttle, "inspector") for _ in range(6)][-1] == 30, "but its own wrong tries count"


def test_slips_long_ago_do_not_lock_a_name(access: Authenticator, clock: HandClock) -> None:
    password = access.make("inspector", "inspector")
    for _ in range(4):
        for _ in range(3):
            assert access.sign_in("inspector", "slip", ADDRESS) is None
        assert access.sign_in("inspector", password, ADDRESS)
        clock.go(30 * 60)


def test_the_oldest_count_goes_where_there_are_too_many(
    throttle: SignInThrottle, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling, "_REMEMBERED", 2)
    for _ in range(5):
        fail(throttle, "a", "10.0.0.1")
    assert fail(throttle, "a", "10.0.0.1") == 30
    for i in range(2, 4):
        fail(throttle, f"b{i}", f"10.0.0.{i}")
    assert fail(throttle, "a", "10.0.0.1") == 0.0


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("192.168.1.10", "192.168.1.10"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.168.1.10", "192.168.1.10"),
        ("x" * 100, "x" * 64),
    ],
)
def test_what_counts_as_one_sender(address: str, sender: str) -> None:
    assert identify_sender(address) == sender
