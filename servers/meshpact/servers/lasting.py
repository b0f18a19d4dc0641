"""A grpc.aio server that outlives what ends grpc's own.

grpc.aio (1.85) decodes each call's path in its accept loop. A path that is no UTF-8 raises there,
and grpcio shuts the server and its port down, though nobody asked. Here another server opens on the
same port at once, while the calls that run go on where they are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import grpc.aio

from meshpact.servers import address as addresses

PERIOD: Final = 0.1
"""Seconds between two looks at whether grpc's server still accepts calls."""
LEAVING: Final = 60.0
"""Seconds that calls of a server that ended have left."""

log = logging.getLogger("meshpact.server")


class LastingServer:
    """Has what is used of grpc.aio.Server: `listen` once, `start`, `stop`.

    `make` gives a server with its handlers, `add_port` lets it listen at an address and gives the
    port; both are called again for each server that opens in another's place.
    """

    def __init__(
        self,
        make: Callable[[], grpc.aio.Server],
        add_port: Callable[[grpc.aio.Server, str], int],
    ) -> None:
        self._make = make
        self._add_port = add_port
        self._server = make()
        self._address = ""
        self._watching: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def listen(self, address: str) -> int:
        """Binds the port; RuntimeError when it cannot be had."""
        port = self._add_port(self._server, address)
        self._address = addresses.joined(address, port)
        return port

    async def start(self) -> None:
        """Serves from now on."""
        await self._server.start()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self, grace: float | None) -> None:
        """Ends all; calls that run have `grace` seconds, None: are cancelled."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if grace is None:
            for task in self._leaving:
                task.cancel()
        await asyncio.gather(self._server.stop(grace), *self._leaving, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            if not _runs(self._server):
                log.error(
                    "grpc ended the server on %s, as it does when a call's path is no UTF-8; "
                    "opening it again",
                    self._address,
                )
                leaving = asyncio.create_task(_leave(self._server))
                self._leaving.add(leaving)
                leaving.add_done_callback(self._leaving.discard)
                self._server = await self._reopened()

    async def _reopened(self) -> grpc.aio.Server:
        while True:
            server = self._make()
            try:
                self._add_port(server, self._address)
            except RuntimeError:
                await asyncio.sleep(PERIOD)  # the port is not given back yet
                continue
            await server.start()
            return server


async def _leave(server: grpc.aio.Server) -> None:
    try:
        await server.stop(LEAVING)
    except asyncio.CancelledError:
        await server.stop(None)


def _runs(server: grpc.aio.Server) -> bool:
    """Whether it accepts calls. grpc tells by no public way until the last call has ended."""
    core: Any = getattr(server, "_server", None)
    return core is None or bool(core.is_running())
