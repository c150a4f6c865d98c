"""Builds and writes the documents of a class folder: 标签.txt, 清单.csv, 到课人数.csv (contents.py builds 目录.html).

UTF-8 with BOM and CRLF for Notepad and Excel; a cell that Excel would take for a formula gets a quote before it. Each file
is written atomically, and only where its content changed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.core.errors import DriveError
from agent.core.model import Gap, Segment, Session
from agent.drive import durable, files, layout
from agent.drive.documents import index
from agent.drive.documents.class_view import ClassView, list_judged_looks
from agent.drive.identity import Drive, to_drive_error
from agent.drive.label import encode_text_file, to_one_line


def write_documents(catalog: Catalog, drive: Drive, view: ClassView) -> list[Path]:
    """Update the documents of a class folder; return the files written.

    The folder must exist. Raises DriveError, also where the class is sealed.
    """
    if drive.is_sealed(view.folder):
        raise DriveError("drive.sealed", folder=view.folder, root=drive.root)
    return write_changed(drive, view.folder, build_documents(catalog, view))


def write_changed(drive: Drive, folder: str, papers: Mapping[str, bytes]) -> list[Path]:
    """Write the documents that differ from those on the drive. Raises DriveError."""
    written = []
    try:
        for name, data in papers.items():
            path = drive.root / folder / name
            if not _has_content(path, data):
                durable.write_file(path, data)
                written.append(path)
    except OSError as error:
        raise to_drive_error(error, drive.root) from error
    return written


def _has_content(path: Path, data: bytes) -> bool:
    """Return whether a file exists with exactly this content. Raises OSError."""
    try:
        return files.read_small_file(path, len(data)) == data
    except (FileNotFoundError, files.UnfitFileError):
        return False


def build_documents(catalog: Catalog, view: ClassView) -> dict[str, bytes]:
    """Build all documents: name -> content."""
    looks = {key: list_judged_looks(catalog, view, *key) for key in view.half_days()}
    return {
        layout.LABEL: build_class_label(view),
        layout.LISTING: build_listing(view),
        layout.ATTENDANCE: build_attendance_csv(view),
        layout.INDEX: index.build_index_page(view, looks),
    }


def build_class_label(view: ClassView) -> bytes:
    """Build 标签.txt: project, time and place as the rule asks, and the number of this drive among all drives of the class."""
    cls = view.cls
    lines = [
        t("papers.class_label"),
        *_label_lines(
            ("papers.class_id", cls.class_id),
            ("papers.project", cls.project),
            ("papers.class_number", t("papers.number", n=cls.class_number)),
            ("papers.occupation", cls.occupation),
            ("papers.time", t("papers.from_to", first=cls.first_day, last=cls.last_day)),
            ("papers.place", cls.place),
            ("papers.institution", cls.institution),
            ("papers.head_teacher", cls.head_teacher),
            ("papers.expected", str(cls.expected)),
        ),
    ]
    for number, row in enumerate(view.drives, 1):
        key = "papers.drive" if row.drive_id == view.drive_id else "papers.other_drive"
        about = t("papers.drive_of", n=number, total=len(view.drives), drive_id=row.drive_id, label=row.label)
        lines += _label_lines((key, about))
    if view.sealed:
        lines += _label_lines(("papers.sealed", format_local(view, view.now)))
    return encode_text_file([*lines, t("papers.check")])


def _label_lines(*pairs: tuple[str, str]) -> list[str]:
    return [f"{t(key)}：{to_one_line(value)}" for key, value in pairs if value]


def build_listing(view: ClassView) -> bytes:
    """Build 清单.csv: segments and gaps by half-day, camera and time."""
    items: list[Segment | Gap] = [*view.segments, *view.gaps]
    items.sort(key=lambda x: (x.date, x.session.order, x.camera_id, x.start))
    rows = [_segment_row(view, x) if isinstance(x, Segment) else _gap_row(view, x) for x in items]
    return build_csv(t("papers.listing_headings").split(","), rows)


def _segment_row(view: ClassView, s: Segment) -> list[object]:
    assert s.end is not None
    here = s.drive_id == view.drive_id
    return [
        t("papers.segment"),
        s.date,
        s.session.folder,
        s.room_id,
        s.camera_id,
        format_local(view, s.start),
        format_local(view, s.end),
        f"{(s.end - s.start).total_seconds():.3f}",
        view.drive_name(s.drive_id),
        view.path_in_class(s) if here else t("papers.elsewhere", drive=s.drive_id),
        s.bytes,
        s.sha256,
        s.video_codec,
        s.width,
        s.height,
        s.audio_codec,
        t(f"papers.trust.{s.trust}"),
        "",
        "",
        s.serial,
        # empty: the serial was checked on the connection that was recorded
        format_local(view, s.unchecked_since) if s.unchecked_since else "",
    ]


def _gap_row(view: ClassView, g: Gap) -> list[object]:
    return [
        t("papers.gap"),
        g.date,
        g.session.folder,
        g.room_id,
        g.camera_id,
        format_local(view, g.start),
        format_local(view, g.end),
        f"{g.seconds:.3f}",
        *[""] * 9,
        t(f"gap.{g.reason}"),
        g.event,
        "",
        "",
    ]


def build_attendance_csv(view: ClassView) -> bytes:
    """Build 到课人数.csv: the figures of each half-day."""
    rows = [_attendance_cells(a) for a in view.attendance]
    return build_csv(t("papers.attendance_headings").split(","), rows)


def _attendance_cells(body: Mapping[str, object]) -> list[object]:
    day, session = body["date"], Session(str(body["session"])).folder
    figures = [day, session, *[body.get(c) for c in _FIGURES], format_status(body), body.get("revision")]
    return [*figures, *_signed_cells(body.get("signed"))]


def _signed_cells(signed: object) -> list[object]:
    """Return the cells of the sign-ins, which stand behind all figures of the estimate; empty where none were stated."""
    if not isinstance(signed, Mapping):
        return [None] * _SIGNED
    source = t(f"papers.signed_{'file' if signed.get('source') == 'file' else 'typed'}")
    return [signed.get("signed_in"), signed.get("signed_out"), source]


def format_attendance_row(body: Mapping[str, object]) -> list[str]:
    """Return the cells of a half-day in 到课人数.csv; empty for an object that is none of the contract's."""
    try:
        return [_cell(value) for value in _attendance_cells(body)]
    except (KeyError, ValueError):
        return []


_SIGNED = 3
"""Of a row of 到课人数.csv: signed in, signed out, source. Documents of earlier versions end before them."""
_FIGURES = ("expected", "present", "absent", "low", "high", "ratio", "at_start", "at_end", "lesson_s", "judged_s")


def format_status(figures: Mapping[str, object]) -> str:
    """Return the status of a half-day's figures in Chinese."""
    return t(f"attendance.status.{figures['status']}")


def build_csv(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    """Build a CSV file that Excel opens correctly by double click."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return ("\ufeff" + text.getvalue()).encode("utf-8")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = to_one_line(str(value))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def format_local(view: ClassView, moment: datetime) -> str:
    """Format a moment as local time to the second."""
    return f"{view.local(moment):%Y-%m-%d %H:%M:%S}"


def t(key: str, **params: object) -> str:
    """Return a text in Chinese, whatever the language of the operator: inspectors read the documents."""
    return i18n.translate_to("zh", key, **params)
