"""The paper that goes with a clip: what was asked and given, from which files, what is missing, who cut it, and proof.

`NAME.mp4` has `NAME.json` (UTF-8) beside it and, where the box has a key, `NAME.json.sig`, an OpenSSH signature of the JSON
in the namespace `site-agent`; `ssh-keygen -Y verify` checks it without this software.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.drive import keys
from agent.errors import InputError

FORMAT = 1
KIND = "site-agent.clip"
_BLOCK = 1 << 20
_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """`anchored`: the signature is by a key that the checker named, not just the one that the manifest carries."""

    file: Path
    ok: bool
    anchored: bool
    problems: tuple[tuple[str, str], ...]


def path_for(clip: Path) -> Path:
    return clip.with_suffix(".json")


def signature_for(manifest: Path) -> Path:
    return manifest.with_name(manifest.name + ".sig")


def encode(body: Mapping[str, Any]) -> bytes:
    """The manifest's bytes, which are what is signed."""
    return (json.dumps({"format": FORMAT, "kind": KIND, **body}, ensure_ascii=False, indent=1) + "\n").encode()


def check(clip: Path, key: str | None = None) -> Checked:
    """Does the clip agree with the manifest beside it, and the manifest with its signature? `key` is a public key's line.

    Problems are (kind, detail): manifest_missing, manifest_bad, other_clip, clip_changed, signature_missing, signature_bad,
    other_key. A clip without a signature is whole at best, never proven: `signature_missing` counts as a problem only
    where a key was named or the manifest names one. Raises InputError where the clip cannot be read.
    """
    problems: list[tuple[str, str]] = []
    digest, size = _digest(clip)
    manifest = path_for(clip)
    raw = b""
    body: Mapping[str, Any] = {}
    try:
        raw = _small(manifest)
        body = json.loads(raw)
        stated = body["clip"]
        if body["kind"] != KIND or stated["sha256"] != digest or stated["bytes"] != size:
            problems.append(("clip_changed", clip.name) if body["kind"] == KIND else ("manifest_bad", manifest.name))
        if stated["file"] != clip.name:
            problems.append(("other_clip", str(stated["file"])))
    except FileNotFoundError:
        problems.append(("manifest_missing", manifest.name))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        problems.append(("manifest_bad", manifest.name))
    anchored = False
    if raw and isinstance(body, dict):
        anchored = _check_signature(manifest, raw, str(body.get("public_key") or ""), key, problems)
    return Checked(clip, not problems, anchored and not problems, tuple(problems))


def _check_signature(manifest: Path, raw: bytes, own: str, named: str | None, problems: list[tuple[str, str]]) -> bool:
    """True where the signature is by the named key."""
    key = keys.normal(named) if named else own
    if not key:
        return False
    signature = signature_for(manifest)
    try:
        proof = _small(signature)
    except OSError:
        problems.append(("signature_missing", signature.name))
        return False
    if keys.signed_by(raw, proof, key):
        return named is not None
    fault = "other_key" if named and own and own != key and keys.signed_by(raw, proof, own) else "signature_bad"
    problems.append((fault, signature.name))
    return False


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("too large for a manifest")
    return data


def _digest(path: Path) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                hasher.update(block)
                size += len(block)
    except OSError as error:
        raise InputError("clip.unreadable", file=path, detail=error.strerror) from None
    return hasher.hexdigest(), size
