"""Names and files that strangers put on a drive, by the thousand or one that no line of text can carry: the half-days are
closed and sealed all the same, their lists of sums are read again, and `sha256sum` reads them too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path, PurePosixPath

import pytest

from agent.__main__ import main
from agent.catalog import Catalog
from agent.core.errors import DriveError
from agent.core.model import Session
from agent.drive import Drive, closing, files, identity, rebuild, sums, verify
from agent.drive.report import VerifyReport
from tests.support.drive_factory import ZONE, DriveSite, at, site, video

pytestmark = [
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client"),
    pytest.mark.timeout(60),
]
UNLISTABLE = [b"two\nlines.txt", b"end\n", b"a\rb", "你好.txt".encode("gbk"), b"\xff\xfe"]
LISTABLE = ["\u2028.txt", "\x85", "a\x0bb", "a\x1cb", "back\\slash", "全角　空格.txt", " blank ", "\x1b[31m"]


@pytest.fixture
def box(tmp_path: Path) -> DriveSite:
    made = site(tmp_path)
    made.half_day(made.classes[0], Session.AM)
    made.clock.time = at("09:30")
    return made


def half_day(box: DriveSite) -> Path:
    return next(box.drive.root.glob("*_第*/*/上午"))


def half_day_of(box: DriveSite) -> PurePosixPath:
    return PurePosixPath(*half_day(box).parts[-2:])


def put(folder: Path, name: bytes | str) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name))).write_bytes(b"x")


def sha256sum(folder: Path) -> int:
    return subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=False
    ).returncode


@pytest.mark.parametrize("name", UNLISTABLE)
def test_the_agent_closes_a_half_day_in_spite_of_such_a_name(
    box: DriveSite, name: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(half_day(box) / "R1_cam1", name)
    put(half_day(box), name)
    assert len(box.closer().run_once()) == 1
    assert box.closer().run_once() == []
    assert sum("no list of sums can carry" in text or "清单记不下" in text for text in caplog.messages) == 2
    assert sha256sum(half_day(box)) == 0
    report = verify.verify_drive(box.drive)
    assert [(p.kind, p.detail) for p in report.problems] == [("added", files.describe_kind("name"))] * 2


@pytest.mark.parametrize("name", LISTABLE)
def test_other_line_breaks_are_characters_of_a_name(box: DriveSite, name: str) -> None:
    put(half_day(box) / "R1_cam1", name)
    assert len(box.closer().run_once()) == 1
    assert sha256sum(half_day(box)) == 0
    assert verify.verify_drive(box.drive).problems == []
    (half_day(box) / "R1_cam1" / name).write_bytes(b"y")
    assert [(p.kind, Path(p.path).name) for p in verify.verify_drive(box.drive).problems] == [("changed", name)]


@pytest.mark.parametrize("name", [*UNLISTABLE, b"note.txt"])
def test_what_seal_leaves_out_is_what_verify_calls_added(
    box: DriveSite, name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box.closer().run_once()
    box.catalog.close()
    folder = half_day(box).parents[1]
    for place in (folder, folder / "resources"):
        place.mkdir(exist_ok=True)
        put(place, name)
    arguments = ["drive", "seal", str(box.drive.root), "--key-dir", str(tmp_path / "keys"), "--json"]
    assert main(arguments) == 1
    left = json.loads(capsys.readouterr().out)["sealed"][0]["left_out"]
    problems = verify.verify_drive(box.drive).problems
    assert sorted(path for path, _ in left) == sorted(p.path for p in problems)
    assert {p.kind for p in problems} == {"added"} and len(problems) == 2


def test_a_folder_of_such_a_name_is_not_looked_into(box: DriveSite, tmp_path: Path) -> None:
    inner = half_day(box) / "R9\n_cam9"
    inner.mkdir()
    (inner / "090000.mp4").write_bytes(video(folder=tmp_path))
    (box.drive.root / os.fsdecode("班_第1班".encode("gbk"))).mkdir()
    box.closer().run_once()
    assert main(["drive", "rebuild", str(box.drive.root), "--catalog", str(tmp_path / "new.db")]) == 0
    assert [p.kind for p in verify.verify_drive(box.drive).problems] == ["added", "added"]


def test_a_drive_is_made_beside_such_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "照片.jpg".encode("gbk"))
    assert main(["drive", "init", str(tmp_path), "--label", "T"]) == 2
    assert main(["drive", "init", str(tmp_path), "--label", "T", "--force", identity.FORCE_WORD]) == 0
    assert verify.verify_drive(Drive.open(tmp_path)).problems == []
    json.loads((tmp_path / ".site-agent/drive.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["photos.zip", "235959.mp4"])
def test_a_file_larger_than_any_of_ours_keeps_no_half_day_open(box: DriveSite, name: str) -> None:
    stranger = half_day(box) / "R1_cam1" / name
    stranger.touch()
    os.truncate(stranger, files.MAX_SEGMENT + 1)
    assert len(box.closer().run_once()) == 1
    assert (
        box.closer().run_once() == [] and closing.list_waiting_files(half_day(box).parents[1], half_day_of(box)) == []
    )
    assert [(p.kind, Path(p.path).name) for p in verify.verify_drive(box.drive).problems] == [("added", name)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_right_to_read_is_wanted_of_evidence_alone() -> None:
    """A stranger's file is left out; a segment never, or a person without rights could sign half a class."""
    time.strptime("00", "%S")  # Python brings in a module at the first use, which nobody may read
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        for name, mode in (("photos.zip", 0o600), ("090000.mp4", 0o600), ("notes.txt", 0o644)):
            (place / name).touch(mode=mode)
        os.seteuid(65534)
        try:
            told = {name: closing.is_listable(place, name) for name in ("photos.zip", "090000.mp4", "notes.txt")}
        finally:
            os.seteuid(0)
    assert told == {"photos.zip": False, "090000.mp4": True, "notes.txt": True}


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_that_no_calendar_can_add_to_is_no_half_day(box: DriveSite, day: str, tmp_path: Path) -> None:
    folder = half_day(box).parents[1]
    for session in Session:
        place = folder / day / session.folder / "R1_cam1"
        place.mkdir(parents=True)
        (place / "000001.mp4").write_bytes(video(folder=tmp_path))
    box.closer().run_once()
    assert main(["drive", "rebuild", str(box.drive.root), "--catalog", str(tmp_path / "new.db")]) == 0
    assert {(p.kind, p.path.split("/")[1]) for p in verify.verify_drive(box.drive).problems} == {("added", day)}


