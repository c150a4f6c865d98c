"""The list of approved camera models as the bureau sends it, retained."""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent import i18n
from agent.bureau.validation import shorten_for_log
from agent.contract.envelope import unwrap
from agent.contract.requests import Invalid, ModelListBody, validate
from agent.core.errors import BureauError

log = logging.getLogger(__name__)


def take_model_list(payload: bytes, keep: Callable[[str, str], int | None]) -> None:
    """Take a message on `models`; `keep` is that of BureauHandlers. Raises BureauError, SettingsError."""
    if not payload:  # the bureau removed its retained message; the list that is kept stays
        return
    try:
        sent = validate(ModelListBody, unwrap(payload).body)
    except Invalid as error:
        raise BureauError("bureau.bad_models", detail=shorten_for_log(error)) from None
    count = keep(sent.models, sent.models_signature)
    if count is not None:
        log.info("%s", i18n.translate("bureau.models_taken", count=count))
