"""The server of threaded programs: the same as `meshpact.servers.aio`, each call on a thread."""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType, TracebackType
from typing import Any, Final

import grpc

from meshpact.certs.credentials import server_credentials
from meshpact.certs.source import IdentitySource
from meshpact.interceptors import sync as adapter
from meshpact.interceptors.guard import Guard
from meshpact.servers import address as addresses
from meshpact.servers.drain import SIGNALS, Drain, pauses
from meshpact.servers.errors import ServerError
from meshpact.servers.health import HealthSync, Statuses
from meshpact.servers.mount import Mounts, Servicer, Table
from meshpact.servers.options import Limits, arguments
from meshpact.servers.overlay import HEALTH, REFLECTION, Overlay
from meshpact.servers.probes import probe_server_sync
from meshpact.servers.reflection import Catalog, ReflectionAlphaSync, ReflectionSync

THREADS: Final = 32
"""Calls at once where the program states no number; grpc queues what is above."""

log = logging.getLogger("meshpact.server")


class ServerSync:
    """Serves generated servicers (`...BaseSync`) on `threads` threads.

    The other arguments are those of `meshpact.servers.Server`. A stream holds its thread for as
    long as it is open; the deadlines of contracts bound that.
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
        threads: int = THREADS,
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
        self._threads = threads
        self._options = tuple(options)
        self._mounts = Mounts(overlay or {}, threads=True)
        self._pool: ThreadPoolExecutor | None = None
        self._grpc: grpc.Server | None = None
        self._probes: grpc.Server | None = None
        self._table: Table | None = None
        self._lock = threading.Lock()
        self._stopped = False
        self.statuses: Final = Statuses()
        """The health that is told, for programs that know more about it."""
        self.address = ""
        """Where it listens, with the port that was bound; "" before the start."""
        self.health_address = ""
        """Where the plaintext health server listens; "" without one."""

    def add(self, servicer: Servicer) -> None:
        """Mounts a servicer (an implementation of a generated `...BaseSync`); before the start.

        Raises ServerError when it is no servicer for threads, or its service is there already.
        """
        if self._grpc is not None:
            raise ServerError("The server runs already: mount servicers before the start.")
        self._mounts.add(servicer)

    def start(self) -> int:
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
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="call")
        server = grpc.server(
            pool, options=(*arguments(self._limits, self._mounts.specs), *self._options)
        )
        server.add_generic_rpc_handlers((self._table,))
        credentials = server_credentials(self._identity)
        port = addresses.bind(
            self._asked, "the server", lambda place: server.add_secure_port(place, credentials)
        )
        self.address = addresses.joined(self._asked, port)
        if self._health_asked is not None:
            self._probes = probe_server_sync(self.statuses)
            health_port = addresses.bind(
                self._health_asked, "its health server", self._probes.add_insecure_port
            )
            self.health_address = addresses.joined(self._health_asked, health_port)
        self._grpc, self._pool = server, pool
        server.start()
        if self._probes is not None:
            self._probes.start()
        self.statuses.serve()
        log.info("serving on %s", self.address)
        return port

    def stop(self, grace: float | None = None) -> None:
        """Drains, then ends: returns when everything is closed. Again does no harm.

        Health says NOT_SERVING first; calls that run have `grace` seconds to end (default: as the
        server's Drain says). Handlers that ignore their end keep their thread.
        """
        if self._grpc is None:
            return
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._stop(self._grpc, self._drain.grace if grace is None else grace)

    def kill(self) -> None:
        """Ends everything now: calls that run are cancelled."""
        self.statuses.drain()
        self.statuses.end()
        for server in (self._grpc, self._probes):
            if server is not None:
                server.stop(None)

    def serve(self, started: Callable[[], None] | None = None) -> None:
        """Starts, serves until SIGTERM or SIGINT, stops; a second signal ends it at once.

        `started` is called when the port is open. Call it from the main thread, which alone gets
        signals.
        """
        with _signalled() as signals:
            self.start()
            if started is not None:
                started()
            signals.get()
            log.info("draining")
            stopping = threading.Thread(target=self.stop, name="stop", daemon=True)
            stopping.start()
            while stopping.is_alive():
                stopping.join(_TURN)
                if not signals.empty():
                    self.kill()
                    stopping.join()

    def __enter__(self) -> ServerSync:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _mount_own(self) -> None:
        served = self._mounts.specs
        mounted = {spec.name for spec in served}
        for spec in served:
            self.statuses.add(spec.name)
        if HEALTH not in mounted:
            self._mounts.add(HealthSync(self.statuses, max(1, self._threads // 4)))
        if self._reflection and not mounted & set(REFLECTION):
            shown = [spec.descriptor for spec in self._mounts.specs]
            catalog = Catalog(
                [*shown, ReflectionSync.SPEC.descriptor, ReflectionAlphaSync.SPEC.descriptor]
            )
            self._mounts.add(ReflectionSync(catalog))
            self._mounts.add(ReflectionAlphaSync(catalog))

    def _stop(self, server: grpc.Server, grace: float) -> None:
        table = self._table
        assert table is not None
        self.statuses.drain()
        for seconds in pauses(self._drain, lambda: table.arrived):
            time.sleep(seconds)
        self.statuses.end()
        server.stop(grace).wait()
        if self._probes is not None:
            self._probes.stop(None).wait()
        if self._pool is not None:
            self._pool.shutdown(wait=False)
        log.info("stopped serving on %s", self.address)


_TURN: Final = 0.05


@contextlib.contextmanager
def _signalled() -> Generator[queue.SimpleQueue[int]]:
    """A queue of the signals that ask this process to end, in place of what they did before."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.put(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
