"""ipycam's own RTSP server with pictures that carry their number as a bar code, 25 a second.

`python -m tests.support.ipycam_stream PORT`: prints a line once it listens.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from simulator.clips import compute_bar_height, make_index_bar

WIDTH, HEIGHT, RATE = 640, 360, 25


def main() -> int:
    from ipycam.rtsp import NativeRTSPServer

    server = NativeRTSPServer(port=int(sys.argv[1]), host="127.0.0.1")
    server.add_stream("main", WIDTH, HEIGHT, RATE)
    if not server.start():
        return 1
    print("listening", flush=True)
    # smooth: its encoder's packets go through a UDP socket of the server, which loses those of large pictures
    wave = 110 + 60 * np.sin(np.arange(WIDTH) / WIDTH * 4 * np.pi)
    texture = np.broadcast_to(wave[None, :, None], (HEIGHT, WIDTH, 3)).astype(np.uint8)
    rows = compute_bar_height(HEIGHT)
    begun = time.monotonic()
    for index in range(1 << 24):
        time.sleep(max(0.0, begun + index / RATE - time.monotonic()))
        picture = np.roll(texture, index * 3, axis=1)
        picture[:rows] = make_index_bar(index, WIDTH, rows)[:, :, None]
        server.stream_frame("main", picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
