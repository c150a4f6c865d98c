"""The import rules of docs/design.md, read from the source."""

from __future__ import annotations

import ast
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
AGENT = ROOT / "agent"
FILES = sorted(AGENT.rglob("*.py"))


@dataclass(frozen=True)
class Package:
    layer: int
    libraries: frozenset[str]


def packages(layer: str = "layer") -> dict[str, Package]:
    """Read a table of docs/design.md: it is the rule, this file only checks it."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text.partition(f"| {layer} | package | holds | third-party libraries |")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        layer, name, _, libraries = (cell.strip() for cell in line.strip("|").split("|"))
        found[name.strip("`")] = Package(int(layer), frozenset(re.findall(r"`(\w+)`", libraries)))
    return found


PACKAGES = packages()
FOR_TYPES = {"_typeshed", "typing_extensions"}
"""Imported for the type checker alone."""
STAGES = {"cameras", "recording", "counting", "attendance", "bureau", "inspection"}


@functools.cache
def parse_module(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def package_of(path: Path) -> str:
    return path.relative_to(AGENT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parse_module(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "agent" else {node.module}
            )
    return found


def test_imports_go_one_way() -> None:
    for path in FILES:
        mine = package_of(path)
        if mine == "__init__":
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top != "agent":
                known = top in sys.stdlib_module_names or top in PACKAGES[mine].libraries or top in FOR_TYPES
                assert known, f"{path.name}: {top} is not among the libraries of {mine} in docs/design.md"
            elif other and other not in (mine, "__version__"):
                assert not (mine in STAGES and other in STAGES), f"{path.name}: stage {mine} imports stage {other}"
                assert PACKAGES[other].layer <= PACKAGES[mine].layer, (
                    f"{path.name}: {mine} imports {other}, a higher layer"
                )


def test_every_package_stands_in_the_table_in_the_order_of_the_layers() -> None:
    assert {package_of(path) for path in FILES} - {"__init__"} == set(PACKAGES)
    layers = [package.layer for package in PACKAGES.values()]
    assert layers == sorted(layers)


BOARD = ROOT / "board"
BOARD_FILES = sorted(path for path in BOARD.rglob("*.py") if "migrations" not in path.parts)
BOARD_PACKAGES = packages("board layer")
SHARED_WITH_BOARD = {"class_files", "core", "contract", "i18n", "mqtt", "program", "website", "__version__"}


def test_the_board_imports_one_way_and_little_of_the_agent() -> None:
    for path in BOARD_FILES:
        mine = path.relative_to(BOARD).parts[0].removesuffix(".py")
        if mine == "__init__":
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if top == "agent":
                assert other in SHARED_WITH_BOARD, f"{path.name}: the board imports agent.{other}"
            elif top == "board":
                assert not other or BOARD_PACKAGES[other].layer <= BOARD_PACKAGES[mine].layer, f"{path.name}: {name}"
            else:
                known = top in sys.stdlib_module_names or top in BOARD_PACKAGES[mine].libraries
                assert known, f"{path.name}: {top} is not among the libraries of {mine} in docs/design.md"


def test_every_package_of_the_board_stands_in_its_table() -> None:
    found = {path.relative_to(BOARD).parts[0].removesuffix(".py") for path in BOARD_FILES} - {"__init__"}
    assert found == set(BOARD_PACKAGES)


def test_the_agent_knows_nothing_of_the_board() -> None:
    for path in FILES:
        assert not any(name.partition(".")[0] == "board" for name in imports(path)), f"{path.name} imports the board"


SIMULATOR = sorted((ROOT / "simulator").rglob("*.py"))


def test_the_simulator_knows_nothing_of_the_agent() -> None:
    """A camera that shared code with its client would share its mistakes."""
    for path in SIMULATOR:
        outside = {name.partition(".")[0] for name in imports(path)} & {"agent", "tests", "benchmarks", "training"}
        assert not outside, f"{path.name} imports {outside}"


def test_importing_does_nothing() -> None:
    """At module level: definitions, assignments, imports, docstrings; no bare calls."""
    for path in FILES + BOARD_FILES:
        for node in parse_module(path).body:
            is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            assert not is_call, f"{path.name}:{node.lineno} acts when imported"


def test_modules_stay_readable() -> None:
    for path in FILES + BOARD_FILES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= 300, f"{path.name} has {lines} lines"


CODE = ("agent", "board", "simulator", "benchmarks", "training", "scripts", "tests")


def test_a_class_name_is_defined_once() -> None:
    """A search for a class finds its one definition, classes inside of functions and classes included."""
    named: dict[str, list[Path]] = {}
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        for name in re.findall(r"^\s*class\s+(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            named.setdefault(name, []).append(path)
    # a name that stands twice may stand in a text: those files alone are parsed
    places: dict[str, list[str]] = {}
    for path in sorted({path for found in named.values() if len(found) > 1 for path in found}):
        for node in ast.walk(parse_module(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_every_word_stands_in_both_languages_with_the_same_blanks() -> None:
    import string

    from agent import i18n

    for key, entry in i18n.load_catalogue().items():
        assert set(entry) == {"zh", "en"}, key
        blanks = [{f for _, f, _, _ in string.Formatter().parse(entry[lang]) if f} for lang in ("zh", "en")]
        assert blanks[0] == blanks[1], key


# who reads a drive, and the calls that would bypass agent/drive/files.py: a pipe or a link on the drive answers them
DRIVE_READERS = sorted(path for name in ("drive", "inspection", "mp4") for path in (AGENT / name).rglob("*.py"))
BYPASSING_CALLS = {
    "open",
    "read_text",
    "read_bytes",
    "is_file",
    "is_dir",
    "exists",
    "glob",
    "rglob",
    "iterdir",
    "listdir",
    "scandir",
    "walk",
    "write_text",
    "write_bytes",
}
# calls whose subject is no file of a drive that somebody could have put there
HARMLESS_CALLS = {
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
    "drive/keys.py": {"file.read_text"},
    # the clip that is being made, in a folder that is no drive
    "inspection/clip_file.py": {"os.open", "target.open", "part.open", "(folder / '.site-agent').exists"},
    # a codec
    "inspection/h264_parts.py": {"encoder.open"},
    # the recorder's own unfinished file, which recovery has looked at before
    "mp4/repair.py": {"path.open"},
}  # fmt: skip


def test_files_of_a_drive_are_opened_by_one_module() -> None:
    for path in DRIVE_READERS:
        allowed = HARMLESS_CALLS | BY_FILE.get(str(path.relative_to(AGENT)), set())
        for node in ast.walk(parse_module(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                name = called.rpartition(".")[2]
                assert name not in BYPASSING_CALLS or called in allowed, (
                    f"{path.name}:{node.lineno} {called}: use agent/drive/files.py"
                )
