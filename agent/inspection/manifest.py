"""The manifest of a clip: what was asked and given, from which files, what is missing, who cut it, and proof.

`NAME.mp4` has `NAME.json` (UTF-8) beside it and, where the box has a key, `NAME.json.sig`, an OpenSSH signature of the JSON
in the namespace `site-agent`; `ssh-keygen -Y verify` checks it without this software.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import InputError
from agent.core.model import JsonObject
from agent.drive import Drive, files, keys
from agent.drive.against import BureauList
from agent.inspection.sources import SOURCE_FOUND, SourceLookup, look_up_sources, look_up_statements

MANIFEST_FORMAT = 1
MANIFEST_KIND = "site-agent.clip"
CHECK_NAMES = ("clip", "signature", "key", "sources", "statements")
_MAX_MANIFEST = 16 << 20


@dataclass(frozen=True, slots=True)
class CheckedManifest:
    """Result of checking a clip.

    `anchored`: the signature is by a key that the checker named, not just by the key in the manifest. `clip` (its bytes),
    `signature`, `key` (who signed), `sources` and `statements` are each in `checked` or in `not_checked`; what was checked
    and is wrong is in `problems` as well. `looked` are the sources, where drives were given.
    """

    file: Path
    ok: bool
    anchored: bool
    problems: tuple[tuple[str, str], ...]
    checked: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    looked: tuple[SourceLookup, ...] = ()


def manifest_path(clip: Path) -> Path:
    """Return the path of a clip's manifest."""
    return clip.with_suffix(".json")


def signature_path(manifest: Path) -> Path:
    """Return the path of a manifest's signature."""
    return manifest.with_name(manifest.name + ".sig")


def encode_manifest(body: Mapping[str, object]) -> bytes:
    """Return the manifest's bytes, which are what is signed."""
    return (
        json.dumps({"format": MANIFEST_FORMAT, "kind": MANIFEST_KIND, **body}, ensure_ascii=False, indent=1) + "\n"
    ).encode()


def check_clip(
    clip: Path, key: str | None = None, drives: Iterable[Drive] | None = None, against: BureauList | None = None
) -> CheckedManifest:
    """Check whether the clip agrees with the manifest beside it, and the manifest with its signature.

    `key` is the line of a public key. With `drives` the sources are looked up in the signed checksums of these drives, with
    `against` in the bureau's list of what was told when they were recorded. Problems are (kind, detail): manifest_missing,
    manifest_bad, other_clip, clip_changed, unsigned, signature_missing, signature_bad, other_key, source_differs,
    source_missing, source_unsigned, source_elsewhere, source_untold, source_told_otherwise. A manifest without a key is
    `unsigned`: whoever removed the key could have changed everything else. Raises InputError where the clip cannot be read,
    DriveError.
    """
    problems: list[tuple[str, str]] = []
    digest, size = _hash_clip(clip)
    manifest = manifest_path(clip)
    raw, body = _read_manifest(manifest, problems)
    done: list[str] = []
    anchored = False
    if body:
        done.append("clip")
        _check_clip(clip, digest, size, body, problems)
        own = keys.strip_key_comment(str(body.get("public_key") or ""))
        anchored = _check_signature(manifest, raw, own, key, problems)
        done += ["signature"] if own or key else []
        done += ["key"] if key else []
    looked: list[SourceLookup] = []
    if drives is not None and body:
        done.append("sources")
        looked = look_up_sources(body, drives, key)
        problems += [(f"source_{x.state}", x.path) for x in looked if x.state != SOURCE_FOUND]
        if not looked:
            problems.append(("source_missing", manifest.name))
    if against is not None and body:
        done.append("statements")
        told = look_up_statements(body, against)
        problems += [(f"source_{x.state}", x.path) for x in told if x.state != SOURCE_FOUND]
        if not told:
            problems.append(("source_untold", manifest.name))
    left = tuple(name for name in CHECK_NAMES if name not in done)
    ok = not problems
    return CheckedManifest(clip, ok, anchored and ok, tuple(problems), tuple(done), left, tuple(looked))


def _read_manifest(path: Path, problems: list[tuple[str, str]]) -> tuple[bytes, JsonObject]:
    """(bytes, content) of the manifest; both empty where it cannot be used."""
    try:
        raw = files.read_small_file(path, _MAX_MANIFEST)
        body = json.loads(raw)
        if body and isinstance(body, dict):
            return raw, body
        problems.append(("manifest_bad", path.name))
    except FileNotFoundError:
        problems.append(("manifest_missing", path.name))
    except (OSError, ValueError, RecursionError):
        problems.append(("manifest_bad", path.name))
    return b"", {}


def _check_clip(clip: Path, digest: str, size: int, body: JsonObject, problems: list[tuple[str, str]]) -> None:
    manifest = manifest_path(clip)
    try:
        stated = body["clip"]
        if body["kind"] != MANIFEST_KIND or stated["sha256"] != digest or stated["bytes"] != size:
            problems.append(
                ("clip_changed", clip.name) if body["kind"] == MANIFEST_KIND else ("manifest_bad", manifest.name)
            )
        if stated["file"] != clip.name:
            problems.append(("other_clip", str(stated["file"])))
    except (KeyError, TypeError):
        problems.append(("manifest_bad", manifest.name))


def _check_signature(manifest: Path, raw: bytes, own: str, named: str | None, problems: list[tuple[str, str]]) -> bool:
    """Return True where the signature is by the named key."""
    key = keys.strip_key_comment(named) if named else own
    signature = signature_path(manifest)
    if not key:
        problems.append(("unsigned", manifest.name))
        return False
    try:
        proof = files.read_small_file(signature, files.MAX_SIGNATURE)
    except FileNotFoundError:
        problems.append(("signature_missing", signature.name))
        return False
    except OSError:
        problems.append(("signature_bad", signature.name))
        return False
    if keys.verify_signature(raw, proof, key):
        return named is not None
    fault = "other_key" if named and own and own != key and keys.verify_signature(raw, proof, own) else "signature_bad"
    problems.append((fault, signature.name))
    return False


def _hash_clip(path: Path) -> tuple[str, int]:
    hasher = hashlib.sha256()
    try:
        with files.open_for_reading(path, files.MAX_SEGMENT) as file:
            for block in file.blocks():
                hasher.update(block)
            return hasher.hexdigest(), file.size
    except OSError as error:
        raise InputError("clip.unreadable", file=path, detail=error.strerror) from None
