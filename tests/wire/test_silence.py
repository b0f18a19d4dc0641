"""Connections and calls that say nothing are ended by the server's limits, not by luck."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Generator, Iterator

import pytest
from hyperframe.frame import PingFrame

import demoservice
from meshpact.servers import Drain, Limits, Server
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawanswer import Answer
from meshpact.testing.rawwire import RawConnection, grpc_message
from wire.attacks import ECHO
from wire.hygiene import KINDS
from wire.target import CALLER, HELLO, ROLE, Target, ended

LIMITS = Limits(connection_age=1.0, connection_age_grace=0.5, handshake=2.0)
BOUND = 30.0
"""Seconds: age and grace, C-core's jitter of a tenth, and a machine busy with other things."""


@contextlib.contextmanager
def serving(kind: Kind, limits: Limits) -> Generator[Target]:
    demo = demoservice.Demo if kind == "aio" else demoservice.DemoSync
    with Workbench() as bench:
        bench.roles.set({bench.id_of(CALLER): frozenset({ROLE})})
        with bench.serving(kind, lambda: [demo()], limits=limits) as port:
            yield Target(bench, kind, False, port)


@pytest.fixture(scope="module", params=KINDS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    with serving(request.param, LIMITS) as target:
        yield target


@pytest.fixture(params=KINDS)
def lasting(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A server whose connections do not end by their age while a test runs."""
    with serving(request.param, Limits()) as target:
        yield target


def test_a_unary_call_without_message_and_deadline_ends_with_its_connection(
    target: Target,
) -> None:
    with target.connect() as wire:
        answer = wire.answer(wire.open(ECHO, end=True), BOUND)
    assert ended(answer) in ("UNAVAILABLE", "UNIMPLEMENTED", "CANCELLED", "closed", "reset")
    assert not served_again(target)


@pytest.mark.parametrize("data", [b"", HELLO[:2], HELLO[:-1]], ids=["nothing", "head", "half"])
def test_a_unary_call_that_never_goes_on_ends_with_its_connection(
    target: Target, data: bytes
) -> None:
    with target.connect() as wire:
        stream = wire.open(ECHO)
        if data:
            wire.send(stream, data)
        answer = wire.answer(stream, BOUND)
    assert ended(answer) in ("UNAVAILABLE", "CANCELLED", "closed", "reset")
    assert not served_again(target)


def test_a_connection_that_sends_no_tls_is_closed(target: Target) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=BOUND) as plain:
        assert plain.recv(1) == b""
    assert not served_again(target)


def test_a_connection_that_speaks_no_tls_is_closed(target: Target) -> None:
    with socket.create_connection(("127.0.0.1", target.port), timeout=BOUND) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n")
        while plain.recv(4096):
            pass
    assert not served_again(target)


def test_a_connection_that_pings_without_end_is_sent_away(target: Target) -> None:
    with target.connect() as wire:
        stream = wire.open(ECHO)
        for number in range(64):
            wire.send_frame(PingFrame(0, number.to_bytes(8, "big")))
        answer = wire.answer(stream, BOUND)
    assert ended(answer) in ("UNAVAILABLE", "CANCELLED", "closed", "goaway")
    assert wire.goaway is not None
    assert not served_again(target)


def test_a_path_that_is_no_utf8_ends_neither_the_server_nor_the_calls_that_run(
    lasting: Target,
) -> None:
    for _ in range(3):
        with lasting.connect() as bystander:
            stream = bystander.open("/demo.v1.DemoService/Chat")
            bystander.send(stream, HELLO)
            answer = lasting.call(path=b"/demo.v1.DemoService/\xff\xfe")
            # grpc.aio cannot answer it: its server ends there, and another opens in its place.
            expected = {"aio": "CANCELLED", "sync": "UNIMPLEMENTED METHOD_UNKNOWN"}
            assert ended(answer) in (expected[lasting.kind], "UNAVAILABLE", "closed")
            bystander.send(stream, HELLO, end=True)
            assert len(bystander.answer(stream, BOUND).messages) == 2
        assert not served_again(lasting)


async def test_a_path_that_is_no_utf8_leaves_the_plaintext_health_listener_answering() -> None:
    check = "/grpc.health.v1.Health/Check"
    with Workbench() as bench:
        server = Server(
            identity=bench.source("server"),
            guard=bench.guard(),
            health_address="127.0.0.1:0",
            drain=Drain(quiet=0.0, at_most=0.0, grace=0.0),
        )
        async with server:
            host, _, port = server.health_address.rpartition(":")

            def call(path: str | bytes) -> Answer | None:
                try:
                    with RawConnection((host, int(port)), None, host) as wire:
                        return wire.call(path, grpc_message(b""))
                except OSError:
                    return None

            await asyncio.to_thread(call, b"/\xff\xfe")
            answer, until = None, time.monotonic() + BOUND
            while (answer is None or answer.messages == ()) and time.monotonic() < until:
                answer = await asyncio.to_thread(call, check)
            assert answer is not None
            assert answer.messages == (b"\x08\x01",), "not SERVING"


def served_again(target: Target) -> str:
    """Why no honest caller is served within the bound; "" as soon as one is."""
    until = time.monotonic() + BOUND
    while (fault := target.fault_after()) and time.monotonic() < until:
        pass
    return fault
