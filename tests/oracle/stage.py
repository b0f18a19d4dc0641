"""Real servers for the oracle: one on asyncio, one on threads, with the same contracts on both."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from concurrent import futures
from typing import Any

import grpc
import grpc.aio

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.credentials import server_credentials
from meshpact.certs.source import FixedSource, Identity
from meshpact.certs.svid import X509Svid
from meshpact.interceptors import aio, sync
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.mesh.networks import Networks
from meshpact.testing.loopthread import LoopThread
from oracle.callers import AHEAD, HOME, MESH, PARTNER, Cast

SERVER_NAME = f"stage.{HOME}"
WAIT = 10.0
_OPTIONS = [("grpc.so_reuseport", 0)]


class Held:
    """Calls that stay in their handlers until told to go on."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self._gates: dict[str, tuple[threading.Event, threading.Event]] = {}

    def add(self, name: str) -> threading.Event:
        """A gate for the request that names it; the event says that a call stands before it."""
        self._gates[name] = (threading.Event(), threading.Event())
        return self._gates[name][0]

    def release(self, name: str) -> None:
        """Opens a gate."""
        self._gates.pop(name)[1].set()

    def stand(self, name: str) -> None:
        """Blocks a call at its gate."""
        entered, opened = self._gates[name]
        entered.set()
        opened.wait(WAIT)


class Stage:
    """A server that hosts services under one guard; every other method of them is strict."""

    def __init__(
        self,
        cast: Cast,
        services: Sequence[ServiceSpec],
        *,
        open_door: bool,
    ) -> None:
        bundles = {
            HOME: TrustBundle.from_pem(HOME, cast.home.roots_pem),
            PARTNER: TrustBundle.from_pem(PARTNER, cast.partner.roots_pem),
        }
        svid = X509Svid.from_pem(cast.server_leaf.chain_pem, cast.server_leaf.key_pem)
        source = FixedSource(Identity(svid, bundles))
        self.held = Held()
        self.guard = Guard(
            peers=Peers(source, wall=lambda: time.time() + AHEAD),
            bindings=cast.bindings,
            networks=Networks(cast.config.networks),
            tokens=cast.tokens(),
            max_metadata_bytes=MESH.metadata_limit,
        )
        self.credentials = server_credentials(source, require_client=not open_door)
        self._specs = [spec for service in services for spec in service.methods]

    @contextlib.contextmanager
    def serving(self, kind: str) -> Generator[int]:
        """Serves while the context lasts; gives the port."""
        with contextlib.ExitStack() as stack:
            if kind == "aio":
                loop = stack.enter_context(LoopThread())
                server, port = loop.run(self._start_aio())
                stack.callback(lambda: loop.run(server.stop(0)))
            else:
                threaded, port = self._start_sync()
                stack.callback(lambda: threaded.stop(0).wait(WAIT))
            yield port

    async def _start_aio(self) -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server(options=_OPTIONS)
        handlers = {
            spec.path: aio.handler(
                self.guard, spec, self._behaviour_aio(spec), strict=bool(number % 2)
            )
            for number, spec in enumerate(self._specs)
        }
        server.add_generic_rpc_handlers(
            (_Mounted(handlers, lambda path: aio.unknown(self.guard, path)),)
        )
        port = server.add_secure_port("127.0.0.1:0", self.credentials)
        await server.start()
        return server, port

    def _start_sync(self) -> tuple[grpc.Server, int]:
        server = grpc.server(futures.ThreadPoolExecutor(8), options=_OPTIONS)
        handlers = {
            spec.path: sync.handler(
                self.guard, spec, self._behaviour_sync(spec), strict=bool(number % 2)
            )
            for number, spec in enumerate(self._specs)
        }
        server.add_generic_rpc_handlers(
            (_Mounted(handlers, lambda path: sync.unknown(self.guard, path)),)
        )
        port = server.add_secure_port("127.0.0.1:0", self.credentials)
        server.start()
        return server, port

    def _behaviour_aio(self, spec: MethodSpec[Any, Any]) -> Callable[..., Any]:
        held, told, path = self.held, spec.response, spec.path

        async def act(requests: Any) -> Any:
            held.ran[path] += 1
            each = [r async for r in requests] if spec.request_streaming else [requests]
            for request in each:
                if request.hold:
                    await asyncio.to_thread(held.stand, request.hold)
            return told()

        async def once(requests: Any, call: Any) -> Any:
            return await act(requests)

        async def stream(requests: Any, call: Any) -> AsyncIterator[Any]:
            yield await act(requests)

        return stream if spec.response_streaming else once

    def _behaviour_sync(self, spec: MethodSpec[Any, Any]) -> Callable[..., Any]:
        held, told, path = self.held, spec.response, spec.path

        def once(requests: Any, call: Any) -> Any:
            held.ran[path] += 1
            for request in requests if spec.request_streaming else [requests]:
                if request.hold:
                    held.stand(request.hold)
            return told()

        def stream(requests: Any, call: Any) -> Iterator[Any]:
            yield once(requests, call)

        return stream if spec.response_streaming else once


class _Mounted(grpc.GenericRpcHandler):
    def __init__(
        self,
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]],
        unknown: Callable[[str], grpc.RpcMethodHandler[Any, Any]],
    ) -> None:
        self._handlers = handlers
        self._unknown = unknown

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        path = handler_call_details.method
        return self._handlers.get(path) or self._unknown(path)
