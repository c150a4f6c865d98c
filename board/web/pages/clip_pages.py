"""Video and pictures of boxes: the list of what was ordered, ordering, one order with its video, its files."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from agent.core.class_model import Lesson
from agent.core.errors import InputError
from agent.core.model import is_id
from agent.website.http.ranges import respond
from board.clips.keeping import set_kept
from board.clips.orders import OrderedClip, SentFile, list_clips, load_clip, order_clip, order_picture
from board.web.growing_file import PushedFile
from board.web.site import BoardVisit

_LISTED = 50
_FIRST_LENGTH = timedelta(minutes=10)
_WATCHABLE = 256 << 10
"""So much of a video makes a player begin: its index comes first."""


def show_clips(v: BoardVisit) -> Response:
    """List orders, the newest first: of a class where `class` names one; `before` turns the page."""
    class_id = v.query("class") if is_id(v.query("class")) else ""
    found = list_clips(v.site.database, class_id=class_id, before=v.query("before")[:64], limit=_LISTED + 1)
    v.note_once("view.clips", class_id)
    older = found[_LISTED - 1].clip_id if len(found) > _LISTED else ""
    return v.page("clips.html", orders=found[:_LISTED], class_id=class_id, older=older)


def ask_for_clip(v: BoardVisit) -> Response:
    """Order a stretch of a class's half-day from a box; show the order. Raises InputError."""
    given = v.form
    start, end = (_read_time(v, name) for name in ("from", "to"))
    clip_id = order_clip(
        v.site.database,
        class_id=given.get("class_id", ""),
        box=given.get("box", ""),
        start=start,
        end=end,
        camera=given.get("camera", ""),
        by=v.who,
        purpose=given.get("purpose", "").strip(),
        now=v.site.clock.now(),
    )
    return v.go(f"/clips/{clip_id}")


def ask_for_picture(v: BoardVisit) -> Response:
    """Order the newest picture of a camera or room; show the order. Raises InputError."""
    given = v.form
    clip_id = order_picture(
        v.site.database,
        box=given.get("box", ""),
        camera=given.get("camera", ""),
        room=given.get("room", ""),
        class_id=given.get("class_id", ""),
        by=v.who,
        purpose=given.get("purpose", "").strip(),
        now=v.site.clock.now(),
    )
    return v.go(f"/clips/{clip_id}")


def _read_time(v: BoardVisit, name: str) -> datetime:
    value, day = v.form.get(name, ""), v.form.get("on", "")
    try:
        return datetime.combine(date.fromisoformat(day), time.fromisoformat(value), v.site.zone)
    except ValueError:
        raise InputError("clip.bad_time", value=f"{day} {value}"[:40]) from None


def show_clip(v: BoardVisit) -> Response:
    """Show an order: how far it is, its video as it comes, what was checked, its papers."""
    order = _find(v)
    v.note_once("view.clip", order.class_id or order.box, {"id": order.clip_id})
    watched = [file for file in order.videos if _is_watchable(v, order, file)]
    return v.page("clip.html", order=order, watched=watched, keep_days=v.site.options.fetch.keep_days)


def keep_clip(v: BoardVisit) -> Response:
    """Keep an order's files past their age, or no longer."""
    order = _find(v)
    set_kept(v.site.database, order.clip_id, kept=bool(v.form.get("kept")), by=v.who, now=v.site.clock.now())
    return v.go(f"/clips/{order.clip_id}")


def send_file(v: BoardVisit) -> Response:
    """Send a file of an order: to the player in ranges, also while it comes; or as a download."""
    order, name = _find(v), v.request.path_params["name"]
    file = next((x for x in order.files if x.name == name), None)
    if file is None or order.gone or order.state in ("refused", "failed", "expired"):
        raise HTTPException(404)
    folder = v.site.options.fetch.folder / order.clip_id
    download = bool(v.query("download"))
    if download or not name.endswith(".mp4"):
        # what was not checked yet can be looked at, but leaves the board only after it was
        if not file.whole or (download and order.state != "ready"):
            raise HTTPException(404)
        if download:
            v.note("clip.download", order.class_id or order.box, {"id": order.clip_id, "file": name})
        kind = "image/jpeg" if name.endswith(".jpg") else "application/octet-stream"
        attached = name if download or kind != "image/jpeg" else None
        return FileResponse(folder / name, media_type=kind, filename=attached)
    film = _open_film(v, order, file)
    return respond(v.request, film, file.sha256[:32], {}, lambda *_: None, v.site.sending)


def _open_film(v: BoardVisit, order: OrderedClip, file: SentFile) -> PushedFile:
    def is_coming() -> bool:
        now = load_clip(v.site.database, order.clip_id)
        return now is not None and now.is_open

    folder = v.site.options.fetch.folder / order.clip_id
    return PushedFile(folder, file.name, file.sha256, file.bytes, v.site.clock, is_coming)


def _is_watchable(v: BoardVisit, order: OrderedClip, file: SentFile) -> bool:
    """Return whether there is something to look at: all of a picture, the beginning of a video."""
    if order.gone or order.state not in ("uploading", "ready"):
        return False
    if file.whole:
        return (v.site.options.fetch.folder / order.clip_id / file.name).exists()
    return file.name.endswith(".mp4") and file.received >= _WATCHABLE


def _find(v: BoardVisit) -> OrderedClip:
    order = load_clip(v.site.database, v.request.path_params["clip_id"][:64])
    if order is None:
        raise HTTPException(404)
    return order


def propose_span(lessons: list[Lesson]) -> tuple[str, str]:
    """Return the times that the form of a half-day begins with: the first ten minutes of lessons."""
    if not lessons:
        return "09:00:00", "09:10:00"
    start = lessons[0].start
    return f"{start:%H:%M:%S}", f"{min(start + _FIRST_LENGTH, lessons[0].end):%H:%M:%S}"
