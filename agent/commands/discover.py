"""`site-agent discover`: searches the camera networks and judges each camera by the bureau's list of approved models."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

from agent import i18n
from agent.cameras import CameraOptions, Credentials, admission, model_list, networks, retired_ids
from agent.cameras.admission import Judgement
from agent.cameras.camera_clock import describe_clock_error
from agent.cameras.discovery import ProbeMatch
from agent.cameras.networks import Networks
from agent.cameras.registry import NamedSighting, assign_ids, choose_credentials
from agent.cameras.search import CameraFinder, Sighting
from agent.catalog import Catalog
from agent.commands import camera_fix, common
from agent.core import defaults
from agent.core.camera_model import Camera
from agent.core.camera_models import ModelList
from agent.core.clock import Clock, SystemClock, is_set
from agent.core.errors import CatalogBlocked, InputError
from agent.credentials import attempts
from agent.credentials.attempts import AttemptBudget
from agent.settings import wiring
from agent.settings.config_file import PREFIX
from agent.settings.schema import Settings
from agent.setup import mount_units


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("discover", help=i18n.translate("discover.help"))
    parser.add_argument("--models", type=Path, metavar="FILE", help=i18n.translate("discover.models"))
    parser.add_argument("--username", metavar="NAME", help=i18n.translate("discover.username"))
    parser.add_argument("--password-file", type=Path, metavar="FILE", help=i18n.translate("discover.password_file"))
    parser.add_argument(
        "--network", action="append", default=[], metavar="CIDR", help=i18n.translate("discover.network")
    )
    parser.add_argument(
        "--interface", action="append", default=[], metavar="ADDR", help=i18n.translate("discover.interface")
    )
    parser.add_argument(
        "--address", action="append", default=[], metavar="HOST", help=i18n.translate("discover.address")
    )
    parser.add_argument("--timeout", type=float, default=2.0, metavar="S", help=i18n.translate("discover.timeout"))
    parser.add_argument("--fix", action="store_true", help=i18n.translate("discover.fix"))
    parser.add_argument("--ntp", default="", metavar="HOST", help=i18n.translate("discover.ntp"))
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _JudgedSighting:
    """A named sighting and its judgement by the list."""

    named: NamedSighting
    judgement: Judgement


class _Line(TypedDict):
    """The JSON object of a camera."""

    camera_id: str
    address: str
    manufacturer: str
    model: str
    firmware: str
    serial: str
    verdict: str
    reasons: list[str]
    streams: list[dict[str, object]]


@dataclass(frozen=True)
class _SharedState:
    """State shared with the service, so that cameras have the same names and the same attempts left here."""

    budget: AttemptBudget
    cameras: list[Camera]
    retired: list[str]


def run(args: argparse.Namespace) -> int:
    settings = common.load_settings_if_any(args)
    if not 0.2 <= args.timeout <= 60:
        raise InputError("discover.bad_timeout")
    where, addresses = _search_scope(args, settings)
    options, clock = _options(args, settings), SystemClock()
    approved = _load_models(args, settings, options)
    with ExitStack() as stack:
        memory = _load_shared_state(settings, options, clock, stack)

        def credentials(match: ProbeMatch) -> Credentials | None:
            return choose_credentials(match, options.known, memory.cameras, options.credentials)

        finder = CameraFinder(where, clock, memory.budget, credentials, options.timeout_s, args.timeout)
        begun = clock.monotonic()
        by_address = {k.address for k in options.known if k.address}
        known = [*by_address, *(c.address for c in memory.cameras if c.streams)]
        addresses += [address for address in known if where.holds(address.partition(":")[0])]
        sightings = finder.find(addresses, [c.endpoint for c in memory.cameras], by_address)
        named = assign_ids(
            sightings,
            options.known,
            memory.cameras,
            memory.retired,
            lambda found: admission.judge_camera(found, approved).verdict.recordable,
        )
        seen = [_JudgedSighting(n, _judge(n.sighting, approved)) for n in named]
        _print_result(args, seen, clock.monotonic() - begun)
        return camera_fix.fix_all(named, finder, approved, args.ntp) if args.fix else 0


def _options(args: argparse.Namespace, settings: Settings | None) -> CameraOptions:
    """Return the options of the service; login data given by the user takes precedence."""
    return replace(wiring.build_camera_options(settings), credentials=_credentials(args, settings))


def _load_models(args: argparse.Namespace, settings: Settings | None, options: CameraOptions) -> ModelList:
    """Load the list given by the user, else that of the settings; without one the list is empty and admits nothing."""
    if args.models:
        return model_list.load_model_list(args.models).approved
    if settings is None:
        return ModelList()
    loaded = model_list.WatchedModelList(
        options.model_list, options.model_list_key, options.list_copy, options.list_received
    ).current()
    if loaded.problem:
        common.print_message(str(loaded.problem))
    return loaded.approved


def _search_scope(args: argparse.Namespace, settings: Settings | None) -> tuple[Networks, list[str]]:
    """Return the networks to search and the addresses to ask directly."""
    where = networks.choose_networks(args.network or (settings.cameras.networks if settings else ()), args.interface)
    if not where.allowed:
        raise InputError("cameras.no_network")
    return where, [networks.resolve_host(text, where) for text in args.address]


def _credentials(args: argparse.Namespace, settings: Settings | None) -> Credentials | None:
    """Read user name and password from a file, the environment, the settings or the keyboard.

    Never from the arguments, which every process of the machine can read.
    """
    default_name = os.environ.get(f"{PREFIX}CAMERAS__USERNAME", "admin")
    username = args.username or (settings.cameras.username if settings else default_name)
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
        password = getpass.getpass(i18n.translate("cameras.password_prompt", username=username))
    return Credentials(username, password) if username and password else None


def _load_shared_state(
    settings: Settings | None, options: CameraOptions, clock: Clock, stack: ExitStack
) -> _SharedState:
    """Load the shared state from the catalog; without a writable catalog the user's own file counts the attempts."""
    catalog = _open_catalog(settings) if settings else None
    if catalog is not None:
        stack.enter_context(catalog)
        retired = retired_ids.list_retired_ids(catalog)
        return _SharedState(attempts.open_box_budget(catalog, clock), catalog.cameras.all(), retired)
    needed = options.credentials or any(k.credentials for k in options.known)
    return _SharedState(attempts.open_user_budget(clock) if needed else attempts.make_private_budget(clock), [], [])


