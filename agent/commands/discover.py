"""`site-agent discover`: who is on the camera networks, and what the bureau's list says of each."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent import words
from agent.attempts import Budget
from agent.cameras import Credentials, Known, admission, model_list, networks, parameters
from agent.cameras.admission import Judgement, ModelList, Requirement
from agent.cameras.camera_clock import complaint
from agent.cameras.device import Description, describe
from agent.cameras.discovery import Match
from agent.cameras.networks import Networks
from agent.cameras.options import CLOCK_BOUND_S
from agent.cameras.parameters import Change
from agent.cameras.registry import Named, credentials_for, name_all
from agent.cameras.search import Finder, Sighting
from agent.catalog import Catalog
from agent.clock import SystemClock, is_set
from agent.commands import common
from agent.errors import CameraError, InputError, SettingsError
from agent.model import Camera
from agent.settings import Settings
from agent.settings_file import PREFIX


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("discover", help=words.text("discover.help"))
    parser.add_argument("--models", type=Path, metavar="FILE", help=words.text("discover.models"))
    parser.add_argument("--username", metavar="NAME", help=words.text("discover.username"))
    parser.add_argument("--password-file", type=Path, metavar="FILE", help=words.text("discover.password_file"))
    parser.add_argument("--network", action="append", default=[], metavar="CIDR", help=words.text("discover.network"))
    parser.add_argument(
        "--interface", action="append", default=[], metavar="ADDR", help=words.text("discover.interface")
    )
    parser.add_argument("--address", action="append", default=[], metavar="HOST", help=words.text("discover.address"))
    parser.add_argument("--timeout", type=float, default=2.0, metavar="S", help=words.text("discover.timeout"))
    parser.add_argument("--fix", action="store_true", help=words.text("discover.fix"))
    parser.add_argument("--ntp", default="", metavar="HOST", help=words.text("discover.ntp"))
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Seen:
    """A named sighting and what the list says of it."""

    named: Named
    judgement: Judgement


def run(args: argparse.Namespace) -> int:
    settings = common.settings_if_any(args)
    if not 0.2 <= args.timeout <= 60:
        raise InputError("discover.bad_timeout")
    approved = _models(args, settings)
    where, addresses = _where(args, settings)
    cameras, known = _remembered(settings)
    usual, clock = _credentials(args, settings), SystemClock()

    def credentials(match: Match) -> Credentials | None:
        return credentials_for(match, known, cameras, usual)

    exchange = settings.cameras.timeout_s if settings else 5.0
    finder = Finder(where, clock, Budget(clock), credentials, exchange, args.timeout)
    begun = clock.monotonic()
    addresses += [k.address for k in known if k.address and where.holds(k.address.partition(":")[0])]
    by_address = {k.address for k in known if k.address}
    named = name_all(finder.find(addresses, [c.endpoint for c in cameras], by_address), known, cameras)
    seen = [_Seen(n, _judge(n.sighting, approved)) for n in named]
    _show(args, seen, clock.monotonic() - begun)
    return _fix(args, seen, finder, approved) if args.fix else 0


def _models(args: argparse.Namespace, settings: Settings | None) -> ModelList:
    """The list that the user named, else that of the settings; none is an empty one, by which nothing is admitted."""
    if args.models:
        return model_list.load(args.models).approved
    if settings is None:
        return ModelList()
    try:
        loaded = model_list.load(settings.cameras.model_list, settings.cameras.model_list_key)
    except SettingsError as error:
        common.say(str(error))
        return ModelList()
    return loaded.approved


def _where(args: argparse.Namespace, settings: Settings | None) -> tuple[Networks, list[str]]:
    """The networks to search, and the addresses to ask directly."""
    where = networks.choose(args.network or (settings.cameras.networks if settings else ()), args.interface)
    if not where.allowed:
        raise InputError("cameras.no_network")
    return where, [networks.host_of(text, where) for text in args.address]


def _credentials(args: argparse.Namespace, settings: Settings | None) -> Credentials | None:
    """User name and password: from a file, the environment, the settings, or the keyboard; never from the arguments, which
    every process of the machine can read."""
    told = os.environ.get(f"{PREFIX}CAMERAS__USERNAME", "admin")
    username = args.username or (settings.cameras.username if settings else told)
    if args.password_file:
        try:
            return Credentials(username, args.password_file.read_text(encoding="utf-8-sig").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            detail = getattr(error, "strerror", None) or "UTF-8"
            raise InputError("cameras.password_file", file=args.password_file, detail=detail) from None
    password = os.environ.get(f"{PREFIX}CAMERAS__PASSWORD")
    if password is None and settings:
        password = settings.cameras.password.get_secret_value()
    if not password and args.username and sys.stdin.isatty():
        password = getpass.getpass(words.text("cameras.password_prompt", username=username))
    return Credentials(username, password) if password else None


def _remembered(settings: Settings | None) -> tuple[list[Camera], list[Known]]:
    """The names that the box has given already, so that they are the same here."""
    if settings is None:
        return [], []
    known = [
        Known(k.camera_id, k.serial, k.address, Credentials(k.username, secret) if secret else None)
        for k, secret in ((k, k.password.get_secret_value()) for k in settings.cameras.known)
    ]
    if not os.access(settings.catalog_file, os.W_OK):
        return [], known
    with Catalog(settings.catalog_file, settings.zone) as catalog:
        return catalog.cameras.all(), known


def _judge(sighting: Sighting, approved: ModelList) -> Judgement:
    if sighting.description is not None:
        return admission.judge(sighting.description, approved)
    assert sighting.error is not None
    return admission.judge_error(sighting.error)


def _show(args: argparse.Namespace, seen: Sequence[_Seen], seconds: float) -> None:
    lines = [_line(s) for s in seen]
    for line in lines:
        common.emit(args, line)
    for s in seen:
        if s.named.sighting.dropped:
            dropped = ", ".join(s.named.sighting.dropped)
            common.say(words.text("cameras.dropped", address=s.named.sighting.address, dropped=dropped))
        _say_clock(s.named)
    if lines and not common.wants_json(args):
        columns = ("camera_id", "address", "manufacturer", "model", "serial", "verdict", "streams", "reasons")
        rows = [[_cell(line, column) for column in columns] for line in lines]
        print(common.table(rows, [words.text(f"cameras.table.{c}") for c in columns]))
    admitted = sum(s.judgement.verdict.recordable for s in seen)
    common.say(words.text("cameras.found", count=len(seen), admitted=admitted, seconds=f"{seconds:.1f}"))


def _say_clock(named: Named) -> None:
    """Where a camera tells a time that is not the box's."""
    found, clock = named.sighting.description, SystemClock()
    offset = found.clock.offset(clock) if found and found.clock and is_set(clock) else 0.0
    if abs(offset) > CLOCK_BOUND_S:
        common.say(complaint(named.camera_id, offset))


