"""Handles the bureau's request `call`: opens a call to the cameras of a class, or says why that is not possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agent.catalog import Catalog
from agent.contract.requests import CallParameters, Invalid, validate
from agent.core.call_model import CALL_LASTS, OpenCall
from agent.core.class_model import TrainingClass, find_class
from agent.core.clock import Clock, format_local, parse_time
from agent.core.errors import BureauError
from agent.counting.qr_code import encode_qr

if TYPE_CHECKING:
    from agent.contract.box import CallResult


class CallRequests:
    """The handler. One call is open at a time: the page shows one code, and says of nothing else."""

    def __init__(self, catalog: Catalog, clock: Clock, classes: Callable[[], list[TrainingClass]]) -> None:
        self._catalog = catalog
        self._clock = clock
        self._classes = classes

    def answer(self, asked: Mapping[str, object]) -> CallResult:
        """Open the call; a repeated request changes nothing. Raises BureauError; the refusal is stated as well."""
        try:
            given = validate(CallParameters, asked)
        except Invalid as error:
            key = error.faults[0].key
            raise BureauError("answers.bad", key=key, value=repr(asked.get(key))[:40]) from None
        now = self._clock.now()
        try:
            until = min(parse_time(given.until), now + CALL_LASTS)
        except ValueError:
            raise BureauError("answers.bad", key="until", value=repr(given.until)[:40]) from None
        call = OpenCall(given.call_id, given.code, given.class_id, given.date, given.session, now, until)
        shown = self._catalog.calls.shown(now)
        if shown is None or shown.call_id != call.call_id:
            self._open(call, busy=shown is not None)
        return {"call_id": call.call_id, "until": format_local(until, self._catalog.zone)}

    def _open(self, call: OpenCall, *, busy: bool) -> None:
        recorded = any(x.class_id == call.class_id for x in self._catalog.segments.opened())
        faults = {
            "late": call.until <= call.since,
            "busy": busy,
            "no_class": find_class(self._classes(), call.class_id) is None,
            "not_recording": not recorded,
        }
        reason = next((name for name, wrong in faults.items() if wrong), None)
        if reason is not None:
            self._catalog.calls.refuse(call, reason, call.since)
            raise BureauError(f"call.refused_{reason}")
        whole = OpenCall(
            call.call_id,
            call.code,
            call.class_id,
            call.date,
            call.session,
            call.since,
            call.until,
            encode_qr(call.text),
        )
        self._catalog.calls.begin(whole, call.since)
