"""Settings: the example is the model, the environment wins, faults are one clear line without secrets."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent import settings
from agent.counting.limits import Limits
from agent.errors import SettingsError

EXAMPLE = Path(__file__).parent.parent / "config" / "agent.example.toml"
LEAST = 'county = "wenshui"\nsite = "s1"\nbox = "b1"\ninstitution = "学校"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(LEAST, encoding="utf-8")
    return path


def _keys(model: type[BaseModel]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        nested = isinstance(kind, type) and issubclass(kind, BaseModel)
        found[name] = _keys(kind) if nested else field.default  # type: ignore[arg-type]
    return found


def test_an_unknown_limit_is_refused_in_the_file_and_in_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(LEAST + "[counting.limits]\ndark_light = 50\n", encoding="utf-8")
    assert settings.load(file).counting.limits == Limits(dark_light=50)
    file.write_text(LEAST + "[counting.limits]\ndark_lihgt = 50\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"counting\.limits\.dark_lihgt"):
        settings.load(file)
    file.write_text(LEAST, encoding="utf-8")
    monkeypatch.setenv("SITE_AGENT_COUNTING__LIMITS__DARK_LIHGT", "50")
    with pytest.raises(SettingsError, match=r"counting\.limits\.dark_lihgt"):
        settings.load(file)


def test_the_example_shows_every_key_with_its_default() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    # commented-out keys are those whose default is "not set"; uncomment them for the comparison of names
    shown = tomllib.loads("\n".join(_uncomment(line) for line in text.splitlines()))
    model = _keys(settings.Settings)
    assert shown.keys() == model.keys()
    for section, keys in model.items():
        if isinstance(keys, dict):
            assert shown[section].keys() == keys.keys(), section
    assert shown["counting"]["limits"] == asdict(Limits())


def test_the_example_is_valid_and_its_values_are_the_defaults() -> None:
    loaded = settings.load(EXAMPLE)
    for name, field in settings.Settings.model_fields.items():
        if not field.is_required():
            assert getattr(loaded, name) == field.default, name


def test_the_environment_wins_and_leaves_its_neighbours(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(LEAST + '[bureau]\nhost = "broker"\nport = 1883\n', encoding="utf-8")
    monkeypatch.setenv("SITE_AGENT_BUREAU__PORT", "2883")
    loaded = settings.load(file)
    assert (loaded.bureau.host, loaded.bureau.port) == ("broker", 2883)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense = 1\n", ("agent.toml", "nonsense")),
        ("[bureau]\nhots = 'x'\n", ("agent.toml", "bureau.hots")),
        ("[recording]\nsegment_seconds = 'x'\n", ("agent.toml", "recording.segment_seconds")),
        ("[retention]\nyears = 3\n", ("agent.toml", "retention.years")),
        ("timezone = 'Mars/Base'\n", ("agent.toml", "timezone")),
        ("[cameras]\nnetworks = ['10.0.0.0/99']\n", ("agent.toml", "cameras.networks.0")),
        ("= broken", ("agent.toml",)),
    ],
)
def test_a_fault_names_file_and_key(file: Path, text: str, words: tuple[str, ...]) -> None:
    file.write_text(LEAST + text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        settings.load(file)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_missing_key_and_a_missing_file_say_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    with pytest.raises(SettingsError, match=r"agent\.toml"):
        settings.load(path)
    path.write_text('county = "wenshui"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="site"):
        settings.load(path)


@pytest.mark.parametrize("name", ["SITE_AGENT_RECORDING__DRIVES", "SITE_AGENT_CAMERAS", "SITE_AGENT_COUNTING__LIMITS"])
def test_a_variable_that_should_be_json_is_named_without_its_value(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, '{"password": "secret-word"')
    with pytest.raises(SettingsError) as caught:
        settings.load(file)
    assert name in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_an_unknown_variable_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_AGENT_BUREAU__PASWORD", "secret-word")
    with pytest.raises(SettingsError) as caught:
        settings.load(file)
    assert "PASWORD" in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_password_never_prints(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_AGENT_CAMERAS__PASSWORD", "secret-word")
    loaded = settings.load(file)
    assert loaded.cameras.password.get_secret_value() == "secret-word"
    assert "secret-word" not in repr(loaded) + str(loaded)


def _uncomment(line: str) -> str:
    """`# key = value` shows a key that is not set by default; `#>` lines are prose and examples."""
    body = line.removeprefix("# ")
    return body if body != line and body.split(" = ")[0].isidentifier() and " = " in body else line


@pytest.mark.parametrize("handed", [True, False])
def test_passwords_come_from_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handed: bool) -> None:
    """By systemd's LoadCredential for the service; from the folder beside the settings for root on the command line."""
    file = tmp_path / "agent.toml"
    file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    folder = tmp_path / ("given" if handed else "credentials")
    folder.mkdir()
    prefix = "site-agent_" if handed else ""
    (folder / f"{prefix}cameras.password").write_text("Example-1\n", encoding="utf-8")
    (folder / f"{prefix}unrelated").write_text("x", encoding="utf-8")
    if handed:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    else:
        monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    loaded = settings.load(file)
    assert loaded.cameras.password.get_secret_value() == "Example-1"
    assert loaded.cameras.username == "admin"
    assert loaded.bureau.password.get_secret_value() == ""
