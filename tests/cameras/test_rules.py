"""The parts of the camera stage that need no camera: the list, the verdict, proofs, networks, the attempt budget, health."""

from __future__ import annotations

import hashlib
import html
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import i18n
from agent.cameras import (
    Credentials,
    admission,
    auth,
    camera_clock,
    discovery,
    health,
    model_list,
    networks,
    soap,
    xml_reader,
)
from agent.cameras.device import DeviceDescription, sort_main_first
from agent.cameras.networks import Networks
from agent.catalog import Catalog
from agent.core import http_digest as digest_module
from agent.core.camera_model import Camera, Stream, Verdict
from agent.core.camera_models import ModelList, Requirement, parse_model_list
from agent.core.errors import CameraDenied, InputError, SettingsError
from agent.core.http_digest import choose_strongest
from agent.core.model import Segment, Session
from agent.credentials.attempts import ATTEMPT_PAUSE_S, MAX_ATTEMPTS, AttemptBudget, MemoryAttemptStore, PasswordAttempt
from simulator.clips import make_clip
from tests.support import fuzz_onvif
from tests.support.clocks import HandClock
from tests.support.paths import ROOT

EXAMPLE = ROOT / "config" / "camera-models.example.toml"
STREAM = Stream("main", "rtsp://10.0.0.9/main", "h264", 1920, 1080, 25.0, 50, 4096, "aac")
CAMERA = DeviceDescription(
    "http://10.0.0.9/onvif/device_service",
    "10.0.0.9",
    "Example",
    "VC-1",
    "V5.7.3 build 220112",
    "S1",
    "HW",
    (STREAM,),
    time_source="ntp",
)


def models(*lines: str) -> ModelList:
    return parse_model_list('[[camera]]\nmanufacturer = "Example"\nmodel = "VC-1"\n' + "\n".join(lines), "list")


# The list


def test_example_list_is_valid_and_admits_its_own() -> None:
    approved = parse_model_list(EXAMPLE.read_text(encoding="utf-8"), EXAMPLE)
    assert approved.issued == date(2026, 11, 1) and len(approved.models) == 2
    assert admission.judge_camera(CAMERA, approved).verdict is Verdict.ADMITTED


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "[[camera]]"),
        ("camera = 3", "[[camera]]"),
        ("[[camera]]\nmodel = 'a'", "camera[1].manufacturer"),
        ("[[camera]]\nmanufacturer = 'a'\nmodel = 7", "camera[1].model"),
        ("[[camera]]\nmanufacturer = 'a'\nmodel = 'b'\nfirmware_min = 'new'", "camera[1].firmware_min"),
        ("[[camera]]\nmanufacturer = 'a'\nmodel = 'b'\nmodle = 'c'", "camera[1].modle"),
        ("[[camera]]\nmanufacturer = 'a'\nmodel = 'b'\nrequire = { width = '720' }", "camera[1].require.width"),
        ("[[camera]]\nmanufacturer = 'a'\nmodel = 'b'\nrequire = { codecs = ['vp9'] }", "camera[1].require.codecs"),
        ("[[camera]]\nmanufacturer = 'a'\nmodel = 'b'\nrequire = { sound = 1 }", "camera[1].require.sound"),
        ("[require]\nfsp = 12\n[[camera]]\nmanufacturer = 'a'\nmodel = 'b'", "fsp"),
        ("issued = 'today'\n[[camera]]\nmanufacturer = 'a'\nmodel = 'b'", "issued"),
        ("[[camera]\n", "TOML"),
    ],
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_bad_list_is_named_with_key_and_mend(text: str, named: str, language: i18n.Language) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_model_list(text, "/etc/list.toml")
    i18n.use_language(language)
    try:
        message = str(caught.value)
    finally:
        i18n.use_language("zh")
    assert "/etc/list.toml" in message and named in message and "\n" not in message


# The verdict


@pytest.mark.parametrize(
    ("model", "maker", "verdict"),
    [
        ("VC-1", "Example", Verdict.ADMITTED),
        ("vc-1", " EXAMPLE ", Verdict.ADMITTED),
        ("VC-10", "Example", Verdict.REFUSED),
        ("VC-1", "Other", Verdict.REFUSED),
        ("VC-1.", "Example", Verdict.REFUSED),
        ("", "Example", Verdict.REFUSED),
    ],
)
def test_maker_and_model(model: str, maker: str, verdict: Verdict) -> None:
    assert admission.judge_camera(replace(CAMERA, model=model, manufacturer=maker), models()).verdict is verdict


