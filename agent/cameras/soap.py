"""SOAP as cameras speak it: requests written by zeep from the WSDL that onvif-zeep carries, replies read with suspicion.

Of onvif-zeep only the WSDL files are used and of zeep only the writing. `import onvif` reconfigures root logging, its
ONVIFCamera edits the environment, and its service wrapper repeats a call whose reply could not be read, which is a second
try of a password. zeep's reader refuses what firmware gets wrong (SOAP 1.1 to a 1.2 request, an empty 200, a missing
element). So no byte of a reply reaches either. Media2, which H.265 needs, has no WSDL there and is written by hand.

Every envelope goes out in the shape that .NET writes and so ONVIF Device Manager sends, the client that firmware is tried
with: prefix `s`, xsi and xsd declared on the body, the call and its parts in default namespaces. To a parser of XML that is
the same message; firmware that searches for text instead finds what it looks for.
"""

from __future__ import annotations

import copy
import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from lxml import etree

from agent.cameras.markup import Element, closed, local, parse
from agent.errors import CameraError

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
_writing = threading.Lock()  # zeep builds its types on first use, without a lock of its own


class SoapFault(CameraError):
    """The camera answered with a fault. `codes` are the local names of code and subcodes; `denied` where it is about
    authorization."""

    def __init__(self, codes: tuple[str, ...], reason: str) -> None:
        super().__init__("cameras.fault", detail=clean(" ".join(codes) + ": " + reason, 120))
        self.codes = codes
        self.denied = bool(_DENIED.search(" ".join(codes)) or _DENIED.search(reason))


_DENIED = re.compile(
    r"not ?authori[sz]ed|unauthori[sz]ed|failed ?authentication|authentication fail|authority fail", re.I
)


@cache
def _client(namespace: str) -> tuple[Any, Any]:
    # a third of a second and 35 MB that a box with no ONVIF camera in sight need not pay
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
    return client, client.create_service(f"{{{namespace}}}{binding}", "http://camera.invalid/")


def request(namespace: str, operation: str, **parameters: Any) -> Element:
    """A SOAP 1.2 envelope for an operation of the device or the media service."""
    with _writing:
        client, service = _client(namespace)
        return client.create_message(service, operation, **parameters)


def plain_request(namespace: str, operation: str, *children: Element, **texts: str) -> Element:
    """A SOAP 1.2 envelope with a body written by hand: elements of `texts` first, then `children` as they are."""
    envelope = etree.Element(f"{{{SOAP_12}}}Envelope", nsmap={"s": SOAP_12, "n": namespace, "tt": SCHEMA})
    body = etree.SubElement(envelope, f"{{{SOAP_12}}}Body")
    call = etree.SubElement(body, f"{{{namespace}}}{operation}")
    for name, text in texts.items():
        etree.SubElement(call, f"{{{namespace}}}{name}").text = text
    call.extend(children)
    return envelope


def element(namespace: str, name: str, value: str) -> Element:
    """An element with text, for the body of a `plain_request`."""
    made = etree.Element(f"{{{namespace}}}{name}")
    made.text = value
    return made


def sign(envelope: Element, username: str, digest: str, nonce: str, created: str) -> None:
    """Put a WS-UsernameToken into the header."""
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


