"""A raw HTTP/2 client, over TLS or in plain text, that sends what no honest gRPC client sends.

Frames and header blocks are written by hand (hyperframe, hpack), so that paths, duplicate and
malformed headers, header blocks before the SETTINGS exchange, broken messages and resets go out
as they are. Blocking; one connection, any number of streams; not for use from two threads.
Needs the package `h2` (for hpack and hyperframe).

    with RawConnection(address, identity, "inventory.example.org") as wire:
        answer = wire.call("/pkg.Service/Method", grpc_message(request.SerializeToString()))
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from meshpact.testing.rawanswer import Answer, Ended, Header

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CANCEL: Final = 8
"""HTTP/2 error code of a client that gave up (RFC 9113 section 7)."""
_FRAME: Final = 16384
_WINDOW: Final = 65535


@dataclass(frozen=True)
class ClientIdentity:
    """What a raw client shows and trusts, as PEM; an empty chain shows no certificate."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    roots_pem: bytes

    def context(self, *, protocols: Sequence[str] = ("h2",)) -> ssl.SSLContext:
        """A TLS context that verifies the server against the roots."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(list(protocols))
        context.load_verify_locations(cadata=self.roots_pem.decode("ascii"))
        if self.chain_pem:
            # ssl reads a key from files only; mkdtemp makes a folder that is ours alone (0700).
            with tempfile.TemporaryDirectory(prefix="meshpact-raw-") as folder:
                chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")
                chain.write_bytes(self.chain_pem)
                key.touch(mode=0o600)
                key.write_bytes(self.key_pem)
                context.load_cert_chain(chain, key)
        return context


def grpc_message(body: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A length-prefixed gRPC message; `length` lies about the size of the body."""
    size = len(body) if length is None else length
    return bytes([compressed]) + size.to_bytes(4, "big") + body


@dataclass
class _Stream:
    sent: float
    window: int
    headers: tuple[Header, ...] = ()
    trailers: tuple[Header, ...] = ()
    body: bytearray = field(default_factory=bytearray)
    ended: Ended | None = None
    finished: float = 0.0
    error_code: int | None = None
    goaway: bytes = b""

    def finish(self, how: Ended, code: int | None = None) -> None:
        if self.ended is None:
            self.ended, self.error_code, self.finished = how, code, time.monotonic()


