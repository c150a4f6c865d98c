"""A drive from other hands: pipes, links, devices, sockets and endless files in the place of every file, and what systems
leave behind. Nothing may hold a command up, take more memory than it has, or pass for evidence."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.catalog import Catalog
from agent.core.errors import DriveError, MediaError
from agent.core.model import Session
from agent.drive import Drive, chain, durable, files, journal, layout, rebuild, verify
from agent.drive.seal import Sealer
from agent.inspection import evidence
from agent.recording.recover import recover
from tests.support.clocks import HandClock
from tests.support.drive_factory import ZONE, DriveSite, at, new_drive, site, training_class, video

pytestmark = [
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client"),
    pytest.mark.timeout(60),
]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys and a drive with two closed half-days, to be copied."""
    folder = tmp_path_factory.mktemp("master")
    box = site(folder)
    for session, end in ((Session.AM, "09:30"), (Session.PM, "14:30")):
        box.half_day(box.classes[0], session)
        box.clock.time = at(end)
        box.closer().run_once()
    box.catalog.close()
    return folder


@pytest.fixture
def away(master: Path, tmp_path: Path) -> Path:
    shutil.copytree(master / "drive", tmp_path / "drive")
    shutil.copytree(master / "keys", tmp_path / "keys")
    return tmp_path / "drive"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        status = main([*(str(a) for a in arguments), "--language", "en"])
        out = capsys.readouterr()
        assert "Traceback" not in out.err
        return status, out.out, out.err

    return command


def zero_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def listening(path: Path) -> None:
    """A socket may have a path of 108 bytes at most: it is bound from its own folder."""
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(before)


def device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero


def endless(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 43)


