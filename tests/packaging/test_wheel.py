"""The program as a wheel, installed for real and not linked to a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.support.paths import ROOT

# what a build reads; a copy, so that it leaves nothing in the checkout
PARTS = ("agent", "config", "models", "pyproject.toml", "README.md", "LICENSE")


def pip(*arguments: str, python: str = sys.executable) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / "source" / part, ignore=shutil.ignore_patterns("__pycache__", "*.pt"))
        else:
            shutil.copy(source, folder / "source" / part)
    pip("wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(folder), str(folder / "source"))
    (made,) = folder.glob("*.whl")
    return made


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        inside = set(held.namelist())
    files = {
        str(p.relative_to(ROOT)) for p in (ROOT / "agent").rglob("*") if p.is_file() and "__pycache__" not in p.parts
    }
    assert files - inside == set()


@pytest.mark.parametrize("how", ["target", "environment"])
def test_it_counts_and_sets_up_far_from_the_checkout(wheel: Path, tmp_path: Path, how: str) -> None:
    """With `pip install --target` and in an environment of its own, as a person would install it."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["SITE_AGENT_STATE_DIR"] = str(tmp_path / "state")  # not that of an agent that is installed here
    libraries = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    if how == "target":
        target = tmp_path / "target"
        pip("install", "--no-index", "--no-deps", "--target", str(target), str(wheel))
        python, environment["PYTHONPATH"] = sys.executable, str(target)
    else:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=120)
        python = str(tmp_path / "venv/bin/python")
        pip("--python", python, "install", "--no-index", "--no-deps", str(wheel))
        environment["PYTHONPATH"] = libraries  # its dependencies; the program itself comes from the environment
    picture = tmp_path / "picture.png"
    Image.new("RGB", (640, 360), "white").save(picture)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import sys, agent; from agent.__main__ import main; print(agent.__file__, file=sys.stderr); sys.exit(main())"
        return subprocess.run(
            [python, "-c", code, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    done = run("count", "--json", str(picture))
    assert done.returncode == 0 and str(ROOT / "agent") not in done.stderr, done.stderr
    assert json.loads(done.stdout)["people"] == 0
    done = run("setup", "--site", "s1", "--config", str(tmp_path / "agent.toml"))
    assert done.returncode == 0 and 'site = "s1"' in (tmp_path / "agent.toml").read_text(encoding="utf-8"), done.stderr
    if how == "environment":  # the other one runs in the checkout's environment, where the simulator is
        done = run("demo", "--language", "en")
        assert done.returncode == 2 and "scripts/demo in a checkout" in done.stderr and "pip" not in done.stderr
