"""An RTSP server from gst-rtsp-server. Runs under Debian's own Python, which has python3-gi and nothing of this project.

`python3 gst_server.py SPEC`: SPEC is a JSON file with `launch` (a gst-launch line with an appsrc per feed), `feeds` (name of
an appsrc: file of `matrix_clips.dump_packets`) and `udp` (offer UDP alone). Prints the port; the stream is at /cam.
"""

import json
import struct
import sys
import threading
import time
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

HEAD = struct.Struct(">qqqI")
LEAD_NS = 200_000_000


class PacketFactory(GstRtspServer.RTSPMediaFactory):
    """One pipeline for all clients, begun by the first and fed from files in real time."""

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.set_launch(spec["launch"])
        self.set_shared(True)
        # not do_configure: overriding it would lose what the class itself configures, the protocols among it
        self.connect("media-configure", self.configure)

    def configure(self, _, media):
        stop = threading.Event()
        media.connect("unprepared", lambda _: stop.set())
        element = media.get_element()
        threading.Thread(target=self.feed, args=(element, stop), daemon=True).start()

    def feed(self, element, stop):
        while element.get_clock() is None or element.get_base_time() == 0:
            if stop.wait(0.01):
                return
        clock, base = element.get_clock(), element.get_base_time()
        start = max(0, clock.get_time() - base) + LEAD_NS
        for name, file in self.spec["feeds"].items():
            source = element.get_by_name(name)
            arguments = (source, Path(file).read_bytes(), clock, base, start, stop)
            threading.Thread(target=self.pump, args=arguments, daemon=True).start()

    @staticmethod
    def pump(source, data, clock, base, start, stop):
        at = 0
        while at < len(data) and not stop.is_set():
            pts, dts, duration, size = HEAD.unpack_from(data, at)
            at += HEAD.size
            early = (base + start + dts - clock.get_time()) / 1e9
            if early > 0:
                time.sleep(early)
            buffer = Gst.Buffer.new_wrapped(data[at : at + size])
            at += size
            buffer.pts, buffer.dts, buffer.duration = start + pts, max(0, start + dts), duration
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return


def main():
    Gst.init(None)
    spec = json.loads(Path(sys.argv[1]).read_text())
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
    factory = PacketFactory(spec)
    if spec.get("udp"):
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    server.get_mount_points().add_factory("/cam", factory)
    if not server.attach(None):
        sys.exit("cannot listen")
    print(server.get_bound_port(), flush=True)
    GLib.timeout_add_seconds(2, lambda: (server.get_session_pool().cleanup(), True)[1])
    GLib.MainLoop().run()


main()
