"""Shared by all tests: Chinese as the language, no settings from the caller's environment, and the table of long runs."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator

import hypothesis
import pytest

from agent import i18n

# how long an example takes on a busy machine says nothing about what is tested
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

_took: list[tuple[str, str, float]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long-table", action="store_true", help="end with a table of what ran, how it ended and how long it took"
    )
    parser.addoption(
        "--slice-seconds", type=float, default=0, help="run long tests, in an order drawn by --slice-seed, for so long"
    )
    parser.addoption("--slice-seed", type=int, default=0, help="0 draws one")


def pytest_configure(config: pytest.Config) -> None:
    # a developer's own SITE_AGENT_* must not reach the tests
    for name in [n for n in os.environ if n.upper().startswith("SITE_AGENT_")]:
        del os.environ[name]
    if config.getoption("--slice-seconds") and not config.getoption("--slice-seed"):
        config.option.slice_seed = random.SystemRandom().randrange(1, 10**6)


def pytest_report_header(config: pytest.Config) -> str | None:
    if not config.getoption("--slice-seconds"):
        return None
    return f"slice of {config.getoption('--slice-seconds'):.0f} s with --slice-seed {config.getoption('--slice-seed')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slice-seconds"):
        random.Random(config.getoption("--slice-seed")).shuffle(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    budget = item.config.getoption("--slice-seconds")
    # the first that is drawn may take the double: else those that need more would never be drawn
    most = budget if _BEGUN in item.session.stash else 2 * budget
    begun = item.session.stash.setdefault(_BEGUN, time.monotonic())
    marker = item.get_closest_marker("minutes")
    need = marker.args[0] * 60 if marker else _USUAL_S
    if budget and time.monotonic() - begun + need > most:
        pytest.skip("outside this run's slice")


_BEGUN = pytest.StashKey[float]()
_USUAL_S = 45


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or (report.when == "setup" and not report.passed):
        _took.append((report.nodeid, report.outcome, report.duration))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--long-table"):
        return
    terminalreporter.section("long tests")
    for name, outcome, seconds in sorted(_took):
        terminalreporter.write_line(f"{outcome:8} {seconds:8.1f} s  {name}")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong passwords that a test gives must not count for the developer, nor for the next test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / f"state-{next(_NUMBERS)}"))


_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _chinese() -> Iterator[None]:
    """Each test begins in the default language, whatever the one before it chose."""
    i18n.use_language("zh")
    yield
    i18n.use_language("zh")
