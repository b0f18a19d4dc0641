"""An issuer's web server on a real socket, which answers as a test says: rightly, or not at all."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs

BUFFER: Final = 65536


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    @property
    def form(self) -> dict[str, list[str]]:
        """The body of a form."""
        return parse_qs(self.body.decode())


Page = Callable[[socket.socket, Request], None]
"""Writes to the connection whatever it likes; the connection is closed after."""


@dataclass
class IssuerServer:
    """`pages` by path; a path without a page is answered by 404. `requests` are those that came."""

    port: int
    scheme: str
    stopped: threading.Event
    pages: dict[str, Page] = field(default_factory=dict[str, Page])
    requests: list[Request] = field(default_factory=list[Request])

    def url(self, path: str) -> str:
        """The address of a page."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def hang(self, connection: socket.socket, _: Request) -> None:
        """A page that never answers."""
        self.stopped.wait(60)

    def hang_within(self, connection: socket.socket, _: Request) -> None:
        """A page that stops in the middle of its answer."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        self.stopped.wait(60)

    def drip(self, connection: socket.socket, _: Request) -> None:
        """A page that sends its header a byte at a time, and never stops."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.stopped.wait(0.02):
            connection.sendall(b"x")


def page(text: str, *, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> Page:
    """A page as it should be."""
    return raw(text.encode(), status=status, headers=headers)


def raw(
    body: bytes,
    *,
    status: str = "200 OK",
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> Page:
    """A page that says its body is `length` bytes long."""
    said = {"Content-Length": str(len(body) if length is None else length), **(headers or {})}
    top = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    whole = f"HTTP/1.1 {status}\r\n{top}\r\n".encode() + body

    def answer(connection: socket.socket, _: Request) -> None:
        connection.sendall(whole)

    return answer


def endless(connection: socket.socket, _: Request) -> None:
    """A page of 10 MB that does not say its length."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _number in range(160):
        connection.sendall(b" " * BUFFER)


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Generator[IssuerServer]:
    """Serves while the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = IssuerServer(
            listener.getsockname()[1], "https" if tls else "http", threading.Event()
        )
        threading.Thread(target=_accept, args=(server, listener, tls), daemon=True).start()
        try:
            yield server
        finally:
            server.stopped.set()
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(server: IssuerServer, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
    while not server.stopped.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(server, connection, tls), daemon=True).start()


def _serve(server: IssuerServer, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(30)
        if tls is None:
            _answer(server, connection)
            return
        with tls.wrap_socket(connection, server_side=True) as wrapped:
            _answer(server, wrapped)


def _answer(server: IssuerServer, connection: socket.socket) -> None:
    request = _read(connection)
    if request is not None:
        server.requests.append(request)
        missing = page("{}", status="404 Not Found")
        server.pages.get(request.path, missing)(connection, request)


def _read(connection: socket.socket) -> Request | None:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(BUFFER)
        if not more:
            return None
        received += more
    top, _, body = received.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(BUFFER)
    method, path, _ = first.split(" ")
    return Request(method, path, headers, body)
