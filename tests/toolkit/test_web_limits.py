"""Pages stand those who are slow, send too much, do not read, or come in numbers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from meshpact.mesh.model import Web
from meshpact.servers.web import WebServer
from meshpact.servers.weblimits import ASGIApp, WebLimits
from pagecertificate import page_certificate

SOON: Final = 0.2
"""Seconds: a limit that a test waits for."""
NEVER: Final = 3600.0
"""Seconds: a limit that must not matter."""
PATIENT: Final[dict[str, Any]] = {
    "header_seconds": NEVER,
    "body_seconds": NEVER,
    "idle_seconds": int(NEVER),
    "read_seconds": NEVER,
}
GET: Final = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


@dataclass
class Pages:
    """An application that says what it saw; `port` is where."""

    port: int = 0
    seen: list[str] = field(default_factory=list[str])
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self) -> Browser:
        """A connection that says what a test tells it to."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        return Browser(reader, writer)

    async def answered(self, data: bytes) -> Browser:
        """A connection whose first request was answered, however slow this machine is."""
        while True:
            browser = await self.connect()
            with contextlib.suppress(ConnectionError):
                await browser.say(data)
            if await browser.answer() == (200, "hello"):
                return browser
            await browser.close()

    async def _hello(self, request: Request) -> Response:
        self.seen.append("hello")
        return PlainTextResponse("hello")

    async def _body(self, request: Request) -> Response:
        self.begun.set()
        try:
            size = len(await request.body())
        except BaseException as error:
            self.seen.append(type(error).__name__)
            raise
        self.seen.append(f"{size} bytes")
        return PlainTextResponse(f"{size} bytes")

    async def _endless(self, request: Request) -> Response:
        async def events() -> AsyncGenerator[bytes]:
            try:
                while True:
                    yield b"x" * 65536
                    await asyncio.sleep(0)
            finally:
                self.ended.set()

        return StreamingResponse(events())

    def app(self) -> ASGIApp:
        """The application."""
        return Starlette(
            routes=[
                Route("/", self._hello, methods=["GET", "POST"]),
                Route("/body", self._body, methods=["POST"]),
                Route("/endless", self._endless),
            ]
        )