def write(envelope: Element, action: str, version: str) -> tuple[bytes, dict[str, str]]:
    """Bytes and HTTP headers of a message, in SOAP 1.1 or 1.2."""
    data: bytes = etree.tostring(_shaped(envelope), xml_declaration=True, encoding="utf-8")
    if version == SOAP_11:
        data = data.replace(SOAP_12.encode(), SOAP_11.encode())
        return data, {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
    return data, {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}


def _shaped(envelope: Element) -> Element:
    """The same message in the usual client's shape; see the head of this file."""
    made = etree.Element(f"{{{SOAP_12}}}Envelope", nsmap={"s": SOAP_12})
    header, content = envelope.find(f"{{{SOAP_12}}}Header"), envelope.find(f"{{{SOAP_12}}}Body")
    if header is not None and len(header):
        made.append(copy.deepcopy(header))
    holder = etree.SubElement(made, f"{{{SOAP_12}}}Body", nsmap={"xsi": _XSI, "xsd": _XSD})
    for call in content:
        _copy(call, holder)
    # what the header brought along from its old envelope is declared above
    etree.cleanup_namespaces(made, keep_ns_prefixes=["xsi", "xsd"])
    return made


def _copy(element: Element, into: Element) -> None:
    """Put a copy into `into`, each namespace declared as the default one where it begins. A type that a camera named in
    its own reply goes: its prefix would mean nothing here."""
    namespace = etree.QName(element).namespace
    attributes = {name: value for name, value in element.attrib.items() if name != f"{{{_XSI}}}type"}
    made = etree.SubElement(into, element.tag, attributes, nsmap={None: namespace})
    made.text = element.text
    for part in element:
        _copy(part, made)


def read(data: bytes) -> tuple[Element | None, bool]:
    """What the SOAP body holds, in SOAP 1.1 or 1.2, None where there is nothing readable; and whether it came whole, so that
    it may be acted on. Raises SoapFault."""
    whole = closed(data, _is_content)
    content = whole[0] if whole else _recovered(data)
    if content is not None and local(content) == "Fault":
        codes = [clean(e.text or "", 60).rpartition(":")[2] for e in everywhere(content, "Value", "faultcode")]
        reason = next((e.text or "" for e in everywhere(content, "Text", "faultstring")), "")
        raise SoapFault(tuple(codes[:5]), reason)
    return content, bool(whole)


def body(data: bytes) -> Element | None:
    """What `read` finds, whole or not."""
    return read(data)[0]


def _is_content(element: Element) -> bool:
    """The first element in the body, which stands alone or in an envelope."""
    holder = element.getparent()
    return (
        holder is not None
        and local(holder) == "Body"
        and element.getprevious() is None
        and (holder.getparent() is None or holder.getparent().getparent() is None)
    )


def _recovered(data: bytes) -> Element | None:
    root = parse(data)
    if root is None:
        return None
    holder = root if local(root) == "Body" else child(root, "Body")
    return next(iter(holder), None) if holder is not None else None


def child(element: Element | None, *path: str) -> Element | None:
    """The element down a path of local names."""
    for name in path:
        element = next((e for e in element if local(e) == name), None) if element is not None else None
    return element


def everywhere(element: Element, *names: str) -> Iterator[Element]:
    """All elements below with one of these local names."""
    return (e for e in element.iter() if local(e) in names)


def text(element: Element | None, *path: str, limit: int = 128) -> str:
    """Clean text down a path; empty where there is none."""
    found = child(element, *path)
    return clean(found.text or "", limit) if found is not None else ""


def exact(value: str | None, limit: int = 512) -> str:
    """A value that is acted on (an address, a token), as told but for outer spaces; empty where it is longer than `limit` or
    holds a character that cannot be meant: control characters, what stands for a byte that was no text."""
    value = (value or "").strip()
    unsure = any(c == "\ufffd" or unicodedata.category(c) in _UNSHOWN for c in value)
    return "" if unsure or len(value) > limit else value


def address(element: Element | None, *path: str, limit: int = 512) -> str:
    """A URL down a path; empty where there is none, or what is there cannot be one as it is."""
    found = child(element, *path)
    value = exact(found.text, limit) if found is not None else ""
    return "" if any(c.isspace() for c in value) else value


def number(element: Element | None, *path: str) -> float | None:
    """A finite, not negative number down a path; None where there is none."""
    try:
        value = float(text(element, *path))
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def clean(value: str, limit: int = 128) -> str:
    """What a camera calls itself, fit to be shown: no control, format or surrogate characters, one line, bounded."""
    shown = "".join(" " if unicodedata.category(c) in _UNSHOWN else c for c in value[: limit * 4])
    return " ".join(shown.split())[:limit]


_UNSHOWN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
