"""Bytes of a device to XML elements, with suspicion: nothing is loaded, nothing expanded, no DTD.

Firmware writes sloppy XML. What is wrong with single characters (bytes that are no text, control characters, a bare `&`) is
put right, since only one reading makes sense. What is wrong with the structure (a reply that ends too early, crossed elements)
may be read for names that are shown, never for what is acted on: an address that ends in the middle is another address. So
`closed` gives an element only where its end came before anything broke; what follows it, rubbish too, does not matter.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

Element = Any  # lxml's element class has no public name in its types

_SAFE: Mapping[str, bool] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
    "collect_ids": False,
}
_DECLARATION = re.compile(rb"<\?xml\b[^>]{0,200}?\?>")
_ENCODING = re.compile(rb"""\bencoding\s*=\s*["']([\w.-]{1,20})["']""")
# GB 18030 holds its forerunners; codecs that are no character set must not be reachable by a name from the wire
_CODECS = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5", "iso-8859-1": "latin-1"}
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
_BARE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,8}|#x[0-9a-fA-F]{1,8});)|<(?![A-Za-z_/!?\u0080-\U0010ffff])")


def parse(data: bytes) -> Element | None:
    """The root of what a device sent, read as well as can be; None where it is no XML, or XML with a DTD (bombs and
    external entities need one; no camera does)."""
    text = _decoded(data)
    if text is None:
        return None
    try:
        root = etree.fromstring(_mended(text).encode(), etree.XMLParser(recover=True, **_SAFE))
    except (etree.XMLSyntaxError, ValueError):
        return None
    return root if root is not None and root.getroottree().docinfo.internalDTD is None else None


def closed(data: bytes, wanted: Callable[[Element], bool]) -> list[Element]:
    """The wanted elements whose end was met before anything broke, with all that is in them; none of XML with a DTD."""
    text = _decoded(data)
    if text is None:
        return []
    return _ended(text, wanted) or _ended(_mended(text), wanted)


def local(element: Element) -> str:
    """The name without its namespace: firmware mixes namespaces up, names it gets right."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _ended(text: str, wanted: Callable[[Element], bool]) -> list[Element]:
    parser = etree.XMLPullParser(events=("end",), **_SAFE)
    with contextlib.suppress(etree.XMLSyntaxError):
        parser.feed(text.encode())
    # read whatever came of it: what was closed before the error stays true
    return [element for _, element in parser.read_events() if wanted(element)]


def _decoded(data: bytes) -> str | None:
    """Text without its XML declaration, by the encoding that this names; each byte that is no text is U+FFFD."""
    data = data.strip().removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\0" in data[:4]:  # UTF-16 or 32, which no camera writes
        return None
    codec = "utf-8"
    if head := _DECLARATION.match(data):
        named = _ENCODING.search(head[0])
        codec = _CODECS.get(named[1].decode().lower(), codec) if named else codec
        data = data[head.end() :]
    text = data.decode(codec, "replace")
    return None if "<!DOCTYPE" in text or "<!ENTITY" in text else text


def _mended(text: str) -> str:
    text = _REFERENCE.sub(_allowed, _FORBIDDEN.sub(" ", text))
    return _BARE.sub(lambda bare: "&amp;" if bare[0] == "&" else "&lt;", text)


def _allowed(reference: re.Match[str]) -> str:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return " " if number > 0x10FFFF or _FORBIDDEN.match(chr(number)) else reference[0]
