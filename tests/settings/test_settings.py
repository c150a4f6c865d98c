"""Settings: the example is the model, the environment wins, faults are one clear line without secrets."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from agent.attendance import worker as attendance_watch
from agent.bureau import options as bureau_options
from agent.cameras import options as camera_options
from agent.core.camera_model import Camera, Stream
from agent.core.errors import SettingsError
from agent.counting.limits import Limits
from agent.recording import options as recording_options
from agent.settings import schema, wiring
from agent.settings.config_file import read_language
from agent.setup import settings_writer
from agent.web import options as page_options
from tests.support.paths import ROOT

EXAMPLE = ROOT / "config" / "agent.example.toml"
EXAMPLES = (EXAMPLE, ROOT / "config" / "agent.example.zh.toml")
in_each_language = pytest.mark.parametrize("example", EXAMPLES, ids=["en", "zh"])
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
    assert schema.load_settings_file(file).counting.limits == Limits(dark_light=50)
    file.write_text(LEAST + "[counting.limits]\ndark_lihgt = 50\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"counting\.limits\.dark_lihgt"):
        schema.load_settings_file(file)
    file.write_text(LEAST, encoding="utf-8")
    monkeypatch.setenv("SITE_AGENT_COUNTING__LIMITS__DARK_LIHGT", "50")
    with pytest.raises(SettingsError, match=r"counting\.limits\.dark_lihgt"):
        schema.load_settings_file(file)


@in_each_language
def test_the_example_shows_every_key_with_its_default(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    # commented-out keys are those whose default is "not set"; uncomment them for the comparison of names
    shown = tomllib.loads("\n".join(_uncomment(line) for line in text.splitlines()))
    model = _keys(schema.Settings)
    assert shown.keys() == model.keys()
    for section, keys in model.items():
        if isinstance(keys, dict):
            assert shown[section].keys() == keys.keys(), section
    assert shown["counting"]["limits"] == asdict(Limits())


@in_each_language
def test_the_example_is_valid_and_its_values_are_the_defaults(example: Path) -> None:
    loaded = schema.load_settings_file(example)
    for name, field in schema.Settings.model_fields.items():
        if not field.is_required():
            assert getattr(loaded, name) == field.default, name


def _shown(example: Path) -> list[tuple[str, str]]:
    """Every section and every key with its value, in order, those that are commented out included; and its comment."""
    pattern = re.compile(r"^(#>? ?)?(\[+[a-z_.]+\]+|[a-z_0-9]+ = (?:\"[^\"]*\"|[^\"#]*[^\"#\s]))\s*(?:#\s*(.*))?$")
    found = [pattern.match(line) for line in example.read_text(encoding="utf-8").splitlines()]
    return [((one[1] or "") + one[2], one[3] or "") for one in found if one]


def test_the_examples_of_both_languages_show_the_same_keys_and_values() -> None:
    english, chinese = (_shown(example) for example in EXAMPLES)
    assert len(english) > 70
    assert [line for line, _ in english] == [line for line, _ in chinese]


def test_the_chinese_example_explains_every_key_in_chinese() -> None:
    chinese = [(line, comment) for line, comment in _shown(EXAMPLES[1]) if "[" not in line.partition(" = ")[0]]
    # an example of a key, with its explanation in the lines above it, explains nothing itself
    assert [line for line, said in chinese if not re.search(r"[\u4e00-\u9fff]", said) and "AAAAC3" not in line] == []


STAGES = {
    schema.CameraSettings: camera_options,
    schema.RecordingSettings: recording_options,
    schema.AttendanceSettings: attendance_watch,
    schema.BureauSettings: bureau_options,
    schema.ServeSettings: page_options,
}
OTHER_NAMES = {"stall_seconds": "stall_s", "every_s": "interval_s"}


@pytest.mark.parametrize("section", STAGES, ids=lambda s: s.__name__)
def test_a_default_stands_in_one_place(section: type[schema.Section]) -> None:
    """In `agent/core/defaults.py`. Written twice they had drifted: tests tried 12 alerts an hour, boxes ran with 30."""
    module = STAGES[section]
    ours = {name: field for name, field in section.model_fields.items() if name != "credentials"}
    seen = 0
    for field in dataclasses.fields(_options_of(module)):
        name = OTHER_NAMES.get(field.name, field.name)
        if name not in ours or field.default is dataclasses.MISSING or name == "password":
            continue
        seen += 1
        assert field.default == ours[name].default, name
        if field.default not in ("", (), None, True, False) and name != "protocol":
            for cls, key in ((_options_of(module), field.name), (section, name)):
                assert _written(cls, key).startswith("defaults."), f"{cls.__name__}.{key}"
    assert seen >= 1


def _options_of(module: ModuleType) -> type:
    """The module's own class whose name ends with Options."""
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    (found,) = (cls for cls in own if isinstance(cls, type) and cls.__name__.endswith("Options"))
    return found


