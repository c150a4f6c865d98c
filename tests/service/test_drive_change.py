"""The change of a drive: asked for through the catalog, carried out by the agent, by command, with a check list on the page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.commands.drive_change import choose_partition
from agent.core.drive_change import DriveChange, find_busy_class
from agent.core.errors import InputError
from agent.core.model import Session
from agent.drive import verify
from agent.service.drive_change import DriveChangeWorker
from agent.setup.mount_units import Partition
from simulator.clips import make_clip
from tests.support.clip_factory import ClipBox, make_box
from tests.support.drive_factory import DriveSite, at, site
from tests.support.web_client import Served, serving


@pytest.fixture
def over(tmp_path: Path) -> DriveSite:
    """A box whose class is over."""
    made = site(tmp_path)
    for session in (Session.AM, Session.PM):
        made.half_day(made.classes[0], session)
    made.clock.time = at("15:00")
    made.closer().run_once()
    return made


def work(box: DriveSite, stop: threading.Event | None = None) -> None:
    DriveChangeWorker(box.catalog, box.clock, lambda: box.classes, box.key_dir).run_once(stop or threading.Event())


def ask(box: DriveSite, **changes: object) -> DriveChange:
    change = DriveChange(box.drive.drive_id, str(box.drive.root), "人社局档案室", "班主任", box.clock.now())
    box.catalog.drive_changes.put(replace(change, **changes))  # type: ignore[arg-type]
    return change


def last(box: DriveSite) -> DriveChange:
    found = box.catalog.drive_changes.last()
    assert found is not None
    return found


def test_the_agent_seals_and_verifies_what_was_asked_for(over: DriveSite) -> None:
    work(over)
    assert over.catalog.drive_changes.last() is None, "nothing was asked for"
    ask(over)
    work(over)
    assert last(over).state == "done" and last(over).share == 1.0 and last(over).done_at == over.clock.now()
    assert over.drive.is_sealed() and verify.verify_drive(over.drive).ok
    row = over.catalog.drives.get(over.drive.drive_id)
    assert row and row.handed_over_to == "人社局档案室"
    before = last(over)
    work(over)
    assert last(over) == before, "what is done is not begun again"


def test_a_change_goes_on_after_a_restart(over: DriveSite) -> None:
    ask(over)
    stopping = threading.Event()
    stopping.set()
    work(over, stopping)
    assert over.drive.is_sealed() and last(over).state == "verifying"
    work(over)
    assert last(over).state == "done"


def test_it_fails_with_the_reason(over: DriveSite) -> None:
    film = next(over.drive.root.rglob("*.mp4"))
    film.chmod(0o644)
    film.write_bytes(film.read_bytes()[:-1] + b"x")
    ask(over)
    work(over)
    assert last(over).state == "failed" and film.name in last(over).detail
    ask(over, drive_id="other")
    work(over)
    assert last(over).state == "failed" and over.drive.drive_id in last(over).detail


@pytest.mark.parametrize(
    ("clock", "busy"), [("08:00", ""), ("08:20", "C1"), ("09:05", "C1"), ("12:00", ""), ("15:00", "")]
)
def test_not_while_a_class_is_recorded_or_soon(over: DriveSite, clock: str, busy: str) -> None:
    over.clock.time = at(clock)
    assert find_busy_class(over.classes, over.clock.now()) == busy
    if busy:
        ask(over)
        work(over)
        assert last(over).state == "failed" and not over.drive.is_sealed()


def part(device: str, uuid: str, *mounted: str, kind: str = "ext4") -> Partition:
    return Partition(device, kind, uuid, "", 10**12, "Disk", mounted)


def test_the_new_disk_is_the_only_one_that_is_new() -> None:
    old, system, stick = (
        part("/dev/sda1", "A"),
        part("/dev/nvme0n1p2", "S", "/data"),
        part("/dev/sdc1", "C", kind="iso9660"),
    )
    new, other = part("/dev/sdb1", "B"), part("/dev/sdd1", "D")
    assert choose_partition([old, system, stick, new], {"A"}) == new
    with pytest.raises(InputError) as none:
        choose_partition([old, system, stick], {"A"})
    with pytest.raises(InputError) as two:
        choose_partition([old, new, other], {"A"})
    assert (none.value.key, two.value.key) == ("drive.change_none", "drive.change_which")
    assert "/dev/sdb1" in str(two.value) and "/dev/sdd1" in str(two.value)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[ClipBox]:
    box = make_box(tmp_path)
    box.record(make_clip(tmp_path / "m.mp4", 10, size=(320, 192)), [0, 10])
    yield box
    box.catalog.close()


def test_by_command(recorded: ClipBox) -> None:
    done = recorded.command("drive", "change", str(recorded.drive.root), "--prepare", "--to", "档案室")
    assert done.returncode == 0, done.stderr
    assert recorded.drive.is_sealed() and "不带 --prepare" in done.stderr
    again = recorded.command("drive", "change", str(recorded.drive.root), "--prepare")
    assert again.returncode == 0 and "跳过封存" in again.stderr
    whole = recorded.command("drive", "change", str(recorded.drive.root))
    assert (whole.returncode == 2 and "sudo site-agent drive change" in whole.stderr) or "--label" in whole.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as found:
        yield found


def test_on_the_page(served: Served) -> None:
    drive, operator = served.box.drive, served.signed_in("operator")
    page = operator.open("/drives").text
    assert drive.drive_id in page and "封存并核验" in page and "sudo site-agent drive change" in page
    assert "封存并核验</button>" not in served.signed_in("inspector").open("/drives").text
    fields = {"drive": drive.drive_id, "to": "档案室", "csrf": operator.token()}
    missing = operator.submit("/drives", fields)
    assert missing.status_code == 400 and 'value="档案室"' in missing.text
    assert operator.submit("/drives", {**fields, "drive": "none", "agreed": "yes"}).status_code == 400
    inspector = served.signed_in("inspector")
    assert inspector.submit("/drives", {**fields, "agreed": "yes", "csrf": inspector.token()}).status_code == 403
    assert served.box.catalog.drive_changes.last() is None
    asked = operator.submit("/drives", {**fields, "agreed": "yes"})
    assert asked.status_code == 200 and "已提交" in asked.text and not drive.is_sealed(), (
        "the page itself writes nothing"
    )
    found = served.box.catalog.drive_changes.last()
    assert found and (found.to, found.by, found.state) == ("档案室", "the-operator", "asked")
    assert operator.submit("/drives", {**fields, "agreed": "yes"}).status_code == 400
    assert "drive.change" in served.actions()
