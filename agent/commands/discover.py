"""`site-agent discover`: who is on the camera networks, and what the bureau's list says of each."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agent import attempts, defaults, wiring, words
from agent.attempts import Budget
from agent.cameras import Credentials, Options, admission, model_list, networks, parameters, retire
from agent.cameras.admission import Judgement, ModelList, Requirement
from agent.cameras.camera_clock import complaint
from agent.cameras.device import Description, describe
from agent.cameras.discovery import Match
from agent.cameras.networks import Networks
from agent.cameras.parameters import Change
from agent.cameras.registry import Named, credentials_for, name_all
from agent.cameras.search import Finder, Sighting
from agent.catalog import Catalog
from agent.clock import Clock, SystemClock, is_set
from agent.commands import common
from agent.errors import CameraError, CatalogBlocked, InputError
from agent.model_cameras import Camera
from agent.settings import Settings
from agent.settings_file import PREFIX
from agent.setup import mounts


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


@dataclass(frozen=True)
class _Memory:
    """What the box remembers, so that cameras have the same names, and the same tries left, here as in the service."""

    budget: Budget
    cameras: list[Camera]
    retired: list[str]


def run(args: argparse.Namespace) -> int:
    settings = common.settings_if_any(args)
    if not 0.2 <= args.timeout <= 60:
        raise InputError("discover.bad_timeout")
    where, addresses = _where(args, settings)
    options, clock = _options(args, settings), SystemClock()
    approved = _models(args, settings, options)
    with ExitStack() as stack:
        memory = _remembered(settings, options, clock, stack)

        def credentials(match: Match) -> Credentials | None:
            return credentials_for(match, options.known, memory.cameras, options.credentials)

        finder = Finder(where, clock, memory.budget, credentials, options.timeout_s, args.timeout)
        begun = clock.monotonic()
        by_address = {k.address for k in options.known if k.address}
        known = [*by_address, *(c.address for c in memory.cameras if c.streams)]
        addresses += [address for address in known if where.holds(address.partition(":")[0])]
        sightings = finder.find(addresses, [c.endpoint for c in memory.cameras], by_address)
        named = name_all(
            sightings,
            options.known,
            memory.cameras,
            memory.retired,
            lambda found: admission.judge(found, approved).verdict.recordable,
        )
        seen = [_Seen(n, _judge(n.sighting, approved)) for n in named]
        _show(args, seen, clock.monotonic() - begun)
        return _fix(args, seen, finder, approved) if args.fix else 0


def _options(args: argparse.Namespace, settings: Settings | None) -> Options:
    """As the service has them; what the user names here goes before."""
    return replace(wiring.for_cameras(settings), credentials=_credentials(args, settings))


def _models(args: argparse.Namespace, settings: Settings | None, options: Options) -> ModelList:
    """The list that the user named, else that of the settings; none is an empty one, by which nothing is admitted."""
    if args.models:
        return model_list.load(args.models).approved
    if settings is None:
        return ModelList()
    loaded = model_list.Watched(options.model_list, options.model_list_key, options.list_copy).current()
    if loaded.problem:
        common.say(str(loaded.problem))
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
    return Credentials(username, password) if username and password else None


def _remembered(settings: Settings | None, options: Options, clock: Clock, stack: ExitStack) -> _Memory:
    """From the box's catalog. Where there is none, or none that may be written to, the user's own file counts the tries."""
    catalog = _catalog(settings) if settings else None
    if catalog is not None:
        stack.enter_context(catalog)
        retired = retire.retired(catalog)
        return _Memory(attempts.kept(catalog, clock), catalog.cameras.all(), retired)
    needed = options.credentials or any(k.credentials for k in options.known)
    return _Memory(attempts.of_user(clock) if needed else attempts.alone(clock), [], [])


def _catalog(settings: Settings) -> Catalog | None:
    """The catalog, made where there is none: else the service would not know what has been tried before its first start."""
    try:
        catalog = common.catalog(settings)
    except (CatalogBlocked, InputError) as error:
        common.say(words.text("discover.no_catalog", detail=str(error)))
        return None
    if owner := mounts.service_ids():
        mounts.hand_over(settings.state_dir, *owner)
    return catalog


def _judge(sighting: Sighting, approved: ModelList) -> Judgement:
    if sighting.description is not None:
        return admission.judge(sighting.description, approved, sighting.twins)
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
    if abs(offset) > defaults.CAMERA_CLOCK_BOUND_S:
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
