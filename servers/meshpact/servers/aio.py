"""The server of asyncio programs: servicers under a guard, behind mutual TLS, with health,
reflection and a stop that loses no call."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from meshpact.certs.credentials import server_credentials
from meshpact.interceptors import aio as adapter
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers.assembly import Assembly
from meshpact.servers.drain import SIGNALS, refusal
from meshpact.servers.errors import ServerError
from meshpact.servers.health import Health
from meshpact.servers.lasting import LastingServer
from meshpact.servers.mount import Bound, RpcHandler, Servicer
from meshpact.servers.probes import probe_server
from meshpact.servers.reflection import Catalog, Reflection, ReflectionAlpha

log = logging.getLogger("meshpact.server")


class Server(Assembly):
    """Serves generated servicers on asyncio; started and stopped in one running event loop.

    `identity` is the workload's own; every caller must bring a certificate too. `address` is
    `host:port`, port 0 for any that is free. `health_address` opens the plaintext health server
    for probes there; None: there is none. `strict` refuses unary calls with no message or two at
    once (CARDINALITY), for about a tenth more CPU. `overlay` has policies by
    `package.Service/Method` that replace those of contracts, part by part. `options` are further
    channel arguments of grpc.
    """

    THREADED = False

    _grpc: LastingServer | None = None
    _probes: LastingServer | None = None
    _stopping: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Starts to serve; returns the port.

        Raises UnguardedError, naming every method without a sound policy, and ServerError when
        an address cannot be had. Nothing is left open then.
        """
        arguments = self._assemble()

        def make() -> grpc.aio.Server:
            made = grpc.aio.server(options=arguments)
            made.add_generic_rpc_handlers((self._table,))
            return made

        server = LastingServer(
            make,
            lambda made, address: made.add_secure_port(address, server_credentials(self._identity)),
        )
        port = self._bind(server.listen)
        if self._health_asked is not None:
            self._probes = probe_server(self.statuses)
            try:
                self._bind_health(self._probes.listen)
            except ServerError:
                await server.start()  # grpc lets go of ports only when a server that ran stops
                await server.stop(None)
                raise
        self._grpc = server
        await server.start()
        if self._probes is not None:
            await self._probes.start()
        self.expiry.start()
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
        self.expiry.close()
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

    def _handler(self, spec: MethodSpec[Any, Any], bound: Bound) -> RpcHandler:
        return adapter.handler(self._guard, spec, bound, strict=self._strict)

    def _unknown(self, path: str) -> RpcHandler:
        return adapter.unknown(self._guard, path)

    def _health(self) -> Servicer:
        return Health(self.statuses)

    def _reflections(self, catalog: Catalog) -> Sequence[Servicer]:
        return Reflection(catalog), ReflectionAlpha(catalog)

    def _refusal(self) -> RpcHandler:
        late = refusal()

        async def refuse(_requests: Any, context: Any) -> None:
            await context.abort(late.code, late.details, late.trailing)

        return grpc.stream_unary_rpc_method_handler(refuse)

    async def _stop(self, grace: float) -> None:
        server = self._grpc
        assert server is not None
        self.expiry.close()
        self.statuses.drain()
        for seconds in self._pauses():
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
