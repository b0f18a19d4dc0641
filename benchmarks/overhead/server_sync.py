"""The measured server on grpc.server, with as many threads as Meshpact's own has.

Usage: python -m overhead.server_sync FOLDER
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from measure.v1 import measure_pb2 as pb

from meshpact.certs.credentials import server_credentials
from meshpact.interceptors import sync
from meshpact.servers.mount import RpcHandler, Table
from meshpact.servers.options import Limits, arguments
from meshpact.servers.sync import THREADS
from overhead.chain import Telemetry, guards
from overhead.control import answer
from overhead.stage import SERVER, Stage
from overhead.work import AGAIN, BARE, CHECK, MEASURE_SERVICE, checked


def _check(request: pb.CheckRequest, _: object) -> pb.CheckResponse:
    return checked(request)


def _bare(prefix: str) -> dict[str, RpcHandler]:
    return {
        f"{prefix}/Check": grpc.unary_unary_rpc_method_handler(
            _check, pb.CheckRequest.FromString, pb.CheckResponse.SerializeToString
        )
    }


def serve(stage: Stage) -> None:
    """Serves until the control channel closes."""
    identity = stage.identity(SERVER)
    telemetry = Telemetry()
    chain = guards(stage, identity, telemetry)
    handlers = {
        **_bare(BARE),
        **_bare(AGAIN),
        CHECK.path: sync.handler(chain.full, CHECK, _check),
    }
    server = grpc.server(
        ThreadPoolExecutor(THREADS), options=arguments(Limits(), [MEASURE_SERVICE])
    )
    server.add_generic_rpc_handlers((Table(handlers, lambda _: None),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(identity))
    server.start()

    def seen() -> dict[str, int]:
        telemetry.settle()
        return {"calls": telemetry.calls(), "spans": telemetry.exporter.spans}

    answer({"ports": {"main": port}}, telemetry.settle, seen)
    server.wait_for_termination()


if __name__ == "__main__":
    serve(Stage(Path(sys.argv[1])))
