"""QR codes of calls: of the smallest kind, and read from afar, askew and blurred, by the sizes of docs/board.md."""

from __future__ import annotations

import pytest

from agent.core.call_model import build_call_text
from agent.counting.qr_code import encode_qr, read_qr
from tests.support.call_clips import make_room, show_code, to_bgr

TEXT = build_call_text("7F3A9C21", "048213")
SIZE = (960, 540)


def test_the_code_is_of_the_smallest_kind() -> None:
    rows = encode_qr(TEXT)
    assert len(rows) == 21 and {len(row) for row in rows} == {21}
    assert rows[0].startswith("1111111") and rows[0].endswith("1111111") and rows[20].startswith("1111111")


@pytest.mark.parametrize(
    ("pixels", "distortion"),
    [
        (4.0, {}),
        (4.0, {"turn": 20.0}),
        (4.0, {"tilt": 0.2, "turn": -15.0}),
        (4.0, {"blur": 1.0}),
        (6.0, {"tilt": 0.3}),
        (6.0, {"blur": 2.0}),
    ],
)
def test_a_code_is_read(pixels: float, distortion: dict[str, float]) -> None:
    """`pixels`: width of a module; the whole code is 21 of them."""
    picture = show_code(make_room(*SIZE), TEXT, pixels, **distortion)
    assert read_qr(to_bgr(picture)) == {TEXT}


def test_a_code_of_one_pixel_a_module_is_not_read_and_no_text_is_made_up() -> None:
    assert read_qr(to_bgr(show_code(make_room(*SIZE), TEXT, 1.0))) <= {TEXT}
    assert read_qr(to_bgr(make_room(*SIZE))) == set()
