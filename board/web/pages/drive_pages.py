"""Drives that come in: those on this machine, the check of one, its report on paper, and the shelf."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent import i18n
from agent.core.errors import InputError
from board.shelf.checking import load_running
from board.shelf.ledger import ShelfDrive, ShelfEntry, find_check, find_on_shelf, list_shelf, put_on_shelf
from board.web.site import BoardVisit


def show_drives(v: BoardVisit) -> Response:
    """List the drives on this machine, the check that runs, and the shelf."""
    v.note_once("view.drives")
    shelf = list_shelf(v.site.database, v.site.options.shelf.keep_years)
    mounted = v.site.drive_scan.look()
    roots = "、".join(str(root) for root in v.site.options.shelf.roots)
    running = load_running(v.site.database)
    return v.page("drives.html", mounted=mounted, roots=roots, running=running, shelf=shelf)


def check_drive(v: BoardVisit) -> Response:
    """Begin the check of a drive that is on this machine now, below the folders of the settings."""
    wanted = Path(v.form.get("root", ""))
    drive = next((x for x in v.site.drive_scan.look() if x.root == wanted), None)
    if drive is None or drive.drive_id != v.form.get("drive"):
        raise InputError("shelf.gone")
    return v.go(f"/drives/checks/{v.site.drive_checker.begin(drive, v.user.name, v.who)}")


def show_check(v: BoardVisit) -> Response:
    """Show how far a check is, or its report, which can be printed. The report is in Chinese: it is one of the papers."""
    number: int = v.request.path_params["number"]
    found = find_check(v.site.database, number)
    if found is None:
        raise HTTPException(404)
    v.note_once("view.drive.check", "", {"drive_id": found["drive_id"], "check": number})
    return v.page("drive_check.html", c=found, z=_say, say_kind=_say_kind, made_at=v.local(v.site.clock.now()))


def _say(key: str, /, **params: object) -> str:
    return i18n.translate_to("zh", key, **params)


def _say_kind(group: str, kind: str, **params: object) -> str:
    """Return a finding in words; as it stands where a later version of the command names another kind."""
    key = f"drive.{group}.{kind}"
    return _say(key, **params) if key in i18n.load_catalogue() else "；".join([kind, *map(str, params.values())])


def _find(v: BoardVisit) -> ShelfDrive:
    found = find_on_shelf(v.site.database, v.query("id")[:64], v.site.options.shelf.keep_years)
    if found is None:
        raise HTTPException(404)
    return found


def show_drive(v: BoardVisit) -> Response:
    """Show one drive of the shelf, with the form for where it lies."""
    drive = _find(v)
    v.note_once("view.drive", "", {"drive_id": drive.drive_id})
    here = [x for x in v.site.drive_scan.look() if x.drive_id == drive.drive_id]
    return v.page("drive.html", d=drive, mounted=here, keep_years=v.site.options.shelf.keep_years)


def shelve_drive(v: BoardVisit) -> Response:
    """Enter where a drive lies, and who brought it when."""
    drive_id, day = v.form.get("drive", "")[:64], v.form.get("handed_in_on", "").strip()
    if find_on_shelf(v.site.database, drive_id, v.site.options.shelf.keep_years) is None:
        raise HTTPException(404)
    try:
        handed_in_on = date.fromisoformat(day) if day else None
    except ValueError:
        raise InputError("shelf.bad_day") from None
    words = {name: v.form.get(name, "") for name in ("place", "handed_in_by", "note")}
    entry = ShelfEntry(drive_id, handed_in_on=handed_in_on, **words)
    put_on_shelf(v.site.database, entry, v.user.name, v.who, v.site.clock.now())
    return v.go("/drives")
