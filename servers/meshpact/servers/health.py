"""grpc.health.v1 (https://grpc.io/docs/guides/health-checking): statuses, and who tells them.

The messages are those of grpcio-health-checking; Check, Watch and List are our own, because its
servicer does not answer List and knows nothing of draining.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import ClassVar, Final, TypeAlias

import grpc

from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.servers.overlay import BUILT_IN, overlaid
from meshpact.servers.wellknown import (
    HEALTH_FILE,
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
    health_pb2,
)

Status: TypeAlias = int

SERVING: Final[Status] = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: Final[Status] = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: Final[Status] = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
OVERALL: Final = ""
"""The name under which the server as a whole is asked for."""
IDENTITY: Final = "meshpact.identity"
"""The name under which the server's own identity is asked for: NOT_SERVING once less than a third
of its life is left, which is long before anything fails."""

MAX_LISTED: Final = 100
"""Services that List answers at most, as the protocol's comment advises."""

WATCH_TURN: Final = 1.0
"""Seconds after which a Watch on a thread looks whether its caller is still there."""

_SERVICE: Final = HEALTH_FILE.services_by_name["Health"]

HEALTH_SERVICE: Final = overlaid(
    ServiceSpec(
        _SERVICE,
        methods=(
            MethodSpec(
                _SERVICE.methods_by_name["Check"],
                "check",
                health_pb2.HealthCheckRequest,
                health_pb2.HealthCheckResponse,
            ),
            MethodSpec(
                _SERVICE.methods_by_name["List"],
                "list",
                health_pb2.HealthListRequest,
                health_pb2.HealthListResponse,
            ),
            MethodSpec(
                _SERVICE.methods_by_name["Watch"],
                "watch",
                health_pb2.HealthCheckRequest,
                health_pb2.HealthCheckResponse,
            ),
        ),
    ),
    BUILT_IN,
)


class Statuses:
    """The health of one server: `""` for the whole, and one status a service. Safe for threads.

    After `drain` everything is NOT_SERVING and stays so; `end` lets watchers go. While the server's
    identity is expired everything is NOT_SERVING too, whatever is set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Status] = {OVERALL: NOT_SERVING}
        self._watchers: set[Callable[[], object]] = set()
        self._identity: Status = NOT_SERVING
        self._expired = False
        self._draining = False
        self.ended = False

    def add(self, service: str) -> None:
        """Makes a service known, NOT_SERVING until `serve` or `set`."""
        with self._lock:
            self._known.setdefault(service, NOT_SERVING)
        self._tell()

    def set(self, service: str, status: Status) -> None:
        """States the health of a service, `""` for the whole server."""
        with self._lock:
            if self._draining:
                return
            self._known[service] = status
        self._tell()

    def serve(self) -> None:
        """Everything that is known is SERVING now."""
        with self._lock:
            if not self._draining:
                self._known = dict.fromkeys(self._known, SERVING)
        self._tell()

    def identity(self, status: Status, *, expired: bool = False) -> None:
        """States the health of the server's identity, and whether it is expired."""
        with self._lock:
            self._identity = status
            self._expired = expired
        self._tell()

    def drain(self) -> None:
        """Everything is NOT_SERVING from now on."""
        with self._lock:
            self._draining = True
            self._known = dict.fromkeys(self._known, NOT_SERVING)
        self._tell()

    def end(self) -> None:
        """Ends every Watch, so that none holds up a stop."""
        self.ended = True
        self._tell()

    def get(self, service: str) -> Status | None:
        """The status of a service, None for one that is not known."""
        if service == IDENTITY:
            return NOT_SERVING if self._draining else self._identity
        known = self._known.get(service)
        return NOT_SERVING if self._expired and known is not None else known

    def all(self) -> dict[str, Status]:
        """Every status by service, the whole server's under `""`."""
        known = dict(self._known)
        if self._expired:
            known = dict.fromkeys(known, NOT_SERVING)
        return {**known, IDENTITY: NOT_SERVING if self._draining else self._identity}

    def watch(self, changed: Callable[[], object]) -> Callable[[], None]:
        """Calls `changed` after every change, from whatever thread; returns how to stop that."""
        with self._lock:
            self._watchers.add(changed)

        def stop() -> None:
            with self._lock:
                self._watchers.discard(changed)

        return stop

    def _tell(self) -> None:
        with self._lock:
            watchers = tuple(self._watchers)
        for changed in watchers:
            changed()


