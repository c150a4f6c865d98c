"""Parsing of untrusted XML from devices: nothing is loaded, no entity is expanded, no DTD is accepted.

Firmware writes incorrect XML. Wrong single characters (bytes that are not text, control characters, a bare `&`) are
repaired, since only one reading makes sense. Where the structure is wrong (a truncated reply, crossed elements), text may be
read for display, but nothing may be acted on: a truncated address is another address. Therefore `closed` returns an element
only if it ended before the first error; what follows it, even garbage, does not matter.
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
# GB 18030 includes GB 2312 and GBK; codecs that are not character sets must not be selectable by a device
_CODECS = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5", "iso-8859-1": "latin-1"}
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
_BARE_CHARACTER = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,8}|#x[0-9a-fA-F]{1,8});)|<(?![A-Za-z_/!?\u0080-\U0010ffff])"
)


def parse_xml(data: bytes) -> Element | None:
    """Return the root element, recovered as far as possible; None if it is not XML, or has a DTD.

    Entity bombs and external entities need a DTD; no camera does.
    """
    text = _decode_text(data)
    if text is None:
        return None
    try:
        root = etree.fromstring(_repair_text(text).encode(), etree.XMLParser(recover=True, **_SAFE))
    except (etree.XMLSyntaxError, ValueError):
        return None
    return root if root is not None and root.getroottree().docinfo.internalDTD is None else None


def parse_closed_elements(data: bytes, wanted: Callable[[Element], bool]) -> list[Element]:
    """Return the wanted elements, complete, that ended before the first error; an empty list for XML with a DTD."""
    text = _decode_text(data)
    if text is None:
        return []
    return _collect_ended(text, wanted) or _collect_ended(_repair_text(text), wanted)


def get_local_name(element: Element) -> str:
    """Return the name without its namespace: firmware confuses namespaces, but gets names right."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _collect_ended(text: str, wanted: Callable[[Element], bool]) -> list[Element]:
    parser = etree.XMLPullParser(events=("end",), **_SAFE)
    with contextlib.suppress(etree.XMLSyntaxError):
        parser.feed(text.encode())
    # elements that were closed before the error are valid
    return [element for _, element in parser.read_events() if wanted(element)]


def _decode_text(data: bytes) -> str | None:
    """Return the text without its XML declaration, decoded as that declares; invalid bytes become U+FFFD."""
    data = data.strip().removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\0" in data[:4]:  # UTF-16 or UTF-32, which no camera writes
        return None
    codec = "utf-8"
    if head := _DECLARATION.match(data):
        named = _ENCODING.search(head[0])
        codec = _CODECS.get(named[1].decode().lower(), codec) if named else codec
        data = data[head.end() :]
    text = data.decode(codec, "replace")
    return None if "<!DOCTYPE" in text or "<!ENTITY" in text else text


def _repair_text(text: str) -> str:
    text = _REFERENCE.sub(_replace_forbidden_reference, _FORBIDDEN.sub(" ", text))
    return _BARE_CHARACTER.sub(lambda bare: "&amp;" if bare[0] == "&" else "&lt;", text)


def _replace_forbidden_reference(reference: re.Match[str]) -> str:
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return " " if number > 0x10FFFF or _FORBIDDEN.match(chr(number)) else reference[0]