def test_a_list_from_windows_is_read_and_one_in_another_encoding_says_so(tmp_path: Path) -> None:
    """With garbled names nothing would be on the list, and each camera would be refused for its model."""
    file = tmp_path / "camera-models.toml"
    text = '[[camera]]\r\nmanufacturer = "海康威视"\r\nmodel = "*"\r\n'
    file.write_bytes(text.encode("utf-8-sig"))
    assert model_list.load_model_list(file).approved.models[0].manufacturer == "海康威视"
    file.write_bytes(text.encode("gbk"))
    with pytest.raises(SettingsError, match="另存为 UTF-8"):
        model_list.load_model_list(file)


def test_a_name_with_two_spaces_is_found_as_the_camera_says_it() -> None:
    told = xml_reader.parse_xml(b"<d><Model>VC  1 </Model></d>")
    approved = parse_model_list('[[camera]]\nmanufacturer = "*"\nmodel = "VC  1"\n', "list")
    assert (
        admission.judge_camera(replace(CAMERA, model=soap.read_element_text(told, "Model")), approved).verdict
        is Verdict.ADMITTED
    )


def test_patterns_and_regular_expressions_in_the_list_are_plain_text() -> None:
    approved = parse_model_list('[[camera]]\nmanufacturer = "E*"\nmodel = "VC-[1].*"\n', "list")
    assert admission.judge_camera(replace(CAMERA, model="VC-[1].7"), approved).verdict is Verdict.ADMITTED
    assert admission.judge_camera(replace(CAMERA, model="VC-1x7"), approved).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("low", "high", "firmware", "fits"),
    [
        ("5.7.3", "", "V5.7.3 build 220112", True),
        ("5.7.4", "", "V5.7.3 build 220112", False),
        ("5.10", "", "5.9.9", False),
        ("5.7.0", "", "V5.7", True),
        ("5.7.1", "", "V5.7", False),
        ("", "5.7", "5.7.99", True),
        ("", "5.7", "5.8.0", False),
        ("", "5", "V5.99", True),
        ("1", "", "unknown", False),
        ("", "", "", True),
    ],
)
def test_firmware_range(low: str, high: str, firmware: str, fits: bool) -> None:
    approved = models(*(f'{k} = "{v}"' for k, v in (("firmware_min", low), ("firmware_max", high)) if v))
    verdict = admission.judge_camera(replace(CAMERA, firmware=firmware), approved).verdict
    assert verdict is (Verdict.ADMITTED if fits else Verdict.REFUSED)


@pytest.mark.parametrize(
    ("require", "stream", "faults"),
    [
        ("width = 1920\nheight = 1080", STREAM, 0),
        ("width = 2560", STREAM, 1),
        ("height = 1440", STREAM, 1),
        ("width = 1280", replace(STREAM, width=None, height=None), 1),
        ("fps = 25", STREAM, 0),
        ("fps = 25", replace(STREAM, fps=None), 1),
        ("codecs = ['h264']", replace(STREAM, codec="h265"), 1),
        ("keyframe_interval_s = 2.0", STREAM, 0),
        ("keyframe_interval_s = 2.0", replace(STREAM, keyframe_interval=51), 0),
        ("keyframe_interval_s = 2.0", replace(STREAM, keyframe_interval=60), 1),
        ("keyframe_interval_s = 2.0", replace(STREAM, keyframe_interval=None), 1),
        ("sound = true", replace(STREAM, audio=None), 1),
        ("audio_codecs = ['aac']", replace(STREAM, audio="g711"), 1),
        ("sound = true\naudio_codecs = ['aac']", replace(STREAM, audio=None), 1),
        ("time_source = 'manual'", STREAM, 1),
        ("width = 9999\nfps = 60\ncodecs = ['h265']\nsound = true", replace(STREAM, audio=None), 4),
    ],
)
def test_parameters(require: str, stream: Stream, faults: int) -> None:
    judged = admission.judge_camera(replace(CAMERA, streams=(stream,)), models("[camera.require]", require))
    assert len(judged.reasons) == faults
    assert judged.verdict is (Verdict.FAULTY if faults else Verdict.ADMITTED)


# Proofs


