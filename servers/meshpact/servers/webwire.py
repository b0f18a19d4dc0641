"""HTTP/1.1 connections that do not wait for ever: uvicorn's (h11), with a time for each turn.

uvicorn itself bounds the pause between two requests and the size of headers only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from meshpact.servers.weblimits import WebLimits, plain_answer


class Wire(H11Protocol):
    """One connection; `of` makes the class for some limits."""

    limits: ClassVar[WebLimits] = WebLimits()
    _turn: asyncio.TimerHandle | None = None
    """When the other side must have said what it began to say."""
    _reading: asyncio.TimerHandle | None = None
    """When the other side must have read what it was sent."""
    _thrown_away: int = 0
    """Bytes of a body that came after its answer."""

    @staticmethod
    def of(limits: WebLimits) -> type[Wire]:
        """The class of connections within these limits."""
        return type("Wire", (Wire,), {"limits": limits})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        opened: socket.socket | None = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            # also for what the kernel still has to send once the connection is closed here
            assert opened is not None
            milliseconds = int(self.limits.read_seconds * 1000)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        if len(self.connections) > self.limits.connections:
            self._refuse(503, "Too many connections are open.", (b"retry-after", b"5"))
            return
        self._time_turn()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._answered_early():
            self._thrown_away += len(data)
            if self._thrown_away > self.limits.body_bytes:
                self.transport.abort()
                return
        else:
            self._thrown_away = 0
        super().data_received(data)
        self._time_turn()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._time_reading()
        self._time_turn()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._time_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._end_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_turn()
        self._end_reading()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Called while the error is handled: h11 knows better than 400 what it is."""
        error = sys.exception()
        too_large = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == 431
        if too_large and not self._answering():
            self._refuse(431, f"Headers have at most {self.limits.header_bytes} bytes.")
        elif not self._answering():
            self._refuse(400, msg)
        else:
            self.transport.close()

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def _answered_early(self) -> bool:
        """Whether what comes is the rest of a body whose answer is there already: it is thrown
        away, for a while."""
        return self.conn.their_state is h11.SEND_BODY and not self._answering()

    def _time_turn(self) -> None:
        """Begins to count when it is the other side's turn, ends when it is not any more."""
        if not self._due():
            self._end_turn()
        elif self._turn is None:
            self._turn = self.loop.call_later(self.limits.header_seconds, self._too_slow)

    def _due(self) -> bool:
        if self.transport.is_closing() or self._answering():
            return False
        if self._answered_early():
            return True
        cycle: Any = self.cycle
        begun = cycle is None or bool(self.conn.trailing_data[0])
        return self.conn.their_state is h11.IDLE and begun

    def _too_slow(self) -> None:
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            seconds = self.limits.header_seconds
            self._refuse(408, f"The headers of the request took more than {seconds:g} s.")
        else:
            self.transport.abort()

    def _time_reading(self) -> None:
        if self._reading is None:
            self._reading = self.loop.call_later(self.limits.read_seconds, self.transport.abort)

    def _refuse(self, status: int, words: str, *headers: tuple[bytes, bytes]) -> None:
        self.transport.write(plain_answer(status, words, *headers))
        self.transport.close()
        self._time_reading()

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None
