"""Builds 目录.html: one page that any browser opens from the disk, without other files than the videos beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from agent import i18n
from agent.core import room_gaps
from agent.core.headcounts import PlacedLook, combine_placed
from agent.core.model import Gap, Look, Segment, Session
from agent.drive import class_gaps as book
from agent.drive.documents.class_view import ClassView

if TYPE_CHECKING:
    from agent.contract.attendance import AttendanceBody

HalfDayKey = tuple[date, Session]
t = partial(i18n.translate_to, "zh")

_WIDTH, _HEIGHT = 960, 140
_STYLE = """
body{font:16px/1.5 system-ui,"Microsoft YaHei","Noto Sans CJK SC",sans-serif;margin:0 auto;max-width:1000px;padding:0 12px 60px;
color:#1b1b1b;background:#fff}
h1{font-size:24px;margin:18px 0 4px}table{border-collapse:collapse}
td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}
th{font-weight:normal;color:#555}details{border-top:1px solid #ccc;padding:6px 0}summary{cursor:pointer;font-size:18px}
.gap{color:#a40000}.ok{color:#056c2b}h3{font-size:16px;margin:10px 0 2px}
video{width:100%;max-height:62vh;background:#000;position:sticky;top:0;z-index:1}
ul{margin:2px 0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px}
a.on{background:#ffe48a}svg{max-width:100%;height:auto}
"""
# without the script a click opens the file, so the page works where scripts are disabled
_SCRIPT = """
document.addEventListener('click',function(e){var a=e.target.closest('a.v');if(!a)return;e.preventDefault();play(a)});
function play(a){var v=document.querySelector('video');
document.querySelectorAll('a.on').forEach(function(x){x.classList.remove('on')});
a.classList.add('on');v.hidden=false;v.src=a.getAttribute('href');v.play().catch(function(){})}
document.querySelector('video').addEventListener('ended',function(){var all=[].slice.call(document.querySelectorAll('a.v')),
i=all.findIndex(function(x){return x.classList.contains('on')}),n=all[i+1];
if(n&&all[i].dataset.c===n.dataset.c)play(n)});
"""


def build_index_page(view: ClassView, looks: Mapping[HalfDayKey, Sequence[Look]]) -> bytes:
    """Build the page as UTF-8 bytes; `looks` are the judged looks of each half-day."""
    title = f"{view.cls.project} {t('papers.number', n=view.cls.class_number)} {t('papers.contents')}"
    days = "".join(_render_half_day(view, key, looks.get(key, ())) for key in view.half_days())
    text = (
        '<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1>{_render_head(view)}<p>{escape(t('papers.how_to'))}{escape(t('papers.gaps_note'))}</p>"
        f"<video controls hidden></video>{days}"
        f"<p>{escape(t('papers.check'))}</p><script>{_SCRIPT}</script></body></html>\n"
    )
    return text.encode("utf-8", "replace")


def _render_head(view: ClassView) -> str:
    cls = view.cls
    drives = "；".join(
        t("papers.drive_of", n=n, total=len(view.drives), drive_id=d.drive_id, label=d.label)
        for n, d in enumerate(view.drives, 1)
    )
    rows = (
        ("papers.class_id", cls.class_id),
        ("papers.occupation", cls.occupation),
        ("papers.time", t("papers.from_to", first=cls.first_day, last=cls.last_day)),
        ("papers.place", cls.place),
        ("papers.institution", cls.institution),
        ("papers.expected", str(cls.expected)),
        ("papers.drive", drives),
    )
    cells = "".join(f"<tr><th>{escape(t(key))}</th><td>{escape(value)}</td></tr>" for key, value in rows if value)
    return f"<table>{cells}</table>"


def _render_half_day(view: ClassView, key: HalfDayKey, looks: Sequence[Look]) -> str:
    day, session = key
    segments = [s for s in view.segments if (s.date, s.session) == key]
    gaps = [g for g in view.gaps if (g.date, g.session) == key]
    cameras = sorted({s.camera_id for s in segments} | {g.camera_id for g in gaps})
    span = _time_range(segments, gaps)
    parts = "".join(
        _render_camera(
            view, name, [s for s in segments if s.camera_id == name], [g for g in gaps if g.camera_id == name], span
        )
        for name in cameras
    )
    total = room_gaps.sum_room_gaps(view.rooms, day, session)
    said = {"rooms": book.describe_room_gaps(total, view.cls, t), "cameras": book.describe_camera_gaps(total, t)}
    state = (
        f'<span class="gap">{escape(t("papers.gaps_total", **said))}</span>'
        if gaps
        else f'<span class="ok">{escape(book.describe_no_gaps(total, t))}</span>'
    )
    summary = f"{day:%Y-%m-%d} {session.folder}"
    return (
        f"<details><summary>{escape(summary)} {_render_figures(view, key)} {state}</summary>"
        f"{_render_curve(view, key, looks, span)}{parts}</details>"
    )


def _render_figures(view: ClassView, key: HalfDayKey) -> str:
    figures = view.figures(*key)
    if figures is None:
        return escape(t("papers.no_figures"))
    pairs = [
        ("papers.expected", figures["expected"]),
        ("papers.present", figures["present"]),
        ("papers.absent", figures["absent"]),
    ]
    shown = [f"{t(name)} {'—' if value is None else value}" for name, value in pairs]
    status = t(f"attendance.status.{figures['status']}")
    return escape(f"{'，'.join(shown)}（{status}）{_describe_sign_ins(figures)}")


def _describe_sign_ins(figures: AttendanceBody) -> str:
    """Return what the institution states, apart from the estimate; "" where it stated nothing."""
    signed = figures.get("signed")
    if not signed:
        return ""
    counts = {name: "—" if signed[name] is None else signed[name] for name in ("signed_in", "signed_out")}
    return t("papers.signed", source=t(f"papers.signed_{signed['source']}"), **counts)


def _time_range(segments: Sequence[Segment], gaps: Sequence[Gap]) -> tuple[datetime, datetime] | None:
    starts = [s.start for s in segments] + [g.start for g in gaps]
    ends = [s.end for s in segments if s.end] + [g.end for g in gaps]
    return (min(starts), max(ends)) if starts and ends and max(ends) > min(starts) else None


def _render_camera(
    view: ClassView, name: str, segments: Sequence[Segment], gaps: Sequence[Gap], span: tuple[datetime, datetime] | None
) -> str:
    links = "".join(f"<li>{_render_link(view, s)}</li>" for s in segments)
    holes = "".join(
        f'<li class="gap">{"–".join(book.format_gap_times(g, view.zone))} '
        f"{escape(t('papers.gap'))}：{escape(t(f'gap.{g.reason}'))}</li>"
        for g in gaps
    )
    return f"<h3>{escape(name)}</h3>{_render_bar(segments, gaps, span)}<ul>{links}</ul><ul>{holes}</ul>"


def _render_link(view: ClassView, segment: Segment) -> str:
    assert segment.end is not None
    text = f"{view.local(segment.start):%H:%M:%S}–{view.local(segment.end):%H:%M:%S}"
    if segment.drive_id != view.drive_id:
        return f"{text} {escape(t('papers.elsewhere', drive=view.drive_name(segment.drive_id)))}"
    href = quote(view.path_in_class(segment))
    return f'<a class="v" data-c="{escape(segment.camera_id)}" href="{escape(href)}">{text}</a>'


def _render_bar(segments: Sequence[Segment], gaps: Sequence[Gap], span: tuple[datetime, datetime] | None) -> str:
    """Draw the half-day as a bar: recorded time green, missing time red."""
    if span is None:
        return ""
    scale = _WIDTH / (span[1] - span[0]).total_seconds()
    boxes = "".join(
        f'<rect x="{(x.start - span[0]).total_seconds() * scale:.2f}" y="0" height="10"'
        f' width="{max(0.5, (x.end - x.start).total_seconds() * scale):.2f}" fill="{colour}"/>'
        for colour, items in (("#2e8b57", segments), ("#c0392b", gaps))
        for x in items
        if x.end
    )
    return f'<svg viewBox="0 0 {_WIDTH} 10" width="{_WIDTH}" role="img">{boxes}</svg>'


def _render_curve(
    view: ClassView, key: HalfDayKey, looks: Sequence[Look], span: tuple[datetime, datetime] | None
) -> str:
    """Headcount over the half-day, by camera: one estimate for each five minutes; expected as a dashed line."""
    if not looks:
        return ""
    start = min(looks[0].at, span[0]) if span else looks[0].at
    end = max(looks[-1].at, span[1]) if span else looks[-1].at
    seconds = max(1.0, (end - start).total_seconds())
    expected = view.cls.expected_on(*key)
    top = max(expected, max(x.people for x in looks), 1) * 1.1

    def point(moment: datetime, people: float) -> str:
        return f"{(moment - start).total_seconds() / seconds * _WIDTH:.1f},{_HEIGHT - people / top * _HEIGHT:.1f}"

    lines = ""
    for number, camera in enumerate(sorted({x.camera_id for x in looks})):
        mine = _five_minutes([x for x in looks if x.camera_id == camera], start)
        points = " ".join(point(moment, people) for moment, people in mine)
        colour = ("#1f5fa8", "#8a4fbf", "#b06a00", "#00797a")[number % 4]
        drawn = f'points="{points}" fill="none" stroke="{colour}" stroke-width="2"'
        lines += f"<polyline {drawn}><title>{escape(camera)}</title></polyline>"
    y = f"{_HEIGHT - expected / top * _HEIGHT:.1f}"
    return (
        f'<svg viewBox="-34 -4 {_WIDTH + 40} {_HEIGHT + 26}" width="{_WIDTH}" role="img" font-size="13">'
        f"<title>{escape(t('papers.headcount'))}</title>"
        f'<path d="M0 0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="#999"/>'
        f'<path d="M0 {y}H{_WIDTH}" stroke="#c0392b" stroke-dasharray="6 4"/>'
        f'<text x="-4" y="{y}" text-anchor="end">{expected}</text>'
        f'<text x="-4" y="{_HEIGHT}" text-anchor="end">0</text>{lines}'
        f'<text x="0" y="{_HEIGHT + 18}">{view.local(start):%H:%M}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 18}" text-anchor="end">{view.local(end):%H:%M}</text></svg>'
    )


def _five_minutes(looks: Sequence[Look], start: datetime) -> list[tuple[datetime, int]]:
    """Return one headcount for each five minutes with judged looks, by the rule of the attendance figures."""
    bins: dict[int, list[PlacedLook]] = {}
    for look in looks:
        number = int((look.at - start).total_seconds() // 300)
        bins.setdefault(number, []).append(PlacedLook.of(look))
    return [(start + timedelta(seconds=300 * n + 150), combine_placed(seen)[0]) for n, seen in sorted(bins.items())]
