"""One request whose files are pushed to the board: made, announced over MQTT, pushed over HTTPS."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent import i18n
from agent.bureau.handlers import RequestReplies
from agent.bureau.rate_limit import RateLimit
from agent.bureau.upload import BoardUpload, UploadAddress, UploadOptions, UploadStopped
from agent.contract.clips import UPLOAD_NAMESPACE, UploadFileBody
from agent.contract.requests import Invalid, UploadTarget, validate
from agent.core.clock import Clock, parse_time
from agent.core.errors import BureauError, SiteAgentError
from agent.drive import keys
from agent.inspection import clip_file

log = logging.getLogger(__name__)
_TELL_S = 5.0
MakeFiles = Callable[[Path, Callable[[], None]], list[Path]]
"""Writes the files into a folder and returns them; calls the second parameter again and again, and lets it raise."""
JobState = Literal["queued", "cutting", "uploading", "done"]


@dataclass(slots=True)
class UploadJob:
    """`result` is what every answer begins with; `make` writes the files into a folder; `size` is about what they take."""

    request_id: str
    address: UploadAddress
    replies: RequestReplies
    result: dict[str, object]
    make: MakeFiles
    size: int
    key: str
    state: JobState = "queued"
    progress: float = 0.0
    files: list[UploadFileBody] = field(default_factory=list)

    @property
    def folder_name(self) -> str:
        """Return a name for its folder: the request's ID comes from the wire."""
        return hashlib.sha256(self.request_id.encode()).hexdigest()[:32]

    def tell(self, state: JobState) -> None:
        """Answer how far it is."""
        self.state = state
        upload = {"state": state, "progress": round(self.progress, 3), "files": list(self.files), "key": self.key}
        self.replies.tell({**self.result, "upload": upload})


def read_address(asked: Mapping[str, object]) -> UploadAddress:
    """Return where a request wants its files. Raises BureauError."""
    given = asked.get("upload")
    try:
        target = validate(UploadTarget, given if isinstance(given, Mapping) else {})
    except Invalid:
        raise BureauError("bureau.bad_value", key="upload", value="…") from None
    return UploadAddress(target.url, target.token, parse_time(target.until))


def run_upload_job(
    job: UploadJob,
    folder: Path,
    options: UploadOptions,
    clock: Clock,
    limit: RateLimit,
    stop: threading.Event,
    key_dir: Path,
) -> None:
    """Make the files, announce and push them; every outcome but the service's stop is answered."""

    def check() -> None:
        if stop.is_set():
            raise UploadStopped

    try:
        job.tell("cutting")
        folder.mkdir(parents=True)
        # papers first: the board can check them while the video comes
        files = sorted(job.make(folder, check), key=lambda file: (file.suffix in (".mp4", ".jpg"), file.name))
        job.files = [_describe(file) for file in files]
        job.tell("uploading")
        _push(job, files, options, clock, limit, stop, key_dir)
        job.progress = 1.0
        job.tell("done")
    except UploadStopped:
        return
    except OSError as error:
        job.replies.fail(clip_file.make_write_error(folder.parent, error))
    except SiteAgentError as error:
        log.warning("%s", error)
        job.replies.fail(error)
    except Exception:  # no request may end the process; the log has the traceback
        log.exception("%s", i18n.translate("bureau.request_failed", name="upload"))
        job.replies.fail(BureauError("bureau.internal", name="upload"))


def _push(
    job: UploadJob,
    files: list[Path],
    options: UploadOptions,
    clock: Clock,
    limit: RateLimit,
    stop: threading.Event,
    key_dir: Path,
) -> None:
    total = max(1, sum(file["bytes"] for file in job.files))
    told_at = clock.monotonic()

    def told(done: int) -> None:
        nonlocal told_at
        job.progress = min(1.0, done / total)
        if clock.monotonic() - told_at >= _TELL_S:
            told_at = clock.monotonic()
            job.tell("uploading")

    upload = BoardUpload(
        lambda: job.address,
        options,
        clock,
        limit,
        stop,
        request_id=job.request_id,
        prove=lambda text: keys.sign_bytes(text, key_dir, namespace=UPLOAD_NAMESPACE),
        told=told,
    )
    upload.push(files)


def _describe(file: Path) -> UploadFileBody:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"name": file.name, "bytes": file.stat().st_size, "sha256": digest}