def check(statuses: Statuses, service: str) -> HealthCheckResponse:
    """The answer of Check; StatusError (NOT_FOUND) for a service that is not known."""
    status = statuses.get(service)
    if status is None:
        raise StatusError(Code.NOT_FOUND, "No health is known of this service.")
    return health_pb2.HealthCheckResponse(status=status)


def listing(statuses: Statuses) -> HealthListResponse:
    """The answer of List; StatusError (RESOURCE_EXHAUSTED) when there are too many services."""
    known = statuses.all()
    if len(known) > MAX_LISTED:
        raise StatusError(
            Code.RESOURCE_EXHAUSTED,
            f"More than {MAX_LISTED} services are served here: check each by name.",
        )
    return health_pb2.HealthListResponse(
        statuses={
            name: health_pb2.HealthCheckResponse(status=status) for name, status in known.items()
        }
    )


class Health:
    """The health service on asyncio."""

    SPEC: ClassVar[ServiceSpec] = HEALTH_SERVICE

    def __init__(self, statuses: Statuses) -> None:
        self._statuses = statuses

    async def check(
        self, request: HealthCheckRequest, _call: Call | None, /
    ) -> HealthCheckResponse:
        """One status, now."""
        return check(self._statuses, request.service)

    async def list(self, _request: HealthListRequest, _call: Call | None, /) -> HealthListResponse:
        """Every status, now."""
        return listing(self._statuses)

    async def watch(
        self, request: HealthCheckRequest, _call: Call | None, /
    ) -> AsyncIterator[HealthCheckResponse]:
        """One status, now and after each change; SERVICE_UNKNOWN while it is not known."""
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        stop = self._statuses.watch(lambda: loop.call_soon_threadsafe(news.set))
        try:
            last: Status | None = None
            while True:
                news.clear()
                ended = self._statuses.ended
                now = self._statuses.get(request.service)
                status = SERVICE_UNKNOWN if now is None else now
                if status != last:
                    yield health_pb2.HealthCheckResponse(status=status)
                    last = status
                if ended:
                    return
                await news.wait()
        finally:
            stop()


class HealthSync:
    """The health service on threads. A Watch holds one, so only `watchers` run at once."""

    SPEC: ClassVar[ServiceSpec] = HEALTH_SERVICE

    def __init__(self, statuses: Statuses, watchers: int) -> None:
        self._statuses = statuses
        self._free = threading.BoundedSemaphore(watchers)

    def check(self, request: HealthCheckRequest, _call: Call, /) -> HealthCheckResponse:
        """One status, now."""
        return check(self._statuses, request.service)

    def list(self, _request: HealthListRequest, _call: Call, /) -> HealthListResponse:
        """Every status, now."""
        return listing(self._statuses)

    def watch(self, request: HealthCheckRequest, call: Call, /) -> Iterator[HealthCheckResponse]:
        """One status, now and after each change, until the caller is gone."""
        wire = call.wire
        if isinstance(wire, grpc.ServicerContext):
            yield from self.watching(request.service, wire.is_active)
        else:
            yield self.check(request, call)

    def watching(self, service: str, active: Callable[[], bool]) -> Iterator[HealthCheckResponse]:
        """What Watch answers, for as long as the caller is `active`."""
        if not self._free.acquire(blocking=False):
            raise StatusError(Code.RESOURCE_EXHAUSTED, "Too many watch already: use Check.")
        news: queue.SimpleQueue[None] = queue.SimpleQueue()
        stop = self._statuses.watch(lambda: news.put(None))
        try:
            last: Status | None = None
            while active():
                ended = self._statuses.ended
                now = self._statuses.get(service)
                status = SERVICE_UNKNOWN if now is None else now
                if status != last:
                    yield health_pb2.HealthCheckResponse(status=status)
                    last = status
                if ended:
                    return
                with contextlib.suppress(queue.Empty):
                    news.get(timeout=WATCH_TURN)
        finally:
            stop()
            self._free.release()
