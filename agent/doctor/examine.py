"""Runs all checks one after another, each with a time limit: a dead disk or broker must not hide the other findings."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping

from agent.core.errors import SiteAgentError
from agent.core.left_behind import start_call
from agent.doctor import backups, cameras, drives, link, machine, page, plan
from agent.doctor.box import BoxFacts
from agent.doctor.finding import HEALTH_SEVERITIES, HealthFinding, HealthSeverity, report_error, report_problem

Check = Callable[[BoxFacts], list[HealthFinding]]
PATIENCE_S = 30.0
CHECKS: Mapping[str, Check] = {
    "service": machine.check_service,
    "page": page.check_page,
    "cameras": cameras.check_cameras,
    "clock": machine.check_clock,
    "drive": drives.check_drives,
    "model": machine.check_model,
    "bureau": link.check_link,
    "schedule": plan.check_plan,
    "database": machine.check_database,
    "rights": machine.check_permissions,
    "backup": backups.check_backup,
    "versions": machine.check_versions,
    "alert": machine.check_alerts,
}


def examine(
    box: BoxFacts, only: frozenset[str] = frozenset(), patience_s: float = PATIENCE_S
) -> Iterator[HealthFinding]:
    """Yield findings as they come. `only` names checks; empty: all. No check is waited for longer than `patience_s`."""
    severities: dict[str, HealthSeverity] = {}
    for name, check in CHECKS.items():
        if not only or name in only:
            for found in run_bounded(name, lambda check=check: check(box), patience_s):  # type: ignore[misc]
                if not _is_repeated(found, severities):
                    yield found
                severities[found.check] = found.severity


def _is_repeated(found: HealthFinding, severities: Mapping[str, HealthSeverity]) -> bool:
    """Return whether an alert repeats the camera's own finding at the same or lower severity: one fault is one line."""
    of_camera = re.fullmatch(r"alert\.camera\.(?:offline|refused|faulty|clock)\.(.+)", found.check)
    line = severities.get(f"cameras.{of_camera[1]}", "ok") if of_camera else "ok"
    return of_camera is not None and HEALTH_SEVERITIES.index(line) >= HEALTH_SEVERITIES.index(found.severity)


def run_bounded(name: str, check: Callable[[], list[HealthFinding]], seconds: float) -> list[HealthFinding]:
    """Return the check's findings, or one that says that it failed or did not answer in time."""
    thread_name = f"doctor-{name}"
    if any(thread.name == thread_name for thread in threading.enumerate()):
        # the previous one still hangs: asking again would only accumulate threads
        return [report_problem(name, "critical", "hangs", name=name, seconds=round(seconds))]
    # left behind: a thread blocked in the kernel on a dead disk must not keep the process from ending
    answer = start_call(thread_name, check)
    try:
        return answer.result(seconds)
    except TimeoutError:
        return [report_problem(name, "critical", "hangs", name=name, seconds=round(seconds))]
    except SiteAgentError as error:
        return [report_error(name, "critical", error)]
    except OSError as error:
        # a drive that is unplugged during the check
        return [report_problem(name, "critical", "broke", name=name, detail=error.strerror or error)]
