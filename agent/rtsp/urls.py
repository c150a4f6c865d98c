"""Makes the URLs that requests name: of a stream, of its tracks, of a redirect.

How a track's URL is made is what FFmpeg, live555 (VLC) and gortsplib (mediamtx) do, because cameras are tried with these:
- The base is the session's control attribute if that is a URL, else Content-Base, else Content-Location, else the URL that
  was asked for. A base that is no URL is passed over.
- A relative control is put behind the whole base, query included, with one `/` between them; RFC 3986 would cut the base's
  last segment and query off, and cameras that compare the whole URL would not know the result.
- A control that is a URL is taken as it is.
- Whatever the camera writes, the scheme, host and port are ours: a camera behind NAT names an address that nobody reaches,
  and the connection it is asked on is the one it answers on. Only path and query are the camera's.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from agent.core.errors import CameraUnreachable

MAX_URL = 4096
"""Characters of a base or a control at most; a longer one is passed over."""
_SCHEME = re.compile(r"(?i)rtsp[su]?://")
_AUTHORITY_END = re.compile(r"[/?#]")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?", re.ASCII)
_NAME_AND_PORT = re.compile(r"[\w.-]+:\d{1,5}", re.ASCII)
_ENDS_REQUEST = re.compile(r"[\s\x00-\x1f\x7f]")
_SEPARATORS = " \t\r\n,;\"'<>"
_UPGRADE = ("rtsp", "rtsps")


def resolve_control(
    request_url: str, content_base: str, content_location: str, session_control: str, media_control: str
) -> str:
    """Return the URL that SETUP names for a track.

    `request_url`: the one that DESCRIBE named. The headers and attributes as they came, "" for one that is missing.
    """
    origin, base = _find_base(request_url, content_base, content_location, session_control)
    return origin + _escape(_join(origin, base, media_control))


def resolve_aggregate(request_url: str, content_base: str, content_location: str, session_control: str) -> str:
    """Return the URL that PLAY, the keep-alive and TEARDOWN name. Arguments as for `resolve_control`."""
    origin, base = _find_base(request_url, content_base, content_location, session_control)
    return origin + _escape(_join(origin, base, session_control))


def _find_base(request_url: str, content_base: str, content_location: str, session_control: str) -> tuple[str, str]:
    """Return scheme, host and port of our own connection, and the path and query under which tracks lie."""
    url = normalize_rtsp_url(request_url)
    at = _SCHEME.match(url)
    end = _AUTHORITY_END.search(url, at.end() if at else 0)
    origin, path = (url[: end.start()], url[end.start() :]) if end else (url, "")
    for header in (content_base, content_location):
        found = _get_path(header, origin, is_base=True) or _get_rooted_path(header)
        if found:
            path = found
            break
    return origin, _get_path(session_control, origin) or path


def _join(origin: str, base: str, control: str) -> str:
    """Return path and query of a control under a base."""
    control = control.strip()
    if control in ("", "*") or len(control) > MAX_URL:
        return base
    absolute = _get_path(control, origin)
    if absolute:
        return absolute
    if control.startswith("/") and control.startswith(base.partition("?")[0].rstrip("/") + "/"):
        return control  # the whole path, without a host
    needs_slash = control[0] not in "/?" and not base.endswith("/")
    return (base[:-1] if control[0] == "/" and base.endswith("/") else base) + "/" * needs_slash + control


def _get_path(text: str, origin: str, *, is_base: bool = False) -> str:
    """Return path and query of a URL of this or another host, also of one that lacks its scheme; "" where it is not a URL.

    Of a URL that is written twice, one behind the other, the last counts. `is_base`: this is a header that ought to be a URL.
    """
    text = text.strip(_SEPARATORS)
    if len(text) > MAX_URL:
        return ""
    schemes = list(_SCHEME.finditer(text.partition("?")[0]))
    rest = text[schemes[-1].end() :] if schemes else text
    end = _AUTHORITY_END.search(rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if not schemes and not _is_authority(authority, origin, is_base=is_base):
        return ""
    return path if path.startswith("/") else f"/{path}"


def _is_authority(text: str, origin: str, *, is_base: bool) -> bool:
    """Return True for what can only be a host: an IPv4 address, our own host and port; as a base any name and port.

    A control like `track:1` is not a host.
    """
    own = origin.partition("://")[2]
    if text.lower() == own or _IPV4.fullmatch(text):
        return True
    return is_base and (text.lower() == own.rpartition(":")[0] or _NAME_AND_PORT.fullmatch(text) is not None)


def _get_rooted_path(text: str) -> str:
    """Return a base that is a path from the root; "" where it is not."""
    text = text.strip(_SEPARATORS)
    return text if text.startswith("/") and len(text) <= MAX_URL else ""


def resolve_redirect(url: str, location: str, peer: str) -> str:
    """Return where a redirect from `url` leads, with its port; "" where it leads to another host.

    The same host is the one that was asked, by its name or by `peer`, its address. From rtsp to rtsps is allowed; back, which
    would send the stream in the clear, is not.
    """
    try:
        old, new = urlsplit(url), urlsplit(location)
        port = new.port
    except ValueError:
        return ""
    if new.scheme != old.scheme and (old.scheme, new.scheme) != _UPGRADE:
        return ""
    if new.username or new.hostname not in {old.hostname, peer}:
        return ""
    return normalize_rtsp_url(urlunsplit(new), port)


def normalize_rtsp_url(url: str, port: int | None = None) -> str:
    """Return a stream's URL as requests name it: no account, always a port, nothing that would end the request line.

    Raises CameraUnreachable where it is not a URL: it may be the camera's own.
    """
    try:
        parts = urlsplit(url)
        number = port or parts.port or get_default_port(parts.scheme)
    except ValueError:
        raise CameraUnreachable("recording.bad_url", url=url) from None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return _escape(urlunsplit(parts._replace(netloc=f"{host}:{number}", fragment="")))


def get_default_port(scheme: str) -> int:
    return 322 if scheme == "rtsps" else 554


def _escape(text: str) -> str:
    return _ENDS_REQUEST.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
