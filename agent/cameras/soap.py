"""SOAP for cameras: requests are written by zeep from the WSDL in onvif-zeep; replies are parsed as untrusted data.

Of onvif-zeep only the WSDL files are used, and of zeep only the writing of messages. `import onvif` reconfigures root
logging, its ONVIFCamera changes the environment, and its service wrapper repeats a call whose reply could not be read, which
is a second try of a password. zeep's reader rejects what firmware gets wrong (SOAP 1.1 in answer to 1.2, an empty 200, a
missing element). Therefore neither of them reads any part of a reply. Media2, which H.265 needs, has no WSDL there; its
messages are written by hand.

Every envelope is sent in the form that .NET writes, and thus ONVIF Device Manager, the client that firmware is tested with:
prefix `s`, xsi and xsd declared on the body, the call and its parts in default namespaces. To an XML parser it is the same
message; firmware that searches the text instead finds what it expects.
"""

from __future__ import annotations

import copy
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from lxml import etree

from agent.cameras.xml_reader import Element, get_local_name, parse_closed_elements, parse_xml
from agent.core.errors import CameraError

SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
SCHEMA = "http://www.onvif.org/ver10/schema"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_PASSWORD_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"  # noqa: S105
_BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
_XSI, _XSD = "http://www.w3.org/2001/XMLSchema-instance", "http://www.w3.org/2001/XMLSchema"
_WSDL = {DEVICE: ("devicemgmt.wsdl", "DeviceBinding"), MEDIA: ("media.wsdl", "MediaBinding")}
_write_lock = threading.Lock()  # zeep builds its types on first use and has no lock of its own


class SoapFault(CameraError):
    """The camera answered with a fault.

    `codes`: local names of code and subcodes; `denied`: the fault is about authorization.
    """

    def __init__(self, codes: tuple[str, ...], reason: str) -> None:
        super().__init__("cameras.fault", detail=clean_text(" ".join(codes) + ": " + reason, 120))
        self.codes = codes
        self.denied = bool(_DENIED.search(" ".join(codes)) or _DENIED.search(reason))


_DENIED = re.compile(
    r"not ?authori[sz]ed|unauthori[sz]ed|failed ?authentication|authentication fail|authority fail", re.I
)


@cache
def _make_envelope_writer(namespace: str) -> Callable[..., Element]:
    """Return the function that writes an envelope from an operation's name and parameters."""
    # import lazily: it takes 0.3 s and 35 MB, which a box without an ONVIF camera does not need
    zeep: Any = import_module("zeep")

    class Local(zeep.transports.Transport):  # type: ignore[misc]
        """Reads the WSDL files of the installed package and nothing else."""

        def load(self, url: str) -> bytes:
            path = Path(url.removeprefix("file://"))
            if not path.resolve().is_relative_to(folder.resolve()):
                raise CameraError("cameras.wsdl", file=path.name)
            return path.read_bytes()

    folder = Path(str(metadata.distribution("onvif-zeep").locate_file("wsdl")))
    file, binding = _WSDL[namespace]
    client = zeep.Client(str(folder / file), transport=Local(), settings=zeep.Settings(strict=False))
    return partial(client.create_message, client.create_service(f"{{{namespace}}}{binding}", "http://camera.invalid/"))


def build_request(namespace: str, operation: str, **parameters: object) -> Element:
    """Return a SOAP 1.2 envelope for an operation of the device or the media service."""
    with _write_lock:
        return _make_envelope_writer(namespace)(operation, **parameters)


def build_plain_request(namespace: str, operation: str, *children: Element, **texts: str) -> Element:
    """Return a SOAP 1.2 envelope made without WSDL: elements of `texts` first, then `children` unchanged."""
    envelope = etree.Element(f"{{{SOAP_12}}}Envelope", nsmap={"s": SOAP_12, "n": namespace, "tt": SCHEMA})
    body = etree.SubElement(envelope, f"{{{SOAP_12}}}Body")
    call = etree.SubElement(body, f"{{{namespace}}}{operation}")
    for name, text in texts.items():
        etree.SubElement(call, f"{{{namespace}}}{name}").text = text
    call.extend(children)
    return envelope


def build_element(namespace: str, name: str, value: str) -> Element:
    """Return an element with text, for the body of a request made without WSDL."""
    made = etree.Element(f"{{{namespace}}}{name}")
    made.text = value
    return made


def add_username_token(envelope: Element, username: str, digest: str, nonce: str, created: str) -> None:
    """Add a WS-UsernameToken to the header."""
    header = envelope.find(f"{{{SOAP_12}}}Header")
    if header is None:
        header = etree.Element(f"{{{SOAP_12}}}Header")
        envelope.insert(0, header)
    security = etree.SubElement(header, f"{{{_WSSE}}}Security", nsmap={"wsse": _WSSE, "wsu": _WSU})
    token = etree.SubElement(security, f"{{{_WSSE}}}UsernameToken")
    etree.SubElement(token, f"{{{_WSSE}}}Username").text = username
    etree.SubElement(token, f"{{{_WSSE}}}Password", Type=_PASSWORD_DIGEST).text = digest
    etree.SubElement(token, f"{{{_WSSE}}}Nonce", EncodingType=_BASE64).text = nonce
    etree.SubElement(token, f"{{{_WSU}}}Created").text = created


