"""The page as a process of its own: it starts, stops, tells systemd, and cannot write what it may not."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.catalog import Catalog
from agent.core.clock import SystemClock
from agent.drive import Drive
from agent.drive.journal import read_drive_journal
from agent.drive.journal_writer import Journal
from agent.website.http.connection_gate import FROM_ONE
from tests.support import processes
from tests.support.daemon import Daemon, PageDaemon
from tests.support.web_client import Browser

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path, None) as made:
        yield made


def browser(page: PageDaemon, address: str = "") -> Browser:
    return Browser(page.url, page.certificate, address)


def wire(page: PageDaemon, address: str = "127.0.0.1", *, tls: bool = True) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", page.port), 10, source_address=(address, 0))
    if not tls:
        return sock
    context = ssl.create_default_context(cafile=page.certificate)
    return context.wrap_socket(sock, server_hostname="127.0.0.1")


def measure_stop(page: PageDaemon) -> float:
    begun = time.monotonic()
    assert page.stop(60) == 0
    return time.monotonic() - begun


def test_it_tells_systemd_and_ends_within_two_seconds_whoever_is_connected(daemon: Daemon) -> None:
    page = daemon.serve()
    page.until(lambda: any("WATCHDOG=1" in line for line in page.heard()), 60)
    half = wire(page)
    half.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-a: ")
    bare = wire(page, tls=False)
    reader = browser(page)
    assert reader.open("/sign-in").status_code == 200
    taken = measure_stop(page)
    # a machine on which it takes as long with nobody connected is too slow for the bound
    assert taken < 2 or taken < 4 * measure_stop(daemon.serve())
    assert any("STOPPING=1" in line for line in page.heard())
    assert "Traceback" not in page.log()
    half.close()
    bare.close()


def test_switched_off_it_says_so_and_ends(daemon: Daemon) -> None:
    page = PageDaemon(daemon.folder, daemon.config, daemon.environment | {"SITE_AGENT_SERVE__ENABLED": "false"})
    page.start(wait=False)
    assert page.process.wait(20) == 0
    assert "[serve] enabled" in page.log()
    assert any("READY=1" in line for line in page.heard()), "a unit of Type=notify that ends without it has failed"
    page.close()


@pytest.mark.long
def test_it_makes_no_database_and_waits_for_the_agents(daemon: Daemon) -> None:
    """An empty one would look to the agent like one that lost nothing: it would not rebuild from the drives."""
    catalog = daemon.folder / "state/catalog.db"
    kept = [p.rename(p.with_name(p.name + ".away")) for p in sorted(catalog.parent.glob("catalog.db*"))]
    page = PageDaemon(daemon.folder, daemon.config, daemon.environment)
    page.start(wait=False)
    page.until(lambda: "catalog.db" in page.log(), 20)
    assert not catalog.exists()
    assert not any("READY=1" in line for line in page.heard())
    for path in kept:
        path.rename(path.with_name(path.name.removesuffix(".away")))
    page.until(lambda: any("READY=1" in line for line in page.heard()), 20)
    assert browser(page).open("/sign-in").status_code == 200
    page.close()


@pytest.mark.long
def test_it_begins_anew_where_the_database_was_exchanged(daemon: Daemon) -> None:
    page = daemon.serve()
    catalog = daemon.folder / "state/catalog.db"
    for suffix in ("-wal", "-shm", ""):
        old = catalog.with_name(catalog.name + suffix)
        if old.exists():
            old.rename(old.with_name(f"old{suffix}"))
    Catalog(catalog, ZONE).close()
    assert page.process.wait(15) == 1, "systemd starts it again"


def test_what_it_enters_into_the_audit_reaches_the_drive_by_the_agents_journal(daemon: Daemon) -> None:
    page = daemon.serve()
    with Catalog(daemon.folder / "state/catalog.db", ZONE) as catalog:
        journal = Journal(catalog, SystemClock(), ZONE)
        journal.flush(Drive.open(daemon.drive))
        assert browser(page).sign_in("nobody-knows", "x").status_code == 401
        journal.flush(Drive.open(daemon.drive))
    rows = [c.row for c in read_drive_journal(daemon.drive, []) if c.table == "audit"]
    assert [r["object"] for r in rows if r["action"] == "sign-in.refused"] == ["nobody-knows"]


CONFINED = """
import os, subprocess, sys, threading
from pathlib import Path
from agent.website.http import landlock
allowed, drive = Path(sys.argv[1]), Path(sys.argv[2])
if not landlock.confine_writes([allowed, Path("/dev")]):
    sys.exit(3)
(allowed / "new").write_text("x")
(allowed / "new").rename(allowed / "other")
def refused(act):
    try:
        act()
    except PermissionError:
        return
    sys.exit(f"not refused: {act}")
def all_of_it():
    refused(lambda: (drive / "new").write_text("x"))
    refused(lambda: (drive / "old").open("r+"))
    refused(lambda: os.truncate(drive / "old", 0))
    refused(lambda: (drive / "old").unlink())
    refused(lambda: (drive / "folder").mkdir())
    refused(lambda: (drive / "link").symlink_to("x"))
    assert (drive / "old").read_text() == "old"
