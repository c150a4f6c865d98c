"""A complete virtual camera: discovery, ONVIF and RTSP of one device, with its faults.

    python -m simulator.camera --media FILE [--count 4] [--address 127.0.0.1] …

prints one JSON object per camera (address, rtsp_url, sub_url, onvif_url, serial) and runs until standard input is closed
or a signal arrives.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import av
from PIL import Image

from simulator.onvif_device import OnvifDevice
from simulator.onvif_state import AudioEncoder, DeviceState, VideoEncoder
from simulator.personality import Personality
from simulator.rtsp import RtspServer
from simulator.source import MediaSource
from simulator.stream import StreamFaults
from simulator.wsd import WsDiscoveryResponder

ENCODINGS = {"h264": "H264", "hevc": "H265", "aac": "AAC", "pcm_alaw": "G711", "pcm_mulaw": "G711"}


class VirtualCamera:
    """One camera on one address; `media` is a file, or one file for each of "main" and "sub".

    Parts, for tests that inspect or change details: `rtsp` (RtspServer), `device` (OnvifDevice, with `state` and
    `personality`), `discovery` (None where `discoverable` is False). Faults are methods here and fields of `faults()`.
    """

    def __init__(
        self,
        media: Path | Mapping[str, Path],
        address: str = "127.0.0.1",
        manufacturer: str = "Example",
        model: str = "VC-1",
        serial: str = "VC0001",
        firmware: str = "1.0.0",
        username: str = "admin",
        password: str = "camera-1",  # noqa: S107 - a virtual camera's own
        personality: Personality | None = None,
        discoverable: bool = True,
        basic: bool = False,
        report_interval: float = 5.0,
        rtsp_port: int = 0,
        onvif_port: int = 0,
    ) -> None:
        files = {"main": media, "sub": media} if isinstance(media, Path) else dict(media)
        self.personality = personality or Personality()
        self.rtsp = RtspServer(files, address, rtsp_port, username, password, basic, report_interval)
        self.state = DeviceState(manufacturer=manufacturer, model=model, firmware=firmware, serial=serial)
        self.device = OnvifDevice(
            self.state,
            self.personality,
            address,
            onvif_port,
            username,
            password,
            {f"profile_{name}": lambda name=name: self.rtsp.url(name) for name in files},  # type: ignore[misc]
            self._snapshot,
        )
        self.discovery = self._responder(address) if discoverable else None
        self._files = files
        self._up = False

    def _responder(self, address: str) -> WsDiscoveryResponder:
        return WsDiscoveryResponder(
            address,
            lambda: self.state.endpoint,
            lambda: [self.device.xaddr()],
            self.state.scopes,
            self.personality,
        )

    def start(self) -> VirtualCamera:
        """Start all services.

        Raises OSError where address or port are not available, av.FFmpegError or ValueError for unusable media.
        """
        try:
            self.rtsp.start()
            self._describe()
            self._services(True)
        except OSError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all services; the camera cannot be started again."""
        self._services(False)
        self.rtsp.stop()

    def __enter__(self) -> VirtualCamera:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _services(self, up: bool) -> None:
        if up == self._up:
            return
        self._up = up
        for part in (self.device, self.discovery):
            if part:
                (part.start if up else part.stop)()

    def _describe(self) -> None:
        """Set the encoder configurations that ONVIF reports to what the media are."""
        sources = {name: stream.source for name, stream in self.rtsp.streams.items()}
        self.state.video = [_describe_video_encoder(name, source) for name, source in sources.items() if source.video]
        audio = next((source.audio for source in sources.values() if source.audio), None)
        self.state.audio = []
        if audio:
            self.state.audio = [
                AudioEncoder("audio", ENCODINGS.get(audio.codec, "G711"), sample_rate=audio.rate // 1000)
            ]

    @property
    def address(self) -> str:
        return self.rtsp.address

    @property
    def onvif_url(self) -> str:
        return f"http://{self.address}:{self.device.port}/onvif/device_service"

    @property
    def rtsp_url(self) -> str:
        """Main stream, without credentials."""
        return self.rtsp.url("main")

    def url_with_password(self, name: str = "main") -> str:
        """Return the URL of a stream with user name and password."""
        user = f"{quote(self.rtsp.username, safe='')}:{quote(self.rtsp.password, safe='')}@"
        return self.rtsp.url(name).replace("rtsp://", f"rtsp://{user}" if self.rtsp.username else "rtsp://")

    def position(self, name: str = "main") -> float:
        """Return the present position of a stream in its file, in seconds."""
        return self.rtsp.streams[name].position

    # Faults

    def faults(self, name: str = "main") -> StreamFaults:
        """Return the fault switches of one stream."""
        return self.rtsp.faults(name)

    def freeze(self, on: bool = True, hang: bool = False) -> None:
        """Stop the media, keep the connections; with `hang` requests (and new connections) are not answered either."""
        for stream in self.rtsp.streams.values():
            stream.faults.frozen = on
        self.rtsp.hung = on and hang

    def pause(self, seconds: float, burst: bool = False) -> None:
        """Send nothing for some seconds (this call does not wait); what was due is lost, or follows in one burst."""
        field = "held" if burst else "frozen"
        for stream in self.rtsp.streams.values():
            setattr(stream.faults, field, True)
            timer = threading.Timer(seconds, setattr, (stream.faults, field, False))
            timer.daemon = True
            timer.start()

    def jump(self, seconds: float) -> None:
        """Shift RTP timestamps by that much from now on, later or earlier; sender reports agree with them."""
        for stream in self.rtsp.streams.values():
            stream.faults.shift = {kind: value + seconds for kind, value in stream.faults.shift.items()}

    def set_report_offset(self, seconds: float) -> None:
        """Make the clock in sender reports wrong by that much."""
        for stream in self.rtsp.streams.values():
            stream.faults.report_offset = seconds

    def drop(self, reset: bool = False) -> None:
        """Close all RTSP connections; clients may connect again at once."""
        self.rtsp.drop(reset)

    def power_off(self) -> None:
        """Stop listening and answering discovery until `power_on`."""
        self._services(False)
        self.rtsp.unlisten()

    def power_on(self) -> None:
        """Listen again after `power_off`."""
        self.rtsp.listen()
        self._services(True)

    def move(self, address: str) -> None:
        """Change to another address and keep ports and identity, as after a new DHCP lease."""
        self.power_off()
        self.rtsp.address = self.device.address = address
        if self.discovery:
            self.discovery.address = address
        self.power_on()

    def set_password(self, password: str, disconnect: bool = True) -> None:
        """Change the password of RTSP and ONVIF."""
        self.rtsp.password = self.device.password = password
        if disconnect:
            self.drop()

    def swap(self, media: Path, name: str = "main") -> None:
        """Play another file from now on; see `RtspServer.swap`."""
        self.rtsp.swap(name, media)
        self._files[name] = media
        self._describe()

    def _snapshot(self) -> bytes:
        with av.open(str(self._files["main"])) as container:
            out = io.BytesIO()
            Image.fromarray(next(container.decode(video=0)).to_ndarray(format="rgb24")).save(out, "JPEG")
            return out.getvalue()


def _describe_video_encoder(name: str, source: MediaSource) -> VideoEncoder:
    track = source.video
    assert track is not None
    pictures = [s for s in source.samples if s.kind == "video"]
    keys = sum(s.key for s in pictures)
    size = sum(len(unit) for s in pictures for unit in s.units)
    return VideoEncoder(
        name,
        ENCODINGS[track.codec],
        track.width,
        track.height,
        round(track.fps),
        round(size * 8 / source.duration / 1000),
        round(len(pictures) / keys),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run cameras until standard input is closed or SIGTERM or SIGINT arrives."""
    parser = argparse.ArgumentParser(prog="python -m simulator.camera", description="Run virtual cameras.")
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--sub", type=Path, help="file of the sub stream (the main one's if left out)")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--manufacturer", default="Example")
    parser.add_argument("--model", default="VC-1")
    parser.add_argument("--username", default="", help="empty: no authentication")
    parser.add_argument("--password", default="")
    parser.add_argument("--no-discovery", action="store_true")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        for index in range(1, options.count + 1):
            camera = VirtualCamera(
                {"main": options.media, "sub": options.sub or options.media},
                options.address,
                options.manufacturer,
                options.model,
                f"VC{index:04d}",
                username=options.username,
                password=options.password,
                discoverable=not options.no_discovery,
            )
            stack.enter_context(camera)
            line = {"address": camera.address, "rtsp_url": camera.rtsp_url, "sub_url": camera.rtsp.url("sub")}
            print(json.dumps(line | {"onvif_url": camera.onvif_url, "serial": camera.state.serial}), flush=True)
        threading.Thread(target=_wait_until_closed, args=(stop,), daemon=True).start()
        stop.wait()
    return 0


def _wait_until_closed(stop: threading.Event) -> None:
    while sys.stdin.read(1):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