def _written(cls: type, name: str) -> str:
    """What stands in the source as the default of a field of a class, or of one that it extends."""
    owner = next(one for one in cls.__mro__ if name in vars(one).get("__annotations__", {}))
    file = sys.modules[owner.__module__].__file__
    assert file
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner.__name__)
    line = next(
        n for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and n.target.id == name
    )
    return ast.unparse(line.value) if line.value else ""


def test_the_environment_wins_and_leaves_its_neighbours(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(LEAST + '[bureau]\nhost = "broker"\nport = 1883\n', encoding="utf-8")
    monkeypatch.setenv("SITE_AGENT_BUREAU__PORT", "2883")
    loaded = schema.load_settings_file(file)
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
        ("timezone = 'Asia'\n", ("agent.toml", "timezone", "Asia/Shanghai")),
        ("[recording]\nsegment_second = 60\n", ("recording.segment_second", "segment_seconds？")),
        ("[camera]\nusername = 'x'\n", ("cameras？",)),
        ("[counting.limits]\ndark_lihgt = 50\n", ("counting.limits.dark_lihgt", "dark_light？")),
        ("[counting.limits]\nfrozen_s = nan\n", ("counting.limits", "frozen_s")),
        ("[counting.limits]\ndark_light = -1\n", ("counting.limits", "dark_light")),
        ("[[cameras.known]]\ncamera_id = 'a'\nserial = '1'\npasword = 'Geheim'\n", ("known.0.pasword", "password？")),
        ("cameras = 'x'\n", ("cameras", "[cameras]")),
        ("[recording]\ndrives = '/media/evidence'\n", ("recording.drives", "列表")),
        ("[recording]\ndrives = []\n", ("recording.drives", "不能为空")),
        ("[recording]\ndrives = ['media/evidence']\n", ("recording.drives.0", "完整路径")),
        ("[recording]\ndrives = ['/media/a', '/media/a/']\n", ("recording.drives", "/media/a")),
        ("state_dir = ''\n", ("state_dir", "完整路径")),
        ("[bureau]\nheartbeat_s = inf\n", ("bureau.heartbeat_s", "86400")),
        ("[bureau]\nhost = 'mqtt://x'\n", ("bureau.host", "port")),
        ("[bureau]\ntls = 'maybe'\n", ("bureau.tls", "true")),
        ("[bureau]\nsigning_key = 'bureau.pub'\n", ("bureau.signing_key", "公钥")),
        ("language = 'de'\n", ("language", "'zh' / 'en'")),
        ("[cameras]\npassword = ['Geheim']\n", ("cameras.password", "引号")),
    ],
)
def test_a_fault_names_file_and_key(file: Path, text: str, words: tuple[str, ...]) -> None:
    file.write_text(LEAST + text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        schema.load_settings_file(file)
    message = str(caught.value)
    assert "\n" not in message
    assert "Geheim" not in message
    assert "should be" not in message, "the library's words are no Chinese"
    for word in words:
        assert word in message


@pytest.mark.parametrize("key", ["camera_id", "serial", "address"])
def test_a_camera_that_stands_there_twice_is_refused(file: Path, key: str) -> None:
    """Only the first would count: the second camera would be recorded under another name, without a word."""
    entries = [{"camera_id": "front", "serial": "1", "address": "10.0.0.1"}, {"camera_id": "back", "serial": "2"}]
    entries[1]["address"] = "10.0.0.2"
    entries[1][key] = entries[0][key].upper()
    tables = ["".join(f'{k} = "{v}"\n' for k, v in entry.items()) for entry in entries]
    file.write_text(LEAST + "".join(f"[[cameras.known]]\n{table}" for table in tables), encoding="utf-8")
    with pytest.raises(SettingsError, match=f"cameras.known.*{key} {entries[0][key]}"):
        schema.load_settings_file(file)


def test_a_file_from_windows_is_read_and_one_in_another_encoding_says_so(file: Path) -> None:
    text = LEAST.replace("学校", "文水县培训中心") + 'language = "en"\n'
    file.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert schema.load_settings_file(file).institution == "文水县培训中心"
    assert read_language(file) == "en"
    assert settings_writer.change_settings(file, {"site": "s2"}).site == "s2"
    file.write_bytes(text.encode("gbk"))
    with pytest.raises(SettingsError, match="另存为 UTF-8"):
        schema.load_settings_file(file)
    file.write_bytes(text.replace("\n", "\r").encode())
    with pytest.raises(SettingsError, match="TOML"):
        schema.load_settings_file(file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_AGENT_BUREAU__PORT", "abc"),
        ("SITE_AGENT_BUREAU", "abc"),
        ("SITE_AGENT_RECORDING__DRIVES", "/media/evidence"),
        ("SITE_AGENT_CAMERAS__NETWORKS", '["10.0.0.0/99"]'),
        ("SITE_AGENT_COUNTING__LIMITS", "Geheim"),
        ("SITE_AGENT_TIMEZONE", "Asia"),
    ],
)
def test_a_wrong_variable_is_named_and_not_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        schema.load_settings_file(file)
    message = str(caught.value)
    assert name in message and "agent.toml" not in message
    assert "Geheim" not in message


