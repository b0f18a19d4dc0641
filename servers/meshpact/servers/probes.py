"""The plaintext health server for probes that have no certificate: health and nothing else.

It is a server of its own, because an insecure port on the main one would serve every method.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import grpc.aio

from meshpact.interceptors.errors import StatusError
from meshpact.servers.health import HEALTH_SERVICE, Health, HealthSync, Statuses, check, listing
from meshpact.servers.lasting import LastingServer
from meshpact.servers.mount import RpcHandler, Table
from meshpact.servers.options import Limits, arguments
from meshpact.servers.wellknown import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)

_LIMITS: Final = Limits(connections=256, streams_per_connection=16, metadata_bytes=8 * 1024)

WATCHERS: Final = 4
"""Watches at once on threads; each holds one."""


def probe_server(statuses: Statuses) -> LastingServer:
    """A server on asyncio that tells these statuses; where it listens is the caller's to say."""
    health = Health(statuses)

    async def checked(request: HealthCheckRequest, context: Any) -> HealthCheckResponse:
        try:
            return await health.check(request, None)
        except StatusError as error:
            await context.abort(error.code, error.message)
            raise

    async def listed(request: HealthListRequest, context: Any) -> HealthListResponse:
        try:
            return await health.list(request, None)
        except StatusError as error:
            await context.abort(error.code, error.message)
            raise

    async def watched(
        request: HealthCheckRequest, _context: Any
    ) -> AsyncIterator[HealthCheckResponse]:
        async for response in health.watch(request, None):
            yield response

    def make() -> grpc.aio.Server:
        server = grpc.aio.server(options=arguments(_LIMITS, [HEALTH_SERVICE]))
        server.add_generic_rpc_handlers((_table(checked, listed, watched),))
        return server

    return LastingServer(make, lambda server, address: server.add_insecure_port(address))


def probe_server_sync(statuses: Statuses) -> grpc.Server:
    """The same on threads, of which a few are its own."""
    health = HealthSync(statuses, WATCHERS)

    def checked(request: HealthCheckRequest, context: grpc.ServicerContext) -> HealthCheckResponse:
        try:
            return check(statuses, request.service)
        except StatusError as error:
            context.abort(error.code, error.message)

    def listed(_request: HealthListRequest, context: grpc.ServicerContext) -> HealthListResponse:
        try:
            return listing(statuses)
        except StatusError as error:
            context.abort(error.code, error.message)

    def watched(
        request: HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[HealthCheckResponse]:
        try:
            yield from health.watching(request.service, context.is_active)
        except StatusError as error:
            context.abort(error.code, error.message)

    server = grpc.server(
        ThreadPoolExecutor(WATCHERS + 2, thread_name_prefix="health"),
        options=arguments(_LIMITS, [HEALTH_SERVICE]),
    )
    server.add_generic_rpc_handlers((_table(checked, listed, watched),))
    return server


def _table(checked: Any, listed: Any, watched: Any) -> Table:
    built: dict[str, RpcHandler] = {}
    for method in HEALTH_SERVICE.methods:
        wire = (method.request.FromString, method.response.SerializeToString)
        if method.name == "Watch":
            built[method.path] = grpc.unary_stream_rpc_method_handler(watched, *wire)
        else:
            behaviour = checked if method.name == "Check" else listed
            built[method.path] = grpc.unary_unary_rpc_method_handler(behaviour, *wire)
    return Table(built, lambda _path: None)
