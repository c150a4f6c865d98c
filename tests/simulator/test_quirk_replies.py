"""Every quirk of requests, authentication and description really appears on the wire."""

from __future__ import annotations

import contextlib
import re
import time
from base64 import b64decode
from itertools import pairwise
from pathlib import Path

import pytest

from simulator.clips import make_clip
from simulator.firmware import DESCRIPTIONS, FIRMWARE, NO_GET
from simulator.quirk_server import QuirkServer
from simulator.quirks import AuthQuirks, Quirks, RtspQuirks, SdpQuirks
from simulator.source import load_source
from tests.simulator.plain_client import PlainClient, plain_client

USER, PASSWORD = "管理员", "密码123"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("quirks") / "a.mp4", 1.6, size=(320, 180), key_seconds=0.4)


@pytest.fixture(scope="module")
def alaw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("quirks") / "a.mov", 1.6, size=(320, 180), audio="alaw")


def describe(clip: Path, sdp: SdpQuirks) -> bytes:
    with QuirkServer(clip, Quirks(sdp=sdp)) as server, plain_client(server) as client:
        return client.ask("DESCRIBE").body.replace(server.url().encode(), b"URL")


def test_without_quirks_it_is_the_correct_camera(clip: Path) -> None:
    with QuirkServer(clip) as server, plain_client(server) as client:
        assert "GET_PARAMETER" in client.ask("OPTIONS").value("Public")
        reply = client.ask("DESCRIBE")
        assert reply.value("Content-Base") == server.url() + "/" and reply.value("Content-Type") == "application/sdp"
        first, second = client.setup()
        assert first.value("Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1"
        assert second.value("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3"
        assert first.value("Session") == f"{client.session};timeout=60"
        assert client.ask("PLAY").status == 200
        client.listen(0.5)
        assert {at for at, _ in client.frames} == {0, 1, 2, 3}
        assert client.ask("GET_PARAMETER").status == 200 and client.ask("TEARDOWN").status == 200
        assert [h.method for h in server.heard][:2] == ["OPTIONS", "DESCRIBE"]


def test_every_name_of_the_table_can_be_served(clip: Path) -> None:
    with QuirkServer({name: (clip, quirks) for name, quirks in FIRMWARE.items()}) as server:
        for name in FIRMWARE:
            assert server.quirks_of(server.name_of(server.url(name))) is FIRMWARE[name]


# sessions


@pytest.mark.parametrize("heard", [True, False])
def test_idle_sessions_end_and_requests_keep_them(clip: Path, heard: bool) -> None:
    with QuirkServer(clip, Quirks(rtsp=RtspQuirks(idle_s=0.8, timeout="1"))) as server, plain_client(server) as client:
        client.play()
        for _ in range(5):
            client.listen(0.3)
            if heard and not client.closed:
                client.ask("OPTIONS")
        assert client.closed is not heard and server.kicked == (not heard)


def test_a_session_ends_after_its_life(clip: Path) -> None:
    with QuirkServer(clip, Quirks(rtsp=RtspQuirks(life_s=0.5))) as server, plain_client(server) as client:
        client.play()
        begun = time.monotonic()
        client.listen(3)
        assert client.closed and 0.3 < time.monotonic() - begun < 1.5


@pytest.mark.parametrize("timeout", ["10", " 8 ", '"8"', ""])
def test_timeout_is_written_as_asked(clip: Path, timeout: str) -> None:
    with QuirkServer(clip, Quirks(rtsp=RtspQuirks(timeout=timeout))) as server, plain_client(server) as client:
        said = client.setup(("video",))[0].value("Session")
        assert said.partition(";")[2] == (f"timeout={timeout}" if timeout else "")


def test_strict_servers_close_on_other_methods(clip: Path) -> None:
    quirks = Quirks(rtsp=RtspQuirks(public=NO_GET, strict_methods=True))
    with QuirkServer(clip, quirks) as server, plain_client(server) as client:
        assert "GET_PARAMETER" not in client.ask("OPTIONS").value("Public")
        client.play()
        with pytest.raises(ConnectionError):
            client.ask("GET_PARAMETER")


def test_other_methods_are_not_implemented(clip: Path) -> None:
    with QuirkServer(clip, Quirks(rtsp=RtspQuirks(public=NO_GET))) as server, plain_client(server) as client:
        assert client.ask("GET_PARAMETER").status == 501


def test_session_ids_change_are_checked_and_lost(clip: Path) -> None:
    table = {name: (clip, FIRMWARE[name]) for name in ("session-changes", "session-checked", "keep-alive-454")}
    with QuirkServer(table) as server:
        with plain_client(server, "session-changes") as client:
            ids = {reply.value("Session") for reply in client.setup()} | {client.ask("PLAY").value("Session")}
            assert len(ids) == 3
        with plain_client(server, "session-checked") as client:
            client.setup()
            assert client.ask("PLAY").status == 454
            assert client.ask("PLAY", "", f"Session: {client.session}").status == 200
        with plain_client(server, "keep-alive-454") as client:
            client.play()
            assert client.ask("GET_PARAMETER").status == 454 and client.ask("OPTIONS").status == 200


# replies


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("base-missing", ""),
        ("base-no-slash", "rtsp://127.0.0.1:PORT/main"),
        ("base-no-scheme", "127.0.0.1:PORT/main/"),
        ("base-doubled", "rtsp://rtsp://127.0.0.1:PORT/main/"),
        ("base-nat", "rtsp://192.168.77.77:554/main/"),
        ("base-zero", "rtsp://0.0.0.0:PORT/main/"),
    ],
)
def test_content_base(clip: Path, name: str, base: str) -> None:
    with QuirkServer(clip, FIRMWARE[name]) as server, plain_client(server) as client:
        reply = client.ask("DESCRIBE")
        assert reply.value("Content-Base") == base.replace("PORT", str(server.port))
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
        assert client.ask("SETUP", (base or client.url + "/").rstrip("/") + "/video", transport).status == 200


