"""URLs of tracks, of the whole session, of redirects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import CameraUnreachable
from agent.rtsp.urls import (
    get_default_port,
    normalize_rtsp_url,
    resolve_aggregate,
    resolve_control,
    resolve_redirect,
)

ASKED = "rtsp://10.0.0.9/live/ch1"
OUR = "rtsp://10.0.0.9:554"
QUERY = "rtsp://10.0.0.9/cam/realmonitor?channel=1&subtype=0"


@pytest.mark.parametrize(
    ("asked", "base", "location", "session", "control", "expected"),
    [
        # no base at all; a base with and without a slash at its end
        (ASKED, "", "", "", "track1", "/live/ch1/track1"),
        (ASKED, "", "", "*", "track1", "/live/ch1/track1"),
        (f"{ASKED}/", "", "", "*", "track1", "/live/ch1/track1"),
        (ASKED, "rtsp://10.0.0.9/a/b", "", "*", "track1", "/a/b/track1"),
        (ASKED, "rtsp://10.0.0.9/a/b/", "", "*", "track1", "/a/b/track1"),
        (ASKED, "", "rtsp://10.0.0.9/loc", "*", "track1", "/loc/track1"),
        (ASKED, "rtsp://10.0.0.9/base", "rtsp://10.0.0.9/loc", "*", "track1", "/base/track1"),
        ("rtsp://10.0.0.9", "", "", "*", "track1", "/track1"),
        # control absent or the whole
        (ASKED, "", "", "*", "", "/live/ch1"),
        (ASKED, "", "", "*", "*", "/live/ch1"),
        # foreign host (NAT), other port, account in it: the path counts
        (ASKED, "rtsp://192.168.77.77:8554/live/", "", "*", "track1", "/live/track1"),
        (ASKED, "rtsp://admin:pw@192.168.77.77/live/", "", "*", "track1", "/live/track1"),
        (ASKED, "", "", "*", "rtsp://192.168.77.77/other/track1", "/other/track1"),
        (ASKED, "", "", "*", "RTSP://10.0.0.9:554/other/track1", "/other/track1"),
        (ASKED, "rtsp://0.0.0.0", "", "*", "track1", "/track1"),
        # without scheme
        (ASKED, "192.168.1.10:554/stream0/", "", "*", "trackID=1", "/stream0/trackID=1"),
        (ASKED, "192.168.1.10/stream0/", "", "*", "trackID=1", "/stream0/trackID=1"),
        (ASKED, "camera.local:554/stream0/", "", "*", "trackID=1", "/stream0/trackID=1"),
        (ASKED, "10.0.0.9:554", "", "*", "trackID=1", "/trackID=1"),
        (ASKED, "", "", "*", "192.168.1.10:554/stream0/trackID=1", "/stream0/trackID=1"),
        (ASKED, "/stream0/", "", "*", "trackID=1", "/stream0/trackID=1"),
        ("rtsp://cam/live", "cam/stream0/", "", "*", "trackID=1", "/stream0/trackID=1"),
        ("rtsp://cam/live", "", "", "*", "cam:554/stream0/trackID=1", "/stream0/trackID=1"),
        ("rtsp://cam/live", "", "", "*", "cam/trackID=1", "/live/cam/trackID=1"),
        # twice
        (ASKED, "rtsp://10.0.0.9/rtsp://10.0.0.9/a/", "", "*", "track1", "/a/track1"),
        (ASKED, "rtsp://10.0.0.9/a/, rtsp://10.0.0.9/a/", "", "*", "track1", "/a/track1"),
        (ASKED, "", "", "*", "rtsp://10.0.0.9/rtsp://10.0.0.9/a/track1", "/a/track1"),
        # nothing that is a URL: the next one counts
        (ASKED, "None", "", "*", "track1", "/live/ch1/track1"),
        (ASKED, "http://10.0.0.9/x/", "rtsp://10.0.0.9/loc/", "*", "track1", "/loc/track1"),
        (ASKED, "rtsp://10.0.0.9/" + "a" * 5000, "", "*", "track1", "/live/ch1/track1"),
        # the session's control
        (ASKED, "rtsp://10.0.0.9/a/", "", "rtsp://10.0.0.9/s/", "track1", "/s/track1"),
        (ASKED, "rtsp://10.0.0.9/a/", "", "whole", "track1", "/a/track1"),
        # queries: behind them, as FFmpeg, live555 and gortsplib do
        (QUERY, "", "", "*", "trackID=0", "/cam/realmonitor?channel=1&subtype=0/trackID=0"),
        (QUERY, f"{QUERY}/", "", "*", "trackID=0", "/cam/realmonitor?channel=1&subtype=0/trackID=0"),
        (QUERY, "", "", "*", "?track=0", "/cam/realmonitor?channel=1&subtype=0?track=0"),
        (QUERY, "", "", "*", "rtsp://x/t?url=rtsp://y/z", "/t?url=rtsp://y/z"),
        # from the root: the whole path, or only what stands behind the base
        (ASKED, "", "", "*", "/live/ch1/track1", "/live/ch1/track1"),
        (ASKED, "", "", "*", "/track1", "/live/ch1/track1"),
        (f"{ASKED}/", "", "", "*", "/track1", "/live/ch1/track1"),
        # what only looks like a host
        (ASKED, "", "", "*", "video:1", "/live/ch1/video:1"),
        (ASKED, "", "", "*", "mp4:1/track1", "/live/ch1/mp4:1/track1"),
        # nothing ends the request line
        (ASKED, "", "", "*", "track 1\r\nX: y", "/live/ch1/track%201%0D%0AX:%20y"),
    ],
)
def test_a_track_has_a_url(asked: str, base: str, location: str, session: str, control: str, expected: str) -> None:
    made = resolve_control(asked, base, location, session, control)
    assert made == ("rtsp://cam:554" if asked.startswith("rtsp://cam") else OUR) + expected


@pytest.mark.parametrize(
    ("base", "session", "expected"),
    [
        ("", "", "/live/ch1"),
        ("", "*", "/live/ch1"),
        ("rtsp://192.168.7.7/a/", "*", "/a/"),
        ("rtsp://192.168.7.7/a/", "rtsp://192.168.7.7/s?x=1", "/s?x=1"),
        ("rtsp://192.168.7.7/a/", "whole", "/a/whole"),
    ],
)
def test_the_session_has_a_url(base: str, session: str, expected: str) -> None:
    assert resolve_aggregate(ASKED, base, "", session) == OUR + expected


def test_scheme_and_port_stay_ours() -> None:
    asked = "rtsps://user:pw@[fe80::1]:8322/a"
    assert resolve_control(asked, "rtsp://10.0.0.5/b/", "", "*", "t") == "rtsps://[fe80::1]:8322/b/t"
    assert resolve_aggregate("rtsps://cam/a", "", "", "") == "rtsps://cam:322/a"


@given(*[st.text(max_size=60) | st.sampled_from(["rtsp://", "//", "rtsp://[", "?", "#", "/"])] * 4)
def test_no_text_leads_away(base: str, location: str, session: str, control: str) -> None:
    for url in (
        resolve_control(ASKED, base, location, session, control),
        resolve_aggregate(ASKED, base, location, session),
    ):
        assert url.startswith((f"{OUR}/", f"{OUR}?"))
        assert url.split() == [url]
        assert url.isprintable() or not url.isascii()


def test_redirects_stay_with_the_host() -> None:
    old, peer = "rtsp://cam.local:554/a", "10.0.0.5"
    assert resolve_redirect(old, "rtsp://cam.local/b?c=1", peer) == "rtsp://cam.local:554/b?c=1"
    assert resolve_redirect(old, "rtsp://10.0.0.5:8554/b", peer) == "rtsp://10.0.0.5:8554/b"
    for away in (
        "rtsp://10.0.0.6/b",
        "http://cam.local/b",
        "rtsp://u:p@cam.local/b",
        "",
        "rtsp://cam.local:x/",
        "/b",
        "rtsp://[::1",
    ):
        assert resolve_redirect(old, away, peer) == ""
    assert normalize_rtsp_url("rtsp://[fe80::1]/a b\r\nX: y#z") == "rtsp://[fe80::1]:554/a%20bX:%20y"


def test_redirects_may_add_encryption_but_never_take_it_away() -> None:
    assert resolve_redirect("rtsp://cam:554/a", "rtsps://cam/a", "10.0.0.5") == "rtsps://cam:322/a"
    assert resolve_redirect("rtsp://cam:554/a", "rtsps://10.0.0.5:7441/a", "10.0.0.5") == "rtsps://10.0.0.5:7441/a"
    assert resolve_redirect("rtsp://cam:554/a", "rtsps://10.0.0.6/a", "10.0.0.5") == ""
    assert resolve_redirect("rtsps://cam:322/a", "rtsps://cam/b", "10.0.0.5") == "rtsps://cam:322/b"
    assert resolve_redirect("rtsps://cam:322/a", "rtsp://cam/a", "10.0.0.5") == ""
    assert (get_default_port("rtsp"), get_default_port("rtsps")) == (554, 322)


@pytest.mark.parametrize("url", ["rtsp://10.0.0.5:99999/a", "rtsp://10.0.0.5:x/a", "rtsp://[10.0.0.5/a"])
def test_a_url_that_cannot_be_read_is_the_cameras_fault(url: str) -> None:
    with pytest.raises(CameraUnreachable) as caught:
        normalize_rtsp_url(url)
    assert caught.value.key == "recording.bad_url"
