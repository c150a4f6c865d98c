"""Sends by apprise, one address after another. Addresses hold passwords: only their kind is ever told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs, quote, urlsplit

from agent.core.errors import InputError
from board.notify.options import find_kind

Problem = Literal["", "no_package", "bad_address"]


class NoticeSender(Protocol):
    """What the notifier needs: the kinds of its addresses by place, and a way to send."""

    kinds: dict[int, str]
    problem: Problem

    def send(self, place: int, title: str, body: str, severity: str) -> bool:
        """Send; return whether it arrived."""


class AppriseSender:
    """Addresses as apprise reads them, and the webhooks of 企业微信 and 钉钉 as those show them."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.kinds: dict[int, str] = {}
        self.problem: Problem = ""
        self._targets: dict[int, Any] = {}
        for place, url in enumerate(urls):
            target = self._open(url)
            if target is None:
                self.problem = self.problem or "bad_address"
            else:
                self._targets[place], self.kinds[place] = target, find_kind(url)

    def _open(self, url: str) -> Any | None:
        """Return apprise's object for an address; None where it knows none."""
        try:
            import apprise
        except ModuleNotFoundError:
            self.problem = "no_package"
            return None
        # its records, and urllib3's, name addresses
        logging.getLogger("apprise").disabled = True
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        target = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, app_id="site-agent-board"))
        return target if target.add(_convert(url.strip())) else None

    def send(self, place: int, title: str, body: str, severity: str) -> bool:
        """Send to one address; return whether it arrived. apprise has its own time limits and raises nothing."""
        target = self._targets.get(place)
        if target is None:
            return False
        kind = {"critical": "failure", "warning": "warning"}.get(severity, "info")
        return bool(target.notify(body=body, title=title, notify_type=kind, body_format="text"))

    def check(self) -> None:
        """Raise InputError where something hinders sending."""
        if self.problem:
            raise InputError(f"watchlist.notify.{self.problem}")


def _convert(url: str) -> str:
    """Return 钉钉's webhook in apprise's form; it reads 企业微信's itself."""
    parts = urlsplit(url)
    token = parse_qs(parts.query).get("access_token", [""])[0]
    if parts.hostname == "oapi.dingtalk.com" and token:
        return f"dingtalk://{quote(token, safe='')}/"
    return url