def test_strict_servers_compare_the_whole_url(clip: Path) -> None:
    with QuirkServer(clip, FIRMWARE["strict-url"]) as server, plain_client(server) as client:
        client.ask("DESCRIBE")
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
        assert client.ask("SETUP", client.url + "//video", transport).status == 404
        assert client.ask("SETUP", client.url + "/video", transport).status == 200


@pytest.mark.parametrize(
    ("name", "transport", "channels"),
    [
        ("channels-other", "RTP/AVP/TCP;unicast;interleaved=4-5", {4, 5}),
        ("channels-missing", "RTP/AVP/TCP;unicast", {0, 1}),
        ("channels-unnamed", "RTP/AVP/TCP;unicast;interleaved=0-1", {10, 11}),
        ("ssrc-blanks", "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= 5E C0;mode=play", {0, 1}),
        ("udp-ports", r"RTP/AVP;unicast;client_port=18714-18715;server_port=40004-40005;ssrc=[0-9A-F]{8}", {0, 1}),
        ("ssrc-first", r"RTP/AVP/TCP;unicast;ssrc=[0-9A-F]{8};interleaved=0-1", {0, 1}),
    ],
)
def test_transport_and_channels(clip: Path, name: str, transport: str, channels: set[int]) -> None:
    with QuirkServer(clip, FIRMWARE[name]) as server, plain_client(server) as client:
        said = client.setup(("video",))[0].value("Transport")
        assert re.fullmatch(transport, said)
        client.ask("PLAY")
        client.listen(0.5)
        assert {at for at, _ in client.frames} == channels
        told = re.search(r"ssrc=([0-9A-F]{8})", said)
        assert told is None or {p.ssrc for p in client.packets()} == {int(told[1], 16)}


def test_rtp_info_is_true_where_it_is_meant_to_be(clip: Path) -> None:
    table = {name: (clip, FIRMWARE[name]) for name in FIRMWARE if name.startswith("info")}
    with QuirkServer(table) as server:
        with plain_client(server, "info") as client:
            reply = client.play(("video",))
            client.listen(0.4)
            found = re.fullmatch(r"url=(.*)/video;seq=(\d+);rtptime=(\d+)", reply.value("RTP-Info"))
            assert found and found[1] == client.url and reply.value("Range") == "npt=0.000-"
            first = client.packets()[0]
            assert int(found[2]) == first.sequence and abs(int(found[3]) - first.stamp) < 9000
        said = {}
        for name in table:
            with plain_client(server, name) as client:
                said[name] = client.play(("video",)).value("RTP-Info")
        assert ";seq=0;" in said["info-seq-0"] and said["info-semicolons"].endswith(";;")
        assert ";seq=x;rtptime=-1234" in said["info-unreadable"] and said["info-wrong"].endswith(";seq=7;rtptime=1")


