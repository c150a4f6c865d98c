"""The one factory of classes that are made without a class file."""

from __future__ import annotations

from datetime import date

from agent.core.class_model import Room, TrainingClass


def make_training_class(class_id: str = "C1", **changes: object) -> TrainingClass:
    """Return a class of two weeks from 2026-11-23, one room with two cameras, without lessons; `changes` are its fields."""
    values: dict[str, object] = {
        "class_id": class_id, "project": "电工培训", "occupation": "电工", "class_number": 3, "institution": "某培训学校",
        "place": "文水县实训楼", "first_day": date(2026, 11, 23), "last_day": date(2026, 12, 4), "expected": 30,
        "rooms": (Room("R1", "一号教室", "theory", ("cam1", "cam2")),),
    }  # fmt: skip
    return TrainingClass(**{**values, **changes})  # type: ignore[arg-type]
