"""Limits connections to the page: how many an address may hold, and for how long.

The gate accepts connections from the listening socket itself, since asyncio accepts all that come. One address (for IPv6 a
network) is served FROM_ONE at a time, all together MOST. A few more of one address may queue, of which only the socket is
kept, and for which the address's own idle connections make room; the rest is closed at once. At MOST a new connection
replaces the one that has kept the page waiting longest, of the address that has most of those. TLS handshake, request head
and body have deadlines, and a peer must keep receiving what is sent.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress

from agent import i18n
from agent.website.http.http_connection import HttpConnection, count_unsent
from agent.website.http.throttle import identify_sender

log = logging.getLogger(__name__)
MOST = 200
FROM_ONE = 32
"""Several inspectors may come through one address (NAT), and a browser opens six connections."""
IN_LINE = 256
"""Of one address; twice as many of all."""
LINE_S = 15.0
HANDSHAKE_S = 10.0
HEAD_S = 10.0
BODY_S = 30.0
KEPT_S = 1.0
"""After an answer; after that a browser's connection makes room for others of its address."""
CLOSE_S = 5.0
STALL_S = 30.0
LEAST = 16 << 10
"""Bytes that a reader must receive in STALL_S, or all that there is for it."""
_TELL_S = 60.0
_AT_ONCE = 64
_PAUSE_S = 1.0
_SEND_BUFFER = 256 << 10


class ConnectionSlot:
    """A connection from its first packet on; `guest` is None until the TLS handshake is done."""

    def __init__(self, sock: socket.socket, where: str, now: float) -> None:
        self.sock = sock
        self.origin = where
        self.guest: HttpConnection | None = None
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self._since, self._taken, self._moved = now, 0, now
        self._phase = "handshake"

    def phase(self, now: float) -> tuple[str, float]:
        """Return (what the peer has to do, for how many seconds already); "" while the page itself is at work."""
        found, since = ("handshake", self._since) if self.guest is None else self.guest.waits_for()
        if found != self._phase:
            self._phase, self._since = found, now
        self._since = max(self._since, since)
        return found, now - self._since

    def unread(self) -> bool:
        """Whether there is data that the peer has not received."""
        return self.guest is not None and (count_unsent(self.sock)[0] > 0 or self.guest.unsent())

    def kept(self, now: float) -> float:
        """Return seconds that a browser has kept this connection idle, from KEPT_S on; 0.0 where it is in use."""
        phase, seconds = self.phase(now)
        spare = phase == "idle" and seconds >= KEPT_S and self.guest is not None and self.guest.answered()
        return seconds if spare and not self.unread() else 0.0

    def late(self, now: float) -> str:
        """Return why this connection must end, or ""."""
        taken = count_unsent(self.sock)[1]
        if self.unread():
            if taken - self._taken >= LEAST:
                self._taken, self._moved = taken, now
            self._since = now  # no deadline for the next request while the peer is still receiving
            return "reading" if now - self._moved > STALL_S else ""
        self._taken, self._moved = taken, now
        phase, seconds = self.phase(now)
        limit = {"handshake": HANDSHAKE_S, "idle": HEAD_S, "head": HEAD_S, "body": BODY_S, "closing": CLOSE_S}.get(
            phase
        )
        return phase if limit is not None and seconds > limit else ""

    def end(self) -> None:
        if self.guest is not None:
            self.guest.transport.abort()
        elif self.task is not None:
            self.task.cancel()


