"""The guided first run: asks on the terminal and fills in the flags, so that flags can do everything that it does."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path

from agent import words
from agent.cameras import networks
from agent.drive.identity import FORCE_WORD
from agent.errors import InputError
from agent.model import is_id
from agent.settings import Settings
from agent.settings_values import check_key
from agent.setup import mounts


def ask(key: str, default: str = "", check: Callable[[str], bool] = bool, **params: object) -> str:
    """Read one line from the terminal, again until `check` accepts it; an empty answer gives `default`."""
    prompt = words.text(f"setup.ask.{key}", **params)
    while True:
        sys.stderr.write(f"{prompt} [{default}] " if default else f"{prompt} ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt  # end of input: stop as Ctrl-C does
        answer = line.strip() or default
        if check(answer):
            return answer
        sys.stderr.write(words.text("setup.again") + "\n")


def yes(key: str, *, default: bool = True, **params: object) -> bool:
    """Ask a yes-or-no question."""
    return ask(key, "y" if default else "n", lambda a: a[:1].lower() in ("y", "n"), **params)[:1].lower() == "y"


def place(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for county, site, box and institution."""
    args.county = ask("county", settings.county, is_id)
    args.site = ask("site", settings.site, is_id)
    args.box = ask("box", settings.box, is_id)
    args.institution = ask("institution", settings.institution)


def cameras(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for the camera networks, the camera login and the list of approved models."""
    own = networks.choose(settings.cameras.networks)
    shown = ",".join(str(n) for n in own.allowed)
    args.network = [n.strip() for n in ask("networks", shown, _are_networks).split(",") if n.strip()]
    args.camera_user = ask("camera_user", settings.cameras.username)
    args.camera_password = getpass.getpass(words.text("setup.ask.camera_password") + " ") or None
    if not settings.cameras.model_list.exists():
        given = ask("models", "", lambda a: not a or Path(a).is_file())
        args.models = Path(given) if given else None


def _are_networks(text: str) -> bool:
    try:
        networks.choose([n.strip() for n in text.split(",") if n.strip()])
    except InputError:
        return False
    return True


def drive(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for the partition to use as a drive, showing what each one is before anything is written."""
    found = mounts.partitions()
    for number, p in enumerate(found, 1):
        size = f"{p.size / 1e9:.0f} GB"
        sys.stderr.write(f"  {number}. {p.device}  {size}  {p.kind}  {p.label}  {p.model}  {' '.join(p.mounted)}\n")
    if not found:
        sys.stderr.write(words.text("setup.no_partitions") + "\n")
        return
    choices = [str(n) for n in range(len(found) + 1)]
    number = int(ask("device", "0", lambda a: a in choices))
    if number == 0:
        return
    args.device = found[number - 1].device
    args.drive = settings.recording.drives[0]
    args.label = ask("label")


def force(root: Path) -> str | None:
    """Ask for FORCE_WORD, typed in full; None for any other answer."""
    answer = ask("force", "-", root=root, word=FORCE_WORD)
    return answer if answer == FORCE_WORD else None


def bureau(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for the broker of the bureau, its login, CA file and signing key."""
    if not yes("bureau"):
        args.no_bureau = True
        return
    args.broker = ask("broker", f"{settings.bureau.host}:{settings.bureau.port}")
    args.broker_user = ask("broker_user", settings.bureau.username, lambda a: True)
    args.broker_password = getpass.getpass(words.text("setup.ask.broker_password") + " ") or None
    ca = ask("ca_file", str(settings.bureau.ca_file or ""), lambda a: not a or Path(a).is_file())
    args.ca_file = Path(ca) if ca else None
    args.signing_key = ask("signing_key", settings.bureau.signing_key, _is_key)


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except ValueError:
        return False
    return True


def training_class(args: argparse.Namespace) -> None:
    """Ask for a class file to import."""
    given = ask("class", "", lambda a: not a or Path(a).is_file())
    args.class_file = Path(given) if given else None
