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
from typing import Any, Final, Unpack

import grpc

from meshpact.certs.credentials import server_credentials
from meshpact.interceptors import sync as adapter
from meshpact.interceptors.spec import MethodSpec
from meshpact.servers.assembly import Assembly, Settings
from meshpact.servers.drain import SIGNALS, refusal
from meshpact.servers.errors import ServerError
from meshpact.servers.health import HealthSync
from meshpact.servers.mount import Bound, RpcHandler, Servicer
from meshpact.servers.probes import probe_server_sync
from meshpact.servers.reflection import Catalog, ReflectionAlphaSync, ReflectionSync

THREADS: Final = 32
"""Calls at once where the program states no number; grpc queues what is above."""

log = logging.getLogger("meshpact.server")


class ServerSync(Assembly):
    """Serves generated servicers (`...BaseSync`) on `threads` threads.

    The other arguments are those of `meshpact.servers.Server`. A stream holds its thread for as
    long as it is open; the deadlines of contracts bound that.
    """

    THREADED = True

    _pool: ThreadPoolExecutor | None = None
    _grpc: grpc.Server | None = None
    _probes: grpc.Server | None = None
    _stopped = False

    def __init__(self, *, threads: int = THREADS, **settings: Unpack[Settings]) -> None:
        super().__init__(**settings)
        self._threads = threads
        self._lock = threading.Lock()

    def start(self) -> int:
        """Starts to serve; returns the port.

        Raises UnguardedError, naming every method without a sound policy, and ServerError when
        an address cannot be had. Nothing is left open then.
        """
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="call")
        server = grpc.server(pool, options=self._assemble())
        server.add_generic_rpc_handlers((self._table,))
        credentials = server_credentials(self._identity)
        port = self._bind(lambda address: server.add_secure_port(address, credentials))
        if self._health_asked is not None:
            self._probes = probe_server_sync(self.statuses)
            try:
                self._bind_health(self._probes.add_insecure_port)
            except ServerError:
                server.start()  # grpc lets go of ports only when a server that ran stops
                server.stop(None).wait()
                raise
        self._grpc, self._pool = server, pool
        server.start()
        if self._probes is not None:
            self._probes.start()
        self.expiry.start()
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
        self.expiry.close()
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

    def _handler(self, spec: MethodSpec[Any, Any], bound: Bound) -> RpcHandler:
        return adapter.handler(self._guard, spec, bound, strict=self._strict)

    def _unknown(self, path: str) -> RpcHandler:
        return adapter.unknown(self._guard, path)

    def _health(self) -> Servicer:
        return HealthSync(self.statuses, max(1, self._threads // 4))

    def _reflections(self, catalog: Catalog) -> Sequence[Servicer]:
        return ReflectionSync(catalog), ReflectionAlphaSync(catalog)

    def _refusal(self) -> RpcHandler:
        late = refusal()

        def refuse(_requests: Any, context: grpc.ServicerContext) -> None:
            context.set_trailing_metadata(tuple(late.trailing))
            context.abort(late.code, late.details)

        return grpc.stream_unary_rpc_method_handler(refuse)

    def _stop(self, server: grpc.Server, grace: float) -> None:
        self.expiry.close()
        self.statuses.drain()
        for seconds in self._pauses():
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
