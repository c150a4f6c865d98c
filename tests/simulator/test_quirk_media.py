"""Every quirk of packets, stamps and reports really appears on the wire."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import av
import pytest

from simulator.clips import make_clip, read_index
from simulator.firmware import FIRMWARE
from simulator.quirk_packets import SET_ADVANCE_S, START_CODE, packetize, sign_source
from simulator.quirk_server import QuirkServer
from simulator.quirks import PacketQuirks, Quirks, RtpQuirks, SdpQuirks
from simulator.rtp import split_payloads
from simulator.signature import SIGNING_UUID, build_signature_unit
from simulator.source import load_source
from tests.simulator.plain_client import PlainClient, PlainPacket, plain_client

CLIPS = {
    "h264": {},
    "hevc": {"codec": "hevc"},
    "slices": {"slices": 4},
    "b-frames": {"b_frames": 2},
    "hevc-b-frames": {"codec": "hevc", "b_frames": 3, "open_gop": True},
    "open-gop": {"b_frames": 3, "open_gop": True},
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("quirks")
    return {
        name: make_clip(folder / f"{name}.mp4", 1.6, size=(640, 368), key_seconds=0.4, **options)  # type: ignore[arg-type]
        for name, options in CLIPS.items()
    }


def play(clip: Path, quirks: Quirks, seconds: float = 0.7, tracks: tuple[str, ...] = ("video", "audio")) -> PlainClient:
    with QuirkServer(clip, quirks) as server, plain_client(server) as client:
        client.play(tracks)
        client.listen(seconds)
        client.lost = server.quirky_stream("main").lost  # type: ignore[attr-defined, union-attr]
        return client


def packets(clip: Path, **quirks: object) -> list[PlainPacket]:
    return play(clip, Quirks(packets=PacketQuirks(**quirks)), tracks=("video",)).packets()  # type: ignore[arg-type]


def timing(clip: Path, seconds: float = 0.7, **quirks: object) -> PlainClient:
    return play(clip, Quirks(rtp=RtpQuirks(**quirks)), seconds)  # type: ignore[arg-type]


def pictures(found: list[PlainPacket]) -> list[list[PlainPacket]]:
    """Return the packets of each stamp; the last picture may be cut off and is left out."""
    groups: list[list[PlainPacket]] = []
    for packet in found:
        if not groups or groups[-1][0].stamp != packet.stamp:
            groups.append([])
        groups[-1].append(packet)
    return groups[:-1]


def join_units(found: list[PlainPacket]) -> list[bytes]:
    """Return the H.264 units of one picture (RFC 6184: single, STAP-A and FU-A)."""
    units: list[bytes] = []
    for payload in (p.payload for p in found):
        kind = payload[0] & 31
        if kind == 24:
            at = 1
            while at < len(payload):
                size = int.from_bytes(payload[at : at + 2], "big")
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == 28 and payload[1] & 0x80:
            units.append(bytes((payload[0] & 0xE0 | payload[1] & 31,)) + payload[2:])
        elif kind == 28:
            units[-1] += payload[2:]
        else:
            units.append(payload)
    return units


def kinds(found: list[PlainPacket]) -> list[int]:
    return [unit[0] & 31 for unit in join_units(found)]


def source_pictures(clip: Path) -> list[tuple[bytes, ...]]:
    """The slices of each picture of a file."""
    return [tuple(u for u in s.units if u[0] & 31 in (1, 5)) for s in load_source(clip).samples if s.kind == "video"]


# packets


@pytest.mark.parametrize("name", ["h264", "hevc"])
def test_without_quirks_the_packets_are_those_of_the_correct_camera(clips: dict[str, Path], name: str) -> None:
    source = load_source(clips[name])
    for sample in source.samples:
        track = source.track(sample.kind)
        assert track is not None
        if name == "hevc" and sample.key and sample.kind == "video":
            continue  # x265's own SEI is longer than a packet: the correct camera sends it whole
        made = packetize(sample, track, PacketQuirks())
        assert [p.payload for p in made] == list(split_payloads(sample, track))
        assert [p.marker for p in made] == [False] * (len(made) - 1) + [True]


@pytest.mark.parametrize("options", [{}, {"mtu": 200}, {"mtu": 65_000}, {"aggregate": True}, {"padding": 8, "csrc": 2}])
def test_units_arrive_whole(clips: dict[str, Path], options: dict[str, int]) -> None:
    groups = pictures(packets(clips["h264"], **options))
    sent = source_pictures(clips["h264"])
    slices = [tuple(u for u in join_units(group) if u[0] & 31 in (1, 5)) for group in groups]
    assert len(slices) > 10 and set(slices) <= set(sent)
    types = {p.payload[0] & 31 for group in groups for p in group}
    assert (28 in types) is (options.get("mtu", 0) < 65_000) and (24 in types) is ("aggregate" in options)
    assert max(len(p.payload) for group in groups for p in group) <= options.get("mtu", 1400) + 3


@pytest.mark.parametrize(("marker", "share"), [("all", 1.0), ("none", 0.0)])
def test_markers(clips: dict[str, Path], marker: str, share: float) -> None:
    found = packets(clips["h264"], marker=marker)
    assert len(found) > 15 and sum(p.marker for p in found) == share * len(found)


def test_marker_on_sei(clips: dict[str, Path]) -> None:
    groups = pictures(packets(clips["h264"], marker="sei", signed=True))
    marked = {p.payload[0] & 31 for group in groups for p in group[:-1] if p.marker}
    assert marked == {6} and all(group[-1].marker for group in groups)


def test_parameter_sets_in_band(clips: dict[str, Path]) -> None:
    def first(clip: str, **quirks: object) -> list[PlainPacket]:
        return pictures(packets(clips[clip], **quirks))[0]

    assert kinds(first("h264"))[:2] == [7, 8] and 7 not in kinds(first("h264", parameter_sets="none"))
    shape = [kind for kind in kinds(first("slices", parameter_sets="slice")) if kind != 6]
    assert shape == [7, 8, 5] * 4
    groups = pictures(packets(clips["h264"], parameter_sets="own_stamp"))
    assert kinds(groups[0]) == [7, 8] and groups[0][-1].marker and kinds(groups[1])[-1] == 5
    assert groups[1][0].stamp - groups[0][0].stamp == SET_ADVANCE_S * 90_000
    hevc = [p.payload[0] >> 1 & 63 for p in first("hevc", parameter_sets="slice", mtu=65_000)]
    assert [hevc.count(kind) for kind in (32, 33, 34, 39)] == [1, 1, 1, 1] and hevc[-1] in (19, 20)
    tail = join_units(first("h264", set_tail=b"\x00\x00\x00"))
    assert tail[0].endswith(b"\x00\x00\x00") and tail[1].endswith(b"\x00\x00\x00")


def test_annex_b_inside_of_payloads(clips: dict[str, Path]) -> None:
    joined = join_units(pictures(packets(clips["h264"], annex_b="joined"))[0])
    assert len(joined) == 1 and joined[0][0] & 31 == 7
    assert [part[0] & 31 for part in joined[0].split(START_CODE) if part][:2] == [7, 8]
    each = pictures(packets(clips["h264"], annex_b="each"))[0]
    assert each[0].payload.startswith(START_CODE + b"\x67") and each[-1].payload[0] & 31 == 28


def test_strange_fragments(clips: dict[str, Path]) -> None:
    def fragments(**quirks: object) -> list[bytes]:
        payloads = [p.payload for p in packets(clips["h264"], mtu=300, **quirks)]
        return [p for p in payloads if p[:1] and p[0] & 31 == 28]

    assert not any(p[1] & 0x20 for p in fragments()) and all(p[1] & 0x20 for p in fragments(fu_reserved=True))
    plain, other = fragments(), fragments(fu_type_changes=True)
    assert all(p[1] & 0x80 for p in plain if p[1] & 31 == 5 and p[1] & 0x80)
    assert {p[1] & 31 for p in other if not p[1] & 0x80} == {1} and 5 in {p[1] & 31 for p in other if p[1] & 0x80}
    empty = [p for p in fragments(empty_fragments=True) if len(p) == 2]
    assert empty and not any(p[1] & 0xC0 for p in empty) and not any(len(p) == 2 for p in plain)


def test_strange_packets(clips: dict[str, Path]) -> None:
    assert sum(not p.rest for p in packets(clips["h264"], empty_payloads=True)) > 10
    padded = packets(clips["h264"], padding=8)
    assert all(p.flags & 0x20 and p.rest[-8:] == bytes(7) + b"\x08" for p in padded)
    extended = packets(clips["h264"], extension=True)
    assert all(p.flags & 0x10 and p.rest[:4] == b"\xab\xac\x00\x03" for p in extended)
    sourced = packets(clips["h264"], csrc=2)
    assert all(p.flags & 15 == 2 and p.rest[:8] == b"\x00\x00\x00\x01\x00\x00\x00\x02" for p in sourced)
    strays = [p for p in packets(clips["h264"], stray_type=111) if p.kind == 111]
    assert len(strays) > 10 and strays[0].rest == b"stray payload"
    client = play(clips["h264"], Quirks(packets=PacketQuirks(stray_channel=9)))
    assert sum(at == 9 for at, _ in client.frames) > 10
    delimited = pictures(packets(clips["h264"], delimiters=True))
    assert all(group[0].payload == b"\x09\xf0" for group in delimited)


def test_extra_packets_take_no_sequence_numbers(clips: dict[str, Path]) -> None:
    found = [p for p in packets(clips["h264"], stray_type=111) if p.kind == 96]
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(found)} == {1}


@pytest.mark.parametrize("name", ["h264", "hevc"])
def test_signatures_stand_in_each_key_frame_and_survive_a_reader(clips: dict[str, Path], name: str) -> None:
    source = sign_source(load_source(clips[name]))
    keys = [s for s in source.samples if s.kind == "video" and s.key]
    assert len(keys) == 4
    for index, sample in enumerate(keys):
        assert sample.units.count(build_signature_unit(name, index)) == 1
    with (
        QuirkServer(clips[name], FIRMWARE["signed"]) as server,
        av.open(server.url(), options={"rtsp_transport": "tcp"}, timeout=5) as container,
    ):
        found, begun = b"", time.monotonic()
        for packet in container.demux(video=0):
            found += bytes(packet)
            if time.monotonic() - begun > 1.5:
                break
    assert found.count(SIGNING_UUID) >= 3 and all(build_signature_unit(name, i) in found for i in range(3))


# stamps


def test_stamps_wrap(clips: dict[str, Path]) -> None:
    client = timing(clips["h264"], 0.8, wrap_s=0.4)
    for channel, clock in ((0, 90_000), (2, 16_000)):
        stamps = [p.stamp for p in client.packets(channel)]
        high, low = [s for s in stamps if s > 2**31], [s for s in stamps if s < 2**31]
        assert high and low and max(high) > 2**32 - clock and min(low) < clock


def test_sequence_numbers_wrap_and_packets_are_lost_and_repeated(clips: dict[str, Path]) -> None:
    numbers = [p.sequence for p in timing(clips["h264"], sequence_wrap=10).packets()]
    assert numbers[:11] == [*range(65526, 65536), 0]
    client = timing(clips["h264"], lose_every=5)
    steps = [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(client.packets())]
    assert steps.count(2) >= 3 and set(steps) == {1, 2} and client.lost >= 3  # type: ignore[attr-defined]
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(client.packets(2))} == {1}
    sound = timing(clips["h264"], lose_every=4, lose_kinds=frozenset({"audio"}))
    assert 2 in {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(sound.packets(2))}
    assert {(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(sound.packets(0))} == {1}
    chosen = [p.sequence for p in timing(clips["h264"], lose=frozenset({2, 3}), sequence_wrap=1000).packets()]
    assert chosen[:4] == [64536, 64537, 64540, 64541]
    twice = [p.sequence for p in timing(clips["h264"], repeat_every=5).packets()]
    assert sum(a == b for a, b in pairwise(twice)) >= 3


def test_the_source_changes(clips: dict[str, Path]) -> None:
    found = timing(clips["h264"], ssrc_changes_s=0.3).packets()
    assert len({p.ssrc for p in found}) == 2 and found[-1].ssrc == 0xC4A60000


def steps_of(client: PlainClient, channel: int = 0) -> list[int]:
    stamps = [p.stamp for p in client.packets(channel)]
    return [(b - a + 2**31) % 2**32 - 2**31 for a, b in pairwise(stamps) if a != b]


def test_stamps_stand_jump_and_run_at_another_speed(clips: dict[str, Path]) -> None:
    assert steps_of(timing(clips["h264"])) and set(steps_of(timing(clips["h264"]))) == {3600}
    assert steps_of(timing(clips["h264"], still=True)) == []
    for jump in (10.0, -10.0):
        odd = [s for s in steps_of(timing(clips["h264"], jump_s=jump, jump_at_s=0.3)) if s != 3600]
        assert odd == [3600 + round(jump * 90_000)]
    assert set(steps_of(timing(clips["h264"], pace=0.9))) == {3240}
    assert set(steps_of(timing(clips["h264"], sound_gains=0.5), 2)) == {1536}


def test_stamps_with_jitter_and_by_the_wall_clock(clips: dict[str, Path]) -> None:
    steps = steps_of(timing(clips["h264"], jitter={"video": 0.01}))
    assert len(set(steps)) > 5 and all(abs(s - 3600) <= 1801 for s in steps)
    walls = steps_of(timing(clips["h264"], wall_stamps=frozenset({"audio"})), 2)
    assert len(set(walls)) > 3 and abs(sum(walls) / len(walls) - 1024) < 200


def test_b_frames_are_sent_in_decoding_order(clips: dict[str, Path]) -> None:
    for name in ("b-frames", "open-gop", "hevc-b-frames"):
        steps = steps_of(timing(clips[name]))
        assert min(steps) < 0 < max(steps) and all(s % 3600 == 0 for s in steps)
        with (
            QuirkServer(clips[name]) as server,
            av.open(server.url(), options={"rtsp_transport": "tcp"}, timeout=5) as container,
        ):
            frames = (f.to_ndarray(format="gray") for f in container.decode(video=0))
            shown = [read_index(next(frames)) for _ in range(30)]
        # decoded, the pictures stand in the order of the film; a loop begins at 0 again
        known = [i for i in shown if i is not None]
        assert len(known) == 30 and all(b - a == 1 or b < 3 or a > 36 for a, b in pairwise(known[5:])), shown


# reports, bursts, stops


def test_reports(clips: dict[str, Path]) -> None:
    assert not timing(clips["h264"], reports="none").reports()
    assert len(timing(clips["h264"], reports="start", report_s=0.1).reports()) == 1
    assert len(timing(clips["h264"], report_s=0.1).reports()) >= 4
    client = timing(clips["h264"], report_epoch={"audio": -1e9})
    assert abs(client.reports(1)[0][0] - time.time()) < 5
    assert abs(client.reports(3)[0][0] - (time.time() - 1e9)) < 5


def test_a_relay_sends_what_it_has_cached_at_once(clips: dict[str, Path]) -> None:
    def count(burst: float) -> int:
        return len(pictures(timing(clips["h264"], 0.3, burst_s=burst).packets()))

    assert count(0) < 10 and count(1.2) > 25


def test_the_picture_stops_and_the_rest_goes_on(clips: dict[str, Path]) -> None:
    rtp = RtpQuirks(picture_stops_s=0.5, metadata_channel=8, metadata_s=0.1)
    with QuirkServer(clips["h264"], Quirks(rtp=rtp)) as server, plain_client(server) as client:
        client.play()
        client.listen(0.8)
        before = len(client.packets(0)), len(client.packets(2)), len(client.packets(8))
        assert all(before)
        client.listen(0.5)
        after = len(client.packets(0)), len(client.packets(2)), len(client.packets(8))
        assert after[0] == before[0] and after[1] > before[1] and after[2] >= before[2] + 3


def test_everything_stops_and_the_connection_stays(clips: dict[str, Path]) -> None:
    with QuirkServer(clips["h264"], Quirks(rtp=RtpQuirks(all_stops_s=0.3))) as server, plain_client(server) as client:
        client.play()
        before = len(client.listen(0.6))
        assert len(client.listen(0.5)) == before and not client.closed
        assert client.ask("OPTIONS").status == 200


def test_a_frame_breaks_off(clips: dict[str, Path]) -> None:
    client = timing(clips["h264"], 2, torn_s=0.4)
    assert client.closed and client.unread[:1] == b"$" and len(client.unread) == 700


def test_garbage_between_frames(clips: dict[str, Path]) -> None:
    noise = b"noise\r\n\r\n"
    client = timing(clips["h264"], garbage=noise)
    assert len([a for a in client.asked if a == noise]) > 10 and len(client.packets()) > 10


def test_unnamed_quirks_are_refused() -> None:
    with pytest.raises(TypeError):
        Quirks(sdp=SdpQuirks(colour="red"))  # type: ignore[call-arg]
