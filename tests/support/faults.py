"""What the fault tests share: a whole agent with its cameras, what was lost by frame index, and the books at the end."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import pytest

from agent.catalog import Catalog
from agent.core.alert_model import AlertKind
from agent.core.errors import MediaError
from agent.core.schedule import list_planned_time
from agent.core.statement_model import parse_position, parse_statement
from agent.core.statement_rule import LogObserver
from agent.drive import Drive, against, class_gaps, verify
from agent.media import containers
from agent.mp4.repair import restore_header
from agent.settings.wiring import ClassBook
from simulator.camera import VirtualCamera
from simulator.clips import read_index
from tests.support.broker import Broker, Heard, Listener
from tests.support.daemon import CLASS_ID, PASSWORD, Daemon

FPS = 25
FRAME_S = 1 / FPS


def tell(row: str, **figures: Any) -> None:
    """One line of figures, for docs/reference/reliability.md; seen with `pytest -s`."""
    print("\nFIGURE " + json.dumps({"row": row, **figures}, ensure_ascii=False))


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"runs": len(values), "median": round(statistics.median(values), 2), "worst": round(max(values), 2)}


class FaultBox:
    """An agent with cameras cam1 …, each at an address and with a serial of its own, and the bureau listening."""

    def __init__(self, daemon: Daemon, cameras: dict[str, VirtualCamera], ears: Listener | None) -> None:
        self.daemon, self.cameras, self._ears = daemon, cameras, ears
        self.begun = time.monotonic()

    @property
    def has_bureau(self) -> bool:
        return self._ears is not None

    @property
    def camera(self) -> VirtualCamera:
        return self.cameras["cam1"]

    @property
    def ears(self) -> Listener:
        assert self._ears
        return self._ears

    def start(self, seconds: float = 40) -> None:
        """Start the agent; return once every camera is being recorded."""
        self.daemon.start()
        self.recording(seconds)

    def recording(self, seconds: float = 40, cameras: Sequence[str] | None = None) -> float:
        """Wait until files of all cameras grow; the seconds it took."""
        begun = time.monotonic()
        wanted, before = set(cameras or self.cameras), sizes(self.daemon)

        def grown() -> bool:
            now = {p: n for p, n in sizes(self.daemon).items() if n > max(30_000, before.get(p, 0))}
            return wanted <= {p.parent.name.split("_", 1)[1] for p in now}

        self.daemon.until(grown, seconds)
        return time.monotonic() - begun

    def alert(self, kind: str, state: str = "raised", seconds: float = 60, since: int = 0) -> float:
        """Wait for a message about an alert; the seconds it took."""
        begun = time.monotonic()
        self.ears.wait(lambda: any(data(h)["state"] == state for h in self.ears.on(f"alert/{kind}")[since:]), seconds)
        return time.monotonic() - begun

    def beats(self) -> int:
        return len(self.ears.on("/heartbeat"))

    def catalog(self) -> Catalog:
        return Catalog(self.daemon.folder / "state/catalog.db", zone_of(self.daemon))


def check_log(site: FaultBox, *, drive: bool = True) -> int:
    """What was stated is one log without hole or fork: in the catalog, on the drive, as the bureau heard it; the newest number.

    The agent is stopped. `drive`: the drive that was in use is there and verifies, also against the bureau's list.
    """
    with site.catalog() as catalog:
        newest = catalog.statements.current()
        assert newest is not None and len(catalog.statements.ends()) == 1, "one log"
        observer = LogObserver()
        for statement in catalog.statements.of_log(newest.log):
            assert observer.take(statement, 0.0) == []
        assert observer.whole == newest, "no number is missing"
        waiting = {m.statement.number for m in catalog.outbox.waiting(limit=10_000) if m.statement}
        assert not catalog.store.row("select 1 from alerts where kind = ?", [AlertKind.EVIDENCE_ROLLBACK.value])
        unstated = catalog.store.row("select path from segments where state = 'finished' and stated = 0")
        assert unstated is None, "each finished segment was stated"
    listed = hear_log(site, newest.number, waiting) if site.has_bureau else None
    if drive:
        report = verify.verify_drive(Drive.open(site.daemon.drive), against=listed)
        assert report.faults() == []
    return newest.number


def hear_log(site: FaultBox, newest: int, waiting: set[int]) -> against.BureauList:
    """Apply the rule for receivers to what the bureau heard, in its order: no alarm; return its list of statements."""
    bureau, told = LogObserver(), set()
    file = site.daemon.folder / "heard.jsonl"
    events = [json.loads(h.payload) for h in site.ears.heard if h.payload]
    for event in events:
        place = parse_position(event["data"].get("statements")) if str(event["type"]).count("heartbeat") else None
        if place is not None and "replayed" not in event:
            assert bureau.find_step_back(place) == []
        if statement := parse_statement(event):
            assert bureau.take(statement, 0.0) == []
            told.add(statement.number)
    assert set(range(1, newest + 1)) - told <= waiting
    file.write_text("".join(json.dumps(e, ensure_ascii=False) + "\n" for e in events), encoding="utf-8")
    return against.read_bureau_list(file)


def zone_of(daemon: Daemon) -> ZoneInfo:
    found = re.search(r'^timezone = "(.+)"', daemon.config.read_text(encoding="utf-8"), re.M)
    assert found
    return ZoneInfo(found[1])


def data(heard: Heard) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(heard.payload)["data"]
    return found


def sizes(daemon: Daemon) -> dict[Path, int]:
    found = {}
    for path in daemon.parts():
        with suppress(FileNotFoundError):
            found[path] = path.stat().st_size
    return found


def recorded_to(daemon: Daemon) -> dict[str, Path]:
    """Folder by camera of every file being written, also of one that has just begun."""
    return {path.parent.name.split("_", 1)[1]: path.parent for path in daemon.parts()}


def last_kept(folder: Path) -> int:
    """Index of the last picture in the newest file that has any; older files would tell of other rounds of the film."""
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(folder.iterdir(), key=lambda p: p.name.lstrip("."), reverse=True):
            copy = Path(shutil.copy(path, Path(scratch, "copy.mp4")))
            restore_header(copy)  # as the next start will do
            if (found := last_index(copy)) is not None:
                return found
    raise AssertionError(f"no picture in {folder}")


@contextmanager
def box(
    folder: Path, film: Path, addresses: Sequence[str], *, broker: bool = True, more: str = "", planned: bool = True
) -> Iterator[FaultBox]:
    """A box whose cameras play `film`; nothing else on the machine is taken for a camera of it."""
    with ExitStack() as stack:
        net = addresses[0].rsplit(".", 1)[0]
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SITE_AGENT_CAMERAS__NETWORKS", json.dumps([f"{net}.0/24"]))
        cameras = {
            f"cam{n}": stack.enter_context(
                VirtualCamera(film, address=a, serial=f"F{a}", model="VC-1", password=PASSWORD)
            )
            for n, a in enumerate(addresses, 1)
        }
        known = "".join(
            f'[[cameras.known]]\ncamera_id = "{i}"\nserial = "{c.state.serial}"\n' for i, c in cameras.items()
        )
        bureau = stack.enter_context(Broker(folder / "broker")) if broker else None
        ears = stack.enter_context(Listener(bureau)) if bureau else None
        daemon = Daemon(
            folder, bureau.port if bureau else None, camera_ids=tuple(cameras), more=known + more, planned=planned
        )
        yield FaultBox(stack.enter_context(daemon), cameras, ears)


# what is in the files


def on_wire(camera: VirtualCamera) -> int:
    """Index of the picture that the camera has just sent."""
    return int(camera.position() * FPS)


def last_index(path: Path) -> int | None:
    """Index of the last picture that decodes; None where there is none."""
    found = None
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                found = read_index(frame.to_ndarray(format="gray"))
    except av.FFmpegError:
        pass
    return found


def behind(sent: int, kept: int, film_s: float) -> float:
    """Seconds from the last picture kept to the last one sent; the film begins anew after `film_s`."""
    return ((sent - kept) % round(film_s * FPS)) / FPS


def sums(daemon: Daemon) -> dict[Path, str]:
    return {p: sha256(p.read_bytes()).hexdigest() for p in daemon.videos()}


_ROWS = """
import json, sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=10)
print(json.dumps(dict(db.execute("select path, state || ' ' || coalesce(sha256, '') from segments").fetchall())))
"""


def rows_on_disk(catalog: Path) -> dict[str, str]:
    """State and sum of every segment's row by path, read in a process of its own: SQLite shares a file's locks and index of
    the WAL among all connections of a process by device and inode, and after a power cut the copy of a file system has
    the inodes of the one that died."""
    said = subprocess.run([sys.executable, "-c", _ROWS, str(catalog)], check=True, capture_output=True, timeout=60)
    found: dict[str, str] = json.loads(said.stdout)
    return found


# the books


@dataclass(frozen=True)
class Account:
    """Planned time of one camera up to an instant. `recorded_s` is what the files themselves hold of it; `overclaimed`
    names the rows that say more than their files hold, by how much."""

    camera_id: str
    planned_s: float
    recorded_s: float
    gaps_s: float
    segments: int
    reasons: Mapping[str, float]
    overclaimed: Mapping[str, float]

    @property
    def off_s(self) -> float:
        return self.recorded_s + self.gaps_s - self.planned_s

    @property
    def balanced(self) -> bool:
        """Recorded and gaps make the plan, to within one frame a segment."""
        return abs(self.off_s) <= FRAME_S * (self.segments + 1)


def accounts(catalog: Catalog, drive: Path, now: datetime | None = None) -> list[Account]:
    """One account a camera, the agent being stopped."""
    now = now or datetime.now(UTC)
    classes = ClassBook(catalog).all()
    places = list_planned_time(classes, CLASS_ID)
    holes = class_gaps.find_class_gaps(catalog, classes, CLASS_ID, now)
    found = []
    for place in places:
        end = min(place.end, now)
        rows = [s for s in catalog.segments.of_class(CLASS_ID) if s.camera_id == place.camera_id]
        spans, over = [], {}
        for row in rows:
            length = _length(drive / row.path)
            begin = max(row.start.timestamp(), place.start.timestamp())
            until = min(row.start.timestamp() + length, end.timestamp())
            spans.append((begin, until))
            claimed = (row.end - row.start).total_seconds() if row.end else 0.0
            if claimed - length > 0.1:
                over[row.path] = round(claimed - length, 3)
        reasons: dict[str, float] = defaultdict(float)
        for hole in holes:
            if hole.camera_id == place.camera_id:
                reasons[hole.reason] += hole.seconds
        found.append(
            Account(
                place.camera_id,
                (end - place.start).total_seconds(),
                _union(spans),
                sum(reasons.values()),
                len(rows),
                {k: round(v, 2) for k, v in reasons.items()},
                over,
            )
        )
    return found


def _length(path: Path) -> float:
    try:
        return containers.measure_video_seconds(path) or 0.0
    except MediaError:
        return 0.0


def _union(spans: Sequence[tuple[float, float]]) -> float:
    total, at = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, at))
        at = max(at, end)
    return total


def balanced(found: Sequence[Account]) -> None:
    for account in found:
        tell(
            "account",
            camera=account.camera_id,
            planned=round(account.planned_s, 2),
            recorded=round(account.recorded_s, 2),
            gaps=round(account.gaps_s, 2),
            off=round(account.off_s, 3),
            segments=account.segments,
            reasons=account.reasons,
        )
    assert all(a.balanced for a in found), found
