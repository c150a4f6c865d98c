"""The parameter sets of a stream: those of its description, and those that it sends along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from agent.mp4.nal import START_CODE, split_annex_b
from agent.rtsp.payload.bits import MAX_UNIT_BYTES, BadParameterSetError
from agent.rtsp.payload.picture_format import PictureFormat
from agent.rtsp.payload.sps import SpsInfo
from agent.rtsp.payload.sps_h264 import parse_h264_sps
from agent.rtsp.payload.sps_h265 import parse_h265_sps

_MAX_OF_A_KIND = {"h264": {7: 31, 8: 255}, "hevc": {32: 16, 33: 16, 34: 64}}
"""NAL unit types of parameter sets in the order of the extradata, and how many of each a file can state."""
_SPS_KIND = {"h264": 7, "hevc": 33}
_PARSERS: dict[str, Callable[[bytes], SpsInfo]] = {"h264": parse_h264_sps, "hevc": parse_h265_sps}


class _UnitHeader(NamedTuple):
    kind: int
    base_layer: bool


def _read_header(unit: bytes, codec: str) -> _UnitHeader:
    if codec == "h264":
        return _UnitHeader(unit[0] & 0x1F, base_layer=True)
    return _UnitHeader(unit[0] >> 1 & 0x3F, base_layer=not (unit[0] & 1 or unit[1] & 0xF8))


class ParameterSets:
    """Keeps the parameter sets of one stream. `codec`: h264 or hevc; `described`: the units of its description."""

    def __init__(self, codec: str, described: Iterable[bytes] = ()) -> None:
        self._codec = codec
        self._limits = _MAX_OF_A_KIND[codec]
        self._sets: dict[int, tuple[bytes, ...]] = {}
        self._format: PictureFormat | None = None
        self._stale = True
        self.take(tuple(described))

    def take(self, units: Sequence[bytes]) -> None:
        """Take in the units of one access unit; those that are no parameter sets do not count.

        A kind that has other contents than before replaces all of that kind: some cameras repeat only one kind, or send
        another kind only in the description.
        """
        found: dict[int, dict[bytes, None]] = {}
        for unit in units:
            for bare in _split_unit(unit):
                header = _read_header(bare, self._codec)
                if header.kind in self._limits and header.base_layer:
                    found.setdefault(header.kind, {})[bare] = None
        for kind, sets in found.items():
            if not sets.keys() <= set(self._sets.get(kind, ())):
                self._sets[kind] = tuple(sets)[: self._limits[kind]]
                self._stale = True

    def format(self) -> PictureFormat | None:
        """Return what a decoder must know: the same object until something changes.

        None while a kind is missing or no sequence parameter set can be read.
        """
        if self._stale:
            self._stale = False
            self._format = self._build()
        return self._format

    def _build(self) -> PictureFormat | None:
        info = self._read_info()
        if info is None or self._sets.keys() != self._limits.keys():
            return None
        units = [unit for kind in self._limits for unit in self._sets[kind]]
        extradata = b"".join(b"\x00" + START_CODE + unit for unit in units)
        return PictureFormat(self._codec, extradata, *info)

    def _read_info(self) -> SpsInfo | None:
        """Return what the first readable sequence parameter set says; None where none can be read."""
        for unit in self._sets.get(_SPS_KIND[self._codec], ()):
            try:
                return _PARSERS[self._codec](unit)
            except BadParameterSetError:
                continue
        return None


def _split_unit(unit: bytes) -> Iterable[bytes]:
    """Return the bare units in `unit`, which some cameras send with start codes before or behind it."""
    if len(unit) > MAX_UNIT_BYTES:
        return ()
    bare = [unit] if START_CODE not in unit else [unit[: unit.index(START_CODE)], *split_annex_b(unit)]
    return [part for part in (one.rstrip(b"\x00") for one in bare) if len(part) > 2]
