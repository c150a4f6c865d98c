"""What the bureau asks over MQTT, answered from a real catalog and drive."""

from __future__ import annotations

from pathlib import Path

from agent.core.clock import SystemClock
from agent.service.request_handlers import RequestHandlers
from simulator.clips import make_clip
from tests.support.clip_factory import make_box


def test_the_command_for_a_clip_cuts_what_was_asked_for(tmp_path: Path) -> None:
    box = make_box(tmp_path)
    material = make_clip(tmp_path / "a.mp4", 6, size=(320, 192))
    for camera in ("cam1", "cam2"):
        box.record(material, [0, 6], camera_id=camera)
    answers = RequestHandlers(box.catalog, SystemClock(), lambda: [box.cls], box.clips())
    asked = {"class_id": box.cls.class_id, "date": "2025-03-10", "from": "09:00", "to": "09:00:04", "camera_id": "cam2"}
    answer = answers.clip(asked)
    assert [c["camera_id"] for c in answer["clips"]] == ["cam2"]
    done = box.command(*answer["command"].replace("DIR", str(box.out)).split()[1:], "--json")
    assert done.stdout.count("\n") == 1 and '"camera_id": "cam2"' in done.stdout
    whole = answers.clip({key: value for key, value in asked.items() if key != "camera_id"})
    assert len(whole["clips"]) == 2 and "--camera" not in whole["command"]