@pytest.mark.parametrize("field", ["drive_id", "label", "institution", "public_key"])
def test_an_identity_with_half_a_character_is_damaged(box: DriveSite, field: str) -> None:
    file = box.drive.root / ".site-agent/drive.json"
    body = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**body, field: "\ud800"}), encoding="utf-8")
    with pytest.raises(DriveError) as caught:
        Drive.open(box.drive.root)
    assert caught.value.key == "drive.identity_damaged"


def test_a_hundred_thousand_added_files_are_told_in_seconds() -> None:
    """Their number, not its square, is what they cost."""
    report = VerifyReport()
    began = time.process_time()
    for _ in range(2):
        for number in range(100_000):
            report.add("added", f"x{number}")
    assert len(report.problems) == 100_000
    assert time.process_time() - began < 5


def test_lists_are_read_by_line_feeds_alone() -> None:
    digest = "0" * 64
    assert sums.parse_sums(sums.format_sums([("a\u2028b", digest), ("c\x85", digest)])) == {
        "a\u2028b": digest,
        "c\x85": digest,
    }
    assert sums.parse_sums(f"{digest}  a\r\n{digest}  b\r\n".encode()) == {"a": digest, "b": digest}
    assert sums.parse_sums(b"") == {}
    for bad in (b"\n", f"{digest}  a\n\n".encode(), f"{digest}  a\nb".encode()):
        with pytest.raises(ValueError):
            sums.parse_sums(bad)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("segments", "start", "x"), ("segments", "end", 5), ("segments", "date", "9999"), ("segments", "session", "xx"),
        ("segments", "sender_time", "[]"), ("classes", "body", "{"), ("classes", "imported_at", "x"),
        ("drives", "created", 1.5), ("drives", "stopped_at", "\0"),
        ("chain", "closed_at", "x"),
    ],
)  # fmt: skip
def test_a_row_that_nobody_could_read_again_is_not_put_back(
    box: DriveSite, tmp_path: Path, table: str, column: str, value: object
) -> None:
    """SQLite takes any text for a time: one row from elsewhere would end every command of the box."""
    box.closer().run_once()
    path = box.drive.relative(next(half_day(box).glob("*/*.mp4")))
    rows = list(box.catalog.changes.everything())
    row = next((dict(x.row) for x in rows if x.table == table), {})
    drive = {"drive_id": box.drive.drive_id, "path": path} if table == "segments" else {}
    line = json.dumps({"table": table, "row": {**row, **drive, column: value}})
    with (box.drive.root / ".site-agent/journal/2999-01-01.jsonl").open("a", encoding="utf-8") as journal:
        journal.write(f"{line}\n")
    with Catalog(tmp_path / "new.db", ZONE) as catalog:
        report = rebuild.restore_from_drive(catalog, box.drive, box.clock)
        assert path in {s.path for s in catalog.segments.of_class(box.classes[0].class_id)}
        assert len(catalog.classes.all()) >= 1 and catalog.drives.all() is not None
        assert catalog.alerts.opened() is not None and report.lost == ()
