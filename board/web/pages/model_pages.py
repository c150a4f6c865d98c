"""The list of approved camera models: upload, what was understood, signing and sending."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.core.errors import InputError, SettingsError
from board.approvals.model_lists import count_deliveries, issue_model_list, load_model_lists, take_model_list
from board.web.site import BoardVisit


def show_models(v: BoardVisit) -> Response:
    """Show the newest list as it was understood, whether it was sent, and the form for another."""
    v.note_once("view.models")
    return _page(v)


def _page(v: BoardVisit, status: int = 200, fault: str = "") -> Response:
    lists = load_model_lists(v.site.database)
    issued = next((one for one in lists if one.issued_at), None)
    return v.page(
        "models.html",
        status,
        lists=lists,
        issued=issued,
        sent=count_deliveries(v.site.database, issued.number) if issued else None,
        fault=fault,
    )


def take_models(v: BoardVisit) -> Response:
    """Read an uploaded list."""
    upload = v.upload
    if upload is None or not upload.name:
        return _page(v, 400, v.t("approvals.no_file"))
    try:
        number = take_model_list(v.site.database, upload.name, upload.data, v.user.name, v.site.clock.now())
    except (SettingsError, InputError) as error:
        return _page(v, 400, v.say(error))
    v.note("models.upload", "", {"file": upload.name[:100], "number": number})
    return v.go("/models")


def issue_models(v: BoardVisit) -> Response:
    """Sign the list that was shown, and have it sent."""
    number = v.form.get("number", "")
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise HTTPException(400)
    try:
        issue_model_list(v.site.database, int(number), v.site.options.signing_key_file, v.site.clock.now())
    except InputError as error:
        return _page(v, 400, v.say(error))
    v.note("models.issue", "", {"number": int(number)})
    return v.go("/models")
