"""Options of notifications, and when they may be sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, time
from zoneinfo import ZoneInfo

from agent import i18n
from agent.i18n import Language

_KINDS = {"wecombot": "wecom", "dingtalk": "dingtalk", "feishu": "feishu", "lark": "feishu", "mailto": "mail",
          "mailtos": "mail", "json": "webhook", "jsons": "webhook", "xml": "webhook", "xmls": "webhook", "form": "webhook",
          "forms": "webhook"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NotifyOptions:
    """Options of notifications. `urls` hold passwords; `quiet`: local times between which only what is critical goes out.

    `gather_s`: a message waits until nothing new came for so long, at most five times that.
    """

    urls: tuple[str, ...] = field(default=(), repr=False)
    severities: tuple[str, ...] = ("critical", "warning")
    quiet: tuple[time, time] | None = None
    gather_s: float = 30.0
    language: Language = "zh"
    zone: ZoneInfo = field(default=ZoneInfo("Asia/Shanghai"))
    bureau: str = ""
    page_url: str = ""

    def list_severities(self, now: datetime) -> tuple[str, ...]:
        """Return which severities may be sent now."""
        return tuple(s for s in self.severities if s == "critical") if self.is_quiet(now) else self.severities

    def is_quiet(self, now: datetime) -> bool:
        """Return whether it is a quiet hour; the hours may go past midnight."""
        if self.quiet is None:
            return False
        begin, end = self.quiet
        at = now.astimezone(self.zone).time()
        return begin <= at < end if begin <= end else at >= begin or at < end


def find_kind(url: str) -> str:
    """Return what people call an address: the one thing about it that may be shown."""
    scheme, _, rest = url.strip().partition("://")
    if rest.startswith("qyapi.weixin.qq.com/"):
        return "wecom"
    if rest.startswith("oapi.dingtalk.com/"):
        return "dingtalk"
    return _KINDS.get(scheme.lower(), "other")


def split_addresses(value: object) -> object:
    """Return the addresses of a text: one a line, lines with # are remarks; or a JSON list, as the environment has it."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError(i18n.translate("settings.expected.list")) from None
    lines = (line.strip() for line in value.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def check_clock_time(value: str) -> str:
    """Return a time of day, HH:MM or empty. Raises ValueError."""
    if value and not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise ValueError(i18n.translate("settings.expected.clock_time"))
    return value
