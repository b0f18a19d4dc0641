"""Servers of plain grpcio for tests of the client side: each path answers by one given function."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent import futures
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2

Handlers = Mapping[str, Callable[..., Any]]
"""Path -> behaviour on raw bytes, as grpc's handlers take them."""

_SHAPES = {
    "Count": grpc.unary_stream_rpc_method_handler,
    "Sum": grpc.stream_unary_rpc_method_handler,
    "Chat": grpc.stream_stream_rpc_method_handler,
}


class _Generic(grpc.GenericRpcHandler):
    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        name = handler_call_details.method.rpartition("/")[2]
        behaviour = self._handlers.get(name)
        if behaviour is None:
            return None
        return _SHAPES.get(name, grpc.unary_unary_rpc_method_handler)(behaviour)


@contextlib.asynccontextmanager
async def serving(handlers: Handlers) -> AsyncGenerator[str]:
    """An aio server on an insecure port: yields its address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Generic(handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@contextlib.contextmanager
def serving_sync(handlers: Handlers) -> Generator[str]:
    """A threaded server on an insecure port: yields its address."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Generic(handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def details(code: grpc.StatusCode, message: str, *parts: Message) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that carries a google.rpc.Status with these details."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for part in parts:
        packed = any_pb2.Any()
        packed.Pack(part)
        status.details.append(packed)
    return (("grpc-status-details-bin", status.SerializeToString()),)
