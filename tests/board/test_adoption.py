"""`site-agent-board adopt`: the bureau's word for the drive of a dead box, only for boxes and keys that it knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from agent.core.adoption_text import ADOPTION_NAMESPACE, AdoptionRequest, parse_word, unpack_word
from agent.core.openssh import ensure_key_file, load_public_key_of, verify_signed
from board.settings import load_board_settings
from board.store import tables
from board.store.database import Database
from tests.board.test_enrolment import GuardedBroker, make_board
from tests.support.broker import needs_mosquitto

pytestmark = needs_mosquitto


def test_the_word_is_given_for_a_known_box_and_a_known_key_alone(tmp_path: Path) -> None:
    old_key, new_key = (ensure_key_file(tmp_path / name, name) for name in ("old", "new"))
    with GuardedBroker(tmp_path) as broker:
        board = make_board(tmp_path, broker)
        assert (
            board.command("enrol", "--site", "s1", "--box", "box1", "--out", str(tmp_path / "e.json")).returncode == 0
        )
        settings = load_board_settings(board.config)
        asked, word = tmp_path / "request.txt", tmp_path / "word.json"
        request = AdoptionRequest(f"{settings.county}/s1/box1", "D1", old_key, new_key)
        asked.write_text(request.write(), encoding="utf-8")

        def adopt() -> int:
            return board.command("adopt", str(asked), "--reason", "主板 损坏", "--out", str(word)).returncode

        assert adopt() == 2 and not word.exists(), "no box has reported with this key"
        database = Database(settings.database_url)
        with database.write() as connection:
            connection.execute(update(tables.boxes).values(key=old_key))
        assert adopt() == 0
        text, signature = unpack_word(word.read_bytes())
        public = load_public_key_of(settings.witness_key_file)
        assert verify_signed(text.encode(), signature.encode(), public, ADOPTION_NAMESPACE)
        assert (parse_word(text).request, parse_word(text).reason) == (request, "主板 损坏")
        with database.read() as connection:
            assert connection.execute(tables.boxes.select()).mappings().one()["replaced_at"] is not None
        database.close()
        word.unlink()
        asked.write_text(request.write().replace("/box1", "/box9"), encoding="utf-8")
        assert adopt() == 2 and not word.exists(), "no such box"
        asked.write_text("something else\n", encoding="utf-8")
        assert adopt() == 2 and not word.exists()
