"""Keeps sound and picture of one connection on one clock: by sender reports, else by the reply to PLAY, else by arrival."""

from __future__ import annotations

from agent.rtsp.track_clock import TrackClock

_SANE = 2.0
"""Seconds by which reports and arrivals may differ; cameras exist that count the reports of each track from another epoch."""
_EXACT, _COARSE = 0.008, 0.08
"""Seconds from which a better estimate is applied: by the camera's word, by arrivals."""
_SETTLING = 3.0
"""Seconds after the first sound during which arrivals may still correct it."""
_LATER = 30.0


class SoundOffset:
    """Where the zero of the sound's clock lies on the connection's time line, which begins with the first picture.

    seconds   None before both tracks have begun
    """

    def __init__(self, video: TrackClock, audio: TrackClock) -> None:
        self._video, self._audio = video, audio
        self.seconds: float | None = None
        self._announced: float | None = None
        self._stamps: tuple[int, int] | None = None
        self._since = self._next = 0.0

    def announce(self, video_stamp: int, audio_stamp: int) -> None:
        """Note the stamps that the reply to PLAY gives for one instant."""
        self._stamps = video_stamp, audio_stamp

    def update(self, now: float) -> None:
        """Estimate anew; call after each read. `now`: monotonic seconds."""
        by_arrival = self._by_arrival()
        if by_arrival is None:
            return
        if self.seconds is None:
            self._since = now
            self._announced = self._by_play()
        by_word = self._by_word(by_arrival)
        if self.seconds is None:
            self.seconds = by_arrival if by_word is None else by_word
        elif by_word is not None:
            if abs(by_word - self.seconds) > _EXACT:
                self.seconds = by_word
        elif now - self._since < _SETTLING or now >= self._next:
            self._next = now + _LATER
            if abs(by_arrival - self.seconds) > _COARSE:
                self.seconds = by_arrival

    def _by_word(self, by_arrival: float) -> float | None:
        """Return what the camera says, where it is not absurd."""
        said = self._by_reports()
        for offset in (said, self._announced):
            if offset is not None and abs(offset - by_arrival) < _SANE:
                return offset
        return None

    def _by_reports(self) -> float | None:
        video, audio = self._video, self._audio
        if video.report is None or audio.report is None:
            return None
        return (audio.report.unix_time - audio.report.ticks / audio.rate) - (
            video.report.unix_time - video.report.ticks / video.rate
        )

    def _by_play(self) -> float | None:
        if self._stamps is None:
            return None
        video, audio = self._video, self._audio
        picture, sound = video.find_ticks(self._stamps[0]), audio.find_ticks(self._stamps[1])
        return picture / video.rate - sound / audio.rate

    def _by_arrival(self) -> float | None:
        if self._video.delay is None or self._audio.delay is None:
            return None
        return self._audio.delay - self._video.delay
