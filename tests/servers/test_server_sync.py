"""A whole server on threads over mutual TLS, called by generated clients of both kinds."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

import tlsworld
from demo.v1 import demo_mesh, demo_pb2
from demoservice import Demo, DemoSync
from meshpact.clients import CallError
from meshpact.interceptors.call import Call
from meshpact.servers import Drain, ServerError, ServerSync

QUICK = Drain(quiet=0.05, at_most=1.0, grace=2.0)


def make(**options: Any) -> ServerSync:
    settings: dict[str, Any] = {
        "identity": tlsworld.identity(tlsworld.SERVER),
        "guard": tlsworld.guard(),
        "drain": QUICK,
    }
    return ServerSync(**(settings | options))


@contextlib.contextmanager
def world(
    name: str = tlsworld.ALICE, **options: Any
) -> Generator[tuple[DemoSync, demo_mesh.DemoServiceClientSync]]:
    servicer = DemoSync()
    server = make(**options)
    server.add(servicer)
    with server, tlsworld.channel_sync(server.address, name) as channel:
        yield servicer, demo_mesh.DemoServiceClientSync(channel)


@pytest.mark.parametrize("strict", [False, True])
def test_every_shape_is_served(strict: bool) -> None:
    with world(strict=strict) as (_, demo):
        assert demo.echo(demo_pb2.EchoRequest(text="a")).text == "a"
        assert [r.number for r in demo.count(demo_pb2.CountRequest(to=5))] == [1, 2, 3, 4, 5]
        assert demo.sum([demo_pb2.SumRequest(number=n) for n in range(10)]).sum == 45
        said = [demo_pb2.ChatRequest(text=text) for text in ("a", "b")]
        assert [r.text for r in demo.chat(said)] == ["a", "b"]


def test_errors_of_the_contract_cross_the_wire_in_every_shape() -> None:
    with world() as (_, demo):
        with pytest.raises(demo_mesh.BadWord) as caught:
            demo.echo(demo_pb2.EchoRequest(text="bad"))
        assert caught.value.left == "3"
        with pytest.raises(demo_mesh.OutOfBreath):
            list(demo.count(demo_pb2.CountRequest(to=20)))
        with pytest.raises(demo_mesh.BadWord):
            demo.sum([demo_pb2.SumRequest(number=-13)])
        with pytest.raises(demo_mesh.BadWord):
            list(demo.chat([demo_pb2.ChatRequest(text="bad")]))


def test_a_caller_without_the_role_is_refused() -> None:
    with world(tlsworld.MALLORY) as (servicer, demo):
        with pytest.raises(CallError) as caught:
            demo.echo(demo_pb2.EchoRequest(text="a"))
        assert demo.hello(demo_pb2.HelloRequest()).text == "hello"
    assert caught.value.reason == "ROLE_MISSING"
    assert servicer.calls == ["Hello"]


def test_an_async_servicer_is_refused_with_words() -> None:
    with pytest.raises(ServerError, match="mount it on Server"):
        make().add(Demo())


def test_a_taken_port_is_named() -> None:
    with make() as first, pytest.raises(ServerError, match="taken by another process"):
        make(address=first.address).start()


def test_a_stop_lets_running_calls_end() -> None:
    servicer, server = DemoSync(), make()
    server.add(servicer)
    server.start()
    with (
        tlsworld.channel_sync(server.address) as channel,
        ThreadPoolExecutor(2) as threads,
    ):
        demo = demo_mesh.DemoServiceClientSync(channel)
        call = threads.submit(demo.hold, demo_pb2.HoldRequest(milliseconds=-1))
        assert servicer.running.wait(30)
        stopping = threads.submit(server.stop)
        servicer.release.set()
        assert call.result(30) == demo_pb2.HoldResponse()
        stopping.result(30)


def test_a_handler_that_calls_on_passes_its_deadline() -> None:
    left: list[float] = []

    class Asked(DemoSync):
        def hold(self, request: demo_pb2.HoldRequest, call: Call, /) -> demo_pb2.HoldResponse:
            left.append(call.time_remaining())
            return demo_pb2.HoldResponse()

    last = make()
    last.add(Asked())
    with last, tlsworld.channel_sync(last.address) as onward:
        inner = demo_mesh.DemoServiceClientSync(onward)

        class Relay(DemoSync):
            def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
                inner.hold(demo_pb2.HoldRequest(), timeout=60)
                return demo_pb2.EchoResponse()

        server = make()
        server.add(Relay())
        with server, tlsworld.channel_sync(server.address) as channel:
            demo = demo_mesh.DemoServiceClientSync(channel)
            demo.echo(demo_pb2.EchoRequest(text="a"), timeout=15)
    assert 0 < left[0] <= 15.1


def test_a_deadline_ends_a_call_that_a_handler_makes() -> None:
    ends: queue.SimpleQueue[CallError] = queue.SimpleQueue()
    with world() as (slow, inner):

        class Relay(DemoSync):
            def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
                try:
                    inner.hold(demo_pb2.HoldRequest(milliseconds=-1), timeout=60)
                except CallError as error:
                    ends.put(error)
                    raise
                return demo_pb2.EchoResponse()

        server = make()
        server.add(Relay())
        with server, tlsworld.channel_sync(server.address) as channel:
            demo = demo_mesh.DemoServiceClientSync(channel)
            for connected in (inner, demo):
                connected.hello(demo_pb2.HelloRequest(), timeout=30)
            with pytest.raises(CallError) as caught:
                demo.echo(demo_pb2.EchoRequest(text="a"), timeout=1.5)
            assert slow.running.wait(30)
            assert ends.get(timeout=30).code is grpc.StatusCode.DEADLINE_EXCEEDED
        slow.release.set()
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_callers_that_never_pause_are_told_that_nothing_was_done() -> None:
    servicer, server = DemoSync(), make(drain=Drain(quiet=0.1, at_most=0.1, settle=5, grace=5))
    server.add(servicer)
    server.start()
    busy = threading.Event()

    def caller(demo: demo_mesh.DemoServiceClientSync) -> tuple[int, CallError]:
        done = 0
        while True:
            try:
                demo.confess(demo_pb2.ConfessRequest(words="a"))
            except CallError as error:
                return done, error
            done += 1
            if done == 10:
                busy.set()

    with tlsworld.channel_sync(server.address) as channel, ThreadPoolExecutor(5) as threads:
        demo = demo_mesh.DemoServiceClientSync(channel)
        callers = [threads.submit(caller, demo) for _ in range(4)]
        assert busy.wait(30)
        server.stop()
        ends = [each.result(30) for each in callers]
    assert sum(done for done, _ in ends) == len(servicer.calls)
    assert {(error.code.name, error.reason) for _, error in ends} == {("UNAVAILABLE", "OVERLOADED")}


PROGRAM = """
import sys
sys.path[:0] = {path!r}
import tlsworld
from demoservice import DemoSync
from meshpact.servers import Drain, ServerSync

server = ServerSync(
    identity=tlsworld.identity("server"), guard=tlsworld.guard(), drain=Drain(quiet=0.05, grace=60)
)
servicer = DemoSync()
server.add(servicer)
server.serve(lambda: print("started", flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_serve(number: signal.Signals) -> None:
    tests = Path(__file__).parent.parent
    path = [str(tests), str(tests / "demo_contract" / "generated")]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(path=path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.kill(process.pid, number)
        assert process.stdout.readline() == "ended\n"
        assert process.wait(30) == 0


def test_stopping_twice_and_from_two_threads_does_no_harm() -> None:
    server = make()
    server.start()
    threads = [threading.Thread(target=server.stop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    server.stop()
