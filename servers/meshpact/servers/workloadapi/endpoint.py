"""The whole endpoint: the front on the public socket, and the gRPC server behind it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc.aio

from meshpact.certs.identity import IdentitySource
from meshpact.certs.jwtauthority import JwtAuthority
from meshpact.servers.workloadapi.attestation import ProcessTable, Workloads
from meshpact.servers.workloadapi.front import Front
from meshpact.servers.workloadapi.servicer import WorkloadApi, handlers

GRACE: Final = 0.5
"""Seconds that running calls get when the endpoint ends; streams never end by themselves."""

_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
)


@dataclass(frozen=True)
class Serving:
    """The endpoint while it runs."""

    front: Front
    api: WorkloadApi


@contextlib.asynccontextmanager
async def served(
    listener: socket.socket,
    inner: Path,
    workloads: Workloads,
    sources: Callable[[str], IdentitySource],
    authority: JwtAuthority,
    *,
    table: ProcessTable | None = None,
    wall: Callable[[], float] = time.time,
) -> AsyncGenerator[Serving]:
    """Serve the Workload API on `listener` for as long as the `async with` lasts.

    `inner` is the path of gRPC's own socket, in a directory that only this user can enter.
    """
    front = Front(listener, inner, table or ProcessTable())

    def attested(peer: str) -> str | None:
        process = front.peer(peer)
        return None if process is None else workloads.service_of(process)

    api = WorkloadApi(attested, sources, authority, wall=wall)
    server = grpc.aio.server(options=_OPTIONS)
    server.add_generic_rpc_handlers((handlers(api),))
    server.add_insecure_port(f"unix:{inner}")
    await server.start()
    tasks = [asyncio.create_task(front.run()), asyncio.create_task(api.keep_keys())]
    try:
        yield Serving(front, api)
    finally:
        await server.stop(GRACE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
