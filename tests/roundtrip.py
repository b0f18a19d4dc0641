"""`python -m roundtrip`: serves every service of generated modules, and calls all their methods.

Takes the modules' names on standard input, as JSON, and prints how many methods answered.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from contractfiles import ROLE
from meshpact.clients import Channel, ChannelSync
from meshpact.interceptors.spec import MethodSpec, ServiceSpec
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.loopthread import LoopThread

SENT = 2
"""Messages of a stream, either way."""

Spec = MethodSpec[Any, Any]


def main() -> int:
    """0 when every method answered as its contract says."""
    modules = [importlib.import_module(name) for name in json.load(sys.stdin)]
    answered = _on_asyncio(modules) + _on_threads(modules)
    print(answered)
    return 0


def _on_asyncio(modules: list[ModuleType]) -> int:
    with _bench() as bench, bench.serving("aio", lambda: _servicers(modules, "aio")) as port:

        async def call() -> int:
            answered = 0
            identity = bench.source("caller")
            async with Channel(
                f"127.0.0.1:{port}", identity=identity, callee=bench.service
            ) as channel:
                for spec, client in _clients(modules, channel, ""):
                    for method in spec.methods:
                        answer = getattr(client, method.attribute)(_request(method, "aio"))
                        if method.response_streaming:
                            _check(method, [message async for message in answer], SENT)
                        else:
                            _check(method, [await answer], 1)
                        answered += 1
            return answered

        with LoopThread() as loop:
            return loop.run(call())


def _on_threads(modules: list[ModuleType]) -> int:
    answered = 0
    with (
        _bench() as bench,
        bench.serving("sync", lambda: _servicers(modules, "sync")) as port,
        ChannelSync(
            f"127.0.0.1:{port}", identity=bench.source("caller"), callee=bench.service
        ) as channel,
    ):
        for spec, client in _clients(modules, channel, "Sync"):
            for method in spec.methods:
                answer = getattr(client, method.attribute)(_request(method, "sync"))
                several = method.response_streaming
                _check(method, list(answer) if several else [answer], SENT if several else 1)
                answered += 1
    return answered


def _bench() -> Workbench:
    bench = Workbench()
    bench.roles.set({bench.id_of("caller"): [ROLE]})
    return bench


def _check(method: Spec, messages: list[Any], count: int) -> None:
    if [type(message) for message in messages] != [method.response] * count:
        raise AssertionError(f"{method.path} answered {messages}")


def _request(method: Spec, kind: Kind) -> Any:
    if not method.request_streaming:
        return method.request()
    messages = [method.request() for _ in range(SENT)]
    return iter(messages) if kind == "sync" else _each(messages)


async def _each(messages: list[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


def _specs(module: ModuleType) -> list[tuple[str, ServiceSpec]]:
    """The services of a module with the names of their classes."""
    return [
        (name.removesuffix("BaseSync"), value.SPEC)
        for name, value in vars(module).items()
        if name.endswith("BaseSync") and hasattr(value, "SPEC")
    ]


def _clients(modules: list[ModuleType], channel: Any, suffix: str) -> list[tuple[ServiceSpec, Any]]:
    return [
        (spec, getattr(module, f"{name}Client{suffix}")(channel))
        for module in modules
        for name, spec in _specs(module)
    ]


def _servicers(modules: list[ModuleType], kind: Kind) -> list[Any]:
    suffix = "" if kind == "aio" else "Sync"
    handler = _handler if kind == "aio" else _handler_sync
    return [
        type("Answers", (getattr(module, f"{name}Base{suffix}"),), methods)()
        for module in modules
        for name, spec in _specs(module)
        for methods in [{method.attribute: handler(method) for method in spec.methods}]
    ]


def _handler(method: Spec) -> Any:
    async def read(request: Any) -> None:
        received = [m async for m in request] if method.request_streaming else [request]
        _received(method, received)

    async def stream(self: object, request: Any, call: object, /) -> AsyncIterator[Any]:
        await read(request)
        for _ in range(SENT):
            yield method.response()

    async def unary(self: object, request: Any, call: object, /) -> Any:
        await read(request)
        return method.response()

    return stream if method.response_streaming else unary


def _handler_sync(method: Spec) -> Any:
    def stream(self: object, request: Any, call: object, /) -> Iterator[Any]:
        _received(method, list(request) if method.request_streaming else [request])
        for _ in range(SENT):
            yield method.response()

    def unary(self: object, request: Any, call: object, /) -> Any:
        _received(method, list(request) if method.request_streaming else [request])
        return method.response()

    return stream if method.response_streaming else unary


def _received(method: Spec, messages: list[Any]) -> None:
    count = SENT if method.request_streaming else 1
    if [type(message) for message in messages] != [method.request] * count:
        raise AssertionError(f"{method.path} received {messages}")


if __name__ == "__main__":
    sys.exit(main())
