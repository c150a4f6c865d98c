"""RTSP servers that nobody of the project wrote; each context manager gives a stream's URL.

`Missing` says what a server wants that is not here: a row of the matrix is skipped with that sentence.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
import psutil

from tests.support import matrix_clips, processes
from tests.support.paths import ROOT

DEBIAN_PYTHON = "/usr/bin/python3"
GST_PACKAGES = "gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-{base,good,bad,ugly}"
_AVC = "video/x-h264,stream-format=avc,alignment=au,codec_data=(buffer){extradata}"
_HVC = "video/x-h265,stream-format=hvc1,alignment=au,codec_data=(buffer){extradata}"
_MPEG = "audio/mpeg,mpegversion=1,layer={layer},rate={rate},channels={channels}"
# codec: caps of what is fed, elements that make RTP of it
_PAYLOADERS = {
    "h264": (_AVC, "h264parse config-interval={interval} ! rtph264pay config-interval={interval}"),
    "hevc": (_HVC, "h265parse config-interval={interval} ! rtph265pay config-interval={interval}"),
    "mjpeg": ("image/jpeg,width={width},height={height},framerate=25/1", "rtpjpegpay"),
    "mpeg4": ("video/mpeg,mpegversion=4,systemstream=false,codec_data=(buffer){extradata}", "rtpmp4vpay"),
    "aac": (
        "audio/mpeg,mpegversion=4,stream-format=raw,rate={rate},channels={channels},codec_data=(buffer){extradata}",
        "rtpmp4gpay",
    ),
    "pcm_alaw": ("audio/x-alaw,rate={rate},channels={channels}", "rtppcmapay"),
    "pcm_mulaw": ("audio/x-mulaw,rate={rate},channels={channels}", "rtppcmupay"),
    "g726": ("audio/x-adpcm,layout=g726,bitrate=32000,rate=8000,channels=1", "rtpg726pay"),
    "g722": ("audio/G722,rate=16000,channels=1", "rtpg722pay"),
    "opus": ("audio/x-opus,channel-mapping-family=0,rate=48000,channels={channels}", "rtpopuspay"),
    "mp3": (_MPEG.format(layer=3, rate="{rate}", channels="{channels}"), "mpegaudioparse ! rtpmpapay"),
    "mp2": (_MPEG.format(layer=2, rate="{rate}", channels="{channels}"), "mpegaudioparse ! rtpmpapay"),
    "ac3": ("audio/x-ac3,rate={rate},channels={channels}", "ac3parse ! rtpac3pay"),
    "pcm_s16be": ("audio/x-raw,format=S16BE,layout=interleaved,rate={rate},channels={channels}", "rtpL16pay"),
}
_SAME = {"adpcm_g726": "g726", "adpcm_g722": "g722", "libopus": "opus", "mp3float": "mp3", "mp2float": "mp2"}
_METADATA = (
    "appsrc name={name} is-live=true format=time caps=application/x-rtp,media=application,clock-rate=90000,"
    "encoding-name=VND.ONVIF.METADATA,payload=107 ! identity"
)


class Missing(Exception):
    """What a server wants that this machine does not have."""


@dataclass(frozen=True)
class GstStream:
    """What gst-rtsp-server shall send: its tracks in the order of the SDP.

    `interval` is config-interval: -1 parameter sets before each key picture, 0 in the SDP alone.
    """

    tracks: tuple[Path, ...]
    interval: int = -1
    latm: bool = False
    metadata: bool = False
    udp: bool = False


@functools.cache
def _check_gst() -> str:
    """Why gst-rtsp-server cannot be had; empty where it can."""
    code = (
        "import gi; [gi.require_version(n, '1.0') for n in ('Gst', 'GstRtspServer')]; "
        "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
        "missing = [n for n in ('rtph264pay', 'h264parse', 'h265parse') if not Gst.ElementFactory.find(n)]; "
        "exit(', '.join(missing) or 0)"
    )
    if not Path(DEBIAN_PYTHON).exists():
        return f"there is no {DEBIAN_PYTHON}"
    done = subprocess.run([DEBIAN_PYTHON, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else f"install {GST_PACKAGES}: {done.stderr.strip().splitlines()[-1:]}"


@contextmanager
def gst(stream: GstStream, folder: Path) -> Iterator[str]:
    """gst-rtsp-server, one pipeline for all clients, begun by the first."""
    if why := _check_gst():
        raise Missing(why)
    lines, feeds = [], {}
    for number, path in enumerate(stream.tracks):
        caps, elements = _describe(path, stream)
        source = f"appsrc name=src{number} is-live=true format=time max-bytes=8000000 caps={caps}"
        lines.append(f"{source} ! {elements} name=pay{number} pt={96 + number}")
        feeds[f"src{number}"] = str(matrix_clips.dump_packets(path, folder / f"{number}.packets"))
    if stream.metadata:
        lines.append(f"{_METADATA.format(name='meta')} name=pay{len(lines)}")
        feeds["meta"] = str(matrix_clips.dump_metadata(folder / "meta.packets"))
    spec = folder / "spec.json"
    spec.write_text(json.dumps({"launch": f"( {' '.join(lines)} )", "feeds": feeds, "udp": stream.udp}))
    script = ROOT / "tests" / "support" / "gst_server.py"
    log = folder / "server.log"
    with _running([DEBIAN_PYTHON, script, spec], folder, log):
        yield f"rtsp://127.0.0.1:{_wait_for_line(log, r'(?m)^([0-9]+)$')}/cam"


def _describe(path: Path, stream: GstStream) -> tuple[str, str]:
    with av.open(str(path)) as container:
        context = container.streams[0].codec_context
        known: dict[str, object] = {"extradata": bytes(context.extradata or b"").hex(), "interval": stream.interval}
        if isinstance(context, av.VideoCodecContext):
            known |= {"width": context.width, "height": context.height}
        elif isinstance(context, av.AudioCodecContext):
            known |= {"rate": context.sample_rate, "channels": context.layout.nb_channels}
        caps, elements = _PAYLOADERS[_SAME.get(context.name, context.name)]
    if stream.latm and elements == "rtpmp4gpay":
        elements = "rtpmp4apay"
    if not stream.interval:
        elements = elements.rpartition(" ! ")[2]  # a parser would put the sets in band
    return caps.format(**known), elements.format(**known)


@contextmanager
def live555(file: Path, folder: Path) -> Iterator[str]:
    """live555MediaServer, which gives each client the file from its start."""
    program = os.environ.get("LIVE555_SERVER") or shutil.which("live555MediaServer")
    if not program:
        raise Missing("live555MediaServer is not installed; where it was built, name it in LIVE555_SERVER")
    served = folder / "served"
    served.mkdir()
    (served / file.name).symlink_to(file)
    with _running([program], served, folder / "server.log") as process:
        # without root, or beside another one, it takes 8554; on a machine without an address it does not say so
        yield f"rtsp://127.0.0.1:{_find_port(process.pid, {554, 8554})}/{file.name}"


@contextmanager
def aio_toolkit(file: Path, folder: Path) -> Iterator[str]:
    """aio-rtsp-toolkit from PyPI, which gives each client the file from its start."""
    where, port = _install_aio_toolkit(), _free_port()
    code = (
        "import asyncio, sys; from aio_rtsp_toolkit import server; "
        f"asyncio.run(server.serve({str(file.parent)!r}, '127.0.0.1', {port}))"
    )
    path = os.pathsep.join([str(where), *filter(None, [os.environ.get("PYTHONPATH")])])
    with _running([sys.executable, "-c", code], folder, folder / "server.log", PYTHONPATH=path):
        _wait_for_port(port)
        yield f"rtsp://127.0.0.1:{port}/{file.name}?play_count=0"


def _install_aio_toolkit() -> Path:
    """Install it in the virtual environment's own folder beside the packages, once."""
    wanted = Path(__file__).with_name("aio-rtsp-toolkit.txt")
    folder = Path(sys.prefix) / "foreign" / "aio-rtsp-toolkit"
    if not (folder / "aio_rtsp_toolkit").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--retries", "0", "--timeout", "15", "--target", str(folder), "-r", str(wanted)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        except subprocess.TimeoutExpired:
            raise Missing("aio-rtsp-toolkit cannot be had from PyPI: no answer") from None
        if done.returncode:
            raise Missing(f"aio-rtsp-toolkit cannot be had from PyPI: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@contextmanager
def ipycam(folder: Path) -> Iterator[str]:
    """ipycam's own RTSP server: an encoder for each client; its pictures carry bar codes, see simulator.clips."""
    if importlib.util.find_spec("ipycam") is None:
        raise Missing("ipycam is not installed (it is among the packages for development)")
    port = _free_port()
    log = folder / "server.log"
    with _running([sys.executable, "-m", "tests.support.ipycam_stream", str(port)], ROOT, log):
        _wait_for_line(log, "listening")
        yield f"rtsp://127.0.0.1:{port}/main"


@contextmanager
def _running(command: list[str | Path], folder: Path, log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A server whose words go to a file: nobody need read them for it to go on."""
    with log.open("w") as out:
        process = processes.start(
            command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_line(log: Path, pattern: str, seconds: float = 20) -> str:
    """The first group, or the whole, of the first match of a pattern in what a server says."""
    deadline = time.monotonic() + seconds
    while not (found := re.search(pattern, log.read_text(errors="replace"))):
        assert time.monotonic() < deadline, f"did not start: {log.read_text(errors='replace')[-500:]}"
        time.sleep(0.05)
    return found[found.re.groups]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _wait_for_port(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.1)


def _find_port(pid: int, among: set[int], seconds: float = 20) -> int:
    """Which of these ports a process listens on."""
    deadline = time.monotonic() + seconds
    while not (found := among & {one.laddr.port for one in psutil.Process(pid).net_connections("tcp")}):
        assert time.monotonic() < deadline, f"{pid} listens on none of {among}"
        time.sleep(0.1)
    return min(found)
