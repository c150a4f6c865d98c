"""The file of a clip that is being made: its folder, a free name, and writing it while it is hashed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Thread

from agent.core.errors import InputError
from agent.drive import durable, keys
from agent.inspection import manifest

_HASH_BLOCK = 1 << 20


def make_clip_folder(out: Path) -> Path:
    """Make the folder for clips and return its real path. Raises InputError.

    Clips never go onto a drive with recordings: a file there that its checksums do not name would look planted.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        out = out.resolve(strict=True)
    except OSError as error:
        raise make_write_error(out, error) from error
    for folder in (out, *out.parents):
        if (folder / ".site-agent").exists():
            raise InputError("clip.out_on_drive", path=out, root=folder)
    return out


def reserve_name(out: Path, base: str) -> tuple[Path, Path]:
    """Return (final, temporary) paths for a clip; neither the clip nor its manifest exists. Raises InputError.

    The temporary file is created, so that no other process takes the name.
    """
    number = 1
    while True:
        name = base if number == 1 else f"{base}-{number}"
        final, part = out / f"{name}.mp4", out / f".{name}.mp4.part"
        taken = any(os.path.lexists(p) for p in (final, manifest.manifest_path(final)))
        if not taken:
            try:
                os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            except FileExistsError:
                pass
            except OSError as error:
                raise make_write_error(out, error) from error
            else:
                return final, part
        number += 1


def make_write_error(path: Path, error: OSError) -> InputError:
    """Return the error for a folder that cannot be written to."""
    return InputError("clip.cannot_write", path=path, detail=error.strerror or error)


def write_hashed(blocks: Iterator[bytes], part: Path, check: Callable[[], None] = lambda: None) -> tuple[str, int]:
    """Write the blocks to a file; return (SHA-256, size in bytes). Raises OSError.

    A second thread hashes. Blocks are joined to 1 MiB first: below that, handing them over costs more than it saves.
    """
    hasher, size = hashlib.sha256(), 0
    queue: Queue[bytearray | None] = Queue(4)

    def hash_all() -> None:
        while (data := queue.get()) is not None:
            hasher.update(data)

    thread = Thread(target=hash_all, name="clip-hash")
    thread.start()
    try:
        with part.open("wb", buffering=0) as file:
            for data in _join_blocks(blocks):
                check()
                queue.put(data)
                size += len(data)
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
    finally:
        queue.put(None)
        thread.join()
    return hasher.hexdigest(), size


def write_manifest(clip: Path, raw: bytes, key_dir: Path | None) -> None:
    """Write a manifest's bytes beside its clip, and their signature where `key_dir` holds a key.

    Both are on the disk when this returns, since the audit names them next. Raises OSError, DriveError.
    """
    path = manifest.manifest_path(clip)
    contents = {path: raw}
    if key_dir is not None:
        contents[manifest.signature_path(path)] = keys.sign_bytes(raw, key_dir)
    for target, data in contents.items():
        with target.open("xb") as file:
            file.write(data)
        durable.sync_file(target)
    durable.sync_folder(path.parent)


def _join_blocks(blocks: Iterator[bytes]) -> Iterator[bytearray]:
    data = bytearray()
    for block in blocks:
        data += block
        if len(data) >= _HASH_BLOCK:
            yield data
            data = bytearray()
    yield data
