"""The network between camera and box: a cable pulled, packets lost. In namespaces of its own; needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.clips import make_clip
from tests.support import namespaces
from tests.support.daemon import PASSWORD, Daemon
from tests.support.faults import Account, FaultBox, accounts, balanced, check_log, tell
from tests.support.recording_bench import breaks, indexes

WHY_NOT = namespaces.why_not()
FILM_S = 8
pytestmark = [
    pytest.mark.long,
    pytest.mark.minutes(2),
    pytest.mark.root,
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-"),
]
needs_nft = pytest.mark.skipif(
    shutil.which("nft", path=os.environ.get("PATH", "") + ":/usr/sbin") is None, reason="needs nftables"
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_clip(path, FILM_S, (1280, 720), 25, key_seconds=1, bit_rate=2_000_000)


@contextmanager
def site_behind_a_switch(tmp_path: Path, film: Path) -> Iterator[tuple[FaultBox, str]]:
    """A box with one camera on the network; gives the camera's namespace."""
    with namespaces.Nets() as net, pytest.MonkeyPatch.context() as patch:
        name, address = net.camera(1, 20)
        net.start(
            name,
            "-m",
            "simulator.camera",
            "--media",
            str(film),
            "--address",
            address,
            "--username",
            "admin",
            "--password",
            PASSWORD,
        )
        patch.setenv("SITE_AGENT_CAMERAS__NETWORKS", '["10.77.1.0/24"]')
        with Daemon(tmp_path, None) as daemon:
            daemon.prefix = ["ip", "netns", "exec", net.box]
            site = FaultBox(daemon, {"cam1": None}, None)  # type: ignore[dict-item]
            site.start()
            yield site, name


def close(site: FaultBox) -> Account:
    assert site.daemon.stop() == 0
    assert site.daemon.parts() == []
    with site.catalog() as catalog:
        books = accounts(catalog, site.daemon.drive, datetime.now(UTC))
    balanced(books)
    check_log(site)
    return books[0]


def test_cable_pulled(film: Path, tmp_path: Path) -> None:
    with site_behind_a_switch(tmp_path, film) as (site, name):
        switch = name.rsplit("c", 1)[0] + "sw1"
        namespaces.ip("-n", switch, "link", "set", "p20", "down")
        begun = time.monotonic()
        with site.catalog() as catalog:
            site.daemon.until(lambda: any(a.kind.value == "camera.offline" for a in catalog.alerts.opened()), 60)
            alarm = time.monotonic() - begun
            time.sleep(max(0.0, 45 - alarm))
            namespaces.ip("-n", switch, "link", "set", "p20", "up")
            begun = time.monotonic()
            site.daemon.until(lambda: not any(a.kind.value == "camera.offline" for a in catalog.alerts.opened()), 60)
            back = time.monotonic() - begun
        time.sleep(6)
        account = close(site)
    tell("cable pulled (45 s)", alarm=round(alarm, 1), recovery=round(back, 1), reasons=account.reasons)
    assert alarm <= 33 and back <= 20


@needs_nft
@pytest.mark.parametrize("percent", [1, 5])
def test_packets_lost(percent: int, film: Path, tmp_path: Path) -> None:
    """TCP sends again what was lost; nothing may be missing but what the camera itself throws away."""
    with site_behind_a_switch(tmp_path, film) as (site, name):
        lose(name, percent)
        time.sleep(60)
        with site.catalog() as catalog:
            stalls = [
                e
                for e in catalog.events.between(datetime.min.replace(tzinfo=UTC, year=2000), datetime.now(UTC))
                if e.kind in ("camera.down", "stream.stalled") and e.until
            ]
        account = close(site)
        with site.catalog() as catalog:
            rows = catalog.segments.of_class("T-1")
        missing = breaks([n for s in rows for n in indexes(site.daemon.drive / s.path)], FILM_S * 25)
    lost = account.reasons.get("camera_offline", 0) + account.reasons.get("stream_stalled", 0)
    assert missing == [] or lost > 0, "pictures are missing and no gap says so"
    tell(
        f"{percent} % of packets lost for 60 s",
        lost=round(lost, 2),
        interruptions=len(stalls),
        jumps_in_pictures=len(missing),
        reasons=account.reasons,
    )
    assert lost < 6


def lose(namespace: str, percent: int) -> None:
    rules = (
        "add table inet loss; add chain inet loss out { type filter hook output priority 0; };"
        f"add rule inet loss out numgen random mod 100 < {percent} drop"
    )
    subprocess.run(["ip", "netns", "exec", namespace, "nft", rules], check=True, capture_output=True, timeout=10)
