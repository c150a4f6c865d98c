"""`site-agent cameras`: list, accept ID, replace ID, forget ID. `site-agent discover` searches for cameras."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping

from agent import i18n
from agent.cameras import replacement, retired_ids, unit_replacement
from agent.catalog import Catalog
from agent.catalog.cameras import build_camera_object
from agent.commands import common
from agent.core import clock as clocks
from agent.core.camera_model import Camera
from agent.core.clock import SystemClock
from agent.core.errors import InputError
from agent.settings import wiring
from agent.settings.schema import Settings

_COLUMNS = ("camera_id", "address", "manufacturer", "model", "serial", "verdict", "up", "signs", "seen_at", "reasons")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("cameras", help=i18n.translate("cameras.help"))
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help=i18n.translate("cameras.help_list")).set_defaults(run=list_all)
    for name, action in _ACTIONS.items():
        one = actions.add_parser(name, help=i18n.translate(f"cameras.help_{name}"))
        one.add_argument("camera_id", metavar="CAMERA_ID", help=i18n.translate("commands.help_camera_id"))
        one.set_defaults(run=_run_for_one(action))
        if action is replace_unit:
            help_ = i18n.translate("cameras.help_replace_with")
            one.add_argument("--with", dest="chosen", metavar="CAMERA_ID", default="", help=help_)


Action = Callable[[argparse.Namespace, Settings, Catalog, Camera], int]


def _run_for_one(action: Action) -> Callable[[argparse.Namespace], int]:
    """Return the `run` function of an action on one camera of the catalog."""

    def run(args: argparse.Namespace) -> int:
        settings = common.load_settings(args)
        with common.open_box_catalog(settings) as catalog:
            return action(args, settings, catalog, catalog.cameras.need(args.camera_id))

    return run


def list_all(args: argparse.Namespace) -> int:
    """List the cameras as the service last saw them."""
    settings = common.load_settings(args)
    with common.open_box_catalog(settings) as catalog:
        lines = [_line(catalog, camera) for camera in catalog.cameras.all()]
    for line in lines:
        common.emit_json(args, line)
    if not lines:
        common.print_message(i18n.translate("cameras.none_known"))
    elif not common.wants_json(args):
        rows = [[_cell(line, column) for column in _COLUMNS] for line in lines]
        sys.stdout.write(common.format_table(rows, [i18n.translate(f"cameras.table.{c}") for c in _COLUMNS]) + "\n")
    return 0


def _line(catalog: Catalog, camera: Camera) -> dict[str, object]:
    seen = catalog.cameras.seen_at(camera.camera_id)
    return {
        **build_camera_object(camera, catalog.zone),
        "address": camera.address,
        "seen_at": clocks.format_local(seen, catalog.zone) if seen else None,
    }


def _cell(line: Mapping[str, object], column: str) -> str:
    value = line[column]
    if column == "verdict":
        return i18n.translate(f"cameras.verdict.{value}")
    if column == "up":
        return i18n.translate("cameras.up" if value else "cameras.down")
    if column == "signs":
        return i18n.translate("cameras.signs") if value else "-"
    if column == "reasons":
        return "; ".join(value) if isinstance(value, list | tuple) and value else "-"
    return (str(value)[:16].replace("T", " ") if column == "seen_at" else str(value)) if value else "-"


def accept(args: argparse.Namespace, settings: Settings, catalog: Catalog, camera: Camera) -> int:
    """Accept the device that now has this camera ID. Raises InputError where it is the accepted one already."""
    replacement.accept_unit(catalog, SystemClock(), camera.camera_id, common.identify_user())
    common.emit_json(args, _line(catalog, catalog.cameras.get(camera.camera_id) or camera))
    common.print_message(
        i18n.translate("cameras.accepted_now", camera_id=camera.camera_id, serial=camera.identity or "?")
    )
    return 0


def replace_unit(args: argparse.Namespace, settings: Settings, catalog: Catalog, camera: Camera) -> int:
    """Give this camera ID to the unit that replaces the camera. Raises InputError where none may take over."""
    with catalog.store.write():  # one transaction, so that no class is imported between check and takeover
        reserved = wiring.build_reserved_ids(settings).with_classes(common.load_classes(catalog))
        made = unit_replacement.replace_unit(
            catalog, SystemClock(), camera.camera_id, common.identify_user(), reserved, args.chosen
        )
    common.emit_json(args, _line(catalog, catalog.cameras.get(made.camera_id) or made))
    shown = {"camera_id": made.camera_id, "serial": made.identity or "?", "address": made.address}
    common.print_message(i18n.translate("cameras.replaced_now", **shown))
    return 0


def forget(args: argparse.Namespace, settings: Settings, catalog: Catalog, camera: Camera) -> int:
    """Remove a camera that will not return from the catalog; its recordings stay and its ID is never used again.

    Raises InputError where a class or the settings still need it.
    """
    camera_id, now = camera.camera_id, SystemClock().now()
    with catalog.store.write():  # one transaction, so that no class is imported between check and removal
        _check_unused(settings, catalog, camera_id)
        retired_ids.forget_camera(catalog, camera_id, now, common.identify_user())
    common.emit_json(
        args, {"camera_id": camera_id, "serial": camera.serial, "address": camera.address, "forgotten": True}
    )
    common.print_message(i18n.translate("cameras.forgotten", camera_id=camera_id))
    return 0


def _check_unused(settings: Settings, catalog: Catalog, camera_id: str) -> None:
    classes = common.load_classes(catalog)
    ids = {cls.class_id for cls in classes}
    recorded = [s.class_id for s in catalog.segments.opened(camera_id) if s.class_id in ids]
    if recorded:
        raise InputError("cameras.is_recorded", camera_id=camera_id, class_id=recorded[0])
    if any(known.camera_id == camera_id for known in settings.cameras.known):
        raise InputError("cameras.is_known", camera_id=camera_id)
    today = clocks.get_local_day(SystemClock().now(), catalog.zone)
    for cls in classes:
        room = next((room for room in cls.rooms if camera_id in room.cameras), None)
        if room is not None and cls.last_day >= today:
            raise InputError("cameras.is_planned", camera_id=camera_id, class_id=cls.class_id, room=room.name)


_ACTIONS: Mapping[str, Action] = {"accept": accept, "replace": replace_unit, "forget": forget}
