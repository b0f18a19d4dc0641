"""A service's pages: an ASGI application over HTTP, in the process that serves its gRPC.

uvicorn does the work (extra `web`). It takes no signals here, and writes no access log: addresses
of pages hold what users look for, and the codes of their logins.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Generator
from pathlib import Path
from typing import Final

import uvicorn

from meshpact.mesh.model import Web
from meshpact.servers import address as addresses
from meshpact.servers.errors import ServerError
from meshpact.servers.weblimits import ASGIApp, WebLimits, bounded
from meshpact.servers.webwire import Wire

__all__ = ["GRACE", "ASGIApp", "WebLimits", "WebServer"]

GRACE: Final = 2
"""Seconds that running answers have when the process ends; streams of events never end alone."""


class WebServer:
    """Serves pages at `web.address` from `start` to `stop`. Once made, it holds the address.

    `what` names it for people ("the web server of store"). Raises ServerError when the address
    cannot be had, or the certificate cannot be used.
    """

    def __init__(self, web: Web, what: str) -> None:
        self._what = what
        self._tls = _tls(web, what)
        self._sockets = _bound(web.address, what)
        self.address = addresses.joined(web.address, self._sockets[0].getsockname()[1])
        """`host:port` with the port that was bound."""
        scheme = "http" if self._tls is None else "https"
        self.origin = web.origin or f"{scheme}://{self.address}"
        """As browsers see it (RFC 6454)."""
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: ASGIApp, limits: WebLimits | None = None) -> None:
        """Serve an application. ServerError when its own start-up (ASGI lifespan) fails."""
        if self._task is not None:
            raise ServerError(
                f"{self._what} serves an application already: mount one in the other."
            )
        self._server = _Server(app, limits or WebLimits(), self._tls, self._what)
        self._task = asyncio.create_task(self._server.serve(sockets=self._sockets))
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({self._task, up}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            await self._task

    async def stop(self) -> None:
        """Take no new requests, give the running ones GRACE seconds, close."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.gather(self._task, return_exceptions=True)
        for each in self._sockets:
            each.close()


class _Server(uvicorn.Server):
    """uvicorn as a guest: signals and the end of the process are its host's affair."""

    def __init__(
        self, app: ASGIApp, limits: WebLimits, tls: ssl.SSLContext | None, what: str
    ) -> None:
        super().__init__(
            uvicorn.Config(
                bounded(app, limits),
                http=Wire.of(limits),
                ws="none",
                h11_max_incomplete_event_size=limits.header_bytes,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=limits.idle_seconds,
                timeout_graceful_shutdown=GRACE,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            )
        )
        self.up = asyncio.Event()
        self._what = what
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup([])
        except SystemExit:
            raise ServerError(
                f"{self._what} did not start: the application's own start-up failed. "
                "The log says why."
            ) from None
        for each in sockets or ():
            self.servers.append(await self._listen(each))
        self.up.set()

    async def _listen(self, place: socket.socket) -> asyncio.Server:
        # As uvicorn does, with a time for handshakes.
        loop, config = asyncio.get_running_loop(), self.config
        seconds = None if config.ssl is None else self._limits.header_seconds
        return await loop.create_server(
            lambda: Wire.of(self._limits)(config, self.server_state, self.lifespan.state, loop),
            sock=place,
            ssl=config.ssl,
            ssl_handshake_timeout=seconds,
            ssl_shutdown_timeout=seconds,
            backlog=config.backlog,
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _bound(address: str, what: str) -> list[socket.socket]:
    """A socket for each address of the host, all on one port; Linux keeps it while they live."""
    host, port = addresses.split(address)
    sockets: list[socket.socket] = []
    unavailable: OSError | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in found:
            each = socket.socket(family, kind, protocol)
            sockets.append(each)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                each.bind((place[0], port, *place[2:]))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                unavailable = error  # a hosts file may name ::1 on a machine without IPv6
                sockets.pop().close()
                continue
            each.listen()
            port = each.getsockname()[1]
        if unavailable is not None and not sockets:
            raise unavailable
    except OSError as error:
        for each in sockets:
            each.close()
        raise addresses.refused(address, what, error) from None
    return sockets


def _tls(web: Web, what: str) -> ssl.SSLContext | None:
    """TLS 1.2 and newer with the certificate of mesh.yaml, None without one."""
    if not web.certificate:
        return None
    key = Path(web.key)
    try:
        if key.stat().st_mode & 0o077:
            raise ServerError(f"{key}, the key for {what}, can be read by others: chmod 600 {key}.")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(web.certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ServerError(
            f"{web.certificate} and {key}, for {what}, cannot be used: {error}. "
            "Give a PEM certificate, the leaf first, and its unencrypted PEM key."
        ) from None
    return context
