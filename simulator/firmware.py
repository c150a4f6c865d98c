"""Named behaviours of firmware, for tests that go through all of them: `FIRMWARE[name]` is served by `QuirkServer`.

Those that need a certain clip (B-frames, slices, MP3) are no rows here: `simulator.clips.make_clip` makes the clip.
The numbers of the comments are issues of go2rtc, gortsplib, mediamtx and moonfire-nvr that describe the camera.
"""

from __future__ import annotations

from simulator.quirks import AuthQuirks, PacketQuirks, Quirks, RtpQuirks, RtspQuirks, SdpQuirks

NO_GET = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN")
INFO = "url={url}/video;seq={seq};rtptime={stamp}"
NAT = "rtsp://192.168.77.77:554/{path}/"
PORTS = "RTP/AVP;unicast;client_port=18714-18715;server_port=40004-40005;ssrc={ssrc}"

SESSIONS = {
    "idle-60": RtspQuirks(idle_s=60, timeout="60"),
    "idle-60-no-get": RtspQuirks(idle_s=60, timeout="60", public=NO_GET),
    "idle-10": RtspQuirks(idle_s=10, timeout="10"),
    "idle-6": RtspQuirks(idle_s=6, timeout="6"),
    "idle-6-strict": RtspQuirks(idle_s=6, timeout="6", public=NO_GET, strict_methods=True),
    "timeout-blanks": RtspQuirks(idle_s=8, timeout=" 8 "),
    "timeout-quotes": RtspQuirks(idle_s=8, timeout='"8"'),
    "timeout-missing": RtspQuirks(timeout=""),
    "timeout-zero": RtspQuirks(timeout="0"),
    "session-ends": RtspQuirks(life_s=20),
    "session-changes": RtspQuirks(session_changes=True),
    "session-checked": RtspQuirks(session_checked=True),
    "keep-alive-454": RtspQuirks(keep_alive_454=True, idle_s=8, timeout="8"),
}
REPLIES = {
    "base-missing": RtspQuirks(content_base=""),
    "base-no-slash": RtspQuirks(content_base="{url}"),
    "base-no-scheme": RtspQuirks(content_base="{bare}/"),  # moonfire-nvr 356, go2rtc 1852
    "base-doubled": RtspQuirks(content_base="rtsp://rtsp://{bare}/"),  # go2rtc 208
    "base-nat": RtspQuirks(content_base=NAT),
    "base-zero": RtspQuirks(content_base="rtsp://0.0.0.0:{port}/{path}/"),
    "no-content-type": RtspQuirks(content_type=""),
    "strict-url": RtspQuirks(strict_url=True),
    "channels-other": RtspQuirks(channel_shift=4),
    "channels-missing": RtspQuirks(transport="RTP/AVP/TCP;unicast"),
    "channels-unnamed": RtspQuirks(data_shift=10),
    "ssrc-blanks": RtspQuirks(transport="RTP/AVP/TCP;unicast;interleaved={channel}-{next};ssrc= 5E C0;mode=play"),
    "ssrc-first": RtspQuirks(transport="RTP/AVP/TCP;unicast;ssrc={ssrc};interleaved={channel}-{next}"),
    "ssrc-untrue": RtspQuirks(transport="RTP/AVP/TCP;unicast;interleaved={channel}-{next};ssrc=22345684"),
    "info": RtspQuirks(rtp_info=INFO, range="npt=0.000-"),
    "info-seq-0": RtspQuirks(rtp_info="url={url}/video;seq=0;rtptime={stamp}"),
    "info-semicolons": RtspQuirks(rtp_info=INFO + ";;"),
    "info-unreadable": RtspQuirks(rtp_info="url={url}/video;seq=x;rtptime=-12345678901234567890;"),
    "info-wrong": RtspQuirks(rtp_info="url={url}/video;seq=7;rtptime=1"),
    "early-media": RtspQuirks(early_media_s=0.3),
    "interim": RtspQuirks(interim=True),
    "header-tail": RtspQuirks(header_tail=" \t "),
    "header-lower": RtspQuirks(lower_names=True),
    "head-lf": RtspQuirks(line_end="\n"),
    "cseq-missing": RtspQuirks(cseq="missing"),
    "cseq-zero": RtspQuirks(cseq="zero"),
    "asks": RtspQuirks(asks_s=0.5),
    "ghost": RtspQuirks(ghost=True),
    "half-frames": RtspQuirks(half_frames=True),
}
REFUSALS = {
    "udp-461": RtspQuirks(refuse={"SETUP": 461}),
    "udp-ports": RtspQuirks(transport=PORTS),
    **{f"describe-{status}": RtspQuirks(refuse={"DESCRIBE": status}) for status in (400, 403, 404, 453, 461, 500, 503)},
    "play-453": RtspQuirks(refuse={"PLAY": 453}),
    "redirect-endless": RtspQuirks(redirect="endless"),
    "silent": RtspQuirks(silent=("*",)),
    "silent-describe": RtspQuirks(silent=("DESCRIBE",)),
    "silent-play": RtspQuirks(silent=("PLAY",)),
    "closes-describe": RtspQuirks(close_on=("DESCRIBE",)),
    "drips-head": RtspQuirks(drip="head"),
    "drips-body": RtspQuirks(drip="body"),
    "drips-media": RtspQuirks(drip="media"),
}
PASSWORDS = {
    "md5": AuthQuirks(),
    "md5-named": AuthQuirks(name_md5=True, opaque="abc"),
    "md5-qop": AuthQuirks(qop=True),
    "sha256": AuthQuirks(offers=("SHA-256",)),
    "sha256-qop": AuthQuirks(offers=("SHA-256",), qop=True),
    "md5-then-sha256": AuthQuirks(offers=("MD5", "SHA-256")),
    "sha256-then-md5": AuthQuirks(offers=("SHA-256", "MD5")),
    "one-line": AuthQuirks(offers=("Basic", "MD5", "SHA-256"), one_line=True),
    "digest-then-basic": AuthQuirks(offers=("MD5", "Basic")),
    "basic-then-digest": AuthQuirks(offers=("Basic", "MD5")),
    "basic-only": AuthQuirks(offers=("Basic",)),
    "nonce-once": AuthQuirks(nonce_uses=1),
    "nonce-once-silent": AuthQuirks(nonce_uses=1, stale=False),
    "nonce-wears-out": AuthQuirks(nonce_uses=5),
    "realm-chinese": AuthQuirks(realm="网络摄像机(12345)[教室一]"),
    "options-too": AuthQuirks(options_too=True),
}
DESCRIPTIONS = {
    "lf": SdpQuirks(line_end="\n"),
    "gbk": SdpQuirks(encoding="gbk", name="教室一"),
    "control-absolute": SdpQuirks(control="{url}/trackID={number}", session_control="{url}"),
    "control-nat": SdpQuirks(control=NAT + "trackID={number}"),
    "control-track-id": SdpQuirks(control="trackID={number}"),
    "control-query": SdpQuirks(control="stream?track={number}"),
    "control-missing": SdpQuirks(control="", tracks=("video",)),
    "control-first": SdpQuirks(control_first=True),
    "control-no-session": SdpQuirks(session_control=""),
    "no-origin": SdpQuirks(left_out=("o=", "t=", "c=")),
    "bare": SdpQuirks(left_out=("v=", "o=", "s=", "t=", "c="), session_control="", tracks=("video",)),  # go2rtc 679
    "metadata-before": SdpQuirks(tracks=("metadata", "video", "audio")),
    "metadata-between": SdpQuirks(tracks=("video", "metadata", "audio")),
    "metadata-after": SdpQuirks(tracks=("video", "audio", "metadata")),
    "back-channel": SdpQuirks(tracks=("video", "audio", "back")),  # gortsplib 479
    "back-channel-before": SdpQuirks(tracks=("back", "video", "audio")),
    "sound-first": SdpQuirks(tracks=("audio", "video")),
    "two-sounds": SdpQuirks(tracks=("video", "audio", "sound2")),
    "broken-section": SdpQuirks(tracks=("broken", "video", "audio")),  # go2rtc 708
    "broken-section-after": SdpQuirks(tracks=("video", "audio", "broken")),
    "port-negative": SdpQuirks(port="-1353744643"),  # go2rtc 2316
    "sprop-missing": SdpQuirks(sprop="missing"),  # gortsplib 88
    "sprop-wrong": SdpQuirks(sprop="wrong"),
    "sprop-annex-b": SdpQuirks(sprop="annex_b"),
    "sprop-unreadable": SdpQuirks(sprop="unreadable"),
    "sprop-half": SdpQuirks(sprop="half"),
    "rtpmap-missing": SdpQuirks(rtpmap="missing"),
    "rtpmap-several": SdpQuirks(rtpmap="several"),
    "rtpmap-bad-clock": SdpQuirks(rtpmap="bad_clock"),
    "fmtp-foreign": SdpQuirks(foreign_fmtp=True),
    "long": SdpQuirks(filler=30_000),
}
PACKETS = {
    "marker-all": PacketQuirks(marker="all"),
    "marker-none": PacketQuirks(marker="none"),
    "marker-sei": PacketQuirks(marker="sei", signed=True),
    "sets-each-slice": PacketQuirks(parameter_sets="slice"),
    "sets-own-stamp": PacketQuirks(parameter_sets="own_stamp"),
    "sets-described": PacketQuirks(parameter_sets="none"),
    "sets-tail": PacketQuirks(set_tail=b"\x00\x00\x00"),
    "single-units": PacketQuirks(mtu=65_000),
    "small-packets": PacketQuirks(mtu=200),
    "aggregate": PacketQuirks(aggregate=True),
    "annex-b-each": PacketQuirks(annex_b="each"),
    "annex-b-joined": PacketQuirks(annex_b="joined"),
    "fu-reserved": PacketQuirks(fu_reserved=True),
    "fu-type-changes": PacketQuirks(fu_type_changes=True),
    "empty-fragments": PacketQuirks(empty_fragments=True),
    "empty-payloads": PacketQuirks(empty_payloads=True),
    "padding": PacketQuirks(padding=8),
    "extension": PacketQuirks(extension=True),
    "csrc": PacketQuirks(csrc=2),
    "stray-type": PacketQuirks(stray_type=111),
    "stray-channel": PacketQuirks(stray_channel=9),
    "signed": PacketQuirks(signed=True),
    "delimiters": PacketQuirks(delimiters=True),
    "sound-4-units": PacketQuirks(sound_units=4),
    "sound-fragments": PacketQuirks(sound_mtu=60),
    "latm": PacketQuirks(latm=True),
    "latm-4-units": PacketQuirks(latm=True, sound_units=4),
}
MEDIA = {
    "wrap": RtpQuirks(wrap_s=4),
    "wrap-no-reports": RtpQuirks(wrap_s=4, reports="none"),
    "sequence-wrap": RtpQuirks(sequence_wrap=200),
    "loses-every-100th": RtpQuirks(lose_every=100),
    "loses-sound": RtpQuirks(lose_every=10, lose_kinds=frozenset({"audio"})),
    "repeats-packets": RtpQuirks(repeat_every=20),
    "ssrc-changes": RtpQuirks(ssrc_changes_s=4),
    "stamps-still": RtpQuirks(still=True),
    "stamps-jump-on": RtpQuirks(jump_s=3600, jump_at_s=4),
    "stamps-jump-back": RtpQuirks(jump_s=-3600, jump_at_s=4),
    "jitter-picture": RtpQuirks(jitter={"video": 0.03}),
    "jitter-sound": RtpQuirks(jitter={"audio": 0.02}),
    "clock-fast": RtpQuirks(pace=1.01),
    "clock-slow": RtpQuirks(pace=0.9),
    "sound-gains": RtpQuirks(sound_gains=0.01),
    "sound-wall-stamps": RtpQuirks(wall_stamps=frozenset({"audio"})),
    "no-reports": RtpQuirks(reports="none"),
    "reports-at-start": RtpQuirks(reports="start"),
    "reports-often": RtpQuirks(report_s=0.5),
    "reports-false-epoch": RtpQuirks(report_epoch={"video": -1_700_000_000, "audio": 7}, report_s=1),
    "burst": RtpQuirks(burst_s=2),
    "garbage": RtpQuirks(garbage=b"\r\n\r\nnoise"),
    "unasked-metadata": RtpQuirks(metadata_channel=8),
}
STOPS = {
    "metadata-goes-on": Quirks(
        sdp=DESCRIPTIONS["metadata-between"], rtp=RtpQuirks(picture_stops_s=8, metadata_channel=8)
    ),
    "picture-stops": Quirks(rtp=RtpQuirks(picture_stops_s=8)),
    "all-stops": Quirks(rtp=RtpQuirks(all_stops_s=8)),
    "torn-frame": Quirks(rtp=RtpQuirks(torn_s=8)),
}
FIRMWARE: dict[str, Quirks] = {
    **{name: Quirks(rtsp=value) for name, value in (SESSIONS | REPLIES | REFUSALS).items()},
    **{name: Quirks(auth=value) for name, value in PASSWORDS.items()},
    **{name: Quirks(sdp=value) for name, value in DESCRIPTIONS.items()},
    **{name: Quirks(packets=value) for name, value in PACKETS.items()},
    **{name: Quirks(rtp=value) for name, value in MEDIA.items()},
    **STOPS,
}
