"""`site-agent clip` by the real command line: what it prints, what it leaves, what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.__main__ import main
from agent.catalog.drives import ChainLink
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.core.model import Segment, Session
from agent.drive import chain, keys, layout, sums
from agent.inspection import manifest, sources
from simulator.clips import make_clip
from tests.support import statement_lists
from tests.support.clip_factory import CLASS, START, ClipBox, frames, make_box

ID = str(CLASS["class_id"])
SPAN = ("--on", "2025-03-10", "--from", "09:00:03", "--to", "9:00:15")


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("material") / "a.mp4", 20, size=(320, 192))


@pytest.fixture
def box(tmp_path: Path, material: Path) -> ClipBox:
    made = make_box(tmp_path)
    made.record(material, [0, 10, 20])
    made.record(material, [0, 10], camera_id="cam2")
    return made


def refused(box: ClipBox, *arguments: str) -> tuple[int, str]:
    done = box.command("clip", *arguments, "--language", "en")
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return done.returncode, lines[0]


def test_a_line_a_clip_with_the_contracts_fields(box: ClipBox) -> None:
    done = box.command("clip", ID, *SPAN, "--out", str(box.out), "--json")
    assert done.returncode == 0, done.stderr
    one, two = (json.loads(line) for line in done.stdout.splitlines())
    assert (one["camera_id"], two["camera_id"]) == ("cam1", "cam2")
    assert one["asked_start"] == "2025-03-10T09:00:03.000+08:00"
    assert one["asked_end"] == "2025-03-10T09:00:15.000+08:00"
    assert one["start"] == "2025-03-10T09:00:02.000+08:00"
    assert one["end"] == "2025-03-10T09:00:15.000+08:00"
    assert one["gaps"] == []
    assert [(g["seconds"], g["reason"]) for g in two["gaps"]] == [(5.0, "camera_offline")]
    assert hashlib.sha256(Path(one["path"]).read_bytes()).hexdigest() == one["sha256"]
    assert Path(one["path"]).name == f"{ID}_cam1_20250310_090002-090015.mp4"
    assert [i for _, i in frames(one["path"])] == list(range(50, 375))
    assert sorted(p.suffix for p in box.out.iterdir()) == [".json", ".json", ".mp4", ".mp4", ".sig", ".sig"]


def test_the_manifest_says_where_it_comes_from(box: ClipBox) -> None:
    day = date(2025, 3, 10)
    box.catalog.chain.add(ChainLink(ID, day, Session.AM, 1, box.drive.drive_id, "ab" * 32, box.drive.public_key, START))
    done = box.command("clip", ID, *SPAN, "--camera", "cam1", "--out", str(box.out), "--json", "--why", "随机检查")
    body = json.loads(Path(json.loads(done.stdout)["manifest"]).read_text(encoding="utf-8"))
    first, second = body["sources"]
    assert first["sha256"] == hashlib.sha256((box.drive.root / first["path"]).read_bytes()).hexdigest()
    assert first["chain"] == {
        "date": "2025-03-10",
        "session": "am",
        "sequence": 1,
        "head": "ab" * 32,
        "key": box.drive.public_key,
    }
    assert second["start"] == "2025-03-10T09:00:10.000+08:00"
    assert [(p["source"], p["at_s"]) for p in body["pieces"]] == [(0, 0.0), (1, 8.0)]
    assert body["why"] == "随机检查"
    assert body["who"].startswith("shell:")
    assert body["public_key"] == box.drive.public_key
    assert body["clip"]["encoded_anew"] == "none"
    (entry,) = box.catalog.audit.of_object(ID, "clip")
    assert entry.detail["sha256"] == body["clip"]["sha256"]
    assert entry.detail["why"] == "随机检查"


@pytest.mark.long
@pytest.mark.parametrize("end", ["00:00:05", "24:00:05"])
def test_a_clip_over_midnight(tmp_path: Path, material: Path, end: str) -> None:
    """What is recorded in the margin of a late lesson; written as of the next day, or as going on."""
    late = make_box(tmp_path)
    late.record(material, [0, 10, 20], START.replace(hour=23, minute=59, second=50))
    done = late.command(
        "clip",
        ID,
        "--on",
        "2025-03-10",
        "--from",
        "23:59:55",
        "--to",
        end,
        "--camera",
        "cam1",
        "--out",
        str(late.out),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["asked_start"], made["asked_end"]) == (
        "2025-03-10T23:59:55.000+08:00",
        "2025-03-11T00:00:05.000+08:00",
    )
    assert made["gaps"] == []
    status, line = refused(late, ID, "--on", "2025-03-10", "--from", "22:00", "--to", "00:10", "--out", str(late.out))
    assert status == 2 and "24:00" in line, "rather a slip than a clip of hours"


@pytest.mark.long
def test_a_second_clip_of_the_same_span_replaces_nothing(box: ClipBox) -> None:
    names = set()
    for _ in range(2):
        done = box.command("clip", ID, *SPAN, "--camera", "cam1", "--out", str(box.out), "--json")
        names.add(json.loads(done.stdout)["path"])
    assert len(names) == 2
    assert all(Path(name).exists() for name in names)


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("NO-SUCH", *SPAN), 2, "there is no class NO-SUCH"),
        (("../../etc", *SPAN), 2, "no class"),
        ((ID, *SPAN, "--camera", "../cam1"), 2, "not a valid ID"),
        ((ID, *SPAN, "--camera", "cam9"), 2, "no video"),
        ((ID, "--on", "2025-03-11", "--from", "08:30", "--to", "09:00"), 2, "no video"),
        ((ID, "--on", "2025-13-10", "--from", "08:30", "--to", "09:00"), 2, "not a date"),
        ((ID, "--on", "9999-12-31", "--from", "08:30", "--to", "24:00"), 2, "not a date"),
        ((ID, "--on", "0001-01-01", "--from", "00:00", "--to", "09:00"), 2, "not a date"),
        ((ID, "--on", "2025-03-10", "--from", "25:30", "--to", "09:00"), 2, "not a time of day"),
        ((ID, "--on", "2025-03-10", "--from", "9.30", "--to", "09:00"), 2, "not a time of day"),
        ((ID, "--on", "2025-03-10", "--from", "09:30", "--to", "09:30"), 2, "not after"),
        ((ID, "--on", "2025-03-10", "--from", "09:30"), 2, "missing"),
        ((ID, "--random", "0"), 2, "above zero"),
        ((ID, "--random", "3"), 2, "seed"),
        ((ID, "--random", "3", "--seconds", "3600", "--seed", "x"), 2, "not enough lesson time"),
        ((ID, "--random", "1000", "--seconds", "60", "--seed", "x"), 2, "not enough lesson time"),
        ((ID, "--random", "1001", "--seconds", "1", "--seed", "x"), 2, "at most 1000"),
        ((ID, "--random", "x"), 2, "'x' is not a value for --random"),
        ((os.fsdecode("班".encode("gbk")), *SPAN), 2, "not UTF-8 text"),
        ((ID, *SPAN, "--why", os.fsdecode("检查".encode("gbk"))), 2, "not UTF-8 text"),
        ((ID, *SPAN, "--camera", os.fsdecode(b"\xbc")), 2, "not UTF-8 text"),
        ((ID, "--random", "1", "--seed", os.fsdecode("种子".encode("gbk"))), 2, "not UTF-8 text"),
    ],
)
def test_wrong_input_is_one_clear_line(box: ClipBox, arguments: tuple[str, ...], status: int, word: str) -> None:
    code, line = refused(box, *arguments, "--out", str(box.out))
    assert code == status
    assert word in line
    assert not box.out.exists()


@pytest.mark.long
def test_out_must_be_a_folder_off_the_drive(box: ClipBox, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, line = refused(box, ID, *SPAN, "--out", str(file))
    assert code == 2
    assert "cannot write" in line
    code, line = refused(box, ID, *SPAN, "--out", str(box.drive.root / "clips" / "deep"))
    assert code == 2
    assert "evidence drive" in line


@pytest.mark.long
def test_a_full_disk_leaves_nothing_behind(box: ClipBox) -> None:
    box.out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(box.out)], check=False)
    if not os.path.ismount(box.out):
        pytest.skip("needs root to mount a small file system")
    try:
        code, line = refused(box, ID, *SPAN, "--out", str(box.out))
        assert code == 2
        assert "cannot write" in line
        assert list(box.out.iterdir()) == []
    finally:
        subprocess.run(["umount", str(box.out)], check=True)


@pytest.mark.long
def test_a_drive_that_is_away_is_named(box: ClipBox) -> None:
    moved = box.drive.root.rename(box.root / "elsewhere")
    code, line = refused(box, ID, *SPAN, "--out", str(box.out))
    assert code == 1
    assert box.drive.drive_id in line
    assert "not attached" in line
    box.catalog.drives.set(box.drive.drive_id, state="handed_over", handed_over_at=START, handed_over_to="县人社局")
    code, line = refused(box, ID, *SPAN, "--out", str(box.out))
    assert code == 1
    assert "handed over to 县人社局" in line
    done = box.command("clip", ID, *SPAN, "--drive", str(moved), "--out", str(box.out))
    assert done.returncode == 0


def test_what_is_missing_or_damaged_is_a_gap_with_its_reason(box: ClipBox) -> None:
    first, second = sorted(box.drive.root.rglob("R101_cam1/*.mp4"))
    second.write_bytes(b"\0" * 1000)
    (made,) = box.cut(3, 15, cameras=("cam1",))
    assert [(g["seconds"], g["reason"]) for g in made["gaps"]] == [(5.0, "file_damaged")]
    second.unlink()
    (made,) = box.cut(3, 15, cameras=("cam1",))
    assert [(g["seconds"], g["reason"]) for g in made["gaps"]] == [(5.0, "file_missing")]
    first.unlink()
    code, line = refused(box, ID, *SPAN, "--camera", "cam1", "--out", str(box.out))
    assert code == 1
    assert "missing or damaged" in line


def test_a_segment_being_written_is_a_gap_that_says_so(box: ClipBox) -> None:
    box.catalog.segments.open(
        Segment(
            0,
            box.drive.drive_id,
            "x.mp4",
            ".x.mp4.part",
            "open",
            ID,
            START.date(),
            Session.AM,
            "R101",
            "cam1",
            START + timedelta(seconds=20),
        )
    )
    (made,) = box.cut(3, 35, cameras=("cam1",))
    assert [(g["seconds"], g["reason"]) for g in made["gaps"]] == [(15.0, "being_recorded")]
    code, line = refused(box, ID, "--on", "2025-03-10", "--from", "09:00:21", "--to", "09:00:30", "--out", str(box.out))
    assert code == 2
    assert "being recorded" in line
    tomorrow = ("--on", f"{SystemClock().now() + timedelta(days=2):%Y-%m-%d}", "--from", "09:00", "--to", "09:10")
    assert "no video" in refused(box, ID, *tomorrow, "--out", str(box.out))[1], (
        "to try again in a few minutes is no help"
    )


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/passwd", "a/../../secret.mp4", "link/secret.mp4", "hard.mp4"])
def test_a_forged_row_does_not_lead_out_of_the_drive(box: ClipBox, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(next(box.drive.root.rglob("*.mp4")).read_bytes())
    (box.drive.root / "link").symlink_to(tmp_path)
    (box.drive.root / "hard.mp4").symlink_to(secret)
    start = START + timedelta(hours=1)
    box.enter(secret, start, start + timedelta(seconds=10), relative=name)
    code, _ = refused(box, ID, "--on", "2025-03-10", "--from", "10:00", "--to", "10:01", "--out", str(box.out))
    assert code == 1


@pytest.mark.long
def test_verify_needs_no_settings_and_finds_every_change(box: ClipBox, tmp_path: Path) -> None:
    (made,) = box.cut(3, 8, cameras=("cam1",))
    clip, paper = Path(made["path"]), Path(made["manifest"])
    key = tmp_path / "box.pub"
    key.write_text(box.drive.public_key + " box-1 at the bureau\n")
    box.config.unlink()

    def verify(*more: str) -> tuple[int, bool, list[str]]:
        done = subprocess.run(
            [sys.executable, "-m", "agent", "clip", "--verify", str(clip), "--json", *more],
            capture_output=True,
            text=True,
            check=False,
        )
        body = json.loads(done.stdout)
        assert body["ok"] == (done.returncode == 0)
        return done.returncode, body["anchored"], [p["kind"] for p in body["problems"]]

    assert verify() == (0, False, [])
    assert verify("--key", str(key)) == (0, True, [])
    keys.ensure_key(tmp_path / "other")
    (tmp_path / "other.pub").write_text(keys.load_public_key(tmp_path / "other"))
    assert verify("--key", str(tmp_path / "other.pub")) == (1, False, ["other_key"])
    for text in (f"\ufeff{box.drive.public_key}\r\n", f'box namespaces="site-agent" {box.drive.public_key}\n'):
        key.write_text(text, encoding="utf-8")
        assert verify("--key", str(key)) == (0, True, [])
    for text in ("", "ssh-ed25519 AAAA\n", "county = 1\n", f"{box.drive.public_key}\n{box.drive.public_key}\n"):
        key.write_text(text, encoding="utf-8")
        assert refused(box, "--verify", str(clip), "--key", str(key)) == (
            2,
            f"site-agent: {key} is not an OpenSSH public key file; give the box's key (one line that begins with ssh-ed25519)",
        )
    data = clip.read_bytes()
    clip.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert verify() == (1, False, ["clip_changed"])
    clip.write_bytes(data)
    text = paper.read_text(encoding="utf-8")
    paper.write_text(text.replace("测试", "别的"), encoding="utf-8")
    assert verify() == (1, False, ["signature_bad"])
    paper.write_text(text, encoding="utf-8")
    signature = paper.with_name(paper.name + ".sig")
    proof = signature.read_bytes()
    signature.unlink()
    assert verify() == (1, False, ["signature_missing"])
    signature.write_bytes(proof)
    assert verify() == (0, False, [])
    for rubbish in (b"", b"[]", b"{}", b'{"kind": 3}', b"\xff\xfe", b"[" * 100_000):
        paper.write_bytes(rubbish)
        code, _, problems = verify()
        assert code == 1
        assert "manifest_bad" in problems
    paper.unlink()
    assert verify() == (1, False, ["manifest_missing"])
    clip.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "agent", "clip", "--verify", str(clip)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def close_by_hand(box: ClipBox) -> None:
    """Sums and signature of the half-day, as the closer writes them."""
    for folder in {Path(box.drive.root / s.path).parents[1] for s in box.catalog.segments.of_class(ID)}:
        entries = {name: sums.hash_file(folder / name) for name in chain.list_files_to_hash(folder)}
        chain.write_sums(folder, layout.SUMS, entries, box.root / "state/keys")


def test_verify_says_what_nobody_checked(box: ClipBox, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = box.cut(3, 8, cameras=("cam1",))
    clip, paper = Path(made["path"]), Path(made["manifest"])
    key = tmp_path / "box.pub"
    key.write_text(box.drive.public_key)

    def verify(*more: object) -> tuple[int, dict[str, Any], str]:
        status = main(["clip", "--verify", str(clip), "--json", "--language", "en", *map(str, more)])
        out = capsys.readouterr()
        return status, json.loads(out.out), out.err

    status, body, told = verify()
    assert (status, body["checked"], body["not_checked"]) == (
        0,
        ["clip", "signature"],
        ["key", "sources", "statements"],
    )
    assert (
        "does not prove which box" in told
        and "not checked: which box" in told
        and "not checked: whether its rec" in told
    )
    status, body, told = verify("--key", key)
    assert (status, body["not_checked"]) == (0, ["sources", "statements"]) and "signed by the key given" in told
    status, body, told = verify("--key", key, "--drive", box.drive.root)
    assert status == 1 and {p["kind"] for p in body["problems"]} == {"source_missing"}, "the half-day is not closed"
    close_by_hand(box)
    status, body, told = verify("--key", key, "--drive", box.drive.root)
    assert (status, body["ok"], body["not_checked"]) == (0, True, ["statements"]) and {
        x["state"] for x in body["sources"]
    } == {"found"}
    assert f"of {len(body['sources'])} recordings" in told
    listed = tmp_path / "list.jsonl"
    listed.write_bytes(b"".join(payload + b"\n" for _, payload in statement_lists.events(box.catalog)))
    status, body, told = verify("--key", key, "--drive", box.drive.root, "--against", listed)
    assert (status, body["not_checked"]) == (0, []), "told when it was recorded"
    (source,) = {x["path"] for x in body["sources"]}
    text = listed.read_text("utf-8")
    listed.write_text("".join(x for x in text.splitlines(True) if "/".join(Path(source).parts[-2:]) not in x), "utf-8")
    assert {p["kind"] for p in verify("--key", key, "--against", listed)[1]["problems"]} == {"source_untold"}
    # a forger: another film, the key taken out of the manifest, the signature too
    forged = json.loads(paper.read_bytes())
    clip.write_bytes(b"forged")
    forged["public_key"], forged["clip"]["bytes"] = "", 6
    forged["clip"]["sha256"] = hashlib.sha256(b"forged").hexdigest()
    whole = paper.read_bytes()
    for emptied in ("", None, " ", "ssh-ed25519 \ud800", "absent"):
        forged["public_key"] = emptied
        if emptied == "absent":
            del forged["public_key"]
        paper.write_text(json.dumps(forged))
        status, body, told = verify()
        assert status == 1 and not body["ok"] and [p["kind"] for p in body["problems"]] == ["unsigned"]
        assert "agrees" not in told and "signature" in body["not_checked"]
    paper.with_name(paper.name + ".sig").unlink()
    assert verify()[0] == 1
    assert verify("--key", key)[1]["problems"][0]["kind"] == "signature_missing"
    paper.write_bytes(whole)


@pytest.mark.long
def test_sources_that_the_drive_does_not_answer_for(box: ClipBox, tmp_path: Path) -> None:
    (made,) = box.cut(3, 8, cameras=("cam1",))
    close_by_hand(box)
    body = json.loads(Path(made["manifest"]).read_bytes())

    def states(change: dict[str, object], key: str | None = None) -> set[str]:
        rows = [{**source, **change} for source in body["sources"]]
        return {x.state for x in sources.look_up_sources({"sources": rows}, [box.drive], key)}

    assert states({}) == states({}, box.drive.public_key) == {"found"}
    assert states({"sha256": "0" * 64}) == {"differs"}
    path = str(body["sources"][0]["path"])
    for other in (
        path + "x",
        "/etc/passwd",
        "../" + path,
        "",
        path.replace("_第", "_x"),
        "a\0b/c/d/e",
        7,
        None,
        [path],
    ):
        assert states({"path": other}) == {"missing"}
    assert states({"drive_id": "D1"}) == states({"drive_id": [1]}) == {"elsewhere"}
    keys.ensure_key(tmp_path / "other")
    assert states({}, keys.load_public_key(tmp_path / "other")) == {"unsigned"}
    for odd in ("x", [1, None, "a"], {"a": 1}, None):
        assert {x.state for x in sources.look_up_sources({"sources": odd}, [box.drive], None)} <= {"elsewhere"}
    folder = (box.drive.root / path).parents[1]
    (folder / "SHA256SUMS.sig").unlink()
    os.mkfifo(folder / "SHA256SUMS.sig")
    assert states({}) == {"unsigned"}
    (folder / "SHA256SUMS").unlink()
    os.mkfifo(folder / "SHA256SUMS")
    assert states({}) == {"missing"}


@pytest.mark.long
@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir])
def test_verify_is_not_held_up(box: ClipBox, make: Callable[[Path], None]) -> None:
    (made,) = box.cut(3, 8, cameras=("cam1",))
    clip, paper = Path(made["path"]), Path(made["manifest"])
    for path, kind in ((paper.with_name(paper.name + ".sig"), "signature_bad"), (paper, "manifest_bad")):
        path.unlink()
        make(path)
        assert kind in [name for name, _ in manifest.check_clip(clip).problems]
    clip.unlink()
    make(clip)
    with pytest.raises(InputError):
        manifest.check_clip(clip)


def test_the_signature_is_checked_by_ssh_keygen_alone(box: ClipBox, tmp_path: Path) -> None:
    (made,) = box.cut(3, 8, cameras=("cam1",))
    allowed = tmp_path / "allowed"
    allowed.write_text(f"box {box.drive.public_key}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "box", "-n", "site-agent"]
    with Path(made["manifest"]).open("rb") as paper:
        subprocess.run([*command, "-s", made["manifest"] + ".sig"], stdin=paper, check=True, capture_output=True)


@pytest.mark.long
def test_random_moments_are_drawn_again_by_anybody_and_all_stand_in_the_audit(box: ClipBox) -> None:
    drive = (
        "clip",
        ID,
        "--random",
        "3",
        "--seconds",
        "20",
        "--seed",
        "bureau 2025-03",
        "--out",
        str(box.out),
        "--json",
    )
    done = box.command(*drive)
    assert done.returncode == 1, "most moments of the lessons have no video here"
    (entry,) = box.catalog.audit.of_object(ID, "clip.draw")
    # the published recipe, once more by hand
    offers = [(START.replace(hour=8, minute=30), 5400 - 20 + 1), (START.replace(hour=10, minute=20), 5400 - 20 + 1)]
    assert len(entry.detail["moments"]) == 3
    for number, moment in enumerate(entry.detail["moments"]):
        assert moment["draw"] == number
        place = int(hashlib.sha256(f"bureau 2025-03\n{ID}\n{number}".encode()).hexdigest(), 16) % sum(
            n for _, n in offers
        )
        lesson = 0 if place < offers[0][1] else 1
        start = offers[lesson][0] + timedelta(seconds=place - lesson * offers[0][1])
        assert moment["start"] == start.isoformat(timespec="milliseconds")
    assert entry.detail["seed"] == "bureau 2025-03"
    assert box.catalog.audit.verify() is None


@pytest.mark.long
def test_the_default_seed_is_the_published_head_and_a_counter(box: ClipBox) -> None:
    day = date(2025, 3, 10)
    box.catalog.chain.add(ChainLink(ID, day, Session.AM, 1, box.drive.drive_id, "cd" * 32, "", START))
    arguments = (
        "clip",
        ID,
        "--on",
        "2025-03-10",
        "--from",
        "09:00",
        "--to",
        "09:00:20",
        "--random",
        "1",
        "--seconds",
        "5",
        "--out",
        str(box.out),
        "--json",
    )
    first, second = box.command(*arguments), box.command(*arguments)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    draws = [entry.detail for entry in box.catalog.audit.of_object(ID, "clip.draw")]
    assert [d["seed"] for d in draws] == ["cd" * 32 + ":0", "cd" * 32 + ":1"]
    body = json.loads(Path(json.loads(first.stdout.splitlines()[0])["manifest"]).read_text(encoding="utf-8"))
    assert body["draw"]["seed"] == draws[0]["seed"]
    assert body["asked"]["start"] == draws[0]["moments"][0]["start"]


@pytest.mark.long
def test_time_outside_the_plan_says_so(box: ClipBox) -> None:
    (made,) = box.cut(-31 * 60, 5, cameras=("cam1",))
    assert [(g["seconds"], g["reason"]) for g in made["gaps"]] == [(60.0, "not_planned"), (1800.0, "camera_offline")]