def serialize_envelope(envelope: Element, action: str, version: str) -> tuple[bytes, dict[str, str]]:
    """Return bytes and HTTP headers of a message in SOAP 1.1 or 1.2 (`version`: the namespace)."""
    data: bytes = etree.tostring(_reshape_envelope(envelope), xml_declaration=True, encoding="utf-8")
    if version == SOAP_11:
        data = data.replace(SOAP_12.encode(), SOAP_11.encode())
        return data, {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
    return data, {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}


def _reshape_envelope(envelope: Element) -> Element:
    """Return the same message in the form of the usual client; see the docstring of this module."""
    made = etree.Element(f"{{{SOAP_12}}}Envelope", nsmap={"s": SOAP_12})
    header, content = envelope.find(f"{{{SOAP_12}}}Header"), envelope.find(f"{{{SOAP_12}}}Body")
    if header is not None and len(header):
        made.append(copy.deepcopy(header))
    holder = etree.SubElement(made, f"{{{SOAP_12}}}Body", nsmap={"xsi": _XSI, "xsd": _XSD})
    for call in content:
        _copy_element(call, holder)
    # removes namespace declarations that the header copied from its old envelope
    etree.cleanup_namespaces(made, keep_ns_prefixes=["xsi", "xsd"])
    return made


def _copy_element(element: Element, into: Element) -> None:
    """Append a copy to `into`; each namespace is declared as the default one where it begins.

    An xsi:type from a camera's own reply is dropped: its prefix is not declared here.
    """
    namespace = etree.QName(element).namespace
    attributes = {name: value for name, value in element.attrib.items() if name != f"{{{_XSI}}}type"}
    made = etree.SubElement(into, element.tag, attributes, nsmap={None: namespace})
    made.text = element.text
    for part in element:
        _copy_element(part, made)


def read_body(data: bytes) -> tuple[Element | None, bool]:
    """Return the first element in the body (SOAP 1.1 or 1.2), None if nothing is readable, and whether it is complete.

    Only a complete one may be acted on. Raises SoapFault.
    """
    whole = parse_closed_elements(data, _is_first_in_body)
    content = whole[0] if whole else _recover_content(data)
    if content is not None and get_local_name(content) == "Fault":
        codes = [clean_text(e.text or "", 60).rpartition(":")[2] for e in find_all_named(content, "Value", "faultcode")]
        reason = next((e.text or "" for e in find_all_named(content, "Text", "faultstring")), "")
        raise SoapFault(tuple(codes[:5]), reason)
    return content, bool(whole)


def parse_body(data: bytes) -> Element | None:
    """Return the first element in the body, complete or not. Raises SoapFault."""
    return read_body(data)[0]


def _is_first_in_body(element: Element) -> bool:
    """Return True for the first element in a body, which stands alone or in an envelope."""
    holder = element.getparent()
    return (
        holder is not None
        and get_local_name(holder) == "Body"
        and element.getprevious() is None
        and (holder.getparent() is None or holder.getparent().getparent() is None)
    )


def _recover_content(data: bytes) -> Element | None:
    root = parse_xml(data)
    if root is None:
        return None
    holder = root if get_local_name(root) == "Body" else find_child(root, "Body")
    return next(iter(holder), None) if holder is not None else None


def find_child(element: Element | None, *path: str) -> Element | None:
    """Return the element at a path of local names; None if there is none."""
    for name in path:
        element = next((e for e in element if get_local_name(e) == name), None) if element is not None else None
    return element


def find_all_named(element: Element, *names: str) -> Iterator[Element]:
    """Return all descendants with one of these local names."""
    return (e for e in element.iter() if get_local_name(e) in names)


def read_element_text(element: Element | None, *path: str, limit: int = 128) -> str:
    """Return the cleaned text at a path; empty if there is none."""
    found = find_child(element, *path)
    return clean_text(found.text or "", limit) if found is not None else ""


def clean_exact(value: str | None, limit: int = 512) -> str:
    """Return a value that is acted on (an address, a token), unchanged except for outer spaces.

    Empty if it is longer than `limit` or contains a control character or U+FFFD (an invalid byte).
    """
    value = (value or "").strip()
    unsure = any(c == "\ufffd" or unicodedata.category(c) in _HIDDEN_CATEGORIES for c in value)
    return "" if unsure or len(value) > limit else value


def read_url(element: Element | None, *path: str, limit: int = 512) -> str:
    """Return the URL at a path; empty if there is none or the text is not usable as one."""
    found = find_child(element, *path)
    value = clean_exact(found.text, limit) if found is not None else ""
    return "" if any(c.isspace() for c in value) else value


def read_number(element: Element | None, *path: str) -> float | None:
    """Return the finite, non-negative number at a path; None if there is none."""
    try:
        value = float(read_element_text(element, *path))
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def clean_text(value: str, limit: int = 128) -> str:
    """Return text from a camera in displayable form: one line, at most `limit` characters, no control characters."""
    shown = "".join(" " if unicodedata.category(c) in _HIDDEN_CATEGORIES else c for c in value[: limit * 4])
    return " ".join(shown.split())[:limit]


_HIDDEN_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