@dataclass
class Browser:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, str]:
        """Status and text of the next answer, (0, "") when the connection ends without one."""
        head = b""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await self.reader.readuntil(b"\r\n\r\n")
        if not head:
            return 0, ""
        size = re.search(rb"(?i)content-length: (\d+)", head)
        text = await self.reader.readexactly(int(size[1])) if size else b""
        return int(head.split()[1]), text.decode()

    async def ended(self) -> None:
        """Waits until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    async def close(self) -> None:
        """Closes it."""
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(web: Web | None = None, **limits: Any) -> AsyncGenerator[Pages]:
    pages = Pages()
    server = WebServer(web or Web(address="localhost:0"), "the test's pages")
    pages.port = int(server.address.rpartition(":")[2])
    await server.start(pages.app(), WebLimits(**(PATIENT | limits)))
    try:
        async with asyncio.timeout(60):
            yield pages
    finally:
        await server.stop()


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "])
async def test_headers_that_do_not_end_in_time_end_the_connection(begun: bytes) -> None:
    async with serving(header_seconds=SOON) as pages:
        browser = await pages.connect()
        await browser.say(begun)
        status, words = await browser.answer()
        if begun:
            assert (status, words) == (408, "The headers of the request took more than 0.2 s.\n")
        await browser.ended()
        await browser.close()
    assert pages.seen == []


async def test_slow_headers_of_a_further_request_end_the_connection_too() -> None:
    async with serving(header_seconds=SOON) as pages:
        browser = await pages.answered(GET + GET[:9])
        assert (await browser.answer())[0] == 408
        await browser.ended()
        await browser.close()


async def test_bytes_that_trickle_in_do_not_prolong_the_time_for_headers() -> None:
    async with serving(header_seconds=SOON) as pages:
        browser = await pages.connect()

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                await browser.say(b"GET / HTTP/1.1\r\n")
                while True:
                    await browser.say(b"x: y\r\n")
                    await asyncio.sleep(SOON / 10)

        trickling = asyncio.create_task(trickle())
        assert (await browser.answer())[0] == 408
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
        await browser.close()


async def test_an_answer_that_takes_long_is_no_slowness_of_who_asks() -> None:
    async with serving(header_seconds=SOON) as pages:
        browser = await pages.answered(GET)
        await browser.say(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n")
        await pages.begun.wait()
        await asyncio.sleep(2 * SOON)
        await browser.say(b"abc")
        assert await browser.answer() == (200, "3 bytes")
        await browser.close()


@pytest.mark.parametrize("framing", [b"content-length: 3", b"transfer-encoding: chunked"])
async def test_a_body_that_does_not_end_in_time_is_refused(framing: bytes) -> None:
    async with serving(body_seconds=SOON) as pages:
        browser = await pages.connect()
        await browser.say(b"POST /body HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n")
        assert await browser.answer() == (
            408,
            "The body of the request took more than 0.2 s.\n",
        )
        await browser.ended()
        await browser.close()
    assert pages.seen == ["ClientDisconnect"]


@pytest.mark.parametrize(
    "body",
    [
        b"content-length: 11\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n",
    ],
)
async def test_a_body_that_is_too_large_is_refused(body: bytes) -> None:
    async with serving(body_bytes=10) as pages:
        browser = await pages.connect()
        await browser.say(b"POST /body HTTP/1.1\r\nhost: x\r\n" + body)
        assert await browser.answer() == (413, "The body of the request has more than 10 bytes.\n")
        await browser.ended()
        await browser.close()
        again = await pages.connect()
        await again.say(
            b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabcdefghij" + GET
        )
        assert await again.answer() == (200, "10 bytes")
        assert await again.answer() == (200, "hello")
        await again.close()


async def test_a_body_that_nobody_asked_for_does_not_hold_the_connection() -> None:
    async with serving(header_seconds=SOON) as pages:
        browser = await pages.answered(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\na")
        await browser.ended()
        await browser.close()


async def test_a_body_without_end_that_nobody_asked_for_ends_the_connection() -> None:
    async with serving(body_bytes=10_000) as pages:
        begun = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        browser = await pages.answered(begun)
        with contextlib.suppress(ConnectionError):
            while True:
                await browser.say(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await browser.close()


async def test_headers_that_are_too_large_are_refused() -> None:
    async with serving(header_bytes=500) as pages:
        browser = await pages.connect()
        await browser.say(b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 600)
        assert await browser.answer() == (431, "Headers have at most 500 bytes.\n")
        await browser.ended()
        await browser.close()
        again = await pages.connect()
        await again.say(b"no HTTP at all\r\n\r\n")
        assert (await again.answer())[0] == 400
        await again.close()


async def test_more_connections_than_may_be_are_told_to_come_later() -> None:
    async with serving(connections=2) as pages:
        held = [await pages.connect() for _ in range(2)]
        for each in held:
            await each.say(GET)
            assert await each.answer() == (200, "hello")
        one_more = await pages.connect()
        assert await one_more.answer() == (503, "Too many connections are open.\n")
        await one_more.ended()
        await one_more.close()
        await held[0].say(GET)
        assert await held[0].answer() == (200, "hello")
        await held[1].close()
        while True:
            again = await pages.connect()
            await again.say(GET)
            status, _ = await again.answer()
            await again.close()
            if status == 200:
                break
        await held[0].close()


async def test_a_connection_without_requests_is_closed() -> None:
    async with serving(idle_seconds=1) as pages:
        browser = await pages.connect()
        await browser.say(GET)
        assert await browser.answer() == (200, "hello")
        await browser.ended()
        await browser.close()


async def test_who_does_not_read_is_cut_off() -> None:
    async with serving(read_seconds=SOON) as pages:
        browser = await pages.connect()
        await browser.say(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        await pages.ended.wait()
        await browser.close()


async def test_a_handshake_that_does_not_end_in_time_ends_the_connection(tmp_path: Path) -> None:
    chain, key = page_certificate(tmp_path)
    web = Web(address="127.0.0.1:0", certificate=str(chain), key=str(key))
    async with serving(web, header_seconds=SOON) as pages:
        silent = await pages.connect()
        await silent.ended()
        await silent.close()


@pytest.mark.parametrize("name", WebLimits.__slots__)
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: found 0; allowed: more than 0"):
        WebLimits(**{name: 0})
