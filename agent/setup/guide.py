"""The guided first run: it asks on the terminal and fills in the flags, so that whatever it does can be done by flags."""

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
    """One line from the terminal; an empty answer takes `default`. Asks again until `check` is content."""
    prompt = words.text(f"setup.ask.{key}", **params)
    while True:
        sys.stderr.write(f"{prompt} [{default}] " if default else f"{prompt} ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt  # end of input: stop as Ctrl-C would
        answer = line.strip() or default
        if check(answer):
            return answer
        sys.stderr.write(words.text("setup.again") + "\n")


def yes(key: str, *, default: bool = True, **params: object) -> bool:
    return ask(key, "y" if default else "n", lambda a: a[:1].lower() in ("y", "n"), **params)[:1].lower() == "y"


def place(args: argparse.Namespace, settings: Settings) -> None:
    args.county = ask("county", settings.county, is_id)
    args.site = ask("site", settings.site, is_id)
    args.box = ask("box", settings.box, is_id)
    args.institution = ask("institution", settings.institution)


def cameras(args: argparse.Namespace, settings: Settings) -> None:
    own = networks.choose(settings.cameras.networks)
    shown = ",".join(str(n) for n in own.allowed)
    args.network = [n.strip() for n in ask("networks", shown, _networks).split(",") if n.strip()]
    args.camera_user = ask("camera_user", settings.cameras.username)
    args.camera_password = getpass.getpass(words.text("setup.ask.camera_password") + " ") or None
    if not settings.cameras.model_list.exists():
        given = ask("models", "", lambda a: not a or Path(a).is_file())
        args.models = Path(given) if given else None


def _networks(text: str) -> bool:
    try:
        networks.choose([n.strip() for n in text.split(",") if n.strip()])
    except InputError:
        return False
    return True


def drive(args: argparse.Namespace, settings: Settings) -> None:
    """Choose a partition; what it holds is said before anything is written."""
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
    """The full word, typed by a person, or None."""
    answer = ask("force", "-", root=root, word=FORCE_WORD)
    return answer if answer == FORCE_WORD else None


def bureau(args: argparse.Namespace, settings: Settings) -> None:
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
    given = ask("class", "", lambda a: not a or Path(a).is_file())
    args.class_file = Path(given) if given else None
