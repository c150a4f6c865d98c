"""Check of the backup of the box: whether there is a recovery key, and when the last one was made."""

from __future__ import annotations

from datetime import date, timedelta

from agent.backup.box_backup import DAY_FACT
from agent.backup.recovery_key import RECOVERY_FILE
from agent.core.clock import get_local_day
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HealthFinding, report_ok, report_problem

_STALE = timedelta(days=7)


def check_backup(box: BoxFacts) -> list[HealthFinding]:
    """Without a recovery key no backup is made, and a dead box takes its settings, accounts and key with it."""
    if not (box.settings_file.absolute().parent / RECOVERY_FILE).exists():
        return [report_problem("backup", "warning", "backup.no_key")]
    last = box.catalog.facts.get(DAY_FACT) if box.catalog else None
    if last is None:
        return [report_ok("backup", "backup.soon")]
    if get_local_day(box.now, box.zone) - date.fromisoformat(last) > _STALE:
        return [report_problem("backup", "warning", "backup.stale", day=last)]
    return [report_ok("backup", "backup.ok", day=last)]
