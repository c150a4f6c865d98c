"""Takes an MPEG transport stream apart (ISO/IEC 13818-1; in RTP: RFC 2250, 2): PES packets of one picture and one sound.

Everything is taken from the first programme; a PID that its map does not name, or that nobody can use, is left out.
"""

from __future__ import annotations

from agent.rtsp.payload.pes import PesAssembler, PesPacket
from agent.rtsp.payload.ts_tables import PAT_PID, SectionBuffer, TsProgram, read_pat, read_pmt

_PACKET = 188
_SYNC = 0x47
_ERROR, _STARTS = 0x80, 0x40
_SCRAMBLED, _ADAPTATION, _PAYLOAD = 0xC0, 0x20, 0x10
_DISCONTINUITY, _PCR, _OPCR, _SPLICE, _LONGER = 0x80, 0x10, 0x08, 0x04, 0x03


class _TsPid:
    """One PID that is taken: the counter of its packets, and what collects their payloads."""

    def __init__(self, sections: SectionBuffer | None = None, pes: PesAssembler | None = None) -> None:
        self.sections, self.pes = sections, pes
        self.counter = -1

    def lose(self) -> None:
        """Drop what is under way."""
        self.counter = -1
        if self.pes:
            self.pes.lose()
        if self.sections:
            self.sections.drop()


class TransportDemuxer:
    """Demultiplexes one transport stream. No method raises.

    program    as its first map describes it; None before that
    changed    a later map describes other codings: the stream is another one
    pictures   PES packets of the picture that are complete, for the caller to take out; sounds: those of the sound
    """

    def __init__(self) -> None:
        self.program: TsProgram | None = None
        self.changed = False
        self.pictures: list[PesPacket] = []
        self.sounds: list[PesPacket] = []
        self._picture = PesAssembler(is_picture=True)
        self._sound = PesAssembler(is_picture=False)
        self._table = _TsPid(sections=SectionBuffer())
        self._pids = {PAT_PID: self._table}
        self._map_pid = PAT_PID
        self._chosen: tuple[int, int] | None = None

    @property
    def damaged(self) -> int:
        """PES packets that were left out because something of them was missing."""
        return self._picture.damaged + self._sound.damaged

    def lose(self) -> None:
        """Leave out what is under way: nobody knows of which PID something is missing."""
        for pid in self._pids.values():
            pid.lose()

    def feed(self, data: bytearray, at: int, end: int, arrival: int) -> None:
        """Take whole transport packets: `data` from `at` to `end`. `arrival` comes back in PesPacket."""
        # hot path: some 700 packets for each Mbit/s and second
        pids = self._pids
        for begin in range(at, end - _PACKET + 1, _PACKET):
            if data[begin] != _SYNC:
                self.lose()
                return
            pid = pids.get((data[begin + 1] & 0x1F) << 8 | data[begin + 2])
            if pid is not None:
                self._take(pid, data, begin, arrival)
                pids = self._pids

    def end(self) -> None:
        """Take the picture under way, at the end of the connection, where it is whole."""
        self.pictures += self._picture.end()

    def _take(self, pid: _TsPid, data: bytearray, begin: int, arrival: int) -> None:
        """Take a packet of a PID: payload behind the adaptation field, in the order of its counter."""
        flags, head = data[begin + 1], data[begin + 3]
        if flags & _ERROR or head & _SCRAMBLED:
            pid.lose()
            return
        at, end = begin + 4, begin + _PACKET
        starts = bool(flags & _STARTS)
        if head & _ADAPTATION:
            size = data[at]
            if size and data[at + 1] & _DISCONTINUITY and starts:
                pid.counter = -1  # said to be another stream's from here on: nothing is missing
            at += 1 + size
        if not head & _PAYLOAD or at >= end:
            return
        counter = head & 0x0F
        if counter == pid.counter:
            return  # the one before, once more
        if pid.counter >= 0 and counter != pid.counter + 1 & 0x0F:
            pid.lose()
        pid.counter = counter
        if pid.pes:
            pid.pes.is_filled = bool(head & _ADAPTATION) and _is_stuffed(data, begin + 4)
            found = pid.pes.feed(data, at, end, starts, arrival)
            if found:
                (self.pictures if pid.pes is self._picture else self.sounds).extend(found)
        elif pid.sections:
            self._take_sections(pid, bytes(data[at:end]), starts)

    def _take_sections(self, pid: _TsPid, payload: bytes, starts: bool) -> None:
        assert pid.sections is not None
        for section in pid.sections.feed(payload, starts):
            if pid is not self._table:
                self._follow(read_pmt(section))
            elif found := read_pat(section):
                self._follow_map(found)

    def _follow_map(self, pid: int) -> None:
        """Read the map of the programme at `pid`."""
        if pid != self._map_pid:
            self._map_pid = pid
            self._chosen = None
            self._choose({pid: _TsPid(sections=SectionBuffer())})

    def _follow(self, program: TsProgram | None) -> None:
        """Take what a map names. Another PID may carry the same stream on; another coding may not."""
        if program is None:
            return
        if self.program is None:
            self.program = program
        self.changed = self.changed or _is_other(self.program, program)
        if self.changed:
            return
        picture = program.picture.pid if program.picture else PAT_PID
        sound = program.sound.pid if program.sound else PAT_PID
        if (picture, sound) != self._chosen:
            self._chosen = picture, sound
            self._picture.lose()
            self._sound.lose()
            pids = {sound: _TsPid(pes=self._sound), picture: _TsPid(pes=self._picture)}
            self._choose({**pids, self._map_pid: self._pids[self._map_pid]})

    def _choose(self, pids: dict[int, _TsPid]) -> None:
        """Take these PIDs; the table of programmes is always at its own."""
        self._pids = {**pids, PAT_PID: self._table}


def _is_stuffed(data: bytearray, at: int) -> bool:
    """Return True where the adaptation field at `at` holds stuffing."""
    size, flags = data[at], data[at + 1]
    if not size:
        return True
    needed = 1 + (6 if flags & _PCR else 0) + (6 if flags & _OPCR else 0) + (1 if flags & _SPLICE else 0)
    return not flags & _LONGER and (size > needed or needed == 1)


def _is_other(before: TsProgram, after: TsProgram) -> bool:
    """Return True where the picture is coded otherwise, or the sound, unless it is missing now."""
    picture = after.picture.coding if after.picture else ""
    if picture != (before.picture.coding if before.picture else ""):
        return True
    return after.sound is not None and after.sound.coding != (before.sound.coding if before.sound else "")
