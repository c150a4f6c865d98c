"""Report every change of an account or token to the bureau.

Audit entry, event and alert are written in the transaction of the change itself. The inspected party operates the box: it
may create an inspector's account, but not without the bureau being informed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from agent import i18n
from agent.catalog.alerts import Alerts
from agent.catalog.audit import Audit
from agent.catalog.base import CatalogStore
from agent.catalog.events import Events
from agent.core.account_model import COMMAND_ACTOR
from agent.core.alert_model import AlertKind

AccountAction = Literal["made", "reset", "role", "disabled", "enabled", "token_made", "token_replaced", "token_revoked"]
_AUDIT = {
    "disabled": "account.disable",
    "enabled": "account.enable",
    "token_made": "token",
    "token_replaced": "token",
    "token_revoked": "token.revoke",
}


class AccountNotifier:
    """Writes audit entries, events and alerts for changes of accounts and tokens."""

    def __init__(self, store: CatalogStore, alerts: Alerts, events: Events, audit: Audit) -> None:
        self._store = store
        self._alerts = alerts
        self._events = events
        self._audit = audit

    def report(
        self,
        act: AccountAction,
        name: str,
        role: str,
        by: str,
        at: datetime,
        *,
        before: str | None = None,
        until: str | None = None,
    ) -> None:
        """Write audit entry, event and alert; the alert is cleared at once, because a change has no duration.

        `before`: role before the change. `until`: expiry of a token.
        """
        about = {"act": act, "role": role, "role_before": before, "until": until}
        about = {key: value for key, value in about.items() if value is not None}
        who = (
            i18n.translate("accounts.by_command") if by == COMMAND_ACTOR else i18n.translate("accounts.by_user", who=by)
        )
        message = i18n.translate(
            f"accounts.told.{act}", who=who, name=name, role=_describe_role(role), before=_describe_role(before or role)
        )
        subject = f"{'token' if act.startswith('token') else 'account'} {name}"
        with self._store.write():
            self._audit.add(at, by, _AUDIT.get(act, "account"), name, about)
            self._events.add("account.changed", at, detail={**about, "account": name, "by": by})
            self._alerts.raise_(
                AlertKind.ACCOUNT_CHANGED, subject, message, at, evidence={**about, "account": name, "by": by}
            )
            self._alerts.clear(AlertKind.ACCOUNT_CHANGED, subject, at)

    def record(self, action: str, name: str, by: str, at: datetime) -> None:
        """Write an audit entry without an alert, for what a user does with the user's own account."""
        self._audit.add(at, by, action, name)


def _describe_role(role: str) -> str:
    return i18n.translate(f"accounts.role.{role}")
