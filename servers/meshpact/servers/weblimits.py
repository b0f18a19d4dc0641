"""What one request may take of a service's pages: time, bytes, connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]
"""An application by the ASGI specification, version 3: Starlette's, FastAPI's, Django's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLimits:
    """Limits of the pages of one process. Seconds and bytes; all of them more than zero."""

    header_seconds: float = 10.0
    """From the connection, or the first byte of a further request, to the end of its headers."""
    header_bytes: int = 65_536
    body_seconds: float = 30.0
    """From when the application first asks for the body to its end."""
    body_bytes: int = 1_048_576
    idle_seconds: int = 5
    """Between two requests of one connection."""
    read_seconds: float = 60.0
    """For the other side to take what is sent to it."""
    connections: int = 1_000

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: found {getattr(self, name)}; allowed: more than 0")


def bounded(app: ASGIApp, limits: WebLimits) -> ASGIApp:
    """The same application; requests whose body is too large (413) or too slow (408) are answered
    for it, and to it look like those of somebody who went away.
    """

    async def ask(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = _Body(limits, receive, send)
        if body.announced(scope["headers"]) > limits.body_bytes:
            await body.too_large()
            return
        try:
            await app(scope, body.receive, body.send)
        except Exception:
            if not body.refused:
                raise

    return ask


class _Body:
    """The body of one request, and the answer to it as far as it is needed here."""

    def __init__(self, limits: WebLimits, receive: Receive, send: Send) -> None:
        self._limits = limits
        self._receive = receive
        self._send = send
        self._taken = 0
        self._until: float | None = None
        self._whole = self._started = False
        self.refused = False

    @staticmethod
    def announced(headers: list[tuple[bytes, bytes]]) -> int:
        """Bytes that the request says it will have, 0 when it does not say."""
        # h11 lets nothing else than digits pass
        return max((int(value) for name, value in headers if name == b"content-length"), default=0)

    async def receive(self) -> Message:
        """The next part, within the limits."""
        if self.refused:
            return dict(_GONE)
        if self._whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + self._limits.body_seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            return await self._refuse(408, f"took more than {self._limits.body_seconds:g} s")
        self._taken += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._taken > self._limits.body_bytes:
            return await self.too_large()
        return message

    async def send(self, message: Message) -> None:
        """What the application answers, as long as it is asked."""
        if not self.refused:
            self._started = True
            await self._send(message)

    async def too_large(self) -> Message:
        """Answers that the body has too many bytes."""
        return await self._refuse(413, f"has more than {self._limits.body_bytes} bytes")

    async def _refuse(self, status: int, words: str) -> Message:
        self.refused = True
        if not self._started:
            text = f"The body of the request {words}.\n".encode()
            headers = [(b"content-length", b"%d" % len(text)), *_HEADERS]
            await self._send({"type": "http.response.start", "status": status, "headers": headers})
            await self._send({"type": "http.response.body", "body": text})
        return dict(_GONE)


def plain_answer(status: int, words: str, *headers: tuple[bytes, bytes]) -> bytes:
    """A whole answer of HTTP/1.1 after which the connection is closed."""
    text = f"{words}\n".encode()
    lines = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        *(b"%s: %s" % pair for pair in (*_HEADERS, *headers)),
        b"content-length: %d" % len(text),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + text


_GONE: Final[Message] = {"type": "http.disconnect"}
_HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
)
