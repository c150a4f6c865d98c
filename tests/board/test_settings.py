"""The settings file: the example shows every key, the environment wins, mistakes are named."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent.core.errors import SettingsError
from board.settings import BoardSettings, load_board_settings
from tests.support.paths import ROOT

EXAMPLE = ROOT / "config/board.example.toml"


def keys(table: dict[str, object], before: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        found |= keys(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}"}
    return found


def fields(model: type[BaseModel], before: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        inside = isinstance(kind, type) and issubclass(kind, BaseModel)
        found |= fields(kind, f"{before}{name}.") if inside else {f"{before}{name}"}  # type: ignore[arg-type]
    return found


def test_the_example_shows_every_key_and_is_accepted() -> None:
    assert keys(tomllib.loads(EXAMPLE.read_text("utf-8"))) == fields(BoardSettings)
    loaded = load_board_settings(EXAMPLE)
    assert loaded.database_url == "sqlite:////var/lib/site-agent-board/board.db"
    assert loaded.make_ingest_options().window == 2000


def test_environment_and_credentials_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "board.toml"
    file.write_text('county = "wenshui"\n[broker]\nport = 1883\n', encoding="utf-8")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/broker.password").write_text("geheim", encoding="utf-8")
    monkeypatch.setenv("SITE_AGENT_BOARD_BROKER__HOST", "mqtt.example.org")
    loaded = load_board_settings(file)
    assert (loaded.broker.host, loaded.broker.port) == ("mqtt.example.org", 1883)
    assert loaded.make_broker_options().password == "geheim" and "geheim" not in repr(loaded)


@pytest.mark.parametrize(
    ("text", "named"),
    [("", "county"), ('county = "wen shui"', "county"), ('county = "w"\nwitnes = 1', "witnes"),
     ('county = "w"\n[ingest]\nbatch = 0', "ingest.batch"), ("county", "TOML"),
     ('county = "w"\n[notify]\nquiet_from = "25:00"', "notify.quiet_from"),
     ('county = "w"\n[notify]\nquiet_from = "22:00"', "quiet_until"),
     ('county = "w"\n[notify]\nurls = "json://geheim"\nseverities = ["grave"]', "notify.severities.0")],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "board.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=named):
        load_board_settings(file)


def test_the_boards_variables_do_not_disturb_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both programs may run on one machine."""
    from agent.settings.schema import load_settings_file

    file = tmp_path / "agent.toml"
    file.write_text('county = "w"\nsite = "s"\nbox = "b"\ninstitution = "x"\n', encoding="utf-8")
    monkeypatch.setenv("SITE_AGENT_BOARD_COUNTY", "wenshui")
    assert load_settings_file(file).county == "w"
    monkeypatch.setenv("SITE_AGENT_BOARD_COUNTRY", "wenshui")
    board = tmp_path / "board.toml"
    board.write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="SITE_AGENT_BOARD_COUNTRY"):
        load_board_settings(board)


def test_addresses_for_notifications_come_from_a_file_and_show_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "board.toml"
    file.write_text('county = "w"\n[notify]\nquiet_from = "22:00"\nquiet_until = "07:00"\n', encoding="utf-8")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/notify.urls").write_text("# duty\njson://u:geheim@h/\n\nmailto://x\n", encoding="utf-8")
    loaded = load_board_settings(file)
    options = loaded.make_notify_options()
    assert options.urls == ("json://u:geheim@h/", "mailto://x") and options.quiet
    assert [at.hour for at in options.quiet] == [22, 7]
    assert "geheim" not in repr(loaded) + repr(options)
    monkeypatch.setenv("SITE_AGENT_BOARD_NOTIFY__URLS", '["json://h2/"]')
    assert load_board_settings(file).make_notify_options().urls == ("json://h2/",)
