"""Video from a box behind a router that hides it, over a narrow line: real programs in namespaces of their own."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from agent.core.account_model import SignedInUser
from agent.core.clock import SystemClock
from agent.website.auth.access import Authenticator, generate_password
from board.accounts.accounts import BoardAccounts
from board.accounts.audit import BoardAudit
from board.accounts.origins import BoardOrigins
from board.clips.orders import list_clips
from board.store.database import Database
from simulator.clips import make_clip
from tests.support import namespaces
from tests.support.broker import eventually, needs_mosquitto
from tests.support.clip_factory import CLASS, DAY, START, ClipBox, make_box
from tests.support.pushing_box import BOX as BOX_NAME
from tests.support.site_behind_nat import BOX, BUREAU, SiteBehindNat

WHY_NOT = namespaces.why_not()
CHROMIUM = Path("/usr/bin/chromium")
CLASS_ID = str(CLASS["class_id"])
pytestmark = [
    pytest.mark.long,
    pytest.mark.minutes(3),
    pytest.mark.root,
    needs_mosquitto,
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-"),
]


@contextmanager
def county(folder: Path, box: ClipBox) -> Iterator[tuple[SiteBehindNat, Path]]:
    """Board and broker on one side of the router, the agent on the other; gives the board's settings file."""
    with SiteBehindNat(folder) as site:
        site.start_broker()
        config = folder / "board.toml"
        config.write_text(
            f'county = "wenshui"\nstate_dir = "{folder}/board"\n[broker]\nhost = "{BUREAU}"\nport = 1883\ntls = false\n'
            f'username = ""\n[pages]\nhost = "{BUREAU}"\nport = 8443\nnames = ["{BUREAU}"]\n',
            encoding="utf-8",
        )
        receiving = site.start_module(site.bureau, "board", "board", "run", "--config", str(config))
        eventually(lambda: "connected to" in receiving.read_text(), 60)
        pages = site.start_module(site.bureau, "pages", "board", "serve", "--config", str(config))
        eventually(lambda: "https://" in pages.read_text(), 60)
        authority = folder / "board" / "page" / "tls" / "page-ca.pem"
        box.config.write_text(
            box.config.read_text(encoding="utf-8")
            + f'[bureau]\nhost = "{BUREAU}"\nport = 1883\ntls = false\nupload_ca_file = "{authority}"\nupload_mbit = 100\n'
            "[serve]\nenabled = false\nmetrics_port = 0\n"
            f'[cameras]\nmodel_list = "{folder}/models.toml"\nnetworks = ["10.88.0.64/30"]\n',
            encoding="utf-8",
        )
        (folder / "models.toml").write_text('[[camera]]\nmanufacturer = "Example"\nmodel = "VC-*"\n')
        site.start_module(site.box, "agent", "agent", "run", "--config", str(box.config))
        boxes = lambda: site.run(site.bureau, sys.executable, "-m", "board", "boxes", "--json", "--config", str(config))  # noqa: E731
        eventually(lambda: "box-1" in boxes().stdout, 90)
        yield site, config


def test_a_box_that_cannot_be_reached_sends_its_video(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    box.record(make_clip(tmp_path / "a.mp4", 8, size=(640, 360)), [0, 4, 8])
    with county(tmp_path, box) as (site, config):
        site.start_module(site.box, "open-port", "http.server", "8000", "--bind", BOX)
        eventually(lambda: site.reaches(site.box, BOX, 8000), 20)
        assert not site.reaches(site.bureau, BOX, 8000), "the router lets strangers in: this proves nothing"

        def ask(begin: str, end: str) -> subprocess.CompletedProcess[str]:
            given = ("clip", CLASS_ID, "--on", str(DAY), "--from", begin, "--to", end, "--box", "site-1/box-1")
            own = (*given, "--out", str(tmp_path / "got"), "--json", "--config", str(config))
            return site.run(site.bureau, sys.executable, "-m", "board", *own, check=False)

        done = ask("09:00:01", "09:00:07")
        assert done.returncode == 0, done.stderr
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["checks"]["sources"] == {"found": 2} and Path(json.loads(line)["path"]).exists()
        none = ask("11:00", "11:01")
        assert none.returncode == 1 and "没有" in none.stderr, none.stderr


@pytest.mark.timeout(900)
def test_ten_minutes_are_on_the_screen_within_twenty_seconds(tmp_path: Path) -> None:
    """A clip of 4 Mbit/s over a line of 20 Mbit/s: 300 MB, watched while they come."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    box = make_box(tmp_path)
    material = make_clip(tmp_path / "a.mp4", 60, size=(1280, 720), bit_rate=4_000_000)
    for minute in range(11):
        box.record(material, [0, 60], START + timedelta(minutes=minute))
    with county(tmp_path, box) as (site, _):
        site.narrow(20)
        database = Database(f"sqlite:///{tmp_path}/board/board.db")
        name, password = make_account(database)
        browser_file = tmp_path / "chromium"
        browser_file.write_text(f'#!/bin/sh\nexec ip netns exec {site.bureau} {CHROMIUM} "$@"\n')
        browser_file.chmod(browser_file.stat().st_mode | stat.S_IXUSR)
        with sync_api.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=str(browser_file), args=["--no-sandbox"])
            page = browser.new_page(ignore_https_errors=True, base_url=f"https://{BUREAU}:8443")
            page.goto("/sign-in")
            page.fill("[name=name]", name)
            page.fill("[name=password]", password)
            page.click("main button")
            begun = time.monotonic()
            order(database)
            page.goto("/clips")
            page.click("main tbody a")
            page.wait_for_function("() => (document.querySelector('video')?.currentTime ?? 0) > 0.2", timeout=60_000)
            shown = time.monotonic() - begun
            print(f"\nfirst pictures after {shown:.1f} s")
            page.wait_for_function("() => !document.getElementById('state').dataset.open", timeout=500_000)
            whole = time.monotonic() - begun
            assert page.locator("#papers a").count() == 3
            browser.close()
        (found,) = list_clips(database)
        size = sum(file.bytes for file in found.files) / 1e6
        database.close()
    print(
        f"\n10 minutes, {size:.0f} MB, 20 Mbit/s: first pictures after {shown:.1f} s, all checked after {whole:.1f} s"
    )
    assert found.state == "ready" and size > 200
    assert shown < 20


def order(database: Database) -> None:
    from board.clips.orders import order_clip

    end = START + timedelta(minutes=10)
    order_clip(
        database, class_id=CLASS_ID, box=BOX_NAME, start=START, end=end, camera="cam1", by="test", purpose="",
        now=SystemClock().now(),
    )  # fmt: skip


def make_account(database: Database) -> tuple[str, str]:
    people, clock = BoardAccounts(database, BoardAudit(database)), SystemClock()
    access, own = Authenticator(people, BoardOrigins(database), clock), generate_password()
    handed_over = access.make("wang", "inspector")
    token = access.change_password(SignedInUser("wang", "inspector", "", clock.now()), handed_over, own, "-")
    assert token
    people.sign_out(token)
    return "wang", own