def test_digest_examples_of_the_standard() -> None:
    """RFC 7616, 3.9.1: the arithmetic, by the values printed there."""
    fields = ("http-auth@example.org", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v")
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        hashed = digest_module._HASHES[algorithm]
        first, second = hashed(f"Mufasa:{fields[0]}:Circle of Life"), hashed("GET:/dir/index.html")
        nonce = f"{fields[1]}:00000001:f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth"
        assert hashed(f"{first}:{nonce}:{second}") == response


@pytest.mark.parametrize(
    ("offers", "algorithm"),
    [
        (['Digest realm="a", nonce="b"'], "MD5"),
        (['Digest realm="a", nonce="b", algorithm=MD5', 'Digest realm="a", nonce="c", algorithm=SHA-256'], "SHA-256"),
        (['Basic realm="x", Digest realm="a, b", nonce="b", qop="auth,auth-int", algorithm="sha-256"'], "SHA-256"),
        (['digest nonce="b",realm="a"'], "MD5"),
        (['Digest realm="a", nonce="b", algorithm=SHA-512-256'], None),
        (['Digest realm="a", nonce="b", qop="auth-int"'], None),
        (['Digest realm="a"'], None),
        (['Basic realm="a"'], None),
        ([], None),
    ],
)
def test_the_strongest_challenge_is_taken(offers: list[str], algorithm: str | None) -> None:
    found = choose_strongest(offers)
    assert (found.algorithm if found else None) == algorithm


def test_session_algorithm_and_quotes() -> None:
    offer = choose_strongest(['Digest realm="a \\"b\\"", nonce="n", algorithm=MD5-sess, qop="auth", opaque=""'])
    assert offer
    answer = offer.answer(Credentials('u"x', "pw"), "POST", "/onvif?x=1")
    assert 'username="u\\"x"' in answer and 'uri="/onvif?x=1"' in answer and 'opaque=""' in answer
    fields = dict(part.split("=", 1) for part in answer.removeprefix("Digest ").split(", ") if "=" in part)
    md5 = digest_module._HASHES["MD5"]
    cnonce = fields["cnonce"].strip('"')
    first = md5(md5('u"x:a "b":pw') + f":n:{cnonce}")
    assert fields["response"].strip('"') == md5(f"{first}:n:00000001:{cnonce}:auth:{md5('POST:/onvif?x=1')}")


def test_a_token_is_made_on_the_cameras_clock() -> None:
    import base64

    digest, nonce, created = auth.make_username_token(
        Credentials("u", "密码"), datetime(2030, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)
    )
    assert created == "2030-01-02T03:04:05Z"
    raw = base64.b64decode(nonce) + created.encode() + "密码".encode()
    assert base64.b64decode(digest) == hashlib.sha1(raw).digest()


def test_a_password_does_not_print() -> None:
    assert "secret" not in repr(Credentials("u", "secret"))


# Networks


def nets(*names: str) -> Networks:
    return networks.choose_networks(names)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://192.168.7.9/onvif", True),
        ("http://192.168.7.9:8080/onvif", True),
        ("http://192.168.8.9/", False),
        ("http://127.0.0.1/", False),
        ("http://8.8.8.8/", False),
        ("http://camera.example/", False),
        ("http://192.168.7.9.evil.example/", False),
        ("http://192.168.7.9@8.8.8.8/", False),
        ("http://[::1]/", False),
        ("http://[::ffff:192.168.7.9]/", False),
        ("http://3232237321/", False),
        ("http://0300.0250.7.9/", False),
        ("http://192.168.7.9:0/", False),
        ("http://192.168.7.9:99999/", False),
        ("ftp://192.168.7.9/", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_only_literal_addresses_inside_the_networks(url: str, allowed: bool) -> None:
    assert nets("192.168.7.0/24").allows(url) is allowed


def test_default_networks_are_private_and_never_loopback() -> None:
    for network in networks.choose_networks().allowed:
        assert network.is_private and not network.is_loopback


@given(st.text())
def test_no_text_makes_an_address_check_fail(text: str) -> None:
    Networks((), ()).allows(text)
    assert not Networks((), ()).holds(text)


def test_an_address_outside_is_refused_with_the_mend() -> None:
    with pytest.raises(InputError, match=r"--network"):
        networks.resolve_host("10.1.1.1", nets("192.168.7.0/24"))


# What the wire says


@given(st.binary(max_size=400))
def test_any_datagram_is_read_without_complaint(data: bytes) -> None:
    discovery.parse_matches(data, "192.168.7.9", nets("192.168.7.0/24"))


@given(st.text())
def test_clean_text_is_printable_and_bounded(text: str) -> None:
    shown = soap.clean_text(text, 20)
    assert len(shown) <= 20 and all(c.isprintable() for c in shown)


def test_reading_xml_loads_nothing_and_expands_nothing() -> None:
    assert xml_reader.parse_xml(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>') is None
    assert xml_reader.parse_xml('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><a/>'.encode("utf-16")) is None
    assert xml_reader.parse_xml(b"") is None and xml_reader.parse_xml(b"plain") is None
    broken = xml_reader.parse_xml("<a><b>摄像</b><c>\x01".encode("gbk"))
    assert broken is None or xml_reader.get_local_name(broken) == "a"


PROFILE = "<s:Envelope xmlns:s='e'><s:Body><R><Uri>{}</Uri></R></s:Body></s:Envelope>"


@pytest.mark.parametrize(
    ("told", "understood"),
    [
        ("rtsp://h/a?b=1&amp;c=2", "rtsp://h/a?b=1&c=2"),
        ("rtsp://h/a?b=1&c=2", "rtsp://h/a?b=1&c=2"),
        ("rtsp://h/a\0\0", "rtsp://h/a"),
        ("<![CDATA[rtsp://h/a?b&c]]>", "rtsp://h/a?b&c"),
        ("rtsp://h/a\x01b", ""),
        ("rtsp://h/a&#0;b", ""),
        ("rtsp://h/a b", ""),
        ("rtsp://h/" + "a" * 600, ""),
        ("rtsp://h/\udcd6\udcd0", ""),
    ],
)
def test_an_address_is_taken_as_meant_or_not_at_all(told: str, understood: str) -> None:
    content, whole = soap.read_body(PROFILE.format(told).encode("utf-8", "surrogateescape"))
    assert whole and soap.read_url(content, "Uri") == understood


@given(st.integers(1, len(PROFILE.format("rtsp://h/a"))), st.binary(max_size=20))
def test_a_reply_that_breaks_off_is_never_whole_before_its_end(at: int, behind: bytes) -> None:
    text = PROFILE.format("rtsp://h/a").encode()
    content, whole = soap.read_body(text[:at] + behind)
    if whole:
        assert soap.read_url(content, "Uri") in ("rtsp://h/a", "") or b"</" in behind
    if at >= text.index(b"</R>") + 4:
        assert whole and soap.read_url(content, "Uri") == "rtsp://h/a"


@pytest.mark.parametrize(
    ("seconds", "zone"),
    [
        (28800.4, "+08:00"),
        (-18030, "-05:00"),
        (20690, "+05:45"),
        (60, ""),
        (900, ""),
        (28800 - 300, ""),
        (15 * 3600, ""),
        (-1.5e9, ""),
    ],
)
def test_an_offset_that_is_a_time_zone(seconds: float, zone: str) -> None:
    assert camera_clock.guess_zone_error(seconds) == zone


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("CST-8", 2), ("<+0330>-3:30", 7), ("EST5EDT,M3.2.0,M11.1.0", 15), ("", 10), ("Asia/Shanghai", 10), ("GMT+0", 10)],
)
def test_local_time_alone_serves_by_its_zone(zone: str, hour: int) -> None:
    moment = "<Time><Hour>10</Hour><Minute>30</Minute><Second>5</Second></Time>"
    day = "<Date><Year>2026</Year><Month>11</Month><Day>27</Day></Date>"
    text = f"<t><TimeZone><TZ>{html.escape(zone)}</TZ></TimeZone><LocalDateTime>{moment}{day}</LocalDateTime></t>"
    found = camera_clock.read_system_time(xml_reader.parse_xml(text.encode()))
    assert found and (found.day, found.hour) == (27, hour)


def test_the_main_stream_where_sizes_are_not_told() -> None:
    def first(*profiles: tuple[str, str], bounds: str = "") -> str:
        made = "".join(
            f'<Profiles token="{n}">{bounds}<VideoEncoderConfiguration><Encoding>{codec}</Encoding><Resolution>{size}'
            "</Resolution></VideoEncoderConfiguration></Profiles>"
            for n, (codec, size) in enumerate(profiles)
        )
        return sort_main_first(xml_reader.parse_xml(f"<r>{made}</r>".encode()))[0].get("token")

    def size(width: int, height: int) -> str:
        return f"<Width>{width}</Width><Height>{height}</Height>"

    small, large = size(704, 576), size(1920, 1080)
    bounds = '<VideoSourceConfiguration><Bounds x="0" width="{}" height="{}"/></VideoSourceConfiguration>'
    assert first(("H264", ""), ("H264", small)) == "0", "not told is not nought"
    assert first(("H264", size(0, 0)), ("H264", small)) == "0"
    assert first(("H264", small), ("H264", "")) == "0", "the maker's first stays first"
    assert first(("H264", small), ("H264", large)) == "1"
    assert first(("JPEG", ""), ("H264", "")) == "1"
    assert first(("H264", ""), ("H264", large), bounds=bounds.format(704, 576)) == "1", "its picture is told elsewhere"
    assert first(("JPEG", ""), ("H264", small), bounds=bounds.format(2048, 1536)) == "0"
    assert first(("H264", ""), ("H264", small), bounds=bounds.format("x", "-1")) == "0"


def test_importing_the_stage_leaves_logging_and_environment_alone() -> None:
    program = (
        "import logging, os; before = dict(os.environ); import agent.cameras.worker; from agent.cameras import soap;"
        "soap.build_request(soap.DEVICE, 'GetDeviceInformation');"
        "assert not logging.getLogger().handlers and dict(os.environ) == before"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, env={"http_proxy": "http://x", "PATH": "/usr/bin"}
    )
    assert logging.getLogger("zeep").level == logging.NOTSET


def test_requests_have_the_shape_that_the_usual_client_writes() -> None:
    """Firmware that searches for text finds the body and the call; the password's header keeps its prefixes."""
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    message = soap.build_request(soap.MEDIA, "GetStreamUri", StreamSetup=setup, ProfileToken="p<1>")
    soap.add_username_token(message, "admin", "digest", "nonce", "now")
    for version in (soap.SOAP_12, soap.SOAP_11):
        text = soap.serialize_envelope(message, "x", version)[0].decode()
        found = re.search(
            r'<s:Body xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
            r"(.*)</s:Body>",
            text,
        )
        assert found and found[1] == (
            '<GetStreamUri xmlns="http://www.onvif.org/ver10/media/wsdl"><StreamSetup>'
            '<Stream xmlns="http://www.onvif.org/ver10/schema">RTP-Unicast</Stream>'
            '<Transport xmlns="http://www.onvif.org/ver10/schema"><Protocol>RTSP</Protocol></Transport></StreamSetup>'
            "<ProfileToken>p&lt;1&gt;</ProfileToken></GetStreamUri>"
        )
        assert f'<s:Envelope xmlns:s="{version}"><s:Header><wsse:Security' in text


# The attempt budget


def tries(budget: AttemptBudget, clock: HandClock, password: str = "pw") -> int:
    """How many wrong answers are given before it stops them."""
    for count in range(20):
        try:
            with budget.attempt(
                "rtsp" if count % 2 else "onvif", ("cam", f"10.0.0.{count}"), Credentials("u", password)
            ) as a:
                assert a.wrong() == MAX_ATTEMPTS - 1 - count
        except CameraDenied:
            return count
    return 20


def test_three_wrong_answers_then_an_hour() -> None:
    clock = HandClock()
    budget = AttemptBudget(clock)
    assert tries(budget, clock) == MAX_ATTEMPTS
    clock.go(ATTEMPT_PAUSE_S - 1)
    assert tries(budget, clock) == 0
    assert tries(budget, clock, "another") == MAX_ATTEMPTS, "changed settings are tried at once"
    clock.go(ATTEMPT_PAUSE_S + 1)
    assert tries(budget, clock, "another") == MAX_ATTEMPTS


def test_a_clock_step_does_not_shorten_the_hour_and_a_restart_keeps_the_count() -> None:
    clock, kept = HandClock(), MemoryAttemptStore()
    budget = AttemptBudget(clock, kept)
    assert tries(budget, clock) == MAX_ATTEMPTS
    for days in (3, -6, 3):
        clock.time += timedelta(days=days)
        assert tries(budget, clock) == 0
        assert tries(AttemptBudget(clock, kept), clock) == 0
    text = kept.read()
    assert text and '"pw"' not in text and set(json.loads(text)) == {"salt", "entries"}


def test_a_right_answer_clears_the_count() -> None:
    clock = HandClock()
    budget = AttemptBudget(clock)
    account = Credentials("u", "pw")
    for settle in (PasswordAttempt.wrong, PasswordAttempt.right):
        with budget.attempt("onvif", ("cam",), account) as attempt:
            settle(attempt)
    assert tries(budget, clock) == MAX_ATTEMPTS


def test_a_right_answer_at_one_door_leaves_the_other_counted() -> None:
    """Else a stream that refuses what the web service takes would be tried for ever."""
    clock, kept = HandClock(), MemoryAttemptStore()
    budget, account = AttemptBudget(clock, kept), Credentials("u", "pw")
    for _ in range(MAX_ATTEMPTS):
        with budget.attempt("onvif", ("cam",), account) as attempt:
            attempt.right()
        with budget.attempt("rtsp", ("cam",), account) as attempt:
            attempt.wrong()
        with budget.attempt("onvif", ("cam",), account) as attempt:
            attempt.right()
    for held in (budget, AttemptBudget(clock, kept)):
        with pytest.raises(CameraDenied), held.attempt("rtsp", ("cam",), account):
            raise AssertionError("tried a fourth time")
        with held.attempt("onvif", ("cam",), account) as attempt:
            attempt.right()


def test_answers_that_are_out_at_the_same_time_are_not_too_many() -> None:
    budget, account = AttemptBudget(HandClock()), Credentials("u", "pw")
    for _ in range(MAX_ATTEMPTS - 1):
        with budget.attempt("onvif", ("cam",), account) as attempt:
            attempt.wrong()
    with budget.attempt("rtsp", ("cam", "10.0.0.1"), account) as last:
        with pytest.raises(CameraDenied), budget.attempt("onvif", ("cam",), account):
            raise AssertionError("tried beside the last one")
        assert last.wrong() == 0


def test_an_attempt_without_an_answer_costs_nothing() -> None:
    budget = AttemptBudget(HandClock())
    for _ in range(10):
        with pytest.raises(TimeoutError), budget.attempt("rtsp", ("cam",), Credentials("u", "pw")):
            raise TimeoutError
    assert tries(budget, HandClock()) == MAX_ATTEMPTS


# Health


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / "catalog.db", ZoneInfo("Asia/Shanghai")) as opened:
        yield opened


