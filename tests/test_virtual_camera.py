"""The virtual camera, seen by the clients that matter: FFmpeg over RTSP, onvif-zeep, a WS-Discovery probe."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from onvif import ONVIFCamera
from onvif.exceptions import ONVIFError
from requests import Session
from requests.auth import HTTPDigestAuth
from zeep.transports import Transport

from agent.demo.camera import VirtualCamera
from agent.demo.convert import playable
from agent.demo.media import make_clip, read_index
from agent.demo.personality import Personality
from agent.demo.scene import Classroom, make_classroom, murmur
from agent.demo.source import load
from agent.demo.wsd import GROUP, PORT
from tests.support import processes

OPTIONS = {"rtsp_transport": "tcp", "timeout": "3000000", "probesize": "32768", "analyzeduration": "0"}
PASSWORD = "p:w@rd/1"


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "h264-aac": make_clip(folder / "a.mp4"),
        "h264-ulaw": make_clip(folder / "b.mov", audio="ulaw"),
        "hevc-alaw": make_clip(folder / "c.mov", codec="hevc", audio="alaw"),
        "hevc-aac": make_clip(folder / "d.mp4", codec="hevc"),
        "h264-none": make_clip(folder / "e.mp4", audio=None),
        "h264-large": make_clip(folder / "f.mp4", size=(1280, 720)),
    }


@pytest.fixture
def camera(clips: dict[str, Path]) -> Iterator[VirtualCamera]:
    with VirtualCamera(clips["h264-aac"], password=PASSWORD, report_interval=0.5) as camera:
        yield camera


def until_end(packets: Iterator[av.Packet]) -> None:
    """Read on until the stream ends, one way or the other."""
    with contextlib.suppress(av.FFmpegError):
        for packet in packets:
            if not packet.size:
                return


def watch(url: str, seconds: float) -> dict[str, list[av.Packet]]:
    """Packets by kind until `seconds` after the first one, or the end of the stream."""
    found: dict[str, list[av.Packet]] = {"video": [], "audio": []}
    with av.open(url, options=OPTIONS) as container:
        start = time.monotonic()
        for packet in container.demux():
            if packet.size:
                found[packet.stream.type].append(packet)
            if time.monotonic() - start > seconds:
                break
    return found


def steps(packets: list[av.Packet]) -> set[float]:
    # FFmpeg leaves the very first packet of a parsed stream without a time.
    times = [float(p.pts * p.time_base) for p in packets if p.pts is not None]
    return {round(b - a, 3) for a, b in pairwise(times)}


@pytest.mark.parametrize(
    ("name", "codecs", "step"),
    [
        ("h264-aac", ("h264", "aac"), 0.064),
        ("h264-ulaw", ("h264", "pcm_mulaw"), 0.04),
        ("hevc-alaw", ("hevc", "pcm_alaw"), 0.04),
        ("hevc-aac", ("hevc", "aac"), 0.064),
        ("h264-none", ("h264",), None),
    ],
)
def test_every_codec_plays_with_even_times(
    clips: dict[str, Path], name: str, codecs: tuple[str, ...], step: Any
) -> None:
    with VirtualCamera(clips[name], discoverable=False) as camera:
        found = watch(camera.url_with_password(), 1.0)
    assert tuple(packets[0].stream.codec_context.name for packets in found.values() if packets) == codecs
    assert len(found["video"]) > 20
    assert found["video"][0].is_keyframe
    assert steps(found["video"]) == {0.04}
    assert steps(found["audio"]) == ({step} if step else set())
    assert all(p.has_sidedata("prft") for p in found["video"])


def test_loop_has_no_seam_and_frames_carry_their_index(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "short.mp4", seconds=1.6, key_seconds=0.8)
    source = load(clip)
    assert source.duration == pytest.approx(1.6)
    assert sum(s.kind == "audio" for s in source.samples) == 25
    with VirtualCamera(clip, discoverable=False) as camera:
        found = watch(camera.url_with_password(), 3.6)
    indexes = [read_index(f.to_ndarray(format="gray")) for p in found["video"] for f in p.decode()]
    assert len(indexes) > 60
    assert None not in indexes
    assert all((b - a) % 40 == 1 for a, b in pairwise(i for i in indexes if i is not None))
    assert steps(found["video"]) == {0.04}
    assert steps(found["audio"]) == {0.064}


def test_wrong_password_is_refused(camera: VirtualCamera) -> None:
    camera.set_password("another")
    with pytest.raises(av.HTTPUnauthorizedError):
        av.open(camera.rtsp_url.replace("rtsp://", "rtsp://admin:p%3Aw%40rd%2F1@"), options=OPTIONS)
    with pytest.raises(av.HTTPUnauthorizedError):
        av.open(camera.rtsp_url, options=OPTIONS)
    assert watch(camera.url_with_password(), 0.2)["video"]


def test_basic_authentication(clips: dict[str, Path]) -> None:
    with VirtualCamera(clips["h264-none"], basic=True, discoverable=False) as camera, socket.socket() as sock:
        sock.connect((camera.address, camera.rtsp.port))
        sock.sendall(f"DESCRIBE {camera.rtsp_url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        assert b'WWW-Authenticate: Basic realm="camera"' in sock.recv(4096)
        line = "Authorization: Basic YWRtaW46Y2FtZXJhLTE="
        sock.sendall(f"DESCRIBE {camera.rtsp_url} RTSP/1.0\r\nCSeq: 2\r\n{line}\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"RTSP/1.0 200 OK\r\nCSeq: 2\r\n")


def test_four_cameras_and_a_second_client(clips: dict[str, Path]) -> None:
    cameras = [VirtualCamera(clips["h264-aac"], serial=f"S{n}", discoverable=False).start() for n in range(4)]
    try:
        containers = [av.open(c.url_with_password(n), options=OPTIONS) for c in cameras for n in ("main", "sub")]
        for container in containers:
            demuxed = container.demux()
            assert {next(demuxed).stream.type for _ in range(20)} == {"video", "audio"}
            container.close()
        with av.open(cameras[0].url_with_password(), options=OPTIONS) as first:
            next(first.demux())
            assert watch(cameras[0].url_with_password(), 0.5)["video"][0].is_keyframe
            assert cameras[0].rtsp.players("main") in (1, 2)
    finally:
        for camera in cameras:
            camera.stop()


# Faults


def test_frozen_stream_keeps_the_connection(camera: VirtualCamera) -> None:
    with av.open(camera.url_with_password(), options=OPTIONS | {"timeout": "500000"}) as container:
        packets = container.demux()
        next(packets)
        camera.freeze()
        until_end(packets)
        assert camera.rtsp.players("main") == 1
    camera.freeze(False)
    assert watch(camera.url_with_password(), 0.2)["video"]


def test_hung_camera_does_not_answer(camera: VirtualCamera) -> None:
    camera.freeze(hang=True)
    started = time.monotonic()
    with pytest.raises(av.FFmpegError):
        av.open(camera.url_with_password(), options=OPTIONS | {"timeout": "400000"})
    assert time.monotonic() - started < 2


def test_audio_only_and_no_audio(camera: VirtualCamera) -> None:
    camera.faults().send_video = False
    with av.open(camera.url_with_password(), options=OPTIONS | {"analyzeduration": "1"}) as container:
        assert {p.stream.type for p, _ in zip(container.demux(), range(10), strict=False)} == {"audio"}
    camera.faults().send_video, camera.faults().send_audio = True, False
    found = watch(camera.url_with_password(), 0.5)
    assert found["video"]
    assert not found["audio"]
    camera.faults().offer_audio = False
    with av.open(camera.url_with_password(), options=OPTIONS) as container:
        assert [s.type for s in container.streams] == ["video"]


@pytest.mark.parametrize("seconds", [3600.0, -2.0])
def test_timestamps_jump(camera: VirtualCamera, seconds: float) -> None:
    camera.faults().reports = False
    with av.open(camera.url_with_password(), options=OPTIONS) as container:
        packets = (p for p in container.demux(video=0) if p.pts is not None)
        before = [next(packets) for _ in range(10)][-1]
        camera.jump(seconds)
        after = [next(packets) for _ in range(25)][-1]
    assert float((after.pts - before.pts) * after.time_base) == pytest.approx(seconds + 1, abs=0.001)


def test_swap_to_the_same_file_begins_it_again(camera: VirtualCamera, clips: dict[str, Path]) -> None:
    time.sleep(0.3)
    assert camera.position() > 0.25
    camera.swap(clips["h264-aac"])
    assert camera.position() < 0.25


def test_taken_port_is_told_and_leaves_nothing(camera: VirtualCamera, clips: dict[str, Path]) -> None:
    other = VirtualCamera(clips["h264-aac"], onvif_port=camera.device.port, discoverable=False)
    with pytest.raises(OSError, match="in use"):
        other.start()
    with socket.socket() as sock:
        assert sock.connect_ex((other.address, other.rtsp.port)) != 0


def test_repeated_timestamps(camera: VirtualCamera) -> None:
    camera.faults().reports = False
    with av.open(camera.url_with_password(), options=OPTIONS) as container:
        packets = (p for p in container.demux(video=0) if p.pts is not None)
        next(packets)
        camera.faults().repeat = True
        times = [next(packets).pts for _ in range(20)]
    assert len(set(times[5:])) == 1


def test_sender_reports_carry_the_camera_clock(camera: VirtualCamera) -> None:
    true = _report_clock(camera)
    assert true == pytest.approx(time.time(), abs=3)
    camera.set_report_offset(-3600)
    assert _report_clock(camera) == pytest.approx(true - 3600, abs=5)


def _report_clock(camera: VirtualCamera) -> float:
    """Unix time out of the first producer reference time (AVProducerReferenceTime: wallclock in microseconds)."""
    packet = watch(camera.url_with_password(), 0.2)["video"][0]
    return float(struct.unpack("q", bytes(packet.get_sidedata("prft"))[:8])[0]) / 1e6


def test_reboot_drop_and_move(camera: VirtualCamera) -> None:
    port = camera.rtsp.port
    for cut in (camera.drop, lambda: camera.drop(reset=True), camera.power_off):
        with av.open(camera.url_with_password(), options=OPTIONS) as container:
            packets = container.demux()
            next(packets)
            cut()
            until_end(packets)
    with pytest.raises(av.FFmpegError):
        av.open(camera.url_with_password(), options=OPTIONS)
    camera.power_on()
    assert camera.rtsp.port == port
    assert watch(camera.url_with_password(), 0.2)["video"]
    camera.move("127.0.0.5")
    assert camera.rtsp_url == f"rtsp://127.0.0.5:{port}/main"
    assert watch(camera.url_with_password(), 0.2)["video"]
    assert (
        ONVIFCamera("127.0.0.5", camera.device.port, "admin", PASSWORD).devicemgmt.GetDeviceInformation().Model
        == "VC-1"
    )


@pytest.mark.parametrize("burst", [False, True])
def test_pause(camera: VirtualCamera, burst: bool) -> None:
    with av.open(camera.url_with_password(), options=OPTIONS) as container:
        packets = (p for p in container.demux(video=0) if p.pts is not None)
        next(packets)
        camera.pause(0.6, burst)
        gaps = [(b.pts - a.pts) * b.time_base for a, b in pairwise(next(packets) for _ in range(30))]
    assert (max(gaps) < 0.05) if burst else (max(gaps) > 0.5)


def test_swap_size_in_band_and_codec_with_a_cut(camera: VirtualCamera, clips: dict[str, Path]) -> None:
    with av.open(camera.url_with_password(), options=OPTIONS) as container:
        frames = container.decode(video=0)
        assert next(frames).width == 640
        camera.swap(clips["h264-large"])
        assert any(f.width == 1280 for f, _ in zip(frames, range(100), strict=False))
        camera.swap(clips["hevc-aac"])
        with contextlib.suppress(av.FFmpegError):
            assert all(f.width == 1280 for f in frames)
    with av.open(camera.url_with_password(), options=OPTIONS) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    assert camera.state.video[0].encoding == "H265"


# ONVIF


def onvif(camera: VirtualCamera, password: str = PASSWORD, transport: Transport | None = None) -> Any:
    return ONVIFCamera(camera.address, camera.device.port, "admin", password, transport=transport)


def stream_uri(media: Any, token: str) -> Any:
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    return media.GetStreamUri({"StreamSetup": setup, "ProfileToken": token}).Uri


def test_onvif_identity_profiles_and_streams(camera: VirtualCamera) -> None:
    client = onvif(camera)
    told = client.devicemgmt.GetDeviceInformation()
    assert (told.Manufacturer, told.Model, told.SerialNumber) == ("Example", "VC-1", "VC0001")
    assert client.devicemgmt.GetNTP().NTPManual[0].IPv4Address == "192.0.2.123"
    assert client.devicemgmt.GetHostname().Name == "camera"
    assert client.devicemgmt.GetNetworkInterfaces()[0].Info.HwAddress == "02:00:00:00:00:01"
    assert len(client.devicemgmt.GetServices({"IncludeCapability": False})) == 2
    assert any(s.ScopeItem.endswith("hardware/VC-1") for s in client.devicemgmt.GetScopes())
    media = client.create_media_service()
    profiles = media.GetProfiles()
    assert [p.token for p in profiles] == ["profile_main", "profile_sub"]
    video, audio = profiles[0].VideoEncoderConfiguration, profiles[0].AudioEncoderConfiguration
    assert (video.Encoding, video.Resolution.Width, video.H264.GovLength, video.RateControl.FrameRateLimit) == (
        "H264",
        640,
        50,
        25,
    )
    assert (audio.Encoding, audio.SampleRate) == ("AAC", 16)
    assert stream_uri(media, "profile_main") == camera.rtsp_url
    assert stream_uri(media, "profile_sub") == camera.rtsp.url("sub")
    with pytest.raises(ONVIFError):
        stream_uri(media, "nothing")
    uri = media.GetSnapshotUri({"ProfileToken": "profile_main"}).Uri
    assert Session().get(uri, timeout=5).content[:2] == b"\xff\xd8"


def test_onvif_settings_can_be_changed(camera: VirtualCamera) -> None:
    client = onvif(camera)
    media = client.create_media_service()
    video = media.GetVideoEncoderConfiguration({"ConfigurationToken": "main"})
    video.H264.GovLength, video.Encoding = 25, "H264"
    video.Resolution.Width, video.Resolution.Height = 1920, 1080
    media.SetVideoEncoderConfiguration({"Configuration": video, "ForcePersistence": True})
    assert (camera.state.video[0].gop, camera.state.video[0].width) == (25, 1920)
    audio = media.GetAudioEncoderConfigurations()[0]
    audio.Encoding = "G711"
    media.SetAudioEncoderConfiguration({"Configuration": audio, "ForcePersistence": True})
    assert camera.state.audio[0].encoding == "G711"
    assert media.GetVideoEncoderConfigurationOptions({}).H264.GovLengthRange.Max == 250
    assert media.GetAudioEncoderConfigurationOptions({}).Options[1].Encoding == "AAC"
    client.devicemgmt.SetNTP({"FromDHCP": False, "NTPManual": [{"Type": "DNS", "DNSname": "ntp.example"}]})
    assert client.devicemgmt.GetNTP().NTPManual[0].DNSname == "ntp.example"
    moment = {"Time": {"Hour": 1, "Minute": 2, "Second": 3}, "Date": {"Year": 2030, "Month": 4, "Day": 5}}
    client.devicemgmt.SetSystemDateAndTime(
        {"DateTimeType": "Manual", "DaylightSavings": False, "TimeZone": {"TZ": "CST-8"}, "UTCDateTime": moment}
    )
    assert client.devicemgmt.GetSystemDateAndTime().UTCDateTime.Date.Year == 2030
    assert camera.device.changes[-1] == "SetSystemDateAndTime"


def test_onvif_wrong_password_and_lockout(camera: VirtualCamera) -> None:
    camera.personality.lockout = 2
    client = onvif(camera, "wrong")
    assert client.devicemgmt.GetSystemDateAndTime()
    for _ in range(2):
        with pytest.raises(ONVIFError, match="not authorized"):
            client.devicemgmt.GetDeviceInformation()
    with pytest.raises(ONVIFError, match="locked"):
        onvif(camera).devicemgmt.GetDeviceInformation()
    assert camera.device.refused == 2


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_onvif_http_digest_only(clips: dict[str, Path], algorithm: str) -> None:
    personality = Personality(wsse=False, http_digest=(algorithm,), anonymous=frozenset())
    with VirtualCamera(clips["h264-aac"], password=PASSWORD, personality=personality, discoverable=False) as camera:
        with pytest.raises(ONVIFError):
            onvif(camera)
        session = Session()
        session.auth = HTTPDigestAuth("admin", PASSWORD)
        client = onvif(camera, transport=Transport(session=session))
        assert client.devicemgmt.GetDeviceInformation().Model == "VC-1"


def test_onvif_clock_eight_hours_off(clips: dict[str, Path]) -> None:
    personality = Personality(clock_offset=timedelta(hours=8), http_digest=())
    with VirtualCamera(clips["h264-aac"], password=PASSWORD, personality=personality, discoverable=False) as camera:
        with pytest.raises(ONVIFError, match="not authorized"):
            onvif(camera).devicemgmt.GetDeviceInformation()
        client = ONVIFCamera(camera.address, camera.device.port, "admin", PASSWORD, adjust_time=True)
        assert client.devicemgmt.GetDeviceInformation().Model == "VC-1"


def test_onvif_replies_in_pieces_empty_and_old_soap(clips: dict[str, Path]) -> None:
    personality = Personality(pieces=5, pause_s=0.01, xaddr_host="192.0.2.9:80", stream_host="192.0.2.9:554")
    with VirtualCamera(clips["h264-aac"], password=PASSWORD, personality=personality, discoverable=False) as camera:
        client = onvif(camera)
        assert client.devicemgmt.GetDeviceInformation().Model == "VC-1"
        assert client.devicemgmt.GetServices({"IncludeCapability": False})[1].XAddr.startswith("http://192.0.2.9:80/")
        personality.soap = ("1.1",)
        reply = Session().post(camera.onvif_url, data=_get_time("http://schemas.xmlsoap.org/soap/envelope/"), timeout=5)
        assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
        reply = Session().post(camera.onvif_url, data=_get_time("http://www.w3.org/2003/05/soap-envelope"), timeout=5)
        assert (reply.status_code, b"VersionMismatch" in reply.content) == (500, True)
        personality.soap, personality.empty = ("1.2",), frozenset({"*"})
        reply = Session().post(camera.onvif_url, data=_get_time("http://www.w3.org/2003/05/soap-envelope"), timeout=5)
        assert (reply.status_code, reply.content) == (200, b"")


def _get_time(envelope: str) -> str:
    operation = '<GetSystemDateAndTime xmlns="http://www.onvif.org/ver10/device/wsdl"/>'
    return f'<s:Envelope xmlns:s="{envelope}"><s:Body>{operation}</s:Body></s:Envelope>'


# Discovery


def probe(target: str, types: str = "dn:NetworkVideoTransmitter", source: str = "127.0.0.1") -> list[str]:
    """Replies to one WS-Discovery probe within half a second."""
    message = (
        '<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">'
        f"<e:Header><w:MessageID>uuid:{uuid.uuid4()}</w:MessageID>"
        "<w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>"
        "<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>"
        f"<e:Body><d:Probe><d:Types>{types}</d:Types></d:Probe></e:Body></e:Envelope>"
    )
    replies = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
        sock.settimeout(0.5)
        sock.sendto(message.encode(), (target, PORT))
        try:
            while True:
                replies.append(sock.recv(65536).decode())
        except TimeoutError:
            return replies


def test_discovery_by_multicast_and_unicast(clips: dict[str, Path]) -> None:
    cameras = [VirtualCamera(clips["h264-none"], f"127.0.0.{n}", serial=f"S{n}") for n in (11, 12, 13)]
    cameras[2].personality.probe_copies = 2
    cameras[2].personality.extra_xaddrs = ("http://192.0.2.1/onvif/device_service",)
    try:
        for camera in cameras:
            camera.start()
        urls = [c.onvif_url for c in cameras]
        ours = [r for r in probe(GROUP) if any(u in r for u in urls)]
        assert sorted(sum(u in r for r in ours) for u in urls) == [1, 1, 2]
        assert all("onvif://www.onvif.org/hardware/VC-1" in r for r in ours)
        assert all(cameras[0].state.endpoint in r for r in probe("127.0.0.11"))
        assert len(probe("127.0.0.13")) == 2
        assert probe("127.0.0.11", "p:Printer") == []
        cameras[0].power_off()
        assert not any(urls[0] in r for r in probe(GROUP))
    finally:
        for camera in cameras:
            camera.stop()


# Material and the runner


def test_classroom_has_picture_sound_and_movement(tmp_path: Path) -> None:
    path = make_classroom(tmp_path / "class.mp4", [(0, 0), (2.5, 3)], 3, fps=15)
    with av.open(str(path)) as container:
        grey = [f.to_ndarray(format="gray").astype(int) for f in container.decode(video=0)]
    assert len(grey) == 45
    assert (grey[0] != grey[30]).mean() > 0.3, "key frames differ everywhere: a sensor has noise"
    assert 60 < grey[0].mean() < 200 < 255 and grey[0].std() > 20
    assert abs(grey[5] - grey[40]).max() > 80
    with pytest.raises(ValueError, match="seats"):
        make_classroom(tmp_path / "full.mp4", [(0, 9)], 1)


def test_detector_counts_the_drawn_class_exactly() -> None:
    model = Path(__file__).parents[1] / "models" / "head-yolo11n.onnx"
    if not model.is_file():
        pytest.skip("models/head-yolo11n.onnx is not there")
    import cv2
    import numpy as np

    net = cv2.dnn.readNetFromONNX(str(model))
    room = Classroom()
    for people in range(9):
        padded = np.full((736, 1280, 3), 114, np.uint8)
        padded[:720] = np.asarray(room.picture(people, people % 4))
        net.setInput((padded.transpose(2, 0, 1)[None] / 255).astype(np.float32))
        found = np.asarray(net.forward())[0]
        boxes = [(x - w / 2, y - h / 2, w, h) for x, y, w, h in found[:4].T]
        for threshold in (0.25, 0.4):
            assert len(cv2.dnn.NMSBoxes(boxes, found[4].tolist(), threshold, 0.45)) == people


def test_murmur_loudness() -> None:
    voice = murmur(10, 16000)
    assert 10 * math.log10(float((voice**2).mean())) == pytest.approx(-25, abs=0.5)


def test_any_video_is_made_playable(tmp_path: Path, clips: dict[str, Path]) -> None:
    assert playable(clips["h264-aac"], tmp_path) == clips["h264-aac"]
    slow = make_clip(tmp_path / "slow.mp4", seconds=6, key_seconds=6)
    copy = playable(slow, tmp_path)
    assert copy != slow
    source = load(copy)
    assert (source.video is not None, source.audio is not None) == (True, True)
    assert source.duration == pytest.approx(6, abs=0.1)
    with pytest.raises(ValueError, match="no picture"):
        playable(make_clip(tmp_path / "sound.mp4", codec=None), tmp_path)


def test_runner_prints_urls_and_ends_with_its_input(clips: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "agent.demo.camera", "--media", str(clips["h264-aac"]), "--count", "2"]
    with processes.start(
        [*command, "--no-discovery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [line["serial"] for line in lines] == ["VC0001", "VC0002"]
        assert watch(lines[1]["rtsp_url"], 0.2)["video"]
        process.stdin.close()
        assert process.wait(5) == 0