all_of_it()
thread = threading.Thread(target=all_of_it)
thread.start()
thread.join()
child = subprocess.run(["sh", "-c", 'echo x >"$0/new"', str(drive)], stderr=subprocess.DEVNULL)
sys.exit(0 if child.returncode else "a child wrote")
"""


def test_it_cannot_write_a_drive(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive/old").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(tmp_path / "state"), str(tmp_path / "drive")],
        capture_output=True,
        text=True,
    )
    if done.returncode == 3:
        pytest.skip("this kernel has no Landlock")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "drive").iterdir()) == ["old"]


def test_two_processes_that_open_a_new_database_at_once_do_not_trip_over_each_other(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zoneinfo import ZoneInfo; from agent.catalog import Catalog;"
        " print(flush=True); input(); Catalog(Path(sys.argv[1]), ZoneInfo('UTC')).close()"
    )
    for turn in range(3):
        command = [sys.executable, "-c", code, str(tmp_path / f"{turn}.db")]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        both = [processes.start(command, text=True, **pipes) for _ in range(4)]
        for one in both:
            assert one.stdout and one.stdout.readline() == "\n", "it is loaded"
        for one in both:
            assert one.stdin
            one.stdin.write("\n")
            one.stdin.flush()
        for one in both:
            assert one.wait(20) == 0, one.stderr and one.stderr.read()


@pytest.mark.long
def test_a_killed_page_leaves_the_agent_alone_and_the_other_way_round(daemon: Daemon) -> None:
    daemon.start()
    page = daemon.serve()
    page.process.kill()
    page.process.wait(10)
    page = daemon.serve()
    assert daemon.running()
    daemon.kill()
    assert browser(page).open("/sign-in").status_code == 200
    assert browser(page).sign_in("a", "x").status_code == 401, "it writes too"
    daemon.start()
    assert browser(page).open("/sign-in").status_code == 200
    assert daemon.stop() == 0


# ── attacks, in short; all of them for longer and at once against a recording agent in test_page_attacks.py ──


def closed(sock: socket.socket, seconds: float) -> bool:
    """Whether the other side ends the connection within `seconds`."""
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.long
def test_bare_connections_cost_their_sender_alone(daemon: Daemon) -> None:
    page = daemon.serve()
    before = descriptors(page)
    held = [wire(page, "127.0.0.66", tls=False) for _ in range(1100)]
    time.sleep(0.5)
    assert descriptors(page) - before < 400
    for number in range(5):
        assert browser(page, f"127.0.0.{70 + number}").open("/sign-in").status_code == 200
    for sock in held:
        sock.close()
    page.until(lambda: descriptors(page) - before < 20, 20)
    assert browser(page, "127.0.0.66").open("/sign-in").status_code == 200
    page.until(lambda: "同一地址连接过多" in page.log(), 5)


@pytest.mark.long
def test_many_addresses_that_fill_all_places_make_room_for_others(daemon: Daemon) -> None:
    page = daemon.serve()
    before = descriptors(page)
    held = [wire(page, f"127.0.1.{1 + number % 20}", tls=False) for number in range(20 * FROM_ONE)]
    for number in range(5):
        assert browser(page, f"127.0.0.{70 + number}").open("/sign-in").status_code == 200
    for sock in held:
        sock.close()
    # also of those that had to go before their handshake began
    page.until(lambda: descriptors(page) - before < 20, 30)


@pytest.mark.long
def test_half_requests_endless_heads_and_dripping_bodies_end(daemon: Daemon) -> None:
    page = daemon.serve()
    half = [wire(page, "127.0.0.66") for _ in range(FROM_ONE)]
    for sock in half:
        sock.sendall(b"GET /sign-in HTTP/1.1\r\nHost: x\r\nX-a: ")
    assert browser(page, "127.0.0.77").open("/sign-in").status_code == 200
    drip, body, endless = wire(page, "127.0.0.67"), wire(page, "127.0.0.67"), wire(page, "127.0.0.67")
    drip.sendall(b"GET /sign-in HTTP/1.1\r\n")
    body.sendall(
        b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n"
    )
    begun = time.monotonic()
    ended: dict[str, float] = {}

    def keep(name: str, sock: socket.socket, data: bytes) -> None:
        try:
            while time.monotonic() - begun < 60:
                sock.sendall(data)
                sock.settimeout(0.2)
                try:
                    if not sock.recv(1):
                        break
                except TimeoutError:
                    continue
        except OSError:
            pass
        ended[name] = time.monotonic() - begun

    threads = [
        threading.Thread(target=keep, args=args)
        for args in (("head", drip, b"a"), ("body", body, b"a"), ("endless", endless, b"X-a: " + b"b" * 9000 + b"\r\n"))
    ]
    for thread in threads:
        thread.start()
    assert all(closed(sock, 15) for sock in half), "a head has ten seconds"
    for thread in threads:
        thread.join()
    assert ended["endless"] < 5
    assert 9 < ended["head"] < 14
    assert 28 < ended["body"] < 36


def descriptors(page: PageDaemon) -> int:
    return len(os.listdir(f"/proc/{page.process.pid}/fd"))
