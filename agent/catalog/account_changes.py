"""Tells the bureau of every change of an account or token: audit, event and alert in the transaction of the change itself.

The inspected party has the box in its hands: it may make an inspector's account, but never without the bureau's knowing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from agent import words
from agent.catalog.alerts import Alerts
from agent.catalog.audit import Audit
from agent.catalog.base import Store
from agent.catalog.events import Events
from agent.model_alerts import AlertKind

Act = Literal["made", "reset", "role", "disabled", "enabled", "token_made", "token_replaced", "token_revoked"]
# who acts by a command; whoever acts on the page is `name@address`
COMMAND = "shell"
_AUDIT = {"disabled": "account.disable", "enabled": "account.enable", "token_made": "token", "token_replaced": "token",
          "token_revoked": "token.revoke"}  # fmt: skip


class Changed:
    def __init__(self, store: Store, alerts: Alerts, events: Events, audit: Audit) -> None:
        self._store = store
        self._alerts = alerts
        self._events = events
        self._audit = audit

    def tell(
        self,
        act: Act,
        name: str,
        role: str,
        by: str,
        at: datetime,
        *,
        before: str | None = None,
        until: str | None = None,
    ) -> None:
        """`before` is the role until now, `until` when a token ends. Something that happened: raised and cleared at once."""
        about = {"act": act, "role": role, "role_before": before, "until": until}
        about = {key: value for key, value in about.items() if value is not None}
        who = words.text("accounts.by_command") if by == COMMAND else words.text("accounts.by_user", who=by)
        message = words.text(f"accounts.told.{act}", who=who, name=name, role=_role(role), before=_role(before or role))
        subject = f"{'token' if act.startswith('token') else 'account'} {name}"
        with self._store.write():
            self._audit.add(at, by, _AUDIT.get(act, "account"), name, about)
            self._events.add("account.changed", at, detail={**about, "account": name, "by": by})
            self._alerts.raise_(
                AlertKind.ACCOUNT_CHANGED, subject, message, at, evidence={**about, "account": name, "by": by}
            )
            self._alerts.clear(AlertKind.ACCOUNT_CHANGED, subject, at)

    def note(self, action: str, name: str, by: str, at: datetime) -> None:
        """What needs no alert: a person's own doing with the own account."""
        self._audit.add(at, by, action, name)


def _role(role: str) -> str:
    return words.text(f"accounts.role.{role}")
