"""Boxes with real state folders that share one drive: what the tests of backup, restore and adoption start from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.catalog import Catalog
from agent.catalog.views import ViewConfirmation
from agent.core.model import Session
from agent.core.statement_rule import LogObserver
from agent.drive import Drive
from agent.settings.schema import Settings, load_settings_file
from agent.website.auth.access import Authenticator
from tests.support.drive_factory import ZONE, DriveSite, at, site

ACCOUNT = "teacher"


@dataclass
class LivingBox:
    """A box with a settings file; its state folder holds catalog and keys."""

    folder: Path
    drive: Path
    witness_key: str = ""
    box: str = "box1"

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            f'county = "wenshui"\nsite = "s1"\nbox = "{self.box}"\ninstitution = "某培训学校"\n'
            f'state_dir = "{self.state}"\n[recording]\ndrives = ["{self.drive}"]\n'
            f'[bureau]\nenabled = false\nwitness_key = "{self.witness_key}"\n[serve]\nenabled = false\n',
            encoding="utf-8",
        )

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "etc/agent.toml"

    @property
    def settings(self) -> Settings:
        return load_settings_file(self.config)

    def run(self, *arguments: str, status: int = 0, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "agent", *arguments, "--config", str(self.config)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SITE_AGENT_")}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, input=typed, env=environment, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def make_key(self) -> str:
        """Make a recovery key; return its code."""
        code: str = json.loads(self.run("backup", "--new-key", "--json").stdout)["code"]
        return code

    def catalog(self) -> Catalog:
        return Catalog(self.state / "catalog.db", ZONE)

    def site(self, made: DriveSite) -> DriveSite:
        """Return a site that goes on with this box's catalog and key on the drive as it is now."""
        return DriveSite(
            self.folder, Drive.open(self.drive), self.catalog(), made.clock, made.classes, self.state / "keys"
        )


def box_with_morning(folder: Path, drive: Path | None = None, witness_key: str = "") -> tuple[LivingBox, DriveSite]:
    """Make a box with a closed morning, an account, a password and a confirmed view."""
    made = LivingBox(folder / "a", drive or folder / "drive", witness_key)
    found = site(made.state, root=made.drive)
    found.half_day(found.classes[0], Session.AM)
    found.clock.time = at("09:30")
    found.closer().run_once()
    Authenticator(found.catalog.accounts, found.catalog.origins, found.clock).make(ACCOUNT, "operator")
    found.catalog.views.confirm(ViewConfirmation("cam1", "SN1", "张老师", found.clock.now(), "cam1.jpg", "ab" * 32))
    credentials = made.config.parent / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "cameras.password").write_text("Example-5", encoding="utf-8")
    found.closer().run_once()  # the drive's journal has all of it
    return made, found


def close_session(found: DriveSite, session: Session, end: str) -> None:
    """Record a half-day of the class, and close it."""
    found.half_day(found.classes[0], session)
    found.clock.time = at(end)
    found.closer().run_once()


def die(box: LivingBox, found: DriveSite) -> LivingBox:
    """Lose a box but its drive; return a newly installed one in its place."""
    found.catalog.close()
    shutil.rmtree(box.folder)
    new = LivingBox(box.folder, box.drive, box.witness_key)
    new.run("setup", "--keys")
    return new


def list_log_faults(catalog: Catalog) -> list[str]:
    """Return what a receiver finds wrong with the statements of a catalog, log after log."""
    observer = LogObserver()
    found = [s for end in catalog.statements.ends() for s in catalog.statements.of_log(end.log)]
    return [f"{fault.kind} {fault.detail}" for s in found for fault in observer.take(s, 0.0)]