def test_health_measures_the_recording(catalog: Catalog, tmp_path: Path) -> None:
    file = make_clip(tmp_path / "clip.mp4")
    now = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
    segment = Segment(
        0,
        "d",
        "a/clip.mp4",
        "a/.clip.mp4.part",
        "open",
        "C",
        date(2026, 11, 23),
        Session.AM,
        "r",
        "cam1",
        now - timedelta(seconds=40),
    )
    known = catalog.segments.open(segment)
    catalog.segments.finish(known, end=now - timedelta(seconds=10), size=1, sha256="0" * 64)
    camera = Camera("cam1", "10.0.0.9", verdict=Verdict.ADMITTED, streams=(replace(STREAM, fps=60.0),), up=True)
    found = health.measure_camera(catalog, camera, now, lambda s: file if s.segment_id == known else None)
    assert (found.recorded_s, found.reachable, found.up) == (30.0, True, True)
    assert found.pace and 10 < found.pace.fps < 31 and found.pace.audio and found.pace.bitrate_kbps > 0
    reasons = list(health.find_delivery_faults(found, Requirement(keyframe_interval_s=0.1)))
    assert len(reasons) == 2 and "60" in reasons[0]
    honest = replace(found, declared=replace(STREAM, fps=found.pace.fps))
    assert list(health.find_delivery_faults(honest, Requirement(keyframe_interval_s=10))) == []
    silent = replace(honest, pace=replace(found.pace, audio=False))
    assert len(list(health.find_delivery_faults(silent, None))) == 1
    gone = health.measure_camera(catalog, camera, now, lambda s: None)
    assert gone.pace is None and list(health.find_delivery_faults(gone, None)) == []


# Mutated replies


def _fuzz(replies: int, seed: int) -> None:
    result = fuzz_onvif.run(replies, seed)
    assert result["crashes"] == 0, result["first"]
    assert result["slowest_s"] < 10
    assert result["memory_mb_at_the_end"] < result["memory_mb_after_a_tenth"] + 40


@pytest.mark.long
def test_mutated_replies() -> None:
    _fuzz(1000, 20261123)


@pytest.mark.long
def test_twenty_thousand_mutated_replies() -> None:
    _fuzz(20_000, int.from_bytes(hashlib.sha256(str(datetime.now(UTC).date()).encode()).digest()[:4]))