def _open_catalog(settings: Settings) -> Catalog | None:
    """Open the catalog, creating it where missing, so that the service knows of attempts made before its first start."""
    try:
        catalog = common.open_box_catalog(settings)
    except (CatalogBlocked, InputError) as error:
        common.print_message(i18n.translate("discover.no_catalog", detail=str(error)))
        return None
    if owner := mount_units.find_service_ids():
        mount_units.chown_to_service(settings.state_dir, *owner)
    return catalog


def _judge(sighting: Sighting, approved: ModelList) -> Judgement:
    if sighting.description is not None:
        return admission.judge_camera(sighting.description, approved, sighting.twins)
    assert sighting.error is not None
    return admission.judge_error(sighting.error)


def _print_result(args: argparse.Namespace, seen: Sequence[_JudgedSighting], seconds: float) -> None:
    lines = [_line(s) for s in seen]
    for line in lines:
        common.emit_json(args, line)
    for s in seen:
        if s.named.sighting.dropped:
            dropped = ", ".join(s.named.sighting.dropped)
            common.print_message(i18n.translate("cameras.dropped", address=s.named.sighting.address, dropped=dropped))
        _warn_clock(s.named)
    if lines and not common.wants_json(args):
        columns = ("camera_id", "address", "manufacturer", "model", "serial", "verdict", "streams", "reasons")
        rows = [[_cell(line, column) for column in columns] for line in lines]
        print(common.format_table(rows, [i18n.translate(f"cameras.table.{c}") for c in columns]))
    admitted = sum(s.judgement.verdict.recordable for s in seen)
    common.print_message(i18n.translate("cameras.found", count=len(seen), admitted=admitted, seconds=f"{seconds:.1f}"))


def _warn_clock(named: NamedSighting) -> None:
    """Print a warning where the clock of a camera differs from that of the box."""
    found, clock = named.sighting.description, SystemClock()
    offset = found.clock.offset(clock) if found and found.clock and is_set(clock) else 0.0
    if abs(offset) > defaults.CAMERA_CLOCK_BOUND_S:
        common.print_message(describe_clock_error(named.camera_id, offset))


def _line(seen: _JudgedSighting) -> _Line:
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


def _cell(line: _Line, column: str) -> str:
    if column == "verdict":
        return i18n.translate(f"cameras.verdict.{line['verdict']}")
    if column == "streams":
        return (
            ", ".join(f"{s['codec'] or '?'} {s['width'] or '?'}×{s['height'] or '?'}" for s in line["streams"]) or "-"
        )
    if column == "reasons":
        return "; ".join(line["reasons"]) or "-"
    return str(line.get(column)) or "-"
