"""QR codes: made for the page, and read in pictures of cameras."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agent.media.containers import BgrImage

_ENLARGED = 2
_MOST_PIXELS = 1280 * 720
"""Larger pictures are not enlarged: it would take most of a second."""


def encode_qr(text: str) -> tuple[str, ...]:
    """Return the rows of a QR code without its margin, `1` for a dark module. Alphanumeric text, medium correction."""
    options = cv2.QRCodeEncoder.Params()
    options.mode = cv2.QRCODE_ENCODER_MODE_ALPHANUMERIC
    options.correction_level = cv2.QRCODE_ENCODER_CORRECT_LEVEL_M
    drawn = np.asarray(cv2.QRCodeEncoder.create(options).encode(text)) < 128
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    code = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return tuple("".join("1" if dark else "0" for dark in row) for row in code)


def read_qr(picture: BgrImage) -> set[str]:
    """Return the text of a QR code in a picture (height x width x 3), an empty set where none is read.

    OpenCV's two ways to find one miss different codes; small pictures are tried enlarged as well.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for detector in (cv2.QRCodeDetector(), cv2.QRCodeDetectorAruco()):
        if text := _read(detector, grey):
            return {text}
    if grey.size > _MOST_PIXELS:
        return set()
    large = cv2.resize(grey, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC)
    text = _read(cv2.QRCodeDetector(), large)
    return {text} if text else set()


def _read(detector: Any, grey: npt.NDArray[Any]) -> str:
    try:
        return str(detector.detectAndDecode(grey)[0])
    except cv2.error:  # it fails on some patterns that only look like a code
        return ""
