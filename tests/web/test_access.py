"""Tokens of programs: until when they are good, and what is noted of their use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.catalog import Catalog
from agent.website.auth.access import Authenticator
from tests.support.attendance_factory import ZONE, at
from tests.support.clocks import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock(at("09:00"))


@pytest.fixture
def access(tmp_path: Path, clock: HandClock) -> Iterator[Authenticator]:
    with Catalog(tmp_path / "c.db", ZONE) as catalog:
        yield Authenticator(catalog.accounts, catalog.origins, clock)


def test_a_token_is_good_for_its_days_and_not_longer(access: Authenticator, clock: HandClock) -> None:
    token, until = access.make_token("export", "inspector", 30)
    assert until == at("09:00") + timedelta(days=30)
    clock.go(30 * 86400 - 1)
    assert access.token(token) is not None
    clock.go(2)
    assert access.token(token) is None


def test_the_use_of_a_token_is_noted_at_first_and_then_every_five_minutes(
    access: Authenticator, clock: HandClock
) -> None:
    token, _ = access.make_token("export", "inspector", 30)
    noted = []
    for seconds in (0, 299, 2, 60):
        clock.go(seconds)
        access.token(token)
        found = access.token(token)
        assert found is not None and found.used_at is not None
        noted.append((found.used_at - at("09:00")).total_seconds())
    assert noted == [0, 0, 301, 301]