@pytest.mark.parametrize(
    ("entry", "account"),
    [
        ("", ("admin", "common")),
        ('password = "own"', ("admin", "own")),
        ('username = "other"\npassword = "own"', ("other", "own")),
    ],
)
def test_a_camera_has_its_own_password_with_or_without_a_user_name(
    file: Path, entry: str, account: tuple[str, str]
) -> None:
    file.write_text(
        LEAST + '[cameras]\npassword = "common"\n[[cameras.known]]\ncamera_id = "front"\nserial = "1"\n' + entry,
        encoding="utf-8",
    )
    loaded = schema.load_settings_file(file)
    found = wiring.choose_credentials(loaded, loaded.cameras.known[0])
    assert found is not None and (found.username, found.password) == account
    (known,) = wiring.build_camera_options(loaded).known
    assert known.credentials == (found if entry else None), "the search uses the same"


@pytest.mark.parametrize(("entry", "allowed"), [("", False), ("allow_basic = true", True)])
def test_a_password_in_clear_text_is_allowed_for_the_camera_that_is_named_alone(
    file: Path, entry: str, allowed: bool
) -> None:
    file.write_text(
        LEAST + f'[[cameras.known]]\ncamera_id = "front"\nserial = "1"\npassword = "own"\n{entry}\n', encoding="utf-8"
    )
    loaded = schema.load_settings_file(file)
    stream = (Stream("main", "rtsp://10.0.0.8/main"),)
    sources = [
        wiring.build_source(loaded, Camera(camera_id, "10.0.0.8", streams=stream)) for camera_id in ("front", "rear")
    ]
    assert [source and source.allow_basic for source in sources] == [allowed, False]


@in_each_language
def test_the_example_shows_every_key_of_a_known_camera(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    shown = re.findall(r"^#> (\w+) = ", text.partition("#> [[cameras.known]]")[2].partition("\n[")[0], re.MULTILINE)
    assert shown == list(schema.KnownCamera.model_fields)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_comments_are_in_the_language_until_somebody_changes_the_file(tmp_path: Path, language: str) -> None:
    """The installation lays one example for everybody; `setup` makes it the one of its language."""
    missing, laid = tmp_path / "missing.toml", tmp_path / "laid.toml"
    wanted, other = EXAMPLES[::-1] if language == "zh" else EXAMPLES
    laid.write_text(other.read_text(encoding="utf-8").replace('language = "zh"', 'language = "en"'), encoding="utf-8")
    for file in (missing, laid):
        assert settings_writer.change_settings(file, {"language": language, "site": "s2"}).language == language
        comments = [line.partition("#")[2] for line in file.read_text(encoding="utf-8").splitlines()]
        assert comments == [line.partition("#")[2] for line in wanted.read_text(encoding="utf-8").splitlines()]
    settings_writer.change_settings(laid, {"language": "en" if language == "zh" else "zh"})
    assert wanted.read_text(encoding="utf-8").splitlines()[0] in laid.read_text(encoding="utf-8")


def test_a_missing_key_and_a_missing_file_say_so(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    with pytest.raises(SettingsError, match=r"agent\.toml"):
        schema.load_settings_file(path)
    path.write_text('county = "wenshui"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="site"):
        schema.load_settings_file(path)


@pytest.mark.parametrize("name", ["SITE_AGENT_RECORDING__DRIVES", "SITE_AGENT_CAMERAS", "SITE_AGENT_COUNTING__LIMITS"])
def test_a_variable_that_should_be_json_is_named_without_its_value(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, '{"password": "secret-word"')
    with pytest.raises(SettingsError) as caught:
        schema.load_settings_file(file)
    assert name in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_an_unknown_variable_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_AGENT_BUREAU__PASWORD", "secret-word")
    with pytest.raises(SettingsError) as caught:
        schema.load_settings_file(file)
    assert "PASWORD" in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_a_password_never_prints(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_AGENT_CAMERAS__PASSWORD", "secret-word")
    loaded = schema.load_settings_file(file)
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
    loaded = schema.load_settings_file(file)
    assert loaded.cameras.password.get_secret_value() == "Example-1"
    assert loaded.cameras.username == "admin"
    assert loaded.bureau.password.get_secret_value() == ""
