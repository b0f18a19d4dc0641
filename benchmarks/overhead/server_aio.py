"""The measured server on grpc.aio: every variant is a method of this one process.

Usage: python -m overhead.server_aio FOLDER [CONTRIB]   (a folder that `overhead.stage` filled, and
one that holds OpenTelemetry's contrib package). Variants that need a server of their own get one,
on a port of its own, in the same process.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from measure.v1 import measure_pb2 as pb

from meshpact.certs.credentials import server_credentials
from meshpact.interceptors import aio
from meshpact.servers import loop
from meshpact.servers.mount import RpcHandler, Table
from meshpact.servers.options import Limits, arguments
from overhead import contrib, many
from overhead.chain import Guards, Telemetry, guards
from overhead.control import answer
from overhead.stage import SERVER, Stage
from overhead.work import (
    AGAIN,
    BARE,
    CHECK,
    MEASURE_SERVICE,
    PASS,
    SKU,
    TALK,
    WATCH,
    checked,
    passed,
)


async def check(request: pb.CheckRequest, _: object) -> pb.CheckResponse:
    """What every variant of a unary method runs."""
    return checked(request)


async def _pass(request: pb.PassRequest, _: object) -> pb.PassResponse:
    return passed(request)


async def _watch(request: pb.WatchRequest, _: object) -> AsyncIterator[pb.WatchResponse]:
    for number in range(request.messages):
        yield pb.WatchResponse(sku=SKU, number=number)


async def _talk(
    requests: AsyncIterator[pb.TalkRequest], _: object
) -> AsyncIterator[pb.TalkResponse]:
    async for request in requests:
        yield pb.TalkResponse(sku=request.sku, number=request.number)


def bare(prefix: str) -> dict[str, RpcHandler]:
    """Plain grpc.aio: the same handlers, with grpcio's own parsing and serializing."""
    return {
        f"{prefix}/Check": grpc.unary_unary_rpc_method_handler(
            check, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
        ),
        f"{prefix}/Watch": grpc.unary_stream_rpc_method_handler(
            _watch, pb.WatchRequest.FromString, pb.WatchResponse.SerializeToString
        ),
        f"{prefix}/Talk": grpc.stream_stream_rpc_method_handler(
            _talk, pb.TalkRequest.FromString, pb.TalkResponse.SerializeToString
        ),
    }


def guarded(chain: Guards) -> dict[str, RpcHandler]:
    """The same handlers as a server of the mesh has them."""
    return {
        CHECK.path: aio.handler(chain.full, CHECK, check),
        PASS.path: aio.handler(chain.untraced, PASS, _pass),
        WATCH.path: aio.handler(chain.full, WATCH, _watch),
        TALK.path: aio.handler(chain.full, TALK, _talk),
    }


class Servers:
    """The servers of this process, each on a port of its own, under a name."""

    def __init__(self, stage: Stage) -> None:
        self._identity = stage.identity(SERVER)
        self._servers: list[grpc.aio.Server] = []
        self.ports: dict[str, int] = {}

    def new(self, name: str, interceptors: Sequence[Any] = ()) -> grpc.aio.Server:
        """A server with nothing on it yet; the options are those of `meshpact.servers.Server`."""
        server = grpc.aio.server(
            options=arguments(Limits(), [MEASURE_SERVICE]), interceptors=list(interceptors)
        )
        credentials = server_credentials(self._identity)
        self.ports[name] = server.add_secure_port("127.0.0.1:0", credentials)
        self._servers.append(server)
        return server

    def mount(
        self, name: str, handlers: Mapping[str, RpcHandler], interceptors: Sequence[Any] = ()
    ) -> None:
        """A server with handlers in one table, as Meshpact's own servers mount them."""
        self.new(name, interceptors).add_generic_rpc_handlers((Table(handlers, _nothing),))

    async def run(self) -> None:
        """Serves for as long as the process lives."""
        for server in self._servers:
            await server.wait_for_termination()

    async def start(self) -> None:
        """Opens all ports."""
        for server in self._servers:
            await server.start()


def _nothing(_path: str) -> RpcHandler | None:
    return None


async def serve(stage: Stage, contrib_folder: Path | None) -> None:
    """Serves until the control channel closes."""
    telemetry = Telemetry()
    chain = guards(stage, stage.identity(SERVER), telemetry)
    servers = Servers(stage)
    servers.mount("main", {**bare(BARE), **bare(AGAIN), **guarded(chain)})
    if contrib_folder is not None:
        servers.mount("contrib", bare(BARE), [contrib.interceptor(contrib_folder, telemetry)])
    if many.made(stage):
        for name in ("stock", "stock again"):
            many.register_stock(stage, servers.new(name), check)
        specs = many.specs(stage)
        servers.mount("many", {s.path: aio.handler(chain.full, s, check) for s in specs})
    await servers.start()

    def seen() -> dict[str, int]:
        telemetry.settle()
        return {"calls": telemetry.calls(), "spans": telemetry.exporter.spans}

    answer({"ports": servers.ports}, telemetry.settle, seen)
    await servers.run()


if __name__ == "__main__":
    loop.run(serve(Stage(Path(sys.argv[1])), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
