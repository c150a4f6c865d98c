"""`site-agent doctor`: checks the box and names remedies.

Exit status 1 where a critical fault was found; warnings and notes leave it at 0.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from agent import i18n
from agent.catalog import Catalog
from agent.commands import common
from agent.core.clock import SystemClock
from agent.core.errors import CatalogError, InputError, SettingsError
from agent.doctor import bundle, examine, finding, readiness
from agent.doctor.box import BoxFacts, build_box_facts
from agent.doctor.finding import HealthFinding, HealthSeverity
from agent.settings.schema import Settings

MARKS = {"ok": "✓", "info": "·", "warning": "!", "critical": "✗"}


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("doctor", help=i18n.translate("help.doctor"))
    parser.add_argument("--class", dest="class_id", metavar="ID", help=i18n.translate("help.readiness"))
    parser.add_argument(
        "--only",
        action="append",
        choices=sorted(examine.CHECKS),
        default=[],
        metavar="CHECK",
        help=i18n.translate("help.only"),
    )
    parser.add_argument("--baseline", type=Path, metavar="FILE", help=i18n.translate("help.baseline"))
    parser.add_argument("--bundle", type=Path, metavar="FILE.tar.gz", help=i18n.translate("help.bundle"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine the box and print the findings; the exit status says whether something is broken."""
    before = _read_baseline(args.baseline) if args.baseline else {}
    if args.bundle and args.bundle.exists():
        raise InputError("doctor.bundle.exists", file=args.bundle)
    try:
        found_settings = common.load_settings(args)
    except SettingsError as error:
        if args.class_id or args.bundle:
            raise
        return _report_bad_settings(args, error)
    catalog, broken = _open_catalog(found_settings)
    try:
        classes = common.load_classes(catalog) if catalog else []
        box = build_box_facts(common.find_config_file(args), found_settings, catalog, SystemClock(), classes)
        if args.class_id:
            return _readiness_sheet(args, box, broken)
        named = frozenset(args.only)
        first = finding.report_ok("settings", "settings.ok", file=box.settings_file)
        findings = _print_all(args, [first, *broken], examine.examine(box, named))
        if args.bundle:
            size = bundle.write_bundle(args.bundle, box, findings)
            common.print_message(i18n.translate("doctor.bundle.done", file=args.bundle, size=size // 1024))
        _print_summary(findings)
        return finding.compute_exit_status(findings, before)
    finally:
        if catalog is not None:
            catalog.close()


def _open_catalog(given: Settings) -> tuple[Catalog | None, list[HealthFinding]]:
    """Open the catalog where there is one. It is not created: it would belong to the user, not to the service."""
    try:
        if not given.catalog_file.exists():
            return None, []
        return Catalog(given.catalog_file, given.zone), []
    except PermissionError:
        raise InputError("doctor.not_allowed", path=given.state_dir) from None
    except CatalogError as error:
        return None, [finding.report_error("database", "critical", error)]


def _report_bad_settings(args: argparse.Namespace, error: SettingsError) -> int:
    """Report unreadable settings alone: every other check needs them."""
    _print_summary(_print_all(args, [finding.report_error("settings", "critical", error)], ()))
    return 1


def _readiness_sheet(args: argparse.Namespace, box: BoxFacts, broken: list[HealthFinding]) -> int:
    if broken:
        # without the catalog it is unknown whether the class exists
        _print_summary(_print_all(args, broken, ()))
        return finding.compute_exit_status(broken)
    if box.catalog is None:
        raise InputError("commands.no_class", class_id=args.class_id[:64])
    cls = common.load_class(box.catalog, args.class_id)
    common.print_message(i18n.translate("doctor.sheet.title", class_id=cls.class_id, project=cls.project))
    findings = _print_all(args, [], iter(readiness.check_readiness(box, cls)))
    sheet = readiness.build_readiness_sheet(box, cls, findings)
    common.print_message(i18n.translate("doctor.sheet.ready" if sheet["ready"] else "doctor.sheet.not_ready"))
    if box.bureau is not None:
        box.catalog.outbox.put(f"readiness/{cls.class_id}", "readiness", sheet, box.now, retained=True)
        common.print_message(i18n.translate("doctor.sheet.published"))
    return finding.compute_exit_status(findings)


def _print_all(
    args: argparse.Namespace, first: Iterable[HealthFinding], rest: Iterable[HealthFinding]
) -> list[HealthFinding]:
    """Print findings as soon as they are known, since some checks take seconds; return all of them."""
    return [_print_one(args, item) for item in chain(first, rest)]


def _print_one(args: argparse.Namespace, item: HealthFinding) -> HealthFinding:
    common.emit_json(args, item.as_data())
    if not common.wants_json(args):
        severity = i18n.translate(f"doctor.severity.{item.severity}")
        sys.stdout.write(f"{MARKS[item.severity]} {severity}  {item.finding}\n")
        if item.mend:
            sys.stdout.write(f"        → {item.mend}\n")
        sys.stdout.flush()
    return item


def _print_summary(findings: list[HealthFinding]) -> None:
    worst = finding.find_worst_severity(findings)
    count = sum(f.severity == worst for f in findings)
    common.print_message(i18n.translate(f"doctor.summary.{worst}", count=count))


def _read_baseline(file: Path) -> dict[str, HealthSeverity]:
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {str(row["check"]): row["severity"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError("doctor.baseline", file=file) from None
