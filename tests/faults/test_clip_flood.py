"""A box under a flood of requests for video goes on recording, and answers each at its limits."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.core.clock import format_local
from simulator.clips import make_clip
from tests.support.broker import needs_mosquitto
from tests.support.daemon import CLASS_ID
from tests.support.faults import FaultBox, box, data, tell, zone_of
from tests.support.recording_bench import breaks, indexes

pytestmark = [pytest.mark.long, pytest.mark.minutes(2), needs_mosquitto]
FILM_S = 8
FLOOD_S = 40
EVERY_S = 0.05


def test_a_flood_of_requests_costs_no_picture(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", FILM_S, (1280, 720), 25, key_seconds=1, bit_rate=2_000_000)
    with box(tmp_path, film, ["127.0.5.1"]) as site:
        site.start()
        time.sleep(10)
        sent = flood(site)
        site.daemon.until(lambda: len(site.ears.on("response/clip")) >= len(sent), 60)
        time.sleep(6)
        assert site.daemon.stop() == 0
        with site.catalog() as catalog:
            rows = catalog.segments.of_class(CLASS_ID)
        missing = breaks([n for s in rows for n in indexes(site.daemon.drive / s.path)], FILM_S * 25)
        answers = [data(heard) for heard in site.ears.on("response/clip")]
    said: Counter[str] = Counter()
    for answer in answers:
        said[answer["error"]["code"] if not answer["ok"] else answer["result"]["upload"]["state"]] += 1
    tell(f"flood of {len(sent)} requests in {FLOOD_S} s", answers=dict(said), jumps_in_pictures=len(missing))
    assert missing == []
    assert said["upload.busy"] + said["bureau.busy"] > len(sent) / 2
    assert {answer["request_id"] for answer in answers} >= set(sent)


def flood(site: FaultBox) -> list[str]:
    """Ask for video many times a second, to be pushed where nobody listens."""
    zone, sent = zone_of(site.daemon), []
    begun = time.monotonic()
    while time.monotonic() - begun < FLOOD_S:
        now = datetime.now(UTC).astimezone(zone)
        number = len(sent)
        upload = {
            "url": f"https://127.0.0.1:9/uploads/{number}",
            "token": "x" * 43,
            "until": format_local(datetime.now(UTC) + timedelta(seconds=5), zone),
        }
        span = {"from": f"{now - timedelta(seconds=20):%H:%M:%S}", "to": f"{now - timedelta(seconds=5):%H:%M:%S}"}
        body = {"class_id": CLASS_ID, "date": f"{now:%Y-%m-%d}", "upload": upload, **span}
        event = {"specversion": "1.0", "id": f"flood-{number}", "data": body}
        site.ears.client.publish("training/v1/c/s/b/request/clip", json.dumps(event), qos=1)
        sent.append(str(event["id"]))
        time.sleep(EVERY_S)
    return sent
