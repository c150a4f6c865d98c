"""Classes to approve: upload of the institution's file, what was understood, approval, the boxes it goes to."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.class_files.fields import ClassFileProblems
from agent.core.errors import ClassFileError, InputError
from board.approvals.approve import ApprovalDesk, list_approvals
from board.approvals.drafts import ClassDraft, drop_draft, list_drafts, load_draft, take_class_file
from board.approvals.review import review_draft
from board.queries.boxes import BoxState, list_boxes
from board.queries.classes import list_class_boxes
from board.web.site import BoardVisit

_MOST_PROBLEMS = 40
_MOST_REASON = 500


def show_approvals(v: BoardVisit) -> Response:
    """Show the form for a class file, drafts that wait, and approvals with the boxes that have them."""
    v.note_once("view.approvals")
    return _page(v)


def _page(v: BoardVisit, status: int = 200, problems: list[str] | None = None) -> Response:
    found = problems or []
    return v.page(
        "approvals.html",
        status,
        drafts=list_drafts(v.site.database, v.site.zone),
        approvals=list_approvals(v.site.database),
        problems=found[:_MOST_PROBLEMS],
        more=max(0, len(found) - _MOST_PROBLEMS),
    )


def take_file(v: BoardVisit) -> Response:
    """Read an uploaded class file; show the draft, or each fault by its place."""
    upload = v.upload
    if upload is None or not upload.name:
        return _page(v, 400, [v.t("approvals.no_file")])
    site = v.site
    try:
        draft_id = take_class_file(site.database, upload.name, upload.data, site.zone, v.user.name, site.clock.now())
    except ClassFileProblems as problems:
        return _page(v, 400, problems.problems)
    except (ClassFileError, InputError) as error:
        return _page(v, 400, [v.say(error)])
    v.note("approval.upload", draft_id, {"file": upload.name[:100]})
    return v.go(f"/approvals/{draft_id}")


def show_draft(v: BoardVisit) -> Response:
    """Show a class as it was understood, what it changes, rooms and teachers that are taken, and the boxes to send it to."""
    draft = _find(v)
    v.note_once("view.approval", draft.cls.class_id)
    return _draft_page(v, draft)


def _draft_page(v: BoardVisit, draft: ClassDraft, status: int = 200, fault: str = "") -> Response:
    database, now = v.site.database, v.site.clock.now()
    held = {str(row["box"]) for row in list_class_boxes(database, draft.cls.class_id, now)}
    found = [box for box in list_boxes(database, now) if box.presence != "revoked"]
    chosen = held or {box.name for box in found if box.institution and box.institution == draft.cls.institution}
    typed = {name for name in v.form if name.startswith("box.")}
    return v.page(
        "approval.html",
        status,
        d=draft,
        cls=draft.cls,
        review=review_draft(database, draft, v.site.zone, now),
        boxes=found,
        chosen={name.removeprefix("box.") for name in typed} if typed else chosen,
        reason=v.form.get("reason", "")[:_MOST_REASON],
        approvals=list_approvals(database, draft.cls.class_id),
        fault=fault,
    )


def decide_draft(v: BoardVisit) -> Response:
    """Approve a draft or drop it; a change to what is approved needs a reason."""
    draft = _find(v)
    if v.form.get("do") == "drop":
        drop_draft(v.site.database, draft.draft_id)
        v.note("approval.drop", draft.cls.class_id)
        return v.go("/approvals")
    review = review_draft(v.site.database, draft, v.site.zone, v.site.clock.now())
    reason = " ".join(v.form.get("reason", "")[:_MOST_REASON].split())
    names = _read_boxes(v, list_boxes(v.site.database, v.site.clock.now()))
    if review.refusals:
        return _draft_page(v, draft, 400, v.t("approvals.refused"))
    if review.known and review.differences and not reason:
        return _draft_page(v, draft, 400, v.t("approvals.reason_needed"))
    if not names:
        return _draft_page(v, draft, 400, v.t("approvals.no_box"))
    try:
        number = _make_desk(v).approve(draft, names, reason, v.user.name, v.site.clock.now())
    except InputError as error:
        return _draft_page(v, draft, 400, v.say(error))
    v.note(
        "approval.approve",
        draft.cls.class_id,
        {"number": number, "boxes": names} | ({"reason": reason} if reason else {}),
    )
    return v.go(f"/approvals/{draft.draft_id}")


def send_further(v: BoardVisit) -> Response:
    """Send an approval to further boxes, such as one that was enrolled later."""
    draft = _find(v)
    newest = next(iter(list_approvals(v.site.database, draft.cls.class_id, 1)), None)
    if newest is None or newest["draft_id"] != draft.draft_id:
        raise HTTPException(404)
    names = _read_boxes(v, list_boxes(v.site.database, v.site.clock.now()))
    _make_desk(v).send_to(newest["number"], names, v.site.clock.now())
    v.note("approval.send", draft.cls.class_id, {"number": newest["number"], "boxes": names})
    return v.go(f"/approvals/{draft.draft_id}")


def _make_desk(v: BoardVisit) -> ApprovalDesk:
    return ApprovalDesk(v.site.database, v.site.options.signing_key_file, v.site.options.county, v.site.zone)


def _read_boxes(v: BoardVisit, known: list[BoxState]) -> list[str]:
    """Return the boxes that were ticked."""
    return [box.name for box in known if f"box.{box.name}" in v.form]


def _find(v: BoardVisit) -> ClassDraft:
    draft = load_draft(v.site.database, str(v.request.path_params["draft_id"]), v.site.zone)
    if draft is None:
        raise HTTPException(404)
    return draft