class ConnectionGate:
    """The gate; used in the event loop's thread only. `make` creates the protocol of a connection."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None, make: Callable[[], HttpConnection]) -> None:
        self._listener = listener
        self._tls = tls
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._seats: set[ConnectionSlot] = set()
        self._held: Counter[str] = Counter()
        self._lines: dict[str, deque[tuple[float, socket.socket]]] = {}
        self._turned: Counter[str] = Counter()
        self._told = float("-inf")
        self._open = True
        listener.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener, self._arrivals)

    def close(self) -> None:
        """Accept no more connections; those being answered may finish."""
        self._open = False
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for line in self._lines.values():
            for _, sock in line:
                sock.close()
        self._lines.clear()
        now = time.monotonic()
        for seat in [s for s in self._seats if s.phase(now)[0] and not s.unread()]:
            seat.end()

    def end(self) -> None:
        """Close every connection."""
        for seat in list(self._seats):
            seat.end()

    def _arrivals(self) -> None:
        for _ in range(_AT_ONCE):  # let the loop serve those that are admitted
            try:
                sock, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                # out of descriptors or memory: try again when there is some
                self._turned["short"] += 1
                self._loop.remove_reader(self._listener)
                self._loop.call_later(_PAUSE_S, self._listen)
                return
            self._arrived(sock, identify_sender(str(peer[0])))

    def _arrived(self, sock: socket.socket, where: str) -> None:
        now = time.monotonic()
        if self._held[where] >= FROM_ONE and (self._lines.get(where) or not self._retire(where, now)):
            self._stand_in_line(sock, where, now)
        elif len(self._seats) >= MOST and not self._make_room(now):
            self._turn_away(sock, "full")
        else:
            self._sit_down(sock, where, now)

    def _stand_in_line(self, sock: socket.socket, where: str, now: float) -> None:
        line = self._lines.get(where, deque())
        if len(line) >= IN_LINE or sum(map(len, self._lines.values())) >= 2 * IN_LINE:
            self._turn_away(sock, "address")
        else:
            self._lines[where] = line
            line.append((now, sock))

    def _call_in(self, where: str, now: float) -> None:
        """Admit the next in the queue of an address, while it may have more; close those that queued too long."""
        line = self._lines.get(where, deque())
        while line and (line[0][0] < now - LINE_S or self._has_place(where, now)):
            since, sock = line.popleft()
            if since < now - LINE_S:
                self._turn_away(sock, "address")
            else:
                self._sit_down(sock, where, now)
        if not line:
            self._lines.pop(where, None)

    def _has_place(self, where: str, now: float) -> bool:
        return (self._held[where] < FROM_ONE and len(self._seats) < MOST) or self._retire(where, now)

    def _retire(self, where: str, now: float) -> bool:
        """Close the connection of this address that has been idle longest, for one in the queue.

        Otherwise many browsers behind one address would wait for each other's idle connections. False where there is none.
        """
        idle = [
            (seconds, seat) for seat in self._seats if seat.origin == where for seconds in [seat.kept(now)] if seconds
        ]
        if not idle:
            return False
        _, seat = max(idle, key=lambda one: one[0])
        seat.end()
        self._leave(seat)
        return True

    def _sit_down(self, sock: socket.socket, where: str, now: float) -> None:
        with suppress(OSError):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # otherwise the kernel grows the buffer to megabytes for a peer that does not read
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        seat = ConnectionSlot(sock, where, now)
        self._seats.add(seat)
        self._held[where] += 1
        seat.task = self._loop.create_task(self._seat(seat))
        seat.task.add_done_callback(lambda task: self._seated(seat, task))

    async def _seat(self, seat: ConnectionSlot) -> None:
        """Wait for the TLS handshake; without TLS return at once. Raises OSError where it fails."""
        seat.begun = True

        def guest() -> HttpConnection:
            made = self._make()
            made.left = lambda: self._leave(seat)
            made.welcome = lambda: seat in self._seats
            return made

        more = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": 600.0} if self._tls else {}
        _, made = await self._loop.connect_accepted_socket(guest, seat.sock, ssl=self._tls, **more)
        if seat in self._seats:
            seat.guest = made

    def _seated(self, seat: ConnectionSlot, task: asyncio.Task[None]) -> None:
        seat.task = None
        if task.cancelled() or isinstance(task.exception(), OSError):
            # no TLS, disconnected, too slow, or evicted; asyncio owns the socket from the beginning and closes it
            if not seat.begun:
                seat.sock.close()
            self._leave(seat)

    def _leave(self, seat: ConnectionSlot) -> None:
        if seat in self._seats:
            self._seats.discard(seat)
            seat.guest = None
            self._held[seat.origin] -= 1
            if not self._held[seat.origin]:
                del self._held[seat.origin]
            if self._open and seat.origin in self._lines:
                self._loop.call_soon(self._call_in, seat.origin, time.monotonic())

    def _make_room(self, now: float) -> bool:
        """Close one connection that keeps the page waiting; False where the page is at work for all."""
        waiting = [(seat, seconds) for seat in self._seats for phase, seconds in [seat.phase(now)] if phase]
        if not waiting:
            return False
        share = Counter(seat.origin for seat, _ in waiting)
        seat, _ = max(waiting, key=lambda one: (share[one[0].origin], one[1]))
        self._turned["room"] += 1
        seat.end()
        self._leave(seat)
        return True

    def _turn_away(self, sock: socket.socket, why: str) -> None:
        self._turned[why] += 1
        sock.close()

    def sweep(self) -> None:
        """Every second close what is late; once a minute log in one line what was rejected."""
        now = time.monotonic()
        for seat in list(self._seats):
            if why := seat.late(now):
                if why not in ("idle", "closing"):  # browsers leave their connections open
                    self._turned[why] += 1
                seat.end()
        for where in list(self._lines):
            self._call_in(where, now)
        if self._turned and now - self._told >= _TELL_S:
            self._told = now
            counts = ", ".join(f"{i18n.translate(f'web.gate.{why}')} {n}" for why, n in sorted(self._turned.items()))
            self._turned.clear()
            log.warning("%s", i18n.translate("web.gate", counts=counts))
