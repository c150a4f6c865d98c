"""Video and pictures that the bureau asks boxes for: ordered here, sent by the box, checked, kept for a while."""

from __future__ import annotations

from board.clips.orders import (
    OPEN_STATES,
    OrderedClip,
    SentFile,
    find_boxes_of,
    list_clips,
    load_clip,
    make_clip_folder_path,
    order_clip,
    order_picture,
)

__all__ = [
    "OPEN_STATES",
    "OrderedClip",
    "SentFile",
    "find_boxes_of",
    "list_clips",
    "load_clip",
    "make_clip_folder_path",
    "order_clip",
    "order_picture",
]
