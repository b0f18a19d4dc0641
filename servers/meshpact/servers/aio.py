"""The server of asyncio programs: servicers under a guard, behind mutual TLS, with health,
reflection and a stop that loses no call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Final

import grpc
import grpc.aio

from meshpact.certs.credentials import server_credentials
from meshpact.certs.source import IdentitySource
from meshpact.interceptors import aio as adapter
from meshpact.interceptors.guard import Guard
from meshpact.servers import address as addresses
from meshpact.servers.drain import SIGNALS, Drain, pauses
from meshpact.servers.errors import ServerError
from meshpact.servers.health import Health, Statuses
from meshpact.servers.mount import Mounts, Servicer, Table
from meshpact.servers.options import Limits, arguments
from meshpact.servers.overlay import HEALTH, REFLECTION, Overlay
from meshpact.servers.probes import probe_server
from meshpact.servers.reflection import Catalog, Reflection, ReflectionAlpha

log = logging.getLogger("meshpact.server")


class Server:
    """Serves generated servicers on asyncio. Make it inside the running event loop.

    `identity` is the workload's own; every caller must bring a certificate too. `address` is
    `host:port`, port 0 for any that is free. `health_address` opens the plaintext health server
    for probes there; None: there is none. `strict` refuses unary calls with no message or two at
    once (CARDINALITY), for about a tenth more CPU. `overlay` has policies by
    `package.Service/Method` that replace those of contracts, part by part. `options` are further
    channel arguments of grpc.
    """

    def __init__(
        self,
        *,
        identity: IdentitySource,
        guard: Guard,
        address: str = "127.0.0.1:0",
        health_address: str | None = None,
        strict: bool = False,
        reflection: bool = True,
        overlay: Overlay | None = None,
        limits: Limits | None = None,
        drain: Drain | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._identity = identity
        self._guard = guard
        self._asked = address
        self._health_asked = health_address
        self._strict = strict
        self._reflection = reflection
        self._limits = limits or Limits()
        self._drain = drain or Drain()
        self._options = tuple(options)
        self._mounts = Mounts(overlay or {}, threads=False)
        self._grpc: grpc.aio.Server | None = None
        self._probes: grpc.aio.Server | None = None
        self._table: Table | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.statuses: Final = Statuses()
        """The health that is told, for programs that know more about it."""
        self.address = ""
        """Where it listens, with the port that was bound; "" before the start."""
        self.health_address = ""
        """Where the plaintext health server listens; "" without one."""

    def add(self, servicer: Servicer) -> None:
        """Mounts a servicer (an implementation of a generated base); before the start.

        Raises ServerError when it is no servicer for asyncio, or its service is there already.
        """
        if self._grpc is not None:
            raise ServerError("The server runs already: mount servicers before the start.")
        self._mounts.add(servicer)

    async def start(self) -> int:
        """Starts to serve; returns the port.

        Raises UnguardedError, naming every method without a sound policy, and ServerError when
        an address cannot be had. Nothing is left open then.
        """
        if self._grpc is not None:
            raise ServerError("The server was started before: make a new one.")
        self._mount_own()
        self._mounts.check()
        guard, strict = self._guard, self._strict
        self._table = Table(
            self._mounts.table(
                lambda spec, bound: adapter.handler(guard, spec, bound, strict=strict)
            ),
            lambda path: adapter.unknown(guard, path),
        )
        server = grpc.aio.server(
            options=(*arguments(self._limits, self._mounts.specs), *self._options)
        )
        server.add_generic_rpc_handlers((self._table,))
        credentials = server_credentials(self._identity)
        port = addresses.bind(
            self._asked, "the server", lambda place: server.add_secure_port(place, credentials)
        )
        self.address = addresses.joined(self._asked, port)
        if self._health_asked is not None:
            self._probes = probe_server(self.statuses)
            health_port = addresses.bind(
                self._health_asked, "its health server", self._probes.add_insecure_port
            )
            self.health_address = addresses.joined(self._health_asked, health_port)
        self._grpc = server
        await server.start()
        if self._probes is not None:
            await self._probes.start()
        self.statuses.serve()
        log.info("serving on %s", self.address)
        return port

    async def stop(self, grace: float | None = None) -> None:
        """Drains, then ends: returns when everything is closed. Again, or at once, does no harm.

        Health says NOT_SERVING first; calls that run have `grace` seconds to end (default: as the
        server's Drain says). `meshpact.servers.drain` tells what a stop can promise.
        """
        if self._grpc is None:
            return
        if self._stopping is None:
            seconds = self._drain.grace if grace is None else grace
            self._stopping = asyncio.create_task(self._stop(seconds))
        await asyncio.shield(self._stopping)

    async def kill(self) -> None:
        """Ends everything now: calls that run are cancelled."""
        self.statuses.drain()
        self.statuses.end()
        for server in (self._grpc, self._probes):
            if server is not None:
                await server.stop(None)

    async def serve(self, started: Callable[[], None] | None = None) -> None:
        """Starts, serves until SIGTERM or SIGINT, stops; a second signal ends it at once.

        `started` is called when the port is open.
        """
        with _signalled() as signals:
            await self.start()
            if started is not None:
                started()
            await signals.get()
            log.info("draining")
            stopping = asyncio.create_task(self.stop())
            again = asyncio.create_task(signals.get())
            await asyncio.wait((stopping, again), return_when=asyncio.FIRST_COMPLETED)
            if again.done():
                await self.kill()
            again.cancel()
            await stopping

    async def __aenter__(self) -> Server:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _mount_own(self) -> None:
        served = self._mounts.specs
        mounted = {spec.name for spec in served}
        for spec in served:
            self.statuses.add(spec.name)
        if HEALTH not in mounted:
            self._mounts.add(Health(self.statuses))
        if self._reflection and not mounted & set(REFLECTION):
            shown = [spec.descriptor for spec in self._mounts.specs]
            catalog = Catalog([*shown, Reflection.SPEC.descriptor, ReflectionAlpha.SPEC.descriptor])
            self._mounts.add(Reflection(catalog))
            self._mounts.add(ReflectionAlpha(catalog))

    async def _stop(self, grace: float) -> None:
        server, table = self._grpc, self._table
        assert server is not None
        assert table is not None
        self.statuses.drain()
        for seconds in pauses(self._drain, lambda: table.arrived):
            await asyncio.sleep(seconds)
        self.statuses.end()
        await server.stop(grace)
        if self._probes is not None:
            await self._probes.stop(None)
        log.info("stopped serving on %s", self.address)


@contextlib.contextmanager
def _signalled() -> Generator[asyncio.Queue[int]]:
    """A queue of the signals that ask this process to end, in place of what they did before."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[int] = asyncio.Queue()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, arrived.put_nowait, number)
    try:
        yield arrived
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
