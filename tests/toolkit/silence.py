"""A way to a Postgres that can fall silent, as a host does that vanishes: nothing is ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from sqlalchemy import make_url
from sqlalchemy.engine import URL


class Relay:
    """Passes bytes on between TCP and the server's socket, while the server is there.

    Connections of a time when it was not there stay silent for good.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._silence = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def vanish(self) -> None:
        """Nothing passes any more."""
        self._silence.set()

    def come_back(self) -> None:
        """What connects from now on is passed on."""
        self._silence = asyncio.Event()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        there, back = await asyncio.open_unix_connection(self._path)
        self._writers += [writer, back]
        silent = self._silence
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, target, silent))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, silent: asyncio.Event
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if not silent.is_set():
                    target.write(data)
                    await target.drain()
        if not silent.is_set():
            target.close()

    async def close(self) -> None:
        """Ends what runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def relayed(url: str) -> AsyncGenerator[tuple[Relay, URL]]:
    """A relay before the Postgres of a URL, and the URL through it."""
    there = make_url(url)
    folder = there.query["host"]
    relay = Relay(f"{folder}/.s.PGSQL.{there.port or 5432}")
    server = await asyncio.start_server(relay.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield relay, there.set(query={}, host="127.0.0.1", port=port)
    finally:
        server.close()
        await relay.close()
