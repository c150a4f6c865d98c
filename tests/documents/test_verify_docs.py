"""The two commands with which docs/guide/verify.md checks a clip, run as written on a real one."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.clips import make_clip
from tests.support.clip_factory import make_box
from tests.support.paths import ROOT

DOCS = ROOT / "docs" / "guide"
PLACES = {"verify.md": "## Checking a clip", "verify.zh.md": "## 核验视频片段"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """(a clip as the command writes it, the box's public key)."""
    root = tmp_path_factory.mktemp("clip")
    box = make_box(root)
    box.record(make_clip(root / "material.mp4", 10, size=(320, 192)), [0, 10])
    box.catalog.close()
    given = ["--on", "2025-03-10", "--from", "09:00:02", "--to", "09:00:08", "--out", str(box.out)]
    done = box.command("clip", box.cls.class_id, *given, "--json")
    assert done.returncode == 0, done.stderr
    yield Path(json.loads(done.stdout)["path"]), box.drive.public_key


def commands(page: str, clip: Path) -> list[str]:
    """The lines of the block below the page's heading, with the clip's own name."""
    text = (DOCS / page).read_text(encoding="utf-8")
    block = re.search(r"```\n(.*?)```", text[text.index(PLACES[page]) :], re.S)
    assert block
    return block[1].replace("CLIP", clip.stem).splitlines()


def signers(page: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(r"^(box namespaces.*) ssh-ed25519 ", text, re.M)
    assert found
    return found[1]


def folder(tmp_path: Path, page: str, clip: tuple[Path, str]) -> Path:
    for name in (clip[0].name, f"{clip[0].stem}.json", f"{clip[0].stem}.json.sig"):
        (tmp_path / name).write_bytes((clip[0].parent / name).read_bytes())
    (tmp_path / "allowed_signers").write_text(f"{signers(page)} {clip[1]}\n")
    return tmp_path


def run(command: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=where, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("page", PLACES)
def test_a_clip_is_proven_by_the_two_commands(tmp_path: Path, clip: tuple[Path, str], page: str) -> None:
    where = folder(tmp_path, page, clip)
    sums, signature = commands(page, clip[0])
    stated = json.loads((where / f"{clip[0].stem}.json").read_text())["clip"]["sha256"]
    assert run(sums, where).stdout.split()[0] == stated
    answer = run(signature, where)
    assert answer.returncode == 0 and 'Good "site-agent" signature for box' in answer.stdout


@pytest.mark.parametrize("page", PLACES)
def test_what_was_altered_shows(tmp_path: Path, clip: tuple[Path, str], page: str) -> None:
    where = folder(tmp_path, page, clip)
    sums, signature = commands(page, clip[0])
    video, paper = where / clip[0].name, where / f"{clip[0].stem}.json"
    raw = bytearray(video.read_bytes())
    raw[len(raw) // 2] ^= 1
    video.write_bytes(raw)
    forged = hashlib.sha256(raw).hexdigest()
    assert run(sums, where).stdout.split()[0] == forged != json.loads(paper.read_text())["clip"]["sha256"]
    stated = json.loads(paper.read_text())["clip"]["sha256"]
    paper.write_text(paper.read_text().replace(stated, forged))
    assert run(signature, where).returncode != 0, "a manifest made to fit is not the one that was signed"


@pytest.mark.parametrize("book", ["inspector.en.md", "inspector.zh.md"])
def test_the_inspectors_handbook_names_both_and_ours(book: str) -> None:
    text = (DOCS / "handbook" / book).read_text(encoding="utf-8")
    for part in (
        "sha256sum CLIP.mp4",
        "ssh-keygen -Y verify",
        "site-agent clip --verify CLIP.mp4 --key",
        "docs/guide/verify",
    ):
        assert part in text
