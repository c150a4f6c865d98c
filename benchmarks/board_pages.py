"""The board's pages after five years of a county, compared with those after a day in the same run; SQLite and PostgreSQL.

`scripts/bench board_pages [--boxes 60] [--days 1830]` fills two databases (`benchmarks/support/county_history.py`), then asks
both, in turn, for what the pages call, and opens the pages over HTTP as a clerk who is signed in. Of each the least time
counts, so that other work on the machine counts little; with SQLite the ratio is that of processor time where it is lower.
A third database has 2,000 boxes with a class under way each.

Exit status 1 where a query or page after years takes more than 1.5 times as long as after a day, or the overview over 0.3 s.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.support.county_history import County, fill_county
from benchmarks.support.postgres import PROGRAMS, PostgresServer
from benchmarks.support.results import add_json_option, write_result
from board.notify.news import list_news
from board.notify.options import NotifyOptions
from board.queries.alarms import list_class_alarms
from board.queries.alerts import list_alert_history, list_open_alerts
from board.queries.boxes import list_boxes
from board.queries.changes import read_change_mark
from board.queries.classes import find_class, list_class_boxes, search_classes
from board.queries.county_day import load_county_day
from board.queries.course_plan import DayPlans
from board.queries.half_days import list_half_days, load_half_day
from board.queries.overview import load_curves
from tests.support.board_store import BoardStore
from tests.support.board_web import ServedBoard, serving_board
from tests.support.web_client import Browser

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 11, 27)
CLASS = "C0-0"
RATIO_BOUND, OVERVIEW_BOUND_S = 1.5, 0.3
PAGES = {
    "overview": "/",
    "wall": "/wall",
    "classes": "/classes",
    "class search": "/classes?q=电工 第1班",
    "class": f"/classes/{CLASS}",
    "half-day": f"/classes/{CLASS}/{TODAY.isoformat()}/am",
    "alerts": "/alerts",
    "history": "/alerts/history",
    "boxes": "/boxes",
}
Question = Callable[[BoardStore, DayPlans], object]
QUESTIONS: dict[str, Question] = {
    "load_county_day": lambda s, plans: load_county_day(s.database, plans, s.clock.now()),
    "load_curves": lambda s, _: load_curves(s.database, TODAY, [f"C{n}-0" for n in range(60)]),
    "read_change_mark": lambda s, _: read_change_mark(s.database, s.clock.now(), ZONE),
    "search_classes": lambda s, _: search_classes(s.database, "电工 第1班", today=TODAY),
    "find_class": lambda s, _: find_class(s.database, CLASS, today=TODAY),
    "list_half_days": lambda s, _: list_half_days(s.database, CLASS),
    "load_half_day": lambda s, _: load_half_day(s.database, CLASS, TODAY.isoformat(), "am"),
    "list_class_boxes": lambda s, _: list_class_boxes(s.database, CLASS, s.clock.now()),
    "list_class_alarms": lambda s, _: list_class_alarms(s.database, CLASS),
    "list_open_alerts": lambda s, _: list_open_alerts(s.database),
    "list_alert_history": lambda s, _: list_alert_history(s.database, limit=50),
    "list_boxes": lambda s, _: list_boxes(s.database, s.clock.now()),
    "list_news": lambda s, _: list_news(s.database, NotifyOptions(), ("critical", "warning")),
}


@dataclass(frozen=True, slots=True)
class Took:
    """How long a call took. `cpu_s` has no part of PostgreSQL's."""

    seconds: float
    cpu_s: float


@dataclass
class FilledBoard:
    """A board with so many days, its plans as the site keeps them, and a browser that is signed in."""

    store: BoardStore
    served: ServedBoard
    browser: Browser
    plans: DayPlans = field(default_factory=lambda: DayPlans(ZONE))

    def open(self, path: str) -> None:
        """Open a page. Raises SystemExit for an error page."""
        answer = self.browser.open(path)
        if answer.status_code != 200:
            raise SystemExit(f"bench board_pages: {path} answers {answer.status_code}")


@contextmanager
def open_filled(url: str, folder: Path, boxes: int, days: int) -> Iterator[FilledBoard]:
    """Fill a database and serve it while the body runs."""
    county = County(boxes, TODAY, ZONE)
    store = BoardStore(url)
    store.clock.time = county.now
    begun = time.monotonic()
    fill_county(store.database, county, days)
    print(f"{boxes} boxes, {days} days written in {time.monotonic() - begun:.0f} s", flush=True)
    with serving_board(store, folder, tls=False) as served:
        yield FilledBoard(store, served, served.signed_in("clerk"))
    store.database.close()


def measure_in_turn(calls: list[Callable[[], object]], rounds: int) -> list[Took]:
    """Return the least seconds of each call, by the clock and of this process's processor time.

    After `rounds` rounds it goes on until as many brought nothing better: on a machine with other work a few are not enough.
    """
    least, better, done = [Took(float("inf"), float("inf"))] * len(calls), 0, 0
    while done < rounds or (done - better < rounds and done < 8 * rounds):
        for number, call in enumerate(calls):
            begun, spent = time.perf_counter(), time.process_time()
            call()
            took, known = Took(time.perf_counter() - begun, time.process_time() - spent), least[number]
            if took.seconds < 0.95 * known.seconds:
                better = done
            least[number] = Took(min(took.seconds, known.seconds), min(took.cpu_s, known.cpu_s))
        done += 1
    return least


