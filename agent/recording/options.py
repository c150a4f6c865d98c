"""Parameters of recording: where a camera's stream is, and the lengths and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from agent.core import defaults


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """Lengths and limits of recording; times in seconds.

    segment_seconds    length of a segment; cuts lie at key frames next to multiples of it by the wall clock
    max_loss           video and sound are synced to the disk at least this often: what a power cut may cost at most
    fragment_seconds   length of a fragment: what a killed process may cost at most
    stall_seconds      no picture for so long is a stall
    hole_seconds       a hole in the pictures longer than this begins a new segment
    offline_seconds    no picture for so long in planned time raises `camera.offline`
    silent_seconds     no sound for so long, where sound is required, raises `sound.missing`
    timeout            each network operation; half of `stall_seconds`, so that a stall is seen on time
    first_pause, last_pause   between attempts to connect; grows from one to the other
    refused_pause      after a refused password: cameras lock out an account that is tried too often
    reserve_bytes      recording stops in good order while the drive has this much left (of a small drive a hundredth):
                       open segments must still be finished
    identity_wait      how long a new connection waits for the camera to report its model and serial
    nap                rest after a read that had to wait: most of the cost of recording is waking up
    """

    segment_seconds: float = defaults.SEGMENT_S
    max_loss: float = defaults.SYNC_S
    fragment_seconds: float = 0.3
    stall_seconds: float = defaults.STALL_S
    hole_seconds: float = 2.0
    offline_seconds: float = 30.0
    silent_seconds: float = 30.0
    timeout: float = 5.0
    first_pause: float = 0.5
    last_pause: float = 5.0
    refused_pause: float = 30.0
    reserve_bytes: int = 256 * 2**20
    identity_wait: float = 1.0
    nap: float = 0.3


@dataclass(frozen=True, slots=True)
class StreamSource:
    """A camera's stream.

    url               without credentials, always
    allow_basic       the password may be sent in clear text, where the camera asks for nothing better
    audio_required    an alert is raised where there is no sound
    names             of the camera in the attempt budget (its endpoint, its address)
    serial            of the unit that is expected there
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    audio_required: bool = False
    names: tuple[str, ...] = ()
    serial: str = ""
    allow_basic: bool = False

    @staticmethod
    def of(url: str, *, allow_basic: bool = False) -> StreamSource:
        """Take the credentials out of a URL. Raises ValueError where it is not an RTSP URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("rtsp", "rtsps") or not parts.hostname:
            raise ValueError("not an RTSP URL")
        host = parts.netloc.rpartition("@")[2]
        clean = urlunsplit(parts._replace(netloc=host))
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        return StreamSource(clean, username, password, allow_basic=allow_basic)

    @property
    def host(self) -> str:
        """`host` or `host:port`, the name that discovery gives the same camera."""
        return urlsplit(self.url).netloc.removesuffix(":554")