def _line(seen: _Seen) -> dict[str, Any]:
    sighting, judgement = seen.named.sighting, seen.judgement
    found = sighting.description
    return {
        "camera_id": seen.named.camera_id,
        "address": sighting.address,
        "manufacturer": found.manufacturer if found else "",
        "model": found.model if found else "",
        "firmware": found.firmware if found else "",
        "serial": found.serial if found else "",
        "verdict": judgement.verdict.value,
        "reasons": list(judgement.reasons),
        "streams": [asdict(stream) for stream in found.streams] if found else [],
    }


def _cell(line: Mapping[str, Any], column: str) -> str:
    if column == "verdict":
        return words.text(f"cameras.verdict.{line['verdict']}")
    if column == "streams":
        return (
            ", ".join(f"{s['codec'] or '?'} {s['width'] or '?'}×{s['height'] or '?'}" for s in line["streams"]) or "-"
        )
    if column == "reasons":
        return "; ".join(line["reasons"]) or "-"
    return str(line[column]) or "-"


def _fix(args: argparse.Namespace, seen: Sequence[_Seen], finder: Finder, approved: ModelList) -> int:
    """Show what differs, ask, set, read back. Returns 1 where something could not be set."""
    failed = False
    for s in seen:
        found = s.named.sighting.description
        require = admission.requirement_of(found, approved) if found else None
        if found is None or require is None:
            continue
        camera = _Fixed(s.named, finder, require, args.ntp)
        try:
            failed |= not _offer(camera, found)
        except CameraError as error:
            common.say(f"{s.named.camera_id}: {error}")
            failed = True
    return int(failed)


class _Fixed:
    """One camera while it is set right."""

    def __init__(self, named: Named, finder: Finder, require: Requirement, ntp: str) -> None:
        self.camera_id, self.address = named.camera_id, named.sighting.address
        self._match = Match(named.sighting.endpoint, named.sighting.host, (f"http://{self.address}",))
        self._finder, self._require, self._ntp = finder, require, ntp

    def plan(self, found: Description) -> list[Change]:
        session = self._finder.session(found.url, self._match)
        session.read_clock()
        return parameters.plan(session, self._finder.transport, found, self._require, self._ntp)

    def look_again(self, found: Description) -> Description:
        return describe(self._finder.session(found.url, self._match), self._finder.transport)


def _offer(camera: _Fixed, found: Description) -> bool:
    changes = camera.plan(found)
    if not changes:
        common.say(words.text("cameras.fix_none", camera_id=camera.camera_id))
        return True
    for change in changes:
        common.say(words.text("cameras.fix_change", name=change.name, before=change.before, after=change.after))
    sys.stderr.write(words.text("cameras.fix_ask", camera_id=camera.camera_id, address=camera.address))
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        common.say(words.text("cameras.fix_skipped", camera_id=camera.camera_id))
        return True
    problems = {change.name: problem for change in changes if (problem := _apply(change))}
    # a camera may say yes and do nothing
    kept = {change.name for change in camera.plan(camera.look_again(found))}
    for change in changes:
        problem = problems.get(change.name) or (words.text("cameras.fix_kept") if change.name in kept else "")
        key = "cameras.fix_failed" if problem else "cameras.fix_done"
        common.say(words.text(key, name=change.name, after=change.after, detail=problem))
        problems[change.name] = problem
    return not any(problems.values())


def _apply(change: Change) -> str:
    try:
        change.apply()
    except CameraError as error:
        return str(error)
    return ""
