"""What a server does differently from a correct one: every behaviour of real firmware that the tests need is a field here.

The defaults are a correct camera. `simulator.firmware` has named combinations, `simulator.quirk_server` serves them.
Templates are filled by `str.format`; the blanks that a field knows stand behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from simulator.source import Kind

Track = Literal["video", "audio", "metadata", "back", "sound2", "broken"]
ALL_METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "SET_PARAMETER", "TEARDOWN")
INTERLEAVED = "RTP/AVP/TCP;unicast;interleaved={channel}-{next}"


@dataclass(frozen=True)
class RtspQuirks:
    """How requests are answered.

    public           methods named by OPTIONS
    strict_methods   the connection is closed on a method that is not in `public`
    timeout          what follows `timeout=` behind the session ID of SETUP; may have blanks or quotes; "": nothing follows
    idle_s           the connection is closed when no request has come for that long
    life_s           the connection is closed that long after PLAY, whatever the client does
    session_changes  every reply names another session ID, and all are accepted
    session_checked  454 to a request after SETUP that does not name the session
    keep_alive_454   GET_PARAMETER is answered by 454 although `public` names it
    refuse           status instead of an answer, by method
    refuse_tracks    status instead of an answer to SETUP, by track
    silent           methods that are never answered ("*": all)
    close_on         methods on which the connection is closed instead of an answer
    interim          100 Continue before each answer
    early_media_s    the answer to PLAY comes that long after the first RTP packets
    redirect         Location of the answer to DESCRIBE: a URL, the name of a stream of this server, or "endless"
    redirect_status  301, 302, 303, 305, 307 …
    content_base     template of Content-Base {url} {bare} (without scheme) {path} {port}; "": no such header
    content_type     Content-Type of DESCRIBE; "": no such header
    transport        template of Transport {channel} {next} {ssrc} (8 hex digits)
    channel_shift    added to the channels that the client asked for; the answer names them
    data_shift       added to the channels on which data come, not in the answer
    rtp_info         template of RTP-Info {url} {seq} {stamp}; "": no such header
    range            value of Range in the answer to PLAY; "": no such header
    needs_query      404 to a request whose URL does not contain this
    strict_url       404 to a SETUP whose URL is not exactly Content-Base (else the URL of DESCRIBE) and control joined
    line_end         end of the lines of the head
    header_tail      put behind every header
    lower_names      header names in lower case
    cseq             "right", "missing", "zero"
    asks_s           the server sends an OPTIONS request of its own to the client that often; 0: never
    drip             "head" (DESCRIBE's answer), "body" (of it), "media" (from PLAY on): one byte each `drip_s`
    drip_s           pause between two bytes
    ghost            a client that has left without TEARDOWN leaves data behind, which come on the next connection for
                     `ghost_s`, from its first request on, on the first channel (old live555)
    ghost_s          how long
    half_frames      writes end inside interleaved frames; the rest of a frame comes with the next one
    """

    public: tuple[str, ...] = ALL_METHODS
    strict_methods: bool = False
    timeout: str = "60"
    idle_s: float | None = None
    life_s: float | None = None
    session_changes: bool = False
    session_checked: bool = False
    keep_alive_454: bool = False
    refuse: Mapping[str, int] = field(default_factory=dict)
    refuse_tracks: Mapping[Track, int] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    close_on: tuple[str, ...] = ()
    interim: bool = False
    early_media_s: float = 0.0
    redirect: str = ""
    redirect_status: int = 302
    content_base: str = "{url}/"
    content_type: str = "application/sdp"
    transport: str = INTERLEAVED
    channel_shift: int = 0
    data_shift: int = 0
    rtp_info: str = ""
    range: str = ""
    needs_query: str = ""
    strict_url: bool = False
    line_end: str = "\r\n"
    header_tail: str = ""
    lower_names: bool = False
    cseq: Literal["right", "missing", "zero"] = "right"
    asks_s: float = 0.0
    drip: Literal["", "head", "body", "media"] = ""
    drip_s: float = 1.0
    ghost: bool = False
    ghost_s: float = 3.0
    half_frames: bool = False


@dataclass(frozen=True)
class AuthQuirks:
    """How the password is asked for; of no effect where the server has no user name.

    offers        challenges in the order in which they are sent: "MD5", "SHA-256", "Basic"; only these are accepted
    one_line      all challenges in one header, separated by commas
    name_md5      the MD5 challenge says `algorithm=MD5`
    qop           `qop="auth"` is offered, and demanded
    realm         name of the realm, sent in UTF-8
    opaque        value that the client has to give back; "": none
    nonce_uses    requests that one nonce is good for; 0: any number
    stale         a request with a worn-out nonce is told `stale=true`
    options_too   OPTIONS needs the password as well
    """

    offers: tuple[Literal["MD5", "SHA-256", "Basic"], ...] = ("MD5",)
    one_line: bool = False
    name_md5: bool = False
    qop: bool = False
    realm: str = "camera"
    opaque: str = ""
    nonce_uses: int = 0
    stale: bool = True
    options_too: bool = False


@dataclass(frozen=True)
class SdpQuirks:
    """How the stream is described.

    tracks           media sections in their order; sound is left out where the source has none. "back" is an ONVIF back
                     channel (sendonly), "sound2" a second sound track, "broken" a section that cannot be parsed
    control          template of a track's control {url} {path} {track} {number}; "": no such line
    session_control  template of the session's control {url} {path}; "": no such line
    control_first    each control line stands before the other lines of its section
    left_out         beginnings of lines that are left out, such as "o="
    line_end         end of the lines
    encoding         of the text
    name             session name, which may be Chinese
    sprop            parameter sets: "right", "missing", "wrong" (of another stream), "annex_b" (start codes inside),
                     "unreadable" (no base64), "half" (the last one is empty)
    rtpmap           "one", "missing" (static payload types need none), "several" (further payload types in the picture's
                     section), "bad_clock" (the clock rate is no number)
    foreign_fmtp     the picture's section has an fmtp line of another payload type as well
    port             port in the m= lines
    filler           bytes of attributes without meaning at the end
    """

    tracks: tuple[Track, ...] = ("video", "audio")
    control: str = "{track}"
    session_control: str = "*"
    control_first: bool = False
    left_out: tuple[str, ...] = ()
    line_end: str = "\r\n"
    encoding: str = "utf-8"
    name: str = "camera"
    sprop: Literal["right", "missing", "wrong", "annex_b", "unreadable", "half"] = "right"
    rtpmap: Literal["one", "missing", "several", "bad_clock"] = "one"
    foreign_fmtp: bool = False
    port: str = "0"
    filler: int = 0


@dataclass(frozen=True)
class PacketQuirks:
    """How pictures and sound are cut into RTP packets.

    marker           on the last packet of a picture ("last"), on "all", on "none", on "sei" as well as on the last
    parameter_sets   in band: before each "key" frame, before each "slice" of a key frame, "own_stamp" (before each key frame,
                     10 ms earlier), "none" (only in the description)
    set_tail         bytes behind each parameter set
    mtu              bytes of payload; a large value gives single NAL units
    aggregate        small units travel together (STAP-A, AP)
    annex_b          "each": every NAL unit begins with a start code; "joined": the units of a picture, with start codes
                     between them, travel as one unit
    fu_reserved      the reserved bit of H.264's FU header is set
    fu_type_changes  fragments after the first name another NAL type
    empty_fragments  an FU without content after the first fragment
    empty_payloads   a packet without payload before each picture
    padding          bytes of padding, with the padding bit
    extension        header extension of ONVIF replay (0xABAC)
    csrc             number of CSRC entries
    stray_type       a packet of this payload type, which the description does not name, before each picture
    stray_channel    a packet on this channel, which SETUP did not name, before each picture
    signed           a SEI unit with the UUID of ONVIF media signing in each key frame
    delimiters       an access unit delimiter before each picture
    sound_units      AAC, MPEG audio and AC-3: frames in one packet
    sound_mtu        AAC, AC-3: larger frames travel in fragments of that many bytes; 0: never
    multiplex        picture and sound travel as one MPEG transport stream (MP2T, RFC 2250) on the picture's track; the other
                     fields have no effect then
    latm             AAC travels as MP4A-LATM (RFC 6416) instead of mpeg4-generic
    aal2             G.726 as AAL2-G726-32; False: as G726-32 (RFC 3551, the other order of nibbles)
    """

    marker: Literal["last", "all", "none", "sei"] = "last"
    parameter_sets: Literal["key", "slice", "own_stamp", "none"] = "key"
    set_tail: bytes = b""
    mtu: int = 1400
    aggregate: bool = False
    annex_b: Literal["", "each", "joined"] = ""
    fu_reserved: bool = False
    fu_type_changes: bool = False
    empty_fragments: bool = False
    empty_payloads: bool = False
    padding: int = 0
    extension: bool = False
    csrc: int = 0
    stray_type: int | None = None
    stray_channel: int | None = None
    signed: bool = False
    delimiters: bool = False
    sound_units: int = 1
    sound_mtu: int = 0
    multiplex: bool = False
    latm: bool = False
    aal2: bool = True


@dataclass(frozen=True)
class RtpQuirks:
    """When packets are sent, and with which numbers and stamps. Seconds count from the PLAY of the first client.

    Where two clients are to see the same, serve the clip under two names: a second client of one stream joins late.

    wrap_s           RTP stamps pass 2**32 after that time; None: by chance
    sequence_wrap    sequence numbers pass 65535 after that many packets; None: by chance
    lose_every       every n-th packet is lost, with its sequence number; 0: none
    lose             packets that are lost, counted from 0
    lose_kinds       kinds of which packets are lost
    repeat_every     every n-th packet of the picture is sent twice; 0: none
    ssrc_changes_s   another SSRC after that time, with other sequence numbers
    still            stamps do not change
    jump_s           stamps jump by that much …
    jump_at_s        … after that time
    jitter           stamps are wrong by up to that many seconds, by kind
    pace             speed of the stamps
    sound_gains      fraction by which the clock of the sound runs fast
    wall_stamps      kinds that are stamped with the instant at which they are sent
    reports          "none", "start" (one for each client), "interval"
    report_s         seconds between two sender reports
    report_epoch     seconds added to the wall clock of sender reports, by kind
    burst_s          a client gets that much older media at once (GOP cache of relays)
    metadata_s       a packet on the metadata track that often, where the client set it up; 0: never
    metadata_channel metadata come on this channel even where the client did not set it up
    picture_stops_s  no picture after that time; everything else goes on
    all_stops_s      nothing is sent after that time; the connection stays
    garbage          bytes between interleaved frames, before each picture
    torn_s           after that time a frame breaks off and the connection is closed
    """

    wrap_s: float | None = None
    sequence_wrap: int | None = None
    lose_every: int = 0
    lose: frozenset[int] = frozenset()
    lose_kinds: frozenset[Kind] = frozenset({"video"})
    repeat_every: int = 0
    ssrc_changes_s: float | None = None
    still: bool = False
    jump_s: float = 0.0
    jump_at_s: float = 3.0
    jitter: Mapping[Kind, float] = field(default_factory=dict)
    pace: float = 1.0
    sound_gains: float = 0.0
    wall_stamps: frozenset[Kind] = frozenset()
    reports: Literal["none", "start", "interval"] = "interval"
    report_s: float = 5.0
    report_epoch: Mapping[Kind, float] = field(default_factory=dict)
    burst_s: float = 0.0
    metadata_s: float = 0.2
    metadata_channel: int | None = None
    picture_stops_s: float | None = None
    all_stops_s: float | None = None
    garbage: bytes = b""
    torn_s: float | None = None


@dataclass(frozen=True)
class Quirks:
    """All quirks of one stream."""

    rtsp: RtspQuirks = RtspQuirks()
    auth: AuthQuirks = AuthQuirks()
    sdp: SdpQuirks = SdpQuirks()
    packets: PacketQuirks = PacketQuirks()
    rtp: RtpQuirks = RtpQuirks()
