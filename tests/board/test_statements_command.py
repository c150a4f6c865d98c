"""`site-agent-board statements`: a drive is verified against what the board received, not against what the drive says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.__main__ import main as agent_main
from benchmarks.support.reporting_box import ReportingBox
from board.__main__ import main
from tests.board.test_settings import EXAMPLE
from tests.drive.test_statements import exchange, tell_anew
from tests.support.board_store import BoardStore
from tests.support.drive_factory import at, site_with_afternoon
from tests.support.statement_lists import events


@pytest.fixture
def config(store: BoardStore, tmp_path: Path) -> Path:
    file = tmp_path / "board.toml"
    text = EXAMPLE.read_text("utf-8").replace('database = ""', f'database = "{store.url}"')
    file.write_text(text.replace("/var/lib/site-agent-board", str(tmp_path / "state")), "utf-8")
    return file


def make_list(config: Path, box: str = "site1/box1") -> Path:
    file = config.parent / "list.jsonl"
    assert main(["statements", "--box", box, "--out", str(file), "--config", str(config), "--language", "en"]) == 0
    return file


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs openssh-client")
@pytest.mark.parametrize("tampered", [False, True])
def test_a_segment_exchanged_with_all_that_speaks_of_it_shows_against_the_list(
    store: BoardStore, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tampered: bool
) -> None:
    box = site_with_afternoon(tmp_path / "site")
    store.hear(*events(box.catalog))
    if tampered:
        exchange(box)
        tell_anew(box)
    box.clock.time = at("14:30")
    assert len(box.closer().run_once()) == 1
    verify = ["drive", "verify", str(box.drive.root), "--language", "en"]
    assert agent_main(verify) == 0, "the drive alone agrees with itself"
    capsys.readouterr()
    status = agent_main([*verify, "--against", str(make_list(config))])
    said = "".join(capsys.readouterr())
    assert (status, "another content" in said) == ((1, True) if tampered else (0, False)), said


def test_every_statement_is_one_line_and_a_fork_both_its_contents(
    store: BoardStore, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = ReportingBox(now=store.clock.now())
    topic, payload = box.begin()
    store.hear((topic, json.dumps(json.loads(payload), indent=1).encode()))
    twin = ReportingBox(now=store.clock.now())
    twin.begin()
    twin.number, twin.last_hash = box.number, box.last_hash
    store.hear(box.attend(1), twin.attend(1, 27))
    rows = [json.loads(line) for line in make_list(config).read_bytes().splitlines()]
    assert [row["statementnumber"] for row in rows] == [1, 2, 2]
    assert len({row["statementhash"] for row in rows}) == 3
    assert "3 statements" in capsys.readouterr().err
    assert main(["statements", "--box", "site1/box1", "--out", str(config), "--config", str(config)]) == 2, "kept"


def test_a_box_that_was_never_heard_leaves_no_file(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "none.jsonl"
    assert main(["statements", "--box", "site1/box9", "--out", str(file), "--config", str(config)]) == 2
    assert not file.exists()
