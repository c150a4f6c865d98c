"""How a quirky server answers requests: `RtspQuirks`, `AuthQuirks` and `SdpQuirks` of the stream that is asked for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from simulator.quirk_sdp import build_control, build_quirky_sdp, list_tracks
from simulator.quirk_stream import QuirkStream
from simulator.quirk_wire import QuirkWire
from simulator.quirks import Track

if TYPE_CHECKING:
    from simulator.quirk_server import QuirkServer

REASONS = {453: "Not Enough Bandwidth", 454: "Session Not Found", 455: "Method Not Valid In This State"}
REASONS |= {461: "Unsupported Transport", 551: "Option not supported"}


class QuirkConnection(QuirkWire):
    """One client connection. Requests are noted in the server's `heard`."""

    def __init__(self, server: QuirkServer) -> None:
        super().__init__(server)
        self.extra: dict[Track, int] = {}
        self._name = self._base = ""

    def _answer(self, words: list[str], headers: Mapping[str, str]) -> None:
        if words[0].startswith("RTSP/"):
            return  # the answer to a request of this server
        if len(words) != 3:
            self._reply(400, headers)
            return
        method, url = words[0], words[1]
        self._heard_at = self._now()
        self._name = self.server.name_of(url) or self._name
        self.quirks = self.server.quirks_of(self._name)
        self.server.note(method, url, headers)
        self._haunt()
        if self._is_ignored(method):
            return
        if self.quirks.rtsp.interim:
            self.send(f"RTSP/1.0 100 Continue\r\nCSeq: {headers.get('cseq', '0')}\r\n\r\n".encode())
        if not self._is_authorized(method, headers):
            return
        status = self._find_refusal(method, url, headers)
        if status:
            self._reply(status, headers)
            return
        super()._answer(words, headers)

    def _is_ignored(self, method: str) -> bool:
        rtsp = self.quirks.rtsp
        if method in rtsp.close_on or (rtsp.strict_methods and method not in rtsp.public):
            self.close()
            return True
        return method in rtsp.silent or "*" in rtsp.silent

    def _is_authorized(self, method: str, headers: Mapping[str, str]) -> bool:
        authentication = self.server.authentication(self._name)
        given = headers.get("authorization", "").encode("latin-1").decode("utf-8", "replace")
        if not self.server.username or (method == "OPTIONS" and not self.quirks.auth.options_too):
            return True
        if authentication.allows(method, given, self.server.username, self.server.password):
            return True
        self.server.refused += 1
        self.server.wrong += bool(given)
        self._reply(401, headers, WWW_Authenticate="\n".join(authentication.build_challenges(given)))
        return False

    def _find_refusal(self, method: str, url: str, headers: Mapping[str, str]) -> int:
        """Return the status of a refusal, 0 where the request is carried out."""
        rtsp = self.quirks.rtsp
        if method in rtsp.refuse:
            return rtsp.refuse[method]
        if method == "DESCRIBE" and rtsp.needs_query not in url:
            return 404
        if method not in rtsp.public:
            return 501
        if method == "GET_PARAMETER" and rtsp.keep_alive_454:
            return 454
        named = headers.get("session", "").partition(";")[0].strip()
        if rtsp.session_checked and self._stream and method != "OPTIONS" and named != self._session:
            return 454
        return 0

    def _reply(self, status: int, asked: Mapping[str, str], body: str | bytes = "", **more: str) -> None:
        rtsp = self.quirks.rtsp
        if rtsp.session_changes and "Session" in more:
            self._session = secrets.token_hex(4)
            more["Session"] = re.sub(r"^\w+", self._session, more["Session"])
        reason = REASONS.get(status) or HTTPStatus(status).phrase
        pairs = {"right": [("CSeq", asked.get("cseq", "0"))], "zero": [("CSeq", "0")], "missing": []}[rtsp.cseq]
        pairs += [(name.replace("_", "-"), line) for name, value in more.items() if value for line in value.split("\n")]
        content = body.encode() if isinstance(body, str) else body
        if content:
            pairs.append(("Content-Length", str(len(content))))
        lines = [f"RTSP/1.0 {status} {reason}"]
        lines += [f"{n.lower() if rtsp.lower_names else n}: {value}{rtsp.header_tail}" for n, value in pairs]
        head = "".join(line + rtsp.line_end for line in [*lines, ""]).encode()
        if content and rtsp.drip == "head":
            self._start_dripping()
        self.send(head)
        if content and rtsp.drip == "body":
            self._start_dripping()
        self.send(content)

    def _options(self, url: str, headers: Mapping[str, str]) -> None:
        session = self._session if self._stream else ""
        self._reply(200, headers, Public=", ".join(self.quirks.rtsp.public), Session=session)

    def _describe(self, url: str, headers: Mapping[str, str]) -> None:
        rtsp, stream = self.quirks.rtsp, self._find_stream()
        if stream is None:
            self._reply(404, headers)
            return
        if rtsp.redirect:
            self._reply(rtsp.redirect_status, headers, Location=self._build_location(url))
            return
        plain, path = url.rstrip("/"), urlsplit(url).path.strip("/")
        bare = plain.partition("://")[2]
        base = rtsp.content_base.format(url=plain, bare=bare, path=path, port=self.server.port)
        self._base = base or url
        text = build_quirky_sdp(stream.source, self.server.address, plain, self.quirks)
        self._reply(200, headers, text, Content_Base=base, Content_Type=rtsp.content_type)

    def _build_location(self, url: str) -> str:
        target = self.quirks.rtsp.redirect
        if target == "endless":
            return f"{url.partition('?')[0]}?{len(self.server.heard)}"
        return target if "://" in target else self.server.url(target)

    def _setup(self, url: str, headers: Mapping[str, str]) -> None:
        rtsp, stream = self.quirks.rtsp, self._find_stream()
        track = self._find_track(stream, url) if stream else None
        if stream is None or track is None:
            self._reply(404, headers)
            return
        if track in rtsp.refuse_tracks or "TCP" not in headers.get("transport", ""):
            self._reply(rtsp.refuse_tracks.get(track, 461), headers)
            return
        asked = re.search(r"interleaved=(\d+)", headers["transport"])
        channel = (int(asked[1]) if asked else 2 * len(self.channels | self.extra)) + rtsp.channel_shift
        ssrc = 0
        if track in ("video", "audio"):
            self.channels[track] = channel + rtsp.data_shift
            ssrc = stream.peek(track)[2]
        else:
            self.extra[track] = channel + rtsp.data_shift
        self._stream = stream
        agreed = rtsp.transport.format(channel=channel, next=channel + 1, ssrc=f"{ssrc:08X}")
        timeout = f";timeout={rtsp.timeout}" if rtsp.timeout else ""
        self._reply(200, headers, Transport=agreed, Session=f"{self._session}{timeout}")

    def _find_stream(self) -> QuirkStream | None:
        return self.server.quirky_stream(self._name)

    def _find_track(self, stream: QuirkStream, url: str) -> Track | None:
        """Return the track whose control ends the URL; one without a control is meant by any other URL."""
        described = self._base.rstrip("/")
        sdp = self.quirks.sdp
        plain = self.server.url(self._name)
        for track in list_tracks(stream.source, sdp):
            control = "broken" if track == "broken" else build_control(track, plain, sdp)
            whole = control if "://" in control else f"{described}/{control}"
            if url == whole or (not self.quirks.rtsp.strict_url and url.endswith(control.rpartition("/")[2])):
                return track
        return None

    def _teardown(self, url: str, headers: Mapping[str, str]) -> None:
        self._playing = False
        super()._teardown(url, headers)

    def _play(self, url: str, headers: Mapping[str, str]) -> None:
        rtsp, stream = self.quirks.rtsp, self._find_stream()
        if stream is None or self._stream is None:
            self._reply(455, headers)
            return
        self._leave()
        stream.add(self)  # its task sends nothing before this method has returned
        sequence, stamp, _ = stream.peek("video" if stream.source.video else "audio")
        info = rtsp.rtp_info.format(url=url.rstrip("/"), seq=sequence, stamp=stamp)

        def answer() -> None:
            self._reply(200, headers, Session=self._session, RTP_Info=info, Range=rtsp.range)
            self._start_clocks()

        if rtsp.early_media_s:
            self._later(rtsp.early_media_s, answer)
        else:
            answer()