def test_media_come_before_the_answer_to_play(clip: Path) -> None:
    with QuirkServer(clip, FIRMWARE["early-media"]) as server, plain_client(server) as client:
        client.setup()
        before = len(client.frames)
        assert client.ask("PLAY").status == 200 and len(client.frames) > before


def test_heads_are_written_as_asked(clip: Path) -> None:
    names = ("interim", "header-tail", "header-lower", "head-lf", "cseq-missing", "cseq-zero", "no-content-type")
    heads, interim = {}, []
    with QuirkServer({name: (clip, FIRMWARE[name]) for name in names}) as server:
        for name in names:
            with plain_client(server, name) as client:
                heads[name] = client.ask("DESCRIBE").head
                interim += client.asked
    assert interim == [b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n"]
    assert b"CSeq: 1 \t \r\n" in heads["header-tail"] and b"\r\ncseq: 1\r\n" in heads["header-lower"]
    assert b"\r" not in heads["head-lf"]
    assert b"CSeq" not in heads["cseq-missing"] and b"CSeq: 0\r\n" in heads["cseq-zero"]
    assert b"Content-Type" not in heads["no-content-type"]


def test_the_server_asks_the_client(clip: Path) -> None:
    with QuirkServer(clip, Quirks(rtsp=RtspQuirks(asks_s=0.2))) as server, plain_client(server) as client:
        client.play()
        client.listen(0.9)
        assert len(client.asked) >= 3 and client.asked[0].startswith(b"OPTIONS rtsp://")
        client.sock.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
        assert client.ask("OPTIONS").status == 200


@pytest.mark.parametrize("status", [400, 403, 404, 453, 461, 500, 503])
def test_refusals(clip: Path, status: int) -> None:
    with QuirkServer(clip, FIRMWARE[f"describe-{status}"]) as server, plain_client(server) as client:
        assert client.ask("DESCRIBE").status == status


def test_refusals_of_other_steps(clip: Path) -> None:
    quirks = Quirks(rtsp=RtspQuirks(refuse_tracks={"back": 406}), sdp=DESCRIPTIONS["back-channel"])
    table = {"udp": (clip, FIRMWARE["udp-461"]), "play": (clip, FIRMWARE["play-453"]), "back": (clip, quirks)}
    with QuirkServer(table) as server:
        with plain_client(server, "udp") as client:
            assert client.setup(("video",))[0].status == 461
        with plain_client(server, "play") as client:
            assert client.play().status == 453
        with plain_client(server, "back") as client:
            assert [reply.status for reply in client.setup(("video", "back"))] == [200, 406]


def test_queries_are_wanted(clip: Path) -> None:
    with QuirkServer(clip, Quirks(rtsp=RtspQuirks(needs_query="?channel=1"))) as server, plain_client(server) as client:
        assert client.ask("DESCRIBE").status == 404
        assert client.ask("DESCRIBE", client.url + "?channel=1&subtype=0").status == 200


def test_redirects(clip: Path) -> None:
    away, over = RtspQuirks(redirect="rtsp://127.60.0.9/x", redirect_status=301), RtspQuirks(redirect="plain")
    table = {"plain": clip, "away": (clip, Quirks(rtsp=away)), "over": (clip, Quirks(rtsp=over))}
    with QuirkServer(table | {"endless": (clip, FIRMWARE["redirect-endless"])}) as server:
        with plain_client(server, "away") as client:
            reply = client.ask("DESCRIBE")
            assert (reply.status, reply.value("Location")) == (301, "rtsp://127.60.0.9/x")
        with plain_client(server, "over") as client:
            reply = client.ask("DESCRIBE")
            assert (reply.status, reply.value("Location")) == (302, server.url("plain"))
        with plain_client(server, "endless") as client:
            targets = [client.ask("DESCRIBE").value("Location") for _ in range(3)]
            assert len(set(targets)) == 3 and all(t.startswith(client.url + "?") for t in targets)


def test_silence_and_closing(clip: Path) -> None:
    names = ("silent", "silent-describe", "silent-play", "closes-describe")
    with QuirkServer({name: (clip, FIRMWARE[name]) for name in names}) as server:

        def is_silent(name: str, method: str) -> bool:
            with plain_client(server, name) as client:
                client.sock.settimeout(0.4)
                if method == "PLAY":
                    client.setup()
                try:
                    client.ask(method)
                except TimeoutError:
                    return True
                return False

        assert is_silent("silent", "OPTIONS") and is_silent("silent-play", "PLAY")
        assert is_silent("silent-describe", "DESCRIBE") and not is_silent("silent-describe", "OPTIONS")
        with plain_client(server, "closes-describe") as client, pytest.raises(ConnectionError):
            client.ask("DESCRIBE")


@pytest.mark.parametrize("part", ["head", "body", "media"])
def test_dripping(clip: Path, part: str) -> None:
    quirks = Quirks(rtsp=RtspQuirks(drip=part, drip_s=0.05))  # type: ignore[arg-type]
    with QuirkServer(clip, quirks) as server, plain_client(server) as client:
        if part == "media":
            client.play()
            client.listen(0.8)
        else:
            client.send("DESCRIBE", client.url)
            client.listen(0.8)
        tail = client.unread.partition(b"\r\n\r\n")[2] if part == "body" else client.unread
        assert 4 <= len(tail) <= 40 and not client.frames
        assert tail.startswith({"head": b"RTSP", "body": b"v=0", "media": b"$"}[part])


def test_writes_end_inside_frames(clip: Path) -> None:
    with QuirkServer(clip, FIRMWARE["half-frames"]) as server, plain_client(server) as client:
        client.play()
        halves = 0
        for _ in range(20):
            client.listen(0.05)
            halves += bool(client.unread)
        numbers = [p.sequence for p in client.packets()]
        assert halves > 5 and len(numbers) > 20
        assert all((b - a) & 0xFFFF == 1 for a, b in pairwise(numbers))


@pytest.mark.parametrize("polite", [True, False])
def test_a_session_that_was_not_torn_down_leaves_data_behind(clip: Path, polite: bool) -> None:
    with QuirkServer(clip, FIRMWARE["ghost"]) as server:
        with plain_client(server) as client:
            client.play()
            if polite:
                client.ask("TEARDOWN")
        time.sleep(0.2)
        with plain_client(server) as client:
            client.ask("OPTIONS")
            client.listen(0.3)
            assert len(client.packets()) == 0 if polite else {p.ssrc for p in client.packets()} == {0xDEAD}


def test_tls(clip: Path) -> None:
    with QuirkServer(clip, tls=True) as server, plain_client(server) as client:
        assert server.url().startswith("rtsps://")
        client.play()
        client.listen(0.4)
        assert len(client.packets()) > 5
    with QuirkServer(clip, wants_tls=True) as server, plain_client(server) as client:
        client.sock.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        client.listen(1)
        assert client.closed and client.unread == bytes.fromhex("15030100020246")


# authentication


def try_challenges(client: PlainClient, method: str = "DESCRIBE") -> tuple[list[str], int]:
    """Return the challenges and the status after the first digest has been answered."""
    offers = client.ask(method).values("WWW-Authenticate")
    offer = next(o for o in offers if o.startswith("Digest"))
    return offers, client.ask(method, "", client.authorize(method, client.url, offer)).status


@pytest.mark.parametrize(
    ("quirks", "offers"),
    [
        (AuthQuirks(), ["Digest"]),
        (AuthQuirks(name_md5=True, opaque="abc"), ["Digest.*algorithm=MD5.*opaque"]),
        (AuthQuirks(qop=True), ['Digest.*qop="auth"']),
        (AuthQuirks(offers=("SHA-256",)), ["Digest.*algorithm=SHA-256"]),
        (AuthQuirks(offers=("SHA-256",), qop=True), ["Digest.*algorithm=SHA-256.*qop"]),
        (AuthQuirks(offers=("MD5", "SHA-256")), ["Digest", "Digest.*SHA-256"]),
        (AuthQuirks(offers=("SHA-256", "MD5")), ["Digest.*SHA-256", "Digest"]),
        (AuthQuirks(offers=("Basic", "MD5")), ["Basic", "Digest"]),
        (AuthQuirks(realm="网络摄像机(12345)[教室一]"), [r"Digest realm=\"网络摄像机\(12345\)\[教室一\]"]),
        (AuthQuirks(options_too=True), ["Digest"]),
    ],
)
def test_challenges_and_their_answers(clip: Path, quirks: AuthQuirks, offers: list[str]) -> None:
    with QuirkServer(clip, Quirks(auth=quirks), username=USER, password=PASSWORD) as server:
        method = "OPTIONS" if quirks.options_too else "DESCRIBE"
        with plain_client(server, username=USER, password=PASSWORD) as client:
            assert client.ask("OPTIONS").status == (401 if quirks.options_too else 200)
            said, status = try_challenges(client, method)
            assert len(said) == len(offers) and all(map(re.match, offers, said)) and status == 200
        with plain_client(server, username=USER, password="wrong") as client:
            assert try_challenges(client, method)[1] == 401


def test_all_challenges_in_one_line(clip: Path) -> None:
    with QuirkServer(clip, FIRMWARE["one-line"], username="a", password="b") as server, plain_client(server) as client:
        said = client.ask("DESCRIBE").values("WWW-Authenticate")
        assert len(said) == 1 and re.match("Basic .*, Digest .*, Digest .*SHA-256", said[0])


def test_basic_only(clip: Path) -> None:
    with (
        QuirkServer(clip, FIRMWARE["basic-only"], username="a", password="b") as server,
        plain_client(server) as client,
    ):
        assert client.ask("DESCRIBE").values("WWW-Authenticate") == ['Basic realm="camera"']
        assert client.ask("DESCRIBE", "", "Authorization: Basic YTpi").status == 200  # a:b
        assert client.ask("DESCRIBE", "", "Authorization: Basic YTpj").status == 401
        assert client.ask("DESCRIBE", "", "Authorization: Basic !").status == 401


@pytest.mark.parametrize("stale", [True, False])
def test_nonces_wear_out(clip: Path, stale: bool) -> None:
    quirks = Quirks(auth=AuthQuirks(nonce_uses=2, stale=stale))
    with (
        QuirkServer(clip, quirks, username="a", password="b") as server,
        plain_client(server, "main", "a", "b") as client,
    ):
        offer = client.ask("DESCRIBE").value("WWW-Authenticate")
        answer = client.authorize("DESCRIBE", client.url, offer)
        replies = [client.ask("DESCRIBE", "", answer) for _ in range(3)]
        assert [r.status for r in replies] == [200, 200, 401]
        again = replies[2].value("WWW-Authenticate")
        assert ("stale=true" in again) is stale and "stale" not in offer
        assert client.ask("DESCRIBE", "", client.authorize("DESCRIBE", client.url, again)).status == 200


# descriptions


def test_lines_and_their_order(clip: Path) -> None:
    assert b"\r" not in describe(clip, DESCRIPTIONS["lf"])
    assert "s=教室一".encode("gbk") in describe(clip, DESCRIPTIONS["gbk"])
    first = describe(clip, DESCRIPTIONS["control-first"]).split(b"\r\n")
    assert first[1] == b"a=control:*" and first[first.index(b"m=video 0 RTP/AVP 96") + 1] == b"a=control:video"
    assert b"a=control:*" not in describe(clip, DESCRIPTIONS["control-no-session"])
    assert describe(clip, DESCRIPTIONS["bare"]).startswith(b"m=video")
    assert not re.search(rb"(?m)^[otc]=", describe(clip, DESCRIPTIONS["no-origin"]))
    assert 30_000 < len(describe(clip, DESCRIPTIONS["long"])) < 40_000
    assert b"m=video -1353744643 " in describe(clip, DESCRIPTIONS["port-negative"])


@pytest.mark.parametrize(
    ("name", "control"),
    [
        ("control-absolute", b"URL/trackID=1"),
        ("control-nat", b"rtsp://192.168.77.77:554/main/trackID=1"),
        ("control-track-id", b"trackID=1"),
        ("control-query", b"stream?track=1"),
    ],
)
def test_controls(clip: Path, name: str, control: bytes) -> None:
    assert b"a=control:" + control + b"\r\n" in describe(clip, DESCRIPTIONS[name])
    with QuirkServer(clip, FIRMWARE[name]) as server, plain_client(server) as client:
        client.ask("DESCRIBE")
        url = control.decode().replace("URL", client.url)
        url = url if "://" in url else f"{client.url}/{url}"
        assert client.ask("SETUP", url, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1").status == 200


def test_a_track_without_control_is_set_up_by_the_streams_url(clip: Path) -> None:
    text = describe(clip, DESCRIPTIONS["control-missing"])
    assert text.count(b"a=control") == 1 and text.count(b"m=") == 1
    with QuirkServer(clip, FIRMWARE["control-missing"]) as server, plain_client(server) as client:
        client.ask("DESCRIBE")
        assert client.ask("SETUP", client.url, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1").status == 200


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("metadata-before", "application video audio"),
        ("metadata-between", "video application audio"),
        ("metadata-after", "video audio application"),
        ("back-channel", "video audio audio"),
        ("back-channel-before", "audio video audio"),
        ("sound-first", "audio video"),
        ("two-sounds", "video audio audio"),
        ("broken-section", "application/MERCURY video audio"),
    ],
)
def test_sections(clip: Path, name: str, sections: str) -> None:
    text = describe(clip, DESCRIPTIONS[name]).decode()
    assert re.findall(r"(?m)^m=(\S+)", text) == sections.split()
    assert ("a=sendonly" in text) is ("back" in name)


def test_metadata_and_second_sound_come_where_they_are_set_up(clip: Path) -> None:
    quirks = Quirks(sdp=SdpQuirks(tracks=("video", "audio", "metadata", "sound2")))
    with QuirkServer(clip, quirks) as server, plain_client(server) as client:
        client.play(("video", "audio", "metadata", "sound2"))
        client.listen(0.6)
        assert client.packets(4)[0].kind == 107 and b"MetadataStream" in client.packets(4)[0].payload
        pairs = {p.sequence: p.payload for p in client.packets(2)}
        second = client.packets(6)
        assert len(second) > 4 and all(p.kind == 99 and pairs[p.sequence] == p.payload for p in second)
        assert second[0].ssrc != client.packets(2)[0].ssrc


def test_parameter_sets_of_the_description(clip: Path) -> None:
    track = load_source(clip).video
    assert track is not None

    def sets(name: str) -> list[bytes]:
        found = re.search(rb"sprop-parameter-sets=([^\r]*)", describe(clip, DESCRIPTIONS[name]))
        return [b64decode(part) for part in found[1].split(b",")] if found else []

    assert tuple(sets("control-first")) == track.parameter_sets
    assert sets("sprop-missing") == [] and len(sets("sprop-wrong")) == 2
    assert not set(sets("sprop-wrong")) & set(track.parameter_sets)
    assert sets("sprop-annex-b") == [b"\x00\x00\x00\x01" + unit for unit in track.parameter_sets]
    assert sets("sprop-half") == [track.parameter_sets[0], b""]
    assert b",%%%not base64%%%" in describe(clip, DESCRIPTIONS["sprop-unreadable"])


def test_parameter_sets_of_h265(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "h.mp4", 0.8, size=(320, 180), codec="hevc", audio=None)
    assert describe(clip, SdpQuirks()).count(b"sprop-") == 3
    assert b"a=fmtp:96 profile-id=1\r\n" in describe(clip, DESCRIPTIONS["sprop-missing"])
    assert describe(clip, DESCRIPTIONS["sprop-wrong"]) != describe(clip, SdpQuirks())


def test_rtpmaps(clip: Path, alaw: Path) -> None:
    assert b"rtpmap:8" not in describe(alaw, DESCRIPTIONS["rtpmap-missing"])
    assert b"m=audio 0 RTP/AVP 8\r\n" in describe(alaw, DESCRIPTIONS["rtpmap-missing"])
    several = describe(clip, DESCRIPTIONS["rtpmap-several"])
    assert b"m=video 0 RTP/AVP 96 112\r\n" in several and several.count(b"rtpmap:112") == 1
    assert b"H264/ninety\r\n" in describe(clip, DESCRIPTIONS["rtpmap-bad-clock"])
    assert b"a=fmtp:33 " in describe(clip, DESCRIPTIONS["fmtp-foreign"])


def test_no_name_of_the_table_breaks_the_server(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the simulator itself goes to asyncio's log, and looks like a camera that is silent."""
    with QuirkServer({name: (clip, quirks) for name, quirks in FIRMWARE.items()}) as server:
        for name, quirks in FIRMWARE.items():
            with plain_client(server, name) as client:
                client.sock.settimeout(0.2)
                with contextlib.suppress(TimeoutError, ConnectionError):
                    client.ask("DESCRIBE")
                    tracks = tuple(t for t in quirks.sdp.tracks if t not in ("back", "broken"))
                    client.play(tracks)
                    client.listen(0.05)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
