"""Sources of the RTSP matrix: picture and sound in files of their own, so that each picture goes with each sound.

Every 2 s, at odd seconds, the picture is white for three frames and the sound beeps for 0.1 s: `access_units` measures the
one against the other. Pictures are MP4 and sound is NUT: both keep stamps exactly, and NUT takes every sound codec.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av

SECONDS = 40
"""Longer than any row records, so that no server comes to the end and loops."""
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-sc_threshold", "0")
X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-x265-params")
_X265 = "log-level=error:scenecut=0"
H264 = (*X264, "-profile:v", "main", "-bf", "0")
# size, pictures a second, encoder
PICTURES: dict[str, tuple[str, str, Sequence[str]]] = {
    "h264": ("640x360", "25", (*H264, "-g", "50")),
    "baseline": ("640x360", "25", (*X264, "-profile:v", "baseline", "-bf", "0", "-g", "50")),
    "h264-b2": ("640x360", "25", (*X264, "-profile:v", "high", "-bf", "2", "-b_strategy", "0", "-g", "50")),
    "h264-b3-open": (
        "640x360",
        "25",
        (*X264, "-profile:v", "high", "-bf", "3", "-b_strategy", "0", "-g", "50", "-x264-params", "open-gop=1"),
    ),
    "h264-pyramid": (
        "640x360",
        "25",
        (*X264, "-bf", "3", "-b_strategy", "0", "-g", "50", "-x264-params", "b-pyramid=normal:ref=4"),
    ),
    "h264-slices": ("640x360", "25", (*H264, "-g", "50", "-slices", "4")),
    "h264-slices-b2": ("640x360", "25", (*X264, "-bf", "2", "-b_strategy", "0", "-g", "50", "-slices", "4")),
    "h264-gop250": ("640x360", "25", (*H264, "-g", "250", "-keyint_min", "250")),
    "h264-refresh": ("640x360", "25", (*H264, "-x264-params", "intra-refresh=1:keyint=50")),
    "h264-sei": (
        "640x360",
        "25",
        (*H264, "-g", "50", "-x264-params", "aud=1:nal-hrd=cbr:bitrate=1000:vbv-maxrate=1000:vbv-bufsize=1000"),
    ),
    "h264-576i": ("720x576", "25", (*H264, "-g", "50", "-flags", "+ilme+ildct", "-x264-params", "tff=1")),
    "h264-12": ("640x360", "25/2", (*H264, "-g", "25")),
    "h264-15": ("640x360", "15", (*H264, "-g", "30")),
    "h264-30": ("640x360", "30000/1001", (*H264, "-g", "60")),
    "h264-60": ("640x360", "60", (*H264, "-g", "120")),
    "h264-4k": ("3840x2160", "15", (*H264, "-g", "30")),
    "h265": ("640x360", "25", (*X265, f"{_X265}:bframes=0:keyint=50:min-keyint=50:open-gop=0")),
    "h265-b3": ("640x360", "25", (*X265, f"{_X265}:bframes=3:b-adapt=0:keyint=50:min-keyint=50:open-gop=0")),
    "h265-b3-open": ("640x360", "25", (*X265, f"{_X265}:bframes=3:b-adapt=0:keyint=50:min-keyint=50:open-gop=1")),
    "h265-slices": ("640x360", "25", (*X265, f"{_X265}:bframes=0:keyint=50:min-keyint=50:open-gop=0:slices=4")),
    "mjpeg": ("640x360", "25", ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "8")),
    "mpeg4": ("640x360", "25", ("-c:v", "mpeg4", "-g", "50", "-q:v", "6")),
}
# sampling rate, channels, encoder
SOUNDS: dict[str, tuple[int, int, Sequence[str]]] = {
    "aac8": (8000, 1, ("-c:a", "aac", "-b:a", "24k")),
    "aac16": (16000, 1, ("-c:a", "aac", "-b:a", "32k")),
    "aac48": (48000, 2, ("-c:a", "aac", "-b:a", "96k")),
    "alaw": (8000, 1, ("-c:a", "pcm_alaw")),
    "mulaw": (8000, 1, ("-c:a", "pcm_mulaw")),
    "g726": (8000, 1, ("-c:a", "g726", "-b:a", "32k")),
    "g722": (16000, 1, ("-c:a", "g722")),
    "opus": (48000, 1, ("-c:a", "libopus", "-b:a", "48k")),
    "l16": (16000, 1, ("-c:a", "pcm_s16be")),
    "ac3": (48000, 2, ("-c:a", "ac3", "-b:a", "128k")),
    "mp3": (48000, 1, ("-c:a", "libmp3lame", "-b:a", "64k")),
    "mp2": (48000, 1, ("-c:a", "mp2", "-b:a", "64k")),
}


def make_picture(folder: Path, name: str) -> Path:
    """The film of that name, made once a folder."""
    size, rate, encoder = PICTURES[name]
    # the upper quarter goes on moving: no two pictures are alike
    flash = "drawbox=y=ih/4:t=fill:c=white:enable='lt(mod(n\\,{0})-{1}\\,3)*gte(mod(n\\,{0})\\,{1})'"
    whole = round(2 * _rate(rate))
    film = f"testsrc2=s={size}:r={rate}:d={SECONDS}," + flash.format(whole, whole // 2)
    return _make(folder / f"{name}.mp4", ["-f", "lavfi", "-i", film, *encoder])


def make_sound(folder: Path, name: str) -> Path:
    """The sound of that name, made once a folder."""
    rate, channels, encoder = SOUNDS[name]
    # noise as well: no two packets are alike
    wave = "0.6*sin(2*PI*1000*t)*lt(mod(t+1,2),0.1)+0.004*(random(0)-0.5)"
    tone = f"aevalsrc='{wave.replace(',', chr(92) + ',')}':s={rate}:d={SECONDS}"
    # NUT does not keep G.726's bits a sample
    return _make(
        folder / f"{name}{'.mkv' if name == 'g726' else '.nut'}",
        ["-f", "lavfi", "-i", tone, "-ac", str(channels), *encoder],
    )


def join(folder: Path, picture: str, sound: str | None, suffix: str) -> Path:
    """Picture and sound in one file, for servers that read files."""
    inputs = ["-i", str(make_picture(folder, picture))]
    inputs += ["-i", str(make_sound(folder, sound))] if sound else []
    return _make(folder / f"{picture}-{sound}{suffix}", [*inputs, "-c", "copy"])


def _make(path: Path, arguments: Sequence[str]) -> Path:
    if not path.exists():
        part = path.with_name("part-" + path.name)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, str(part)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
        assert done.returncode == 0, f"{path.name}: {done.stderr}"
        part.rename(path)
    return path


def _rate(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def dump_packets(path: Path, target: Path) -> Path:
    """Write the packets of a file's one track for `gst_server`, which has no libav: pts, dts, duration in ns, size, bytes."""
    with av.open(str(path)) as container, target.open("wb") as out:
        stream = container.streams[0]
        for packet in container.demux(stream):
            if not packet.size or packet.pts is None or packet.dts is None:
                continue
            stamps = [
                round(value * packet.time_base * 10**9) for value in (packet.pts, packet.dts, packet.duration or 0)
            ]
            out.write(struct.pack(">qqqI", *stamps, packet.size) + bytes(packet))
    return target


def dump_metadata(target: Path) -> Path:
    """ONVIF metadata, five RTP packets a second, in the form of `dump_packets`."""
    xml = (
        b'<?xml version="1.0"?><tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:VideoAnalytics>'
        b'<tt:Frame UtcTime="2026-11-27T00:00:00Z"/></tt:VideoAnalytics></tt:MetadataStream>'
    )
    with target.open("wb") as out:
        for number in range(5 * SECONDS):
            packet = struct.pack(">BBHII", 0x80, 0x80 | 107, number, number * 18000, 0x1234) + xml
            at = number * 200_000_000
            out.write(struct.pack(">qqqI", at, at, 200_000_000, len(packet)) + packet)
    return target
