"""Builds 移交单.html: the hand-over form for signatures, and on a page of its own the sticker for the drive's case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from html import escape
from zoneinfo import ZoneInfo

from agent import i18n
from agent.drive import keys
from agent.drive.identity import Drive
from agent.drive.label import to_one_line

t = partial(i18n.translate_to, "zh")
_STYLE = """
body{font:15px/1.6 "SimSun","Noto Serif CJK SC",serif;margin:24px auto;max-width:760px;color:#000;background:#fff}
h1{text-align:center;font-size:24px}table{border-collapse:collapse;width:100%}
td,th{border:1px solid #000;padding:5px 8px;text-align:left}
th{font-weight:normal;white-space:nowrap;width:8em}code{font:12px/1.5 monospace;word-break:break-all}
.sign{height:3.2em}.sticker{page-break-before:always;border:2px solid #000;width:92mm;padding:4mm;margin:12mm 0;font-size:14px}
@media print{body{margin:0}}
"""


def build_handover_page(drive: Drive, heads: Mapping[str, str], at: datetime, zone: ZoneInfo, to: str) -> bytes:
    """Build the form as UTF-8 bytes; `heads`: class folder -> its chain head, to be compared with the bureau's."""
    when = f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
    facts = (
        ("papers.institution", drive.institution),
        ("sheet.label", drive.label),
        ("sheet.drive_id", drive.drive_id),
        ("papers.sealed", when),
        ("sheet.to", to),
        ("sheet.key", keys.compute_fingerprint(drive.public_key)),
    )
    rows = "".join(f"<tr><th>{escape(t(k))}</th><td>{escape(to_one_line(v)) or '—'}</td></tr>" for k, v in facts)
    classes = "".join(
        f"<tr><td>{escape(folder)}<br><code>{escape(head) or '—'}</code></td></tr>" for folder, head in heads.items()
    )
    signs = "".join(f'<tr><th>{escape(t(k))}</th><td class="sign"></td></tr>' for k in ("sheet.given", "sheet.taken"))
    sticker = "<br>".join(
        escape(x)
        for x in (t("papers.class_label"), drive.label, drive.drive_id, *heads, f"{t('papers.sealed')} {when}")
        if x
    )
    text = (
        f'<!DOCTYPE html><html lang="zh-CN"><head><meta charset="utf-8"><title>{escape(t("sheet.title"))}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(t('sheet.title'))}</h1><table>{rows}</table>"
        f"<p>{escape(t('sheet.classes'))}</p><table>{classes}</table><p>{escape(t('papers.check'))}</p>"
        f'<table>{signs}</table><div class="sticker">{sticker}</div></body></html>\n'
    )
    return text.encode("utf-8", "replace")
