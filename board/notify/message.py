"""The text of a notification: one message for all that was gathered, by kind, with bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agent import i18n
from agent.core.clock import parse_time
from board.notify.options import NotifyOptions

_LINES_OF_A_KIND, _MOST_KINDS, _LONGEST = 3, 8, 120


@dataclass(frozen=True, slots=True)
class NewsItem:
    """An alert or an alarm that nobody was told of. `source`: alert, alarm; `item`: its ID or number."""

    source: str
    box_id: int
    item: str
    kind: str
    severity: str
    since: str
    box: str
    label: str
    message: str

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Return what tells it apart; graver than before is news again."""
        return self.source, self.box_id, self.item, self.severity


def find_gravest(news: Sequence[NewsItem]) -> str:
    """Return the gravest severity among them."""
    found = {item.severity for item in news}
    return next((s for s in ("critical", "warning") if s in found), "info")


def compose(news: Sequence[NewsItem], options: NotifyOptions) -> tuple[str, str]:
    """Return title and body: the gravest kinds first, of each the first few and how many more."""

    def say(key: str, **params: object) -> str:
        return i18n.translate_to(options.language, key, **params)

    groups: dict[tuple[bool, str, str], list[NewsItem]] = defaultdict(list)
    for item in sorted(news, key=lambda n: n.since):
        groups[item.severity != "critical", item.source, item.kind].append(item)
    ranked = sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]), group[0]))
    lines = []
    for (minor, source, kind), items in ranked[:_MOST_KINDS]:
        grade = say("watchlist.grade.warning" if minor else "watchlist.grade.critical")
        lines.append(f"[{grade}] {name_kind(source, kind, options)} ({len(items)})")
        for item in items[:_LINES_OF_A_KIND]:
            at = parse_time(item.since).astimezone(options.zone).strftime("%m-%d %H:%M")
            place = " ".join(part for part in (item.label, item.box.partition("/")[2]) if part)
            lines.append(f"- {at} {place}: {' '.join(item.message.split())[:_LONGEST]}")
        if len(items) > _LINES_OF_A_KIND:
            lines.append(say("watchlist.more", count=len(items) - _LINES_OF_A_KIND))
    rest = sum(len(items) for _, items in ranked[_MOST_KINDS:])
    if rest:
        lines.append(say("watchlist.more_kinds", count=rest))
    if options.page_url:
        lines.append(say("watchlist.see", url=f"{options.page_url.rstrip('/')}/alerts"))
    return say("watchlist.title", bureau=options.bureau, count=len(news)), "\n".join(lines)


def name_kind(source: str, kind: str, options: NotifyOptions) -> str:
    """Return what a kind is called."""
    key = f"watchlist.alarm.{kind}" if source == "alarm" else f"web.alert.{kind}"
    known = key in i18n.load_catalogue()
    return i18n.translate_to(options.language, key if known else "watchlist.other_kind")