MAKERS = [
    pytest.param(os.mkfifo, id="pipe"),
    pytest.param(zero_link, id="link"),
    pytest.param(endless, id="endless"),
    pytest.param(dangling, id="dangling"),
    pytest.param(listening, id="socket"),
    pytest.param(os.mkdir, id="folder"),
    pytest.param(device, id="device", marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root")),
]
PLACES = [
    "标签.txt", ".site-agent/drive.json", ".site-agent/probe", ".site-agent/journal/*.jsonl",
    ".site-agent/journal/2026-11-01.jsonl",
    ".site-agent/journal/x", ".site-agent/sealed.json", ".site-agent/sealed.json.sig", "移交单.html", "*_第*/标签.txt",
    "*_第*/清单.csv", "*_第*/到课人数.csv", "*_第*/目录.html", "*_第*/RECORD.jsonl", "*_第*/SHA256SUMS", "*_第*/SHA256SUMS.sig",
    "*_第*/移交单.html", "*_第*/更正", "*_第*/2026-11-24", "*_第*/2026-11-23/晚上", "*_第*/*/上午/SHA256SUMS",
    "*_第*/*/上午/SHA256SUMS.sig", "*_第*/*/上午/SHA256SUMS-2", "*_第*/*/上午/SHA256SUMS-2.sig", "*_第*/*/上午/CHAIN",
    "*_第*/*/上午/RECORD.jsonl", "*_第*/*/上午/R1_cam1/090000.mp4", "*_第*/*/上午/R1_cam1/235959.mp4",
    "*_第*/*/上午/R1_cam1/.235959.mp4.part", "*_第*/*/上午/R9_cam9", "*_第*/*/上午/R1_cam1/Thumbs.db", "Thumbs.db", "x_第1班",
    ".site-agent/.drive.json.part",
]  # fmt: skip


# the rarer things in one place of each kind of reading
FEW = [
    ".site-agent/drive.json",
    ".site-agent/sealed.json",
    ".site-agent/journal/*.jsonl",
    "*_第*/清单.csv",
    "*_第*/*/上午/SHA256SUMS",
    "*_第*/*/上午/CHAIN",
    "*_第*/*/上午/R1_cam1/090000.mp4",
    "*_第*/*/上午/R1_cam1/235959.mp4",
]
CASES = [
    pytest.param(place, *make.values, id=f"{place}-{make.id}", marks=make.marks)
    for number, make in enumerate(MAKERS)
    for place in (PLACES if number < 3 else FEW)
]
# an empty folder is no file
_EMPTY_FOLDERS = (
    "更正",
    "2026-11-24",
    "晚上",
    "R9_cam9",
    "235959.mp4",
    ".235959.mp4.part",
    "Thumbs.db",
    "x_第1班",
)


def put(root: Path, place: str, make: Callable[[Path], None]) -> str:
    """Put the thing in a file's place, or where no file is; returns its name on the drive."""
    folder, name = place.rpartition("/")[::2]
    found = sorted(root.glob(place)) or [sorted(root.glob(folder) if folder else [root])[0] / name]
    path = found[0]
    if path.exists():
        path.unlink()
    make(path)
    return path.relative_to(root).as_posix()


@pytest.mark.long
@pytest.mark.parametrize(("place", "make"), CASES)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_thing_in_no_place_holds_a_command_up(
    away: Path, run: Run, tmp_path: Path, place: str, make: Callable[[Path], None]
) -> None:
    where = put(away, place, make)
    keys = ("--key-dir", tmp_path / "keys")
    code, out, err = run("drive", "verify", away, "--json")
    if out:
        told = [p for p in json.loads(out)["problems"] if p["kind"] != "system_file" or "Thumbs.db" in where]
        # a folder may well be where a folder is expected, and a large file where any file is an addition
        at_home = make is os.mkdir and place.rpartition("/")[2] in _EMPTY_FOLDERS
        assert at_home or any(where.startswith(p["path"]) for p in told), told
        assert at_home or code == 1 or "Thumbs.db" in where
    else:
        assert code == 1 and where in err and len(err.splitlines()) == 1
    for arguments in (
        ("status", away),
        ("rebuild", away, "--catalog", tmp_path / "r.db"),
        ("seal", away, *keys),
        ("verify", away),
        ("init", away, "--label", "x"),
    ):
        code, _, err = run("drive", *arguments)
        allowed = {"init": (2,), "seal": (0, 1, 2)}.get(str(arguments[0]), (0, 1))
        assert code in allowed, (arguments, err)
        assert code == 0 or 0 < len(err.splitlines()) < 12, (arguments, err)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", ["标签.txt", ".标签.txt.part", ".site-agent", "照片.jpg"])
def test_init_on_a_folder_with_such_a_thing(tmp_path: Path, run: Run, make: Callable[[Path], None], name: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    make(disk / name)
    code, _, err = run("drive", "init", disk, "--label", "x", "--key-dir", tmp_path / "k")
    assert code == 2 and len(err.splitlines()) == 1 and (name in err or "initialised" in err)
    code, _, err = run("drive", "init", disk, "--label", "x", "--key-dir", tmp_path / "k", "--force", "保留原有文件")
    if "标签" in name and make is os.mkdir:
        assert code == 1 and name in err  # a label cannot take a folder's place
    else:
        assert code == (2 if name == ".site-agent" else 0), err


def box_on(away: Path, tmp_path: Path) -> DriveSite:
    """A box to which this drive comes back."""
    drive = Drive.open(away)
    box = DriveSite(
        tmp_path,
        drive,
        Catalog(tmp_path / "c.db", ZONE),
        HandClock(at("14:30")),
        [training_class()],
        tmp_path / "keys",
    )
    rebuild.restore_from_drive(box.catalog, drive, box.clock)
    box.know(drive)
    return box


@pytest.mark.parametrize("make", [os.mkfifo, zero_link, listening])
@pytest.mark.parametrize(
    "place", [".site-agent/probe", ".site-agent/journal/2026-11-23.jsonl", "*_第*/.清单.csv.part", "*_第*/清单.csv"]
)
def test_the_agent_is_not_held_up(away: Path, tmp_path: Path, place: str, make: Callable[[Path], None]) -> None:
    box = box_on(away, tmp_path)
    put(away, place, make)
    box.half_day_of(Session.EV, box.drive)
    box.clock.time = at("19:30")
    if "journal" in place:
        with pytest.raises(DriveError, match=r"2026-11-23\.jsonl"):
            box.closer().run_once()
    else:
        assert len(box.closer().run_once()) == 1
    if "probe" in place:
        with pytest.raises(DriveError, match="probe"):
            box.drive.probe()
    paper = next(away.glob("*_第*/清单.csv"))
    assert "csv" not in place or files.classify_path(paper) == "file"


def test_a_pipe_in_a_half_day_is_left_out_when_it_is_closed(
    away: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = box_on(away, tmp_path)
    box.half_day_of(Session.EV, box.drive)
    folder = next(away.glob("*_第*/*/晚上"))
    os.mkfifo(folder / "R1_cam1" / "235959.mp4")
    (folder / "R1_cam2" / "link.mp4").symlink_to("/dev/zero")
    (folder / "Thumbs.db").write_bytes(b"x")
    box.clock.time = at("19:30")
    assert len(box.closer().run_once()) == 1
    assert len([r for r in caplog.records if "235959.mp4" in r.message or "link.mp4" in r.message]) == 2
    names = set(chain.list_closings(folder.parents[1], folder.relative_to(folder.parents[1]))[0].sums or ())
    assert {"CHAIN", "RECORD.jsonl"} < names and not any("235959" in x or "link" in x or "Thumbs" in x for x in names)
    assert box.closer().run_once() == [], "what cannot be signed does not make a second closing"
    kinds = {(p.kind, Path(p.path).name) for p in verify.verify_drive(box.drive).problems}
    assert kinds == {("added", "235959.mp4"), ("added", "link.mp4"), ("system_file", "Thumbs.db")}


def test_recovery_and_the_page_pass_a_pipe_by(away: Path, tmp_path: Path) -> None:
    box = box_on(away, tmp_path)
    segment = box.catalog.segments.of_class("C1")[0]
    (away / segment.path).unlink()
    os.mkfifo(away / segment.path)
    with pytest.raises(MediaError):
        evidence.resolve_on_drive(away, segment.path)
    assert [x.reason for x in evidence.open_footage([segment], {box.drive.drive_id: box.drive}).lost] == [
        "file_damaged"
    ]
    linked = box.catalog.segments.of_class("C1")[1]
    (away / linked.path).parent.rename(tmp_path / "aside")
    (away / linked.path).parent.symlink_to(tmp_path / "aside")
    with pytest.raises(MediaError):
        evidence.resolve_on_drive(away, linked.path)
    os.mkfifo(away / Path(segment.path).parent / ".100000.mp4.part")
    row = box.catalog.segments.of_class("C1")[0]
    folder = Path(row.path).parent
    left = {"path": str(folder / "100000.mp4"), "temporary": str(folder / ".100000.mp4.part")}
    box.catalog.segments.open(replace(row, segment_id=0, state="open", end=None, bytes=None, sha256=None, **left))
    with pytest.raises(DriveError, match="100000"):
        recover(box.catalog, [box.drive], box.clock)


def test_a_link_on_the_way_to_a_listed_file_is_not_followed(away: Path, tmp_path: Path) -> None:
    camera = next(away.glob("*_第*/*/上午/R1_cam1"))
    camera.rename(tmp_path / "elsewhere")
    camera.symlink_to(tmp_path / "elsewhere")
    report = verify.verify_drive(Drive.open(away))
    assert not report.ok and any(p.path.endswith("R1_cam1/090000.mp4") for p in report.faults())


def test_every_read_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"x" * (files.KIB * 20))
    with pytest.raises(files.UnfitFileError) as error:
        files.read_small_file(path, files.KIB)
    assert error.value.strerror and str(files.KIB) in error.value.strerror
    monkeypatch.setattr(files, "MAX_LINE", files.KIB)
    path.write_bytes(b"x" * (files.MIB * 2))
    with pytest.raises(files.UnfitFileError):
        list(files.read_lines(path))
    path.write_bytes(b"one\ntwo\n\nthree")
    assert list(files.read_lines(path)) == [b"one", b"two", b"", b"three"]
    with files.open_for_reading(path, files.MIB) as file:
        with path.open("ab") as more:
            more.write(b"growing" * 1000)
        assert b"".join(file.blocks()) == b"one\ntwo\n\nthree", "a file that grows is read as far as it went"


def test_deep_json_and_deep_folders(away: Path, tmp_path: Path, run: Run) -> None:
    with next((away / journal.JOURNAL_FOLDER).glob("*.jsonl")).open("ab") as file:
        file.write(b'{"table":"audit","row":' + b"[" * 200000 + b"\n")
        file.write(b'{"table":"audit","row":{"id":1e999,"hash":"x","previous":"y"}}\n')
        file.write(b'{"table":"looks","row":{"camera_id":"cam1","at":"x","people":%d}}\n' % (1 << 80))
        file.write(b'{"table":"looks","row":{"camera_id":"\\ud800","at":"x"}}\n')
    assert run("drive", "verify", away)[0] == 1
    assert run("drive", "rebuild", away, "--catalog", tmp_path / "r.db")[0] == 0
    (away / ".site-agent/sealed.json").write_bytes(b"[" * 200000)
    half_day = next(away.glob("*_第*/*/上午"))
    folder = os.open(half_day, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("video.mp4", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    code, out, _ = run("drive", "verify", away, "--json")
    assert code == 1 and any(p["path"].endswith("/d/d") for p in json.loads(out)["problems"])
    assert run("drive", "status", away)[0] == 0
    os.system(f"rm -rf '{half_day}/d'")


def test_a_list_of_sums_that_names_odd_paths(away: Path, run: Run) -> None:
    lists = next(away.glob("*_第*/*/上午/SHA256SUMS"))
    for name in ("a\0b", ".", "x/" * 2000 + "y", "CHAIN/x", "\ud7ff" * 300):
        lists.write_text(f"{'0' * 64}  {name}\n", encoding="utf-8")
        assert run("drive", "verify", away)[0] == 1


SYSTEM_FILES = [
    "Thumbs.db",
    "desktop.ini",
    ".DS_Store",
    "._标签.txt",
    "~$清单.csv",
    ".~清单.csv",
    ".~lock.清单.csv#",
    "~WRL0001.tmp",
    ".nomedia",
]
SYSTEM_FOLDERS = [
    ".Trash-1000",
    ".Spotlight-V100",
    ".fseventsd",
    ".TemporaryItems",
    "LOST.DIR",
    "Android",
    "FOUND.000",
    "System Volume Information",
    "$RECYCLE.BIN",
]
FOLDERS = [
    "",
    ".site-agent",
    ".site-agent/journal",
    "*_第*",
    "*_第*/2026-11-23",
    "*_第*/*/上午",
    "*_第*/*/上午/R1_cam1",
]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("sealed", [False, True])
def test_system_files_are_named_and_harmless(away: Path, run: Run, tmp_path: Path, folder: str, sealed: bool) -> None:
    if sealed:
        assert run("drive", "seal", away, "--key-dir", tmp_path / "keys")[0] == 0
    place = next(away.glob(folder)) if folder else away
    place.chmod(0o755)
    for name in SYSTEM_FILES:
        (place / name).write_bytes(b"junk")
    for name in SYSTEM_FOLDERS:
        (place / name).mkdir()
        (place / name / "FILE0000.CHK").write_bytes(b"x" * 1000)
    code, out, err = run("drive", "verify", away, "--json")
    body = json.loads(out)
    assert code == 0 and body["ok"], err
    found = {Path(p["path"]).name for p in body["problems"]}
    assert found == {*SYSTEM_FILES, *SYSTEM_FOLDERS} and {p["kind"] for p in body["problems"]} == {"system_file"}
    assert all("4 bytes" in p["detail"] or "1000 bytes" in p["detail"] for p in body["problems"])
    assert err.count("system file:") == 10 and "8 more system files" in err
    assert run("drive", "status", away)[0] == 0
    (place / "notes.txt").write_bytes(b"x")
    assert run("drive", "verify", away)[0] == 1, "anything else still turns the verdict"


def test_an_empty_folder_that_every_disk_has_is_not_even_named(away: Path, run: Run) -> None:
    for name in ("lost+found", "System Volume Information", ".Trash-1000", ".Spotlight-V100", "LOST.DIR"):
        (away / name).mkdir()
    code, out, _ = run("drive", "verify", away, "--json")
    assert code == 0 and [p["path"] for p in json.loads(out)["problems"]] == ["LOST.DIR"]


def test_system_files_are_in_no_sums_and_make_no_closing(away: Path, run: Run, tmp_path: Path) -> None:
    for folder in FOLDERS[3:]:
        (next(away.glob(folder)) / "Thumbs.db").write_bytes(b"x")
    assert run("drive", "seal", away, "--key-dir", tmp_path / "keys")[0] == 0
    assert not list(away.glob("*_第*/*/上午/SHA256SUMS-2"))
    assert "Thumbs.db" not in next(away.glob("*_第*/SHA256SUMS")).read_text()
    for path in away.rglob("Thumbs.db"):
        path.unlink()
    assert run("drive", "verify", away)[0] == 0, "a system takes its own files away again"


def test_a_video_under_a_system_files_name_is_none(away: Path, run: Run, tmp_path: Path) -> None:
    camera = next(away.glob("*_第*/*/上午/R1_cam1"))
    (camera / "._091500.mp4").write_bytes(video(1, tmp_path))
    code, out, _ = run("drive", "verify", away, "--json")
    assert code == 1 and [(p["kind"], Path(p["path"]).name) for p in json.loads(out)["problems"]] == [
        ("added", "._091500.mp4")
    ]


def test_evidence_in_a_bin_is_missing_and_no_evidence(away: Path, run: Run, tmp_path: Path) -> None:
    segment = next(away.glob("*_第*/*/上午/R1_cam1/*.mp4"))
    hidden = segment.parent / ".Trash-1000"
    hidden.mkdir()
    segment.rename(hidden / segment.name)
    size = (hidden / segment.name).stat().st_size
    code, out, _ = run("drive", "verify", away, "--json")
    problems = {p["kind"]: p["detail"] for p in json.loads(out)["problems"]}
    assert code == 1 and set(problems) == {"missing", "system_file"} and str(size) in problems["system_file"]
    folder = segment.parent.parent / "FOUND.000"
    folder.mkdir()
    (folder / "100000.mp4").write_bytes(video(1, tmp_path))
    catalog = Catalog(tmp_path / "r.db", ZONE)
    report = rebuild.restore_from_drive(catalog, Drive.open(away), HandClock(at("14:30")))
    assert report.read == 0 and len(report.lost) == 1


def test_what_a_list_names_is_evidence_whatever_it_is_called(tmp_path: Path) -> None:
    """Drives closed by earlier versions list such files: they stay listed."""
    folder = tmp_path / "上午"
    folder.mkdir()
    (folder / "Thumbs.db").write_bytes(b"x")
    assert chain.list_files_to_hash(folder) == []
    durable.write_file(folder / layout.SUMS, b"")
    assert [x.path for x in chain.scan_half_day(folder).system] == ["Thumbs.db"]


def test_sealing_tells_what_it_left_out(away: Path, run: Run, tmp_path: Path) -> None:
    where = put(away, "*_第*/*/上午/R1_cam1/235959.mp4", os.mkfifo)
    code, out, err = run("drive", "seal", away, "--key-dir", tmp_path / "keys", "--json")
    body = json.loads(out)
    assert code == 1 and body["sealed"][0]["left_out"] == [[where, "pipe"]] and where in err
    os.unlink(away / where)
    assert run("drive", "verify", away)[0] == 0


def test_new_drives_and_sealers_do_without_a_label(tmp_path: Path) -> None:
    drive = new_drive(tmp_path / "d", HandClock(at("08:00")), None)
    (drive.root / layout.LABEL).unlink()
    os.mkfifo(drive.root / layout.LABEL)
    Sealer(drive, HandClock(at("09:00"))).whole()
    assert "一号盘" in (drive.root / layout.LABEL).read_text(encoding="utf-8-sig")
