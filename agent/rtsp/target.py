"""What is to be opened: a stream's URL, and the account of the camera."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """A stream.

    url           without credentials, always
    allow_basic   the password may be sent in clear text, where the camera asks for nothing better
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    allow_basic: bool = False
