"""What a file says of its pictures: the same as if FFmpeg had decoded one for it."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest

from agent.core.clock import SystemClock
from agent.drive.creation import init_drive
from agent.recording import writer
from agent.recording.picture_template import PictureTemplate, open_template
from agent.recording.writer import SegmentFile, SegmentWriter, Tracks
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.parameter_sets import ParameterSets
from agent.rtsp.payload.picture_format import PictureFormat
from tests.rtsp.encoded_streams import RATE, EncodedPicture, encode_stream

COLOURS = "colorprim=bt709:transfer=bt709:colormatrix=bt709"
STREAMS = [
    ("h264", "bframes=0", "yuv420p"),
    ("h264", "sar=40/33:bframes=2", "yuv420p"),
    ("h264", "sar=7/5:interlaced=1", "yuv420p"),
    ("h264", f"sar=1/1:range=pc:{COLOURS}", "yuv420p"),
    ("h264", f"range=tv:overscan=crop:chromaloc=2:{COLOURS}", "yuv420p"),
    ("h264", "colorprim=bt470bg:transfer=smpte170m:colormatrix=smpte170m", "yuv422p"),
    ("hevc", "bframes=0", "yuv420p"),
    ("hevc", f"sar=12:range=full:{COLOURS}", "yuv420p"),
    ("hevc", "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited", "yuv420p10le"),
]


def write_file(root: Path, template: PictureTemplate, pictures: list[EncodedPicture]) -> bytes:
    root.mkdir()
    drive = init_drive(root, label="x", institution="", clock=SystemClock())
    file = SegmentFile(drive.make_folder("x"), "a.mp4", ".a.part")
    made = SegmentWriter(drive, file, Tracks(template, RATE, None), start=0.0, fragment_seconds=0.3)
    for picture in pictures:
        unit = MediaUnit(picture.data, picture.pts, picture.dts, 3600, is_video=True, is_key=picture.key)
        assert made.video(unit)
    made.close()
    made.commit()
    return (file.folder / "a.mp4").read_bytes()


def set_size_alone(context: av.VideoCodecContext, picture: PictureFormat) -> None:
    context.extradata = picture.extradata
    context.width, context.height = picture.width, picture.height


@pytest.mark.parametrize(("codec", "params", "pixels"), STREAMS)
def test_a_file_is_as_if_a_picture_had_been_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, params: str, pixels: str
) -> None:
    pictures = encode_stream(codec, params, pixels=pixels, count=8)
    picture = ParameterSets(codec, pictures[0].units).format()
    assert picture is not None
    template = open_template(picture, pictures[0].data)
    assert template is not None
    ours = write_file(tmp_path / "ours", template, pictures)
    decoded = av.open(io.BytesIO(picture.extradata + pictures[0].data), "r", format=codec)
    assert decoded.streams.video[0].codec_context.pix_fmt, "FFmpeg has decoded it"
    monkeypatch.setattr(writer, "_describe", set_size_alone)
    assert ours == write_file(tmp_path / "theirs", PictureTemplate(picture, decoded), pictures)
    assert (b"pasp" in ours, b"colr" in ours) == ("sar=" in params, "colorprim=" in params)
