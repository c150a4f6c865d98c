"""The guided first run: asks on the terminal and fills in the flags, so that flags can do everything that it does."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from pathlib import Path

from agent import i18n
from agent.cameras import networks
from agent.core.errors import InputError
from agent.core.model import is_id
from agent.drive.identity import FORCE_WORD
from agent.program.setting_values import check_key
from agent.settings.schema import Settings
from agent.setup import mount_units


def ask_text(key: str, default: str = "", check: Callable[[str], bool] = bool, **params: object) -> str:
    """Read one line from the terminal, again until `check` accepts it; an empty answer gives `default`."""
    prompt = i18n.translate(f"setup.ask.{key}", **params)
    while True:
        sys.stderr.write(f"{prompt} [{default}] " if default else f"{prompt} ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt  # end of input: stop as Ctrl-C does
        answer = line.strip() or default
        if check(answer):
            return answer
        sys.stderr.write(i18n.translate("setup.again") + "\n")


def ask_yes_no(key: str, *, default: bool = True, **params: object) -> bool:
    """Ask a yes-or-no question."""
    return ask_text(key, "y" if default else "n", lambda a: a[:1].lower() in ("y", "n"), **params)[:1].lower() == "y"


def ask_place(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for county, site, box and institution."""
    args.county = ask_text("county", settings.county, is_id)
    args.site = ask_text("site", settings.site, is_id)
    args.box = ask_text("box", settings.box, is_id)
    args.institution = ask_text("institution", settings.institution)


def ask_cameras(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for the camera networks, the camera login and the list of approved models."""
    own = networks.choose_networks(settings.cameras.networks)
    shown = ",".join(str(n) for n in own.allowed)
    args.network = [n.strip() for n in ask_text("networks", shown, _are_networks).split(",") if n.strip()]
    args.camera_user = ask_text("camera_user", settings.cameras.username)
    args.camera_password = getpass.getpass(i18n.translate("setup.ask.camera_password") + " ") or None
    if not settings.cameras.model_list.exists():
        given = ask_text("models", "", lambda a: not a or Path(a).is_file())
        args.models = Path(given) if given else None


def _are_networks(text: str) -> bool:
    try:
        networks.choose_networks([n.strip() for n in text.split(",") if n.strip()])
    except InputError:
        return False
    return True


def ask_drive(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for the partition to use as a drive, showing what each one is before anything is written."""
    found = mount_units.list_partitions()
    for number, p in enumerate(found, 1):
        size = f"{p.size / 1e9:.0f} GB"
        sys.stderr.write(f"  {number}. {p.device}  {size}  {p.kind}  {p.label}  {p.model}  {' '.join(p.mounted)}\n")
    if not found:
        sys.stderr.write(i18n.translate("setup.no_partitions") + "\n")
        return
    choices = [str(n) for n in range(len(found) + 1)]
    number = int(ask_text("device", "0", lambda a: a in choices))
    if number == 0:
        return
    args.device = found[number - 1].device
    args.drive = settings.recording.drives[0]
    args.label = ask_text("label")


def ask_force_word(root: Path) -> str | None:
    """Ask for FORCE_WORD, typed in full; None for any other answer."""
    answer = ask_text("force", "-", root=root, word=FORCE_WORD)
    return answer if answer == FORCE_WORD else None


def ask_bureau(args: argparse.Namespace, settings: Settings) -> None:
    """Ask for the broker of the bureau, its login, CA file and signing key."""
    if not ask_yes_no("bureau"):
        args.no_bureau = True
        return
    args.broker = ask_text("broker", f"{settings.bureau.host}:{settings.bureau.port}")
    args.broker_user = ask_text("broker_user", settings.bureau.username, lambda a: True)
    args.broker_password = getpass.getpass(i18n.translate("setup.ask.broker_password") + " ") or None
    ca = ask_text("ca_file", str(settings.bureau.ca_file or ""), lambda a: not a or Path(a).is_file())
    args.ca_file = Path(ca) if ca else None
    args.signing_key = ask_text("signing_key", settings.bureau.signing_key, _is_key)


def _is_key(text: str) -> bool:
    try:
        check_key(text)
    except ValueError:
        return False
    return True


def ask_class_file(args: argparse.Namespace) -> None:
    """Ask for a class file to import."""
    given = ask_text("class", "", lambda a: not a or Path(a).is_file())
    args.class_file = Path(given) if given else None