def compare(label: str, day: FilledBoard, years: FilledBoard, rounds: int, metrics: dict[str, float]) -> int:
    """Print each question and page after a day and after years; return how many break a bound."""
    wrong = 0
    asked: list[tuple[str, list[Callable[[], object]]]] = [
        (name, [lambda b=b, q=q: q(b.store, b.plans) for b in (day, years)])  # type: ignore[misc]
        for name, q in QUESTIONS.items()
    ]
    asked += [
        (f"GET {name}", [lambda b=b, path=path: b.open(path) for b in (day, years)])  # type: ignore[misc]
        for name, path in PAGES.items()
    ]
    for name, calls in asked:
        day_took, years_took = measure_in_turn(calls, rounds)
        short, long = day_took.seconds, years_took.seconds
        ratio = long / short
        if label == "sqlite":  # all of its work is in this process, and other work on the machine counts less there
            ratio = min(ratio, years_took.cpu_s / max(day_took.cpu_s, 1e-6))
        key = f"{label}_{name.removeprefix('GET ').replace(' ', '_').replace('-', '_')}"
        key += "_page" if name.startswith("GET ") else ""
        metrics |= {f"{key}_ms": long * 1e3, f"{key}_ratio": ratio}
        broken = ratio > RATIO_BOUND or (name in ("load_county_day", "GET overview") and long > OVERVIEW_BOUND_S)
        wrong += broken
        print(
            f"{label:12}{name:22}{short * 1e3:10.1f}{long * 1e3:10.1f}{ratio:8.2f}{'  !' if broken else ''}", flush=True
        )
    return wrong


def measure_wide(label: str, wide: FilledBoard, rounds: int, metrics: dict[str, float]) -> int:
    """Print how long the overview takes with all boxes teaching at once; return how many break the bound."""
    wrong = 0
    for name in ("load_county_day", "read_change_mark", "list_boxes", "GET overview", "GET wall", "GET boxes"):
        page = name.removeprefix("GET ")
        call: Callable[[], object] = (
            (lambda page=page: wide.open(PAGES[page]))  # type: ignore[misc]
            if name.startswith("GET ")
            else (lambda name=name: QUESTIONS[name](wide.store, wide.plans))  # type: ignore[misc]
        )
        (took,) = measure_in_turn([call], rounds)
        metrics |= {f"{label}_wide_{page}_ms": took.seconds * 1e3, f"{label}_wide_{page}_cpu_ms": took.cpu_s * 1e3}
        broken = page in ("load_county_day", "overview") and took.seconds > OVERVIEW_BOUND_S
        wrong += broken
        print(
            f"{label:12}{name:22}{took.seconds * 1e3:10.1f}{took.cpu_s * 1e3:10.1f}{'  !' if broken else ''}",
            flush=True,
        )
    return wrong


def run(args: argparse.Namespace, metrics: dict[str, float]) -> int:
    """Run for both databases; return how many bounds were broken."""
    wrong = 0
    server = PostgresServer() if PROGRAMS else None
    if server is None:
        print("postgresql: skipped (apt install postgresql)")
    try:
        for label in (x for x in ("sqlite", *(["postgresql"] if server else [])) if args.only in ("", x)):
            with tempfile.TemporaryDirectory() as name, ExitStack() as stack:

                def make(
                    place: str, boxes: int, days: int, label: str = label, folder: Path = Path(name)
                ) -> FilledBoard:
                    own = server.make_database() if server and label != "sqlite" else f"sqlite:///{folder}/{place}.db"
                    return stack.enter_context(open_filled(own, folder / place, boxes, days))

                day, years = make("day", args.boxes, 1), make("years", args.boxes, args.days)
                print(f"{'':34}{'a day ms':>10}{'years ms':>10}{'ratio':>8}")
                wrong += compare(label, day, years, args.rounds, metrics)
                wide = make("wide", args.wide, 1)
                print(f"{f'{args.wide} boxes at once':34}{'ms':>10}{'CPU ms':>10}")
                wrong += measure_wide(label, wide, args.rounds, metrics)
    finally:
        if server:
            server.stop()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench board_pages")
    # so many that lists are full after a day already: a page of 50 classes, one of 100 alerts
    parser.add_argument("--boxes", type=int, default=60)
    parser.add_argument("--days", type=int, default=1830, help="days of history")
    parser.add_argument("--wide", type=int, default=2000, help="boxes with a class under way at once")
    parser.add_argument("--only", choices=("sqlite", "postgresql"), default="")
    parser.add_argument("--rounds", type=int, default=15)
    add_json_option(parser)
    args = parser.parse_args()
    metrics: dict[str, float] = {}
    wrong = run(args, metrics)
    write_result(args.json, "board_pages", "the same board after a day", args, metrics)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
