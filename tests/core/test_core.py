"""Clock texts, IDs, sessions, errors and the command line's manners."""

from __future__ import annotations

import ast
import os
import re
import sqlite3
import string
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent import i18n
from agent.catalog import Catalog
from agent.core import clock as clocks
from agent.core.errors import CatalogBlocked, SettingsError
from agent.core.model import Session, is_id
from agent.service.supervisor import Supervisor

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_a_stamp_is_fixed_width_utc_and_comes_back() -> None:
    moment = datetime(2026, 11, 23, 14, 46, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    assert clocks.format_utc(moment) == "2026-11-23T06:46:00.123Z"
    assert clocks.parse_time(clocks.format_utc(moment)) == moment.replace(microsecond=123000)


def test_rounding_carries() -> None:
    assert clocks.format_utc(datetime(2026, 12, 31, 23, 59, 59, 999600, tzinfo=UTC)) == "2027-01-01T00:00:00.000Z"


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        clocks.format_utc(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="offset"):
        clocks.parse_time("2026-01-01T00:00:00")


def test_json_times_carry_the_sites_offset() -> None:
    assert clocks.format_local(datetime(2026, 11, 23, 6, 46, tzinfo=UTC), SHANGHAI) == "2026-11-23T14:46:00.000+08:00"


@pytest.mark.parametrize(("hour", "session"), [(0, "am"), (11, "am"), (12, "pm"), (17, "pm"), (18, "ev"), (23, "ev")])
def test_sessions_by_the_lessons_start(hour: int, session: str) -> None:
    assert Session.of(datetime(2026, 1, 1, hour, 59)) == session


@pytest.mark.parametrize("bad", ["", "-a", "a_b", "a/b", "..", "a" * 33, "a\n", "班级"])
def test_ids_that_are_none(bad: str) -> None:
    assert not is_id(bad)


def test_the_kernels_word_on_time_can_be_asked() -> None:
    assert clocks.SystemClock().trust() in ("trusted", "free", "unknown")


def test_an_error_speaks_both_languages_in_one_line() -> None:
    error = SettingsError("settings.unknown", file="a.toml", key="x")
    chinese = str(error)
    i18n.use_language("en")
    try:
        assert str(error) != chinese
        assert "\n" not in str(error)
    finally:
        i18n.use_language("zh")


def site_agent(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "agent", *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        (),
        ("attendance", "X", "--config", "missing.toml"),
        ("drive", "verify", "no-such-folder"),
        ("count", "no-such-file.jpg"),
        ("record", "rtsp://127.0.0.1:1/x", "--drive", "tests", "--seconds", "1"),
        ("record", "http://x", "--drive", "tests", "--seconds", "1"),
        (
            "clip",
            "X",
            "--config",
            "missing.toml",
            "--on",
            "2026-01-01",
            "--from",
            "09:00",
            "--to",
            "09:10",
            "--out",
            "x",
        ),
        ("gaps", "X", "--config", "missing.toml"),
        ("run", "--config", "missing.toml"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    done = site_agent(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert re.search("[一-龥]", done.stderr)
    assert not re.search("[一-龥]", site_agent("--language", "en", *arguments).stderr)


@pytest.mark.parametrize("package", ["amqtt", "PIL", "openpyxl"])
def test_a_package_that_is_missing_is_one_line(tmp_path: Path, package: str) -> None:
    """As on a box, where the packages of the demo are not installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nclass Gone:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\nsys.meta_path.insert(0, Gone())\n",
        encoding="utf-8",
    )
    command = "classes" if package == "openpyxl" else "demo"
    asked = ["classes", "template", "--out", str(tmp_path / "out")] if command == "classes" else ["demo"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "agent", *asked], capture_output=True, text=True, timeout=60, env=environment
    )
    name = {"PIL": "pillow"}.get(package, package)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert f"pip install {name}" in done.stderr and sys.executable in done.stderr
    if command == "demo":
        listed = subprocess.run(
            [sys.executable, "-m", "agent", "--help"], capture_output=True, text=True, timeout=60, env=environment
        )
        assert listed.returncode == 0 and "demo" in listed.stdout


def test_a_broken_worker_stops_the_crew() -> None:
    stop = threading.Event()
    crew = Supervisor(stop)

    def breaks(_: threading.Event) -> None:
        raise RuntimeError("a bug")

    crew.start("waits", lambda event: event.wait(30) and None)
    crew.start("breaks", breaks)
    assert stop.wait(5)
    assert crew.failed.is_set()
    assert crew.join(5) == []


def test_a_catalog_that_somebody_holds_stops_no_worker(tmp_path: Path) -> None:
    """As where the disk of the database is full: the sign of life fails, and comes again when it can."""
    stop = threading.Event()
    crew = Supervisor(stop, pause_s=0.1)
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as catalog:
        catalog.store.db.execute("pragma busy_timeout = 50")
        holder = sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)
        holder.execute("begin immediate")
        tried: list[CatalogBlocked] = []

        def works(event: threading.Event) -> None:
            while not event.wait(0.02):
                try:
                    catalog.facts.put("alive", "yes")
                except CatalogBlocked as error:
                    tried.append(error)
                    raise

        crew.start("works", works)
        while len(tried) < 2:
            assert not stop.wait(0.02), "the agent would end"
        assert "占用" in str(tried[0])
        holder.execute("rollback")
        holder.close()
        while catalog.facts.get("alive") is None:
            assert not stop.wait(0.02)
        stop.set()
        assert crew.join(5) == []
    assert not crew.failed.is_set()


def test_a_full_disk_is_told_as_one_and_is_no_damage(tmp_path: Path) -> None:
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as catalog:
        pages = catalog.store.row("pragma page_count")
        assert pages is not None
        catalog.store.db.execute(f"pragma max_page_count = {pages['page_count']}")
        with pytest.raises(CatalogBlocked, match="已满"):
            catalog.facts.put("much", "x" * 1_000_000)
        assert catalog.store.damage() is None


def test_a_worker_that_hangs_is_named() -> None:
    stop, release = threading.Event(), threading.Event()
    crew = Supervisor(stop)
    crew.start("hangs", lambda _: release.wait(30) and None)
    stop.set()
    assert crew.join(0.2) == ["hangs"]
    release.set()
    assert crew.join(5) == []


def test_a_worker_that_was_given_up_is_not_waited_for_and_another_has_its_name() -> None:
    stop, release, began = threading.Event(), threading.Event(), threading.Event()
    crew = Supervisor(stop)

    def hangs(_: threading.Event) -> None:
        release.wait(30)
        raise RuntimeError("late")

    crew.start("camera", hangs)
    crew.abandon("camera")
    crew.start("camera", lambda event: began.set() or (event.wait(30) and None))
    assert began.wait(5) and crew.hanging() == ["camera"]
    stop.set()
    before = time.monotonic()
    assert crew.join(5) == ["camera"] and time.monotonic() - before < 2
    release.set()
    for _ in range(100):
        if not crew.hanging():
            break
        time.sleep(0.05)
    assert not crew.hanging() and not crew.failed.is_set()


def test_help_lists_every_command_of_the_contract() -> None:
    text = site_agent("--help").stdout
    for name in ("discover", "record", "count", "drive", "classes", "attendance", "gaps", "clip", "run", "demo"):
        assert name in text


def _programs() -> list[Path]:
    agent = Path(i18n.__file__).parent.parent
    return [agent, agent.parent / "board"]


def test_no_word_is_unused() -> None:
    source = "\n".join(p.read_text(encoding="utf-8") for folder in _programs() for p in folder.rglob("*.py"))
    source += "\n".join(p.read_text(encoding="utf-8") for folder in _programs() for p in folder.rglob("*.html"))
    known = set(i18n.load_catalogue())
    asked = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)+)["']""", source))
    # keys made from a part that varies: f"demo.alert_{state}", "alert." + kind
    open_ended = tuple(re.findall(r"""f["']([a-z_]+\.[a-z_.]*)\{""", source))
    open_ended += tuple(re.findall(r"""["']([a-z_]+\.[a-z_.]*[._])["']""", source))
    unused = {k for k in known if k not in asked and not k.startswith(open_ended)}
    assert unused == set()


def test_no_used_word_is_missing_and_every_blank_is_filled() -> None:
    """Keys that stand in the source as constants; those made from a part that varies are the other tests' matter."""
    known, root = i18n.load_catalogue(), Path(i18n.__file__).parent.parent
    errors = set(re.findall(r"class (\w+)\(", (root / "core" / "errors.py").read_text(encoding="utf-8")))
    errors |= {"Stalled", "ApiProblem", "SoapFault", "StoreError"}
    seen, wrong = 0, []
    for file in (path for folder in _programs() for path in folder.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            for key in _keys_of(call, errors, in_doctor="doctor" in file.parts):
                seen += 1
                if key not in known:
                    wrong.append(f"{file.name}:{call.lineno} {key}")
                elif all(k.arg for k in call.keywords):
                    missing = _blanks(known[key]) - {k.arg for k in call.keywords}
                    wrong += [f"{file.name}:{call.lineno} {key} {missing}"] if missing else []
    for file in root.rglob("*.html"):
        asked = re.findall(r"""\bt\(\s*["']([a-z_]+\.[a-z_.0-9]+)["']""", file.read_text(encoding="utf-8"))
        wrong += [f"{file.name} {key}" for key in asked if key not in known and not key.endswith((".", "_"))]
        seen += len(asked)
    assert wrong == [] and seen > 600


def _keys_of(call: ast.Call, errors: set[str], *, in_doctor: bool) -> list[str]:
    """The keys that a call asks the catalogue for."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    place = 2 if name == "report_problem" else 1 if name in ("report_ok", "translate_to", "ApiProblem") else 0
    doctor = in_doctor and name in ("report_ok", "report_problem")
    of_words = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "i18n"
    asks = name in errors or doctor or (of_words and name in ("translate", "translate_to"))
    if not asks or len(call.args) <= place:
        return []
    given = call.args[place]
    parts = (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)
    keys = [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str) and "." in p.value]
    return [f"doctor.{key}" for key in keys] if doctor else keys


def _blanks(entry: Mapping[str, str]) -> set[str]:
    return {
        re.split(r"[.\[!:]", blank)[0]
        for text in entry.values()
        for _, blank, _, _ in string.Formatter().parse(text)
        if blank
    }