class RawConnection:
    """One HTTP/2 connection whose every frame the caller decides; no identity: in plain text.

    `await_settings=False` sends the first requests before the server's SETTINGS were read, let
    alone acknowledged. `timeout` bounds each blocking step, in seconds. Raises OSError (of which
    ssl.SSLError is one) when the connection or its handshake fails.
    """

    def __init__(
        self,
        address: tuple[str, int],
        identity: ClientIdentity | None,
        server_name: str,
        *,
        await_settings: bool = True,
        timeout: float = 30.0,
        protocols: Sequence[str] = ("h2",),
    ) -> None:
        self._timeout = timeout
        plain = socket.create_connection(address, timeout=timeout)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._scheme = plain, b"http"
        if identity is not None:
            self._scheme = b"https"
            try:
                self._socket = identity.context(protocols=protocols).wrap_socket(
                    plain, server_hostname=server_name
                )
            except BaseException:
                plain.close()
                raise
        self._authority = server_name.encode("ascii")
        self._encoder, self._decoder = Encoder(), Decoder(max_header_list_size=1 << 24)
        self._streams: dict[int, _Stream] = {}
        self._next_stream = 1
        self._buffer = b""
        self._block: tuple[int, bool, bytearray] | None = None
        self._window, self._initial_window = _WINDOW, _WINDOW
        self._settings_seen = False
        self.closed = False
        self.goaway: int | None = None
        """Error code of a GOAWAY frame, None when none came."""
        self._write(PREFACE + SettingsFrame(0).serialize())
        if await_settings:
            deadline = time.monotonic() + timeout
            while not self._settings_seen and self._read(deadline):
                pass
            if not self._settings_seen:
                self.close()
                raise ConnectionError("the server closed the connection before its SETTINGS")

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket at once."""
        self.closed = True
        self._socket.close()

    def open(
        self,
        path: str | bytes,
        metadata: Iterable[tuple[str | bytes, str | bytes]] = (),
        *,
        end: bool = False,
        pseudo: Sequence[tuple[str | bytes, str | bytes]] | None = None,
        standard: Sequence[tuple[str | bytes, str | bytes]] | None = None,
    ) -> int:
        """Sends a header block and returns the stream's number.

        `pseudo` replaces the pseudo-headers, `standard` the headers of every gRPC request (te,
        content-type); all goes out unchecked and in order.
        """
        head = pseudo
        if head is None:
            head = (
                (b":method", b"POST"),
                (b":scheme", self._scheme),
                (b":path", path),
                (b":authority", self._authority),
            )
        if standard is None:
            standard = ((b"te", b"trailers"), (b"content-type", b"application/grpc"))
        pairs = [(_bytes(k), _bytes(v)) for k, v in (*head, *standard, *metadata)]
        block = self._encoder.encode(pairs, huffman=False)
        stream = self._next_stream
        self._next_stream += 2
        self._streams[stream] = _Stream(time.monotonic(), self._initial_window)
        pieces = [block[at : at + _FRAME] for at in range(0, len(block), _FRAME)] or [b""]
        first = HeadersFrame(stream, pieces[0])
        if end:
            first.flags.add("END_STREAM")
        frames: list[Frame] = [first, *(ContinuationFrame(stream, piece) for piece in pieces[1:])]
        frames[-1].flags.add("END_HEADERS")
        self._write(b"".join(frame.serialize() for frame in frames))
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends DATA, waiting for the server's flow control; stops when the stream has ended."""
        state = self._streams[stream]
        deadline = time.monotonic() + self._timeout
        at = 0
        while state.ended is None and not self.closed:
            room = min(self._window, state.window, _FRAME, len(data) - at)
            if room <= 0 < len(data) - at:
                if not self._read(deadline):
                    return
                continue
            frame = DataFrame(stream, data[at : at + room])
            at += room
            self._window -= room
            state.window -= room
            if end and at == len(data):
                frame.flags.add("END_STREAM")
            self._write(frame.serialize())
            if at == len(data):
                break
        state.sent = time.monotonic()

    def reset(self, stream: int, code: int = CANCEL) -> None:
        """Sends RST_STREAM."""
        self._write(RstStreamFrame(stream, error_code=code).serialize())

    def send_frame(self, frame: Frame) -> None:
        """Sends any frame as it is."""
        self._write(frame.serialize())

    def send_raw(self, data: bytes) -> None:
        """Sends bytes that need not be a frame."""
        self._write(data)

    def answer(self, stream: int, timeout: float = 30.0) -> Answer:
        """What the stream was answered with; waits `timeout` seconds at most."""
        state = self._streams[stream]
        deadline = time.monotonic() + timeout
        while state.ended is None and self._read(deadline):
            pass
        state.finish(Ended.CLOSED if self.closed else Ended.TIMEOUT)
        del self._streams[stream]
        return Answer(
            ended=state.ended or Ended.TIMEOUT,
            headers=state.headers,
            trailers=state.trailers,
            body=bytes(state.body),
            seconds=max(0.0, state.finished - state.sent),
            error_code=state.error_code,
            goaway=state.goaway,
        )

    def call(
        self,
        path: str | bytes,
        data: bytes = b"\0\0\0\0\0",
        metadata: Iterable[tuple[str | bytes, str | bytes]] = (),
        *,
        timeout: float = 30.0,
    ) -> Answer:
        """A whole call: header block, `data` (framed by the caller), end of stream, answer."""
        stream = self.open(path, metadata)
        self.send(stream, data, end=True)
        return self.answer(stream, timeout)

    def _write(self, data: bytes) -> None:
        if self.closed:
            return
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(data)
        except OSError:
            self._drain()

    def _drain(self) -> None:
        """Reads what the server said before it closed."""
        deadline = time.monotonic() + 1.0
        while self._read(deadline):
            pass
        self._lost()

    def _lost(self) -> None:
        self.closed = True
        for state in self._streams.values():
            state.finish(Ended.CLOSED)

    def _read(self, deadline: float) -> bool:
        """Takes in what comes next; False when time is up or the connection is gone."""
        left = deadline - time.monotonic()
        if self.closed or left <= 0:
            return False
        try:
            self._socket.settimeout(left)
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        if not data:
            self._lost()
            return False
        self._buffer += data
        while len(self._buffer) >= 9:
            frame, size = Frame.parse_frame_header(memoryview(self._buffer[:9]))
            if len(self._buffer) < 9 + size:
                break
            frame.parse_body(memoryview(self._buffer[9 : 9 + size]))
            self._buffer = self._buffer[9 + size :]
            self._take(frame)
        return True

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, SettingsFrame):
            self._take_settings(frame)
        elif isinstance(frame, PingFrame):
            if "ACK" not in frame.flags:
                self._write(PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())
        elif isinstance(frame, WindowUpdateFrame):
            if frame.stream_id == 0:
                self._window += frame.window_increment
            elif frame.stream_id in self._streams:
                self._streams[frame.stream_id].window += frame.window_increment
        elif isinstance(frame, GoAwayFrame):
            self._take_goaway(frame)
        elif isinstance(frame, HeadersFrame):
            self._block = (frame.stream_id, "END_STREAM" in frame.flags, bytearray(frame.data))
            self._end_block(frame)
        elif isinstance(frame, ContinuationFrame) and self._block is not None:
            self._block[2].extend(frame.data)
            self._end_block(frame)
        elif frame.stream_id in self._streams:
            self._take_stream(frame, self._streams[frame.stream_id])

    def _take_settings(self, frame: SettingsFrame) -> None:
        if "ACK" in frame.flags:
            return
        self._settings_seen = True
        initial = frame.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE)
        if initial is not None:
            for state in self._streams.values():
                state.window += initial - self._initial_window
            self._initial_window = initial
        self._write(SettingsFrame(0, flags=["ACK"]).serialize())

    def _take_goaway(self, frame: GoAwayFrame) -> None:
        self.goaway = frame.error_code
        for number, state in self._streams.items():
            state.goaway = bytes(frame.additional_data)
            if number > frame.last_stream_id:
                state.finish(Ended.GOAWAY, frame.error_code)

    def _end_block(self, frame: Frame) -> None:
        if self._block is None or "END_HEADERS" not in frame.flags:
            return
        number, last, block = self._block
        self._block = None
        found = [(bytes(h[0]), bytes(h[1])) for h in self._decoder.decode(bytes(block), raw=True)]
        state = self._streams.get(number)
        if state is None or state.ended is not None:
            return
        if last:
            state.trailers = tuple(found)
            state.finish(Ended.TRAILERS)
        else:
            state.headers = tuple(found)

    def _take_stream(self, frame: Frame, state: _Stream) -> None:
        if isinstance(frame, RstStreamFrame):
            state.finish(Ended.RESET, frame.error_code)
        elif isinstance(frame, DataFrame):
            state.body.extend(frame.data)
            if size := frame.flow_controlled_length:
                self._write(
                    WindowUpdateFrame(0, size).serialize()
                    + WindowUpdateFrame(frame.stream_id, size).serialize()
                )
            if "END_STREAM" in frame.flags:
                state.finish(Ended.TRAILERS)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text
