"""Where other interceptors hide grpc's own context, a denied identity's calls end all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from demo.v1 import demo_pb2 as pb
from guard.scripted import KEY, message, path
from guard.situations import ROLE
from meshpact.certs.credentials import server_credentials
from meshpact.interceptors.errors import Code
from meshpact.interceptors.sync_interceptor import GuardInterceptor
from meshpact.testing.hosting import Workbench


class Hidden:
    """A servicer context whose inside nobody sees."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.__context = context

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.__context, name)


class Hiding(grpc.ServerInterceptor):
    """Gives handlers such a context."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        found = continuation(handler_call_details)

        def hidden(request: Any, context: grpc.ServicerContext) -> Any:
            return found.unary_unary(request, Hidden(context))

        return grpc.unary_unary_rpc_method_handler(
            hidden,
            found.request_deserializer,
            found.response_serializer,
        )


class Waiting(grpc.GenericRpcHandler):
    """One method, which stands still until it is told to go on."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        def wait(request: pb.EchoRequest, _context: object) -> pb.EchoResponse:
            self.began.set()
            self.go.wait(60)
            return pb.EchoResponse(text=request.text)

        return grpc.unary_unary_rpc_method_handler(
            wait, pb.EchoRequest.FromString, pb.EchoResponse.SerializeToString
        )


def test_a_call_whose_status_cannot_be_sent_is_cancelled() -> None:
    waiting = Waiting()
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        server = grpc.server(
            ThreadPoolExecutor(4), interceptors=[Hiding(), GuardInterceptor(bench.guard())]
        )
        server.add_generic_rpc_handlers((waiting,))
        port = server.add_secure_port("127.0.0.1:0", server_credentials(bench.source("server")))
        server.start()
        try:
            with bench.connect(port, "caller") as wire:
                stream = wire.open(path("unary"))
                wire.send(stream, message("unary", KEY), end=True)
                assert waiting.began.wait(30)
                bench.roles.deny(bench.id_of("caller"))
                answer = wire.answer(stream, 30)
                assert answer.code in (Code.CANCELLED, None)
                assert not answer.messages
                waiting.go.set()
                again = wire.call(path("unary"), message("unary", KEY))
                assert again.reason == "IDENTITY_DENIED"
        finally:
            waiting.go.set()
            server.stop(0).wait(10)
