"""Writes the file of one segment: a hybrid fragmented MP4, readable while it grows, an ordinary MP4 once closed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Stream
from av.video.reformatter import ColorRange

from agent import i18n
from agent.core.errors import DriveError, Shortage
from agent.drive import Drive, durable
from agent.drive.identity import is_drive_errno, to_drive_error
from agent.media.containers import MediaPacket
from agent.mp4.mux_stamps import MOVIE_TIMESCALE, MuxStamp, MuxStamps
from agent.mp4.repair import find_whole_end, truncate_to_whole
from agent.recording.picture_template import PictureTemplate
from agent.recording.sound import Sound
from agent.rtsp.media_unit import MediaUnit
from agent.rtsp.payload.picture_format import PictureFormat

log = logging.getLogger(__name__)
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """Where a segment's file lies: its folder, its name, and the name that it has while it is written."""

    folder: Path
    name: str
    temporary: str


@dataclass(frozen=True, slots=True)
class Tracks:
    """What a segment's file holds: pictures like `template`, with stamps of `clock_rate` ticks a second, and `sound` if any."""

    template: PictureTemplate
    clock_rate: int
    sound: Sound | None


class SegmentWriter:
    """Writes a file under its temporary name until `commit` gives it its own.

    The folder is held open and the file reached through it, so nothing is ever written under an empty mount point.
    All methods raise DriveError.

    start    the place on the connection's time line that becomes 0 in the file
    empty    it holds no picture yet
    """

    def __init__(
        self, drive: Drive, file: SegmentFile, tracks: Tracks, *, start: float, fragment_seconds: float
    ) -> None:
        folder, temporary = file.folder, file.temporary
        self.drive = drive
        self._path, self._final = folder / temporary, folder / file.name
        self.start = start
        self._folder_fd = self._fd = -1
        self._failure: DriveError | Shortage | None = None
        self.empty, self._sound_refused = True, False
        try:
            self._folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._compare_device()
            # O_EXCL: a name that exists is never opened for writing
            flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(temporary, flags, 0o644, dir_fd=self._folder_fd)
            # shows recovery, in whatever process, that this file is being written
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._held = Path(f"/proc/self/fd/{self._fd}")
            self._inside = Path(f"/proc/self/fd/{self._folder_fd}")
            self._open(self._inside / temporary, tracks, fragment_seconds)
            os.fsync(self._folder_fd)
        except (OSError, av.FFmpegError) as error:
            self._withdraw(temporary)
            raise self._error(error) from error
        except DriveError:
            self._release()
            raise

    def _withdraw(self, temporary: str) -> None:
        """Remove a file that holds no picture, and release it."""
        if self._fd >= 0:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._folder_fd)
        self._release()

    def _compare_device(self) -> None:
        if os.fstat(self._folder_fd).st_dev != self.drive.device:
            raise DriveError("drive.mounted_anew", "drive.missing", root=self.drive.root)

    def _open(self, path: Path, tracks: Tracks, fragment_seconds: float) -> None:
        picture, sound = tracks.template.picture, tracks.sound
        micro = str(round(fragment_seconds * 1e6))
        self._container = av.open(
            str(path),
            "w",
            format="mp4",
            options={
                "movflags": "hybrid_fragmented+empty_moov+default_base_moof",
                "flush_packets": "1",
                "frag_duration": micro,
                "max_interleave_delta": micro,
                "movie_timescale": str(MOVIE_TIMESCALE),
                "avoid_negative_ts": "disabled",
            },
        )
        self._video = self._container.add_stream_from_template(tracks.template.stream)
        context = self._video.codec_context
        _describe(context, picture)
        context.framerate = Fraction(0)  # otherwise FFmpeg makes up a duration where there is none: see `unseen`
        if picture.codec == "hevc":
            # browsers and Windows play H.265 in MP4 under this name only
            context.codec_tag = "hvc1"
        self._audio = sound.add_to(self._container) if sound else None
        self._video_tick = self._video.time_base = Fraction(1, tracks.clock_rate)
        self._stamps = MuxStamps(round(self.start * tracks.clock_rate), tracks.clock_rate)
        self._audio_base = round(self.start / sound.tick) if sound else 0
        self._container.start_encoding()

    def video(self, unit: MediaUnit) -> bool:
        """Write a picture; its stamps are on the connection's time line. False where the muxer refuses it.

        A picture of an open group that is shown before the file begins is left out: it cannot be decoded in this file.
        """
        stamp = self._stamps.place(unit.pts, unit.dts, unit.duration)
        return stamp is None or self._write(unit, stamp, is_key=unit.is_key)

    def unseen(self, unit: MediaUnit) -> bool:
        """Write the picture that the next file begins with, for those to be decoded from that are shown before it.

        Players do not show it here, and do not begin with it.
        """
        return self._write(unit, self._stamps.place_unseen(unit.pts, unit.dts), is_key=False)

    def _write(self, unit: MediaUnit, stamp: MuxStamp, *, is_key: bool) -> bool:
        packet = av.Packet(unit.data)
        packet.pts, packet.dts, packet.duration = stamp
        packet.time_base = self._video_tick
        packet.is_keyframe = is_key
        written = self._mux(packet, self._video)
        self.empty = self.empty and not written
        return written

    def audio(self, packet: MediaPacket) -> None:
        """Write sound that lies at or after `start`; what the muxer refuses is left out, and logged once for each file."""
        assert self._audio is not None
        assert packet.pts is not None
        packet.pts = packet.dts = packet.pts - self._audio_base
        if not self._mux(packet, self._audio) and not self._sound_refused:
            self._sound_refused = True
            log.warning("%s", i18n.translate("recording.sound_refused", file=self._final))

    def _mux(self, packet: MediaPacket, stream: Stream) -> bool:
        if self._failure:
            raise self._failure
        packet.stream = stream
        try:
            self._container.mux_one(packet)
        except (OSError, av.FFmpegError) as error:
            if is_drive_errno(error.errno):
                raise self._fail(error, self._whole()) from error
            # stamps or data that cannot stand in a file: it is refused before anything is written
            return False
        return True

    def handle(self) -> int:
        """Return a descriptor for syncing the file, valid whatever happens to this writer; the caller closes it."""
        try:
            return os.dup(self._fd)
        except OSError as error:
            raise self._error(error) from error

    def check_place(self) -> None:
        """Check that the file is still where its name says."""
        try:
            named, held = self._path.stat(), os.fstat(self._fd)
        except OSError as error:
            raise self._error(error) from error
        if (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino):
            # unplugged or unmounted under the open file: the kernel still takes bytes, but nothing reaches the drive
            raise DriveError("drive.missing", "drive.missing", root=self.drive.root)

    def close(self) -> None:
        """End the file: index written, everything flushed to the kernel. Nothing can be written afterwards."""
        if self._failure:
            raise self._failure
        whole = self._whole()
        try:
            self._container.close()
        except (OSError, av.FFmpegError) as error:
            failure = self._fail(error, whole)
            if is_drive_errno(error.errno):
                raise failure from error
            # the muxer could not write the index: the fragments before it are a complete file
            self._failure = None

    def _fail(self, error: OSError | av.FFmpegError, whole: int | None) -> DriveError | Shortage:
        """End the file before a write that failed half-way: what the muxer writes now would refer to missing data."""
        self._failure = self._error(error)
        with suppress(OSError, av.FFmpegError):
            self._container.close()
        if whole is not None:
            # where even this fails the drive is gone, and recovery reads what it can
            with suppress(OSError):
                truncate_to_whole(self._held, whole)
        return self._failure

    def _whole(self) -> int | None:
        try:
            return find_whole_end(self._held)
        except OSError:
            return None

    def commit(self) -> tuple[int, str]:
        """Sync the closed file, hash it, give it its name, sync the folder; return (bytes, SHA-256 in hex)."""
        try:
            os.fdatasync(self._fd)
            self.check_place()
            size, digest = hash_descriptor(self._fd)
            durable.rename_no_replace(self._inside / self._path.name, self._inside / self._final.name)
            os.fsync(self._folder_fd)
        except OSError as error:
            raise self._error(error) from error
        finally:
            self._release()
        return size, digest

    def abandon(self) -> None:
        """Release a file whose drive has failed; what is on the disk stays for recovery, without half a fragment."""
        with suppress(DriveError, Shortage):
            self.close()
        self._release()

    def discard(self) -> None:
        """Remove a closed file that holds no picture."""
        self._withdraw(self._path.name)

    def _release(self) -> None:
        for descriptor in (self._fd, self._folder_fd):
            if descriptor >= 0:
                # a file system behind FUSE reports at close what has failed; every write here was synced and asked before
                with suppress(OSError):
                    os.close(descriptor)
        self._fd = self._folder_fd = -1

    def _error(self, error: OSError | av.FFmpegError) -> DriveError | Shortage:
        plain = OSError(error.errno or errno.EIO, error.strerror or str(error))
        return to_drive_error(plain, self.drive.root)


def _describe(context: av.VideoCodecContext, picture: PictureFormat) -> None:
    """Put into `context` what the file's header says of the pictures."""
    look = picture.look
    context.extradata = picture.extradata
    context.width, context.height = picture.width, picture.height
    context.sample_aspect_ratio = Fraction(*look.aspect)
    context.color_primaries, context.color_trc, context.colorspace = look.primaries, look.transfer, look.matrix
    if look.full_range is not None:
        context.color_range = ColorRange.JPEG if look.full_range else ColorRange.MPEG


def check_space(drive: Drive, reserve: int) -> None:
    """Raise DriveError `drive.full` where less than `reserve` bytes are left, or than a hundredth of a small drive."""
    free, total = drive.space()
    if free < min(reserve, total // 100):
        raise DriveError("drive.full", "drive.full", root=drive.root)


def hash_descriptor(descriptor: int) -> tuple[int, str]:
    """Size and SHA-256 of an open file, read from its beginning. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    while block := os.pread(descriptor, _BLOCK, size):
        digest.update(block)
        size += len(block)
    # the page cache belongs to the files being written and counted from
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return size, digest.hexdigest()
