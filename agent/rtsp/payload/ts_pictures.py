"""Makes coded pictures of the PES packets of an MPEG transport stream."""

from __future__ import annotations

from agent.mp4.nal import START_CODE, split_annex_b
from agent.rtsp.payload.access_unit import PREFIX, AccessUnit, CodedPicture, NalRules


class TsPictureJoiner:
    """Makes pictures of PES packets, each of which begins with one.

    `damaged`: packets and pictures that do not begin as one does.
    """

    def __init__(self, rules: NalRules) -> None:
        self._rules = rules
        self._unit = AccessUnit(rules)
        self.damaged = 0

    def feed(self, data: bytes) -> list[CodedPicture]:
        """Return the pictures of a packet, usually one: with others, an access unit delimiter stands between them."""
        if not data.startswith((START_CODE, PREFIX)):
            self.damaged += 1  # the rest of a picture before
            return []
        unit, rules = self._unit, self._rules
        pictures: list[CodedPicture] = []
        for nal in split_annex_b(data):
            if unit.has_slice and rules.is_delimiter(rules.get_type(nal[0])):
                pictures += self._take()
            unit.add(nal)
        return pictures + self._take()

    def _take(self) -> list[CodedPicture]:
        if self._unit.headless:
            self.damaged += 1
            self._unit.clear()
            return []
        return self._unit.take()
