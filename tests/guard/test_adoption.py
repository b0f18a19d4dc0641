"""A plain grpcio server with _pb2_grpc servicers is guarded by adding one interceptor."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2

from demo.v1 import demo_pb2 as pb
from demo.v1.demo_mesh import BadWord
from guard.scripted import KEY, message, path
from guard.situations import ALL_SHAPES, KINDS, ROLE
from meshpact.certs.credentials import server_credentials
from meshpact.interceptors import aio_interceptor, sync_interceptor
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.loopthread import LoopThread
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import grpc_message

OPTIONS = [("grpc.so_reuseport", 0)]
SECRET = "the password is swordfish"


ABORT, SET, CRASH, DECLARED = 91, 92, 93, 94
"""Keys at which the plain servicers end a call in each way that grpcio offers."""


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """demo_pb2_grpc as grpcio-tools generates it."""
    out = tmp_path_factory.mktemp("stock")
    descriptors = descriptor_pb2.FileDescriptorSet()
    _add(descriptors, pb.DESCRIPTOR)
    image = out / "demo.binpb"
    image.write_bytes(descriptors.SerializeToString())
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={image}"]
    subprocess.run([*command, f"--grpc_python_out={out}", pb.DESCRIPTOR.name], check=True)
    file = next(out.rglob("*_pb2_grpc.py"))
    spec = importlib.util.spec_from_file_location("stock_demo_pb2_grpc", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _add(found: descriptor_pb2.FileDescriptorSet, file: Any) -> None:
    if all(known.name != file.name for known in found.file):
        for dependency in file.dependencies:
            _add(found, dependency)
        file.CopyToProto(found.file.add())


def plain_aio(stock: ModuleType) -> Any:
    """A servicer as people write them for grpc.aio."""

    class Plain(stock.DemoServiceServicer):  # type: ignore[name-defined,misc]
        async def _run(self, key: int, context: Any) -> None:
            if key == ABORT:
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "No.")
            if key == SET:
                context.set_code(grpc.StatusCode.NOT_FOUND)
                context.set_details("Gone.")
            if key == CRASH:
                raise RuntimeError(SECRET)
            if key == DECLARED:
                raise BadWord(word="grr", left=1)

        async def Echo(self, request: Any, context: Any) -> Any:
            await self._run(int(request.text), context)
            return pb.EchoResponse(text=request.text)

        async def Count(self, request: Any, context: Any) -> AsyncIterator[Any]:
            await self._run(request.to, context)
            yield pb.CountResponse(number=request.to)

        async def Sum(self, requests: Any, context: Any) -> Any:
            async for request in requests:
                await self._run(request.number, context)
            return pb.SumResponse(sum=1)

        async def Chat(self, requests: Any, context: Any) -> None:
            while (request := await context.read()) is not grpc.aio.EOF:
                await self._run(int(request.text), context)
                await context.write(pb.ChatResponse(text=request.text))

    return Plain()


def plain_sync(stock: ModuleType) -> Any:
    """A servicer as people write them for threads."""

    class Plain(stock.DemoServiceServicer):  # type: ignore[name-defined,misc]
        def _run(self, key: int, context: Any) -> None:
            if key == ABORT:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "No.")
            if key == SET:
                context.set_code(grpc.StatusCode.NOT_FOUND)
                context.set_details("Gone.")
            if key == CRASH:
                raise RuntimeError(SECRET)
            if key == DECLARED:
                raise BadWord(word="grr", left=1)

        def Echo(self, request: Any, context: Any) -> Any:
            self._run(int(request.text), context)
            return pb.EchoResponse(text=request.text)

        def Count(self, request: Any, context: Any) -> Iterator[Any]:
            self._run(request.to, context)
            yield pb.CountResponse(number=request.to)

        def Sum(self, requests: Any, context: Any) -> Any:
            for request in requests:
                self._run(request.number, context)
            return pb.SumResponse(sum=1)

        def Chat(self, requests: Any, context: Any) -> Iterator[Any]:
            for request in requests:
                self._run(int(request.text), context)
                yield pb.ChatResponse(text=request.text)

    return Plain()


@dataclass
class Adopted:
    """A plain server with the interceptor."""

    bench: Workbench
    kind: Kind
    port: int

    def call(self, path: str, data: bytes, service: str = "caller", metadata: Any = ()) -> Answer:
        with self.bench.connect(self.port, service) as wire:
            return wire.call(path, data, metadata)


@pytest.fixture(scope="module", params=KINDS)
def adopted(request: pytest.FixtureRequest, stock: ModuleType) -> Iterator[Adopted]:
    kind: Kind = request.param
    with Workbench() as bench, contextlib.ExitStack() as stack:
        bench.roles.set({bench.id_of("caller"): frozenset({ROLE})})
        guard = bench.guard()
        credentials = server_credentials(bench.source("server"))
        if kind == "aio":
            loop = stack.enter_context(LoopThread())

            async def start() -> tuple[grpc.aio.Server, int]:
                server = grpc.aio.server(
                    interceptors=[aio_interceptor.GuardInterceptor(guard)], options=OPTIONS
                )
                stock.add_DemoServiceServicer_to_server(plain_aio(stock), server)
                port = server.add_secure_port("127.0.0.1:0", credentials)
                await server.start()
                return server, port

            server, port = loop.run(start())
            stack.callback(lambda: loop.run(server.stop(0)))
        else:
            threaded = grpc.server(
                futures.ThreadPoolExecutor(4),
                interceptors=[sync_interceptor.GuardInterceptor(guard)],
                options=OPTIONS,
            )
            stock.add_DemoServiceServicer_to_server(plain_sync(stock), threaded)
            port = threaded.add_secure_port("127.0.0.1:0", credentials)
            threaded.start()
            stack.callback(lambda: threaded.stop(0).wait(10))
        yield Adopted(bench, kind, port)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_an_adopted_method_answers_who_may_call_it(adopted: Adopted, shape: str) -> None:
    answer = adopted.call(path(shape), message(shape, KEY))
    assert answer.code is grpc.StatusCode.OK, str(answer)
    assert len(answer.messages) == 1


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_an_adopted_method_refuses_who_may_not(adopted: Adopted, shape: str) -> None:
    answer = adopted.call(path(shape), message(shape, KEY), "stranger")
    assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    assert answer.messages == ()


@pytest.mark.parametrize("shape", ["client", "bidi"])
@pytest.mark.parametrize("sent", [0, 1, 5])
def test_running_adopted_calls_of_a_denied_identity_are_ended(
    adopted: Adopted, shape: str, sent: int
) -> None:
    with adopted.bench.connect(adopted.port, "caller") as wire:
        stream = wire.open(path(shape))
        for _ in range(sent):
            wire.send(stream, message(shape, KEY))
        assert wire.call(path("unary"), message("unary", KEY)).code is grpc.StatusCode.OK
        try:
            adopted.bench.roles.deny(adopted.bench.id_of("caller"))
            answer = wire.answer(stream, 30)
            assert (answer.code, answer.reason) == (
                grpc.StatusCode.PERMISSION_DENIED,
                "IDENTITY_DENIED",
            )
        finally:
            adopted.bench.roles.deny()


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (b"\xff\xff", grpc.StatusCode.INTERNAL, "MALFORMED_REQUEST"),
        (b"", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    ],
)
def test_messages_are_checked_before_an_adopted_handler_sees_them(
    adopted: Adopted, shape: str, body: bytes, code: grpc.StatusCode, reason: str
) -> None:
    if reason == "INVALID_REQUEST" and shape in ("server", "client"):
        body = (
            pb.CountRequest(to=-1) if shape == "server" else pb.SumRequest(number=5000)
        ).SerializeToString()
    answer = adopted.call(path(shape), grpc_message(body))
    assert (answer.code, answer.reason) == (code, reason)


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_abort_and_set_code_arrive_with_error_info(adopted: Adopted, shape: str) -> None:
    aborted = adopted.call(path(shape), message(shape, ABORT))
    assert (aborted.code, aborted.message) == (grpc.StatusCode.FAILED_PRECONDITION, "No.")
    assert (aborted.reason, aborted.domain) == ("FAILED_PRECONDITION", "demo.v1.DemoService")
    code_set = adopted.call(path(shape), message(shape, SET))
    assert (code_set.code, code_set.message) == (grpc.StatusCode.NOT_FOUND, "Gone.")
    assert (code_set.reason, code_set.domain) == ("NOT_FOUND", "demo.v1.DemoService")


@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_exceptions_of_adopted_handlers_are_masked(adopted: Adopted, shape: str) -> None:
    answer = adopted.call(path(shape), message(shape, CRASH))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "MASKED")
    assert SECRET not in f"{answer.message} {answer.status}"


@pytest.mark.parametrize("shape", ["unary", "client", "bidi"])
def test_adopted_handlers_may_raise_declared_errors(adopted: Adopted, shape: str) -> None:
    answer = adopted.call(path(shape), message(shape, DECLARED))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BAD_WORD")
    assert answer.domain == "demo.example"


def test_an_adopted_handler_must_not_raise_an_error_that_its_policy_does_not_list(
    adopted: Adopted,
) -> None:
    answer = adopted.call(path("server"), message("server", DECLARED))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INTERNAL, "MASKED")


@pytest.mark.parametrize("name", ["/demo.v1.DemoService/Nothing", "/no.Service/X", "//", "/demo"])
def test_paths_without_a_method_are_unknown(adopted: Adopted, name: str) -> None:
    answer = adopted.call(name, message("unary", KEY))
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


def test_a_rate_limit_counts_across_calls_of_an_adopted_method(adopted: Adopted) -> None:
    answers = [
        adopted.call("/demo.v1.DemoService/Knock", grpc_message(b"")).reason for _ in range(3)
    ]
    # Knock is not implemented by the plain servicer: UNIMPLEMENTED, until the limit refuses.
    assert answers == ["UNIMPLEMENTED", "UNIMPLEMENTED", "RATE_LIMITED"]
