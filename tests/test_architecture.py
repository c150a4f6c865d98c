"""The import rules of docs/design.md, read from the source."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AGENT = ROOT / "agent"
FILES = sorted(AGENT.rglob("*.py"))

LAYERS = [
    {"words"},
    {
        "errors",
        "clock",
        "intervals",
        "notify",
        "crew",
        "digest",
        "headcounts",
        "periodic",
        "shortage",
        "resources",
        "defaults",
    }
    | {"model", "model_alerts", "model_cameras", "model_classes"},
    {"contract"},
    {"schedule", "ledger", "missing"},
    {"catalog"},
    {"media", "drive", "mp4", "life", "attempts", "attempts_entries", "attempts_store"},
    {"cameras", "recording", "counting", "attendance", "bureau", "inspection"},
    {"web"},
    {"settings", "settings_file", "settings_faults", "settings_values"},
    {"wiring", "recorders", "startup", "pulse", "answers", "doctor", "setup", "logs", "metrics", "room"},
    {"app", "page", "demo"},
    {"commands", "__main__"},
]
STAGES = LAYERS[5]
PURE_GROUND = {
    "words", "errors", "clock", "model", "model_alerts", "model_cameras", "model_classes", "schedule", "notify", "ledger",
    "missing", "intervals", "digest", "headcounts", "periodic", "resources", "defaults",
}  # fmt: skip
DOORS = {
    "av": {"media", "recording", "counting", "inspection", "demo"},
    "onvif": {"cameras"}, "zeep": {"cameras"}, "requests": {"cameras"}, "lxml": {"cameras", "demo"},
    "paho": {"bureau", "demo"}, "amqtt": {"demo"}, "cv2": {"counting"}, "openvino": {"counting"}, "onnxruntime": {"counting"},
    "sqlite3": {"catalog"}, "sqlite_utils": {"catalog"},
    "pydantic": {"contract", "settings", "settings_faults", "settings_values"}, "pydantic_settings": {"settings"},
    "prometheus_client": {"metrics"}, "tomlkit": {"setup"},
    "starlette": {"web"}, "uvicorn": {"web"}, "jinja2": {"web"}, "argon2": {"web"}, "openpyxl": {"attendance", "inspection"},
}  # fmt: skip


def room(path: Path) -> str:
    return path.relative_to(AGENT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "agent" else {node.module}
            )
    return found


def level(name: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(AGENT)))
def test_imports_go_one_way(path: Path) -> None:
    mine = room(path)
    if mine == "__init__":
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "agent" and len(parts) > 1 and parts[1] not in (mine, "__version__"):
            assert not (mine in STAGES and parts[1] in STAGES), f"{path.name}: stage {mine} imports stage {parts[1]}"
            assert level(parts[1]) <= level(mine), f"{path.name}: {mine} imports {parts[1]}, which stands above it"
        elif parts[0] != "agent":
            assert mine in DOORS.get(parts[0], {mine}), f"{path.name}: {parts[0]} belongs to {sorted(DOORS[parts[0]])}"
            if mine in PURE_GROUND:
                assert parts[0] in sys.stdlib_module_names, f"{path.name}: the ground uses the standard library only"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(AGENT)))
def test_importing_does_nothing(path: Path) -> None:
    """At module level: definitions, assignments, imports, docstrings; no bare calls."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        assert not is_call, f"{path.name}:{node.lineno} acts when imported"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(AGENT)))
def test_modules_stay_readable(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{path.name} has {lines} lines"


def test_the_table_of_design_is_these_layers() -> None:
    table = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("| room | what | may import |")[2]
    rows = [line.split("|")[1] for line in table.partition("\n\n")[0].splitlines()[2:]]
    rooms = [[name.removesuffix("/") for name in re.findall(r"`([\w/]+)`", row)] for row in rows]
    assert sorted(name for row in rooms for name in row) == sorted(name for layer in LAYERS for name in layer)
    levels = [{level(name) for name in row} for row in rooms]
    assert all(len(found) == 1 for found in levels) and levels == sorted(levels, key=max)
    assert {room(path) for path in FILES} - {"__init__"} == {name for layer in LAYERS for name in layer}


def test_every_word_stands_in_both_languages_with_the_same_blanks() -> None:
    import string

    from agent import words

    for key, entry in words.catalogue().items():
        assert set(entry) == {"zh", "en"}, key
        blanks = [{f for _, f, _, _ in string.Formatter().parse(entry[lang]) if f} for lang in ("zh", "en")]
        assert blanks[0] == blanks[1], key


# who reads a drive, and the calls that would go round its door: a pipe or a link on the drive answers them
DRIVE_READERS = sorted(path for room in ("drive", "inspection", "mp4") for path in (AGENT / room).glob("*.py"))
AROUND_THE_DOOR = {
    "open", "read_text", "read_bytes", "is_file", "is_dir", "exists", "glob", "rglob", "iterdir", "listdir", "scandir", "walk",
    "write_text", "write_bytes",
}  # fmt: skip
# calls whose subject is no file of a drive that somebody could have put there
BESIDE_THE_DOOR = {
    "files.walk",
    "walk",
    "Drive.open",
    "av.open",
    "catalog.segments.open",
    "root.is_dir",  # the folder that `drive init` is given
    "half_made.exists",
    "path.exists",
    "old.exists",  # the box's own database
}
BY_FILE = {
    "drive/files.py": {"os.open", "os.scandir", "walk"}, "drive/durable.py": {"os.open"}, "drive/identity.py": {"os.open"},
    # the box's own keys
    "drive/keys.py": {"private.exists", "file.read_text", "(key_dir / f'{KEY_FILE}.pub').read_text", "allowed.write_text",
                      "sig.write_bytes"},
    # the clip that is being made, in a folder that is no drive
    "inspection/clip_file.py": {"os.open", "target.open", "part.open", "(folder / '.site-agent').exists"},
    # the recorder's own unfinished file, which recovery has looked at before
    "mp4/repair.py": {"path.open"},
}  # fmt: skip


@pytest.mark.parametrize("path", DRIVE_READERS, ids=lambda p: str(p.relative_to(AGENT)))
def test_files_of_a_drive_are_opened_by_one_door(path: Path) -> None:
    allowed = BESIDE_THE_DOOR | BY_FILE.get(str(path.relative_to(AGENT)), set())
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            name = called.rpartition(".")[2]
            assert name not in AROUND_THE_DOOR or called in allowed, (
                f"{path.name}:{node.lineno} {called}: use agent/drive/files.py"
            )
