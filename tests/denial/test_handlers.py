"""Handlers whose call is ended from outside: what they may do, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from demo.v1 import demo_pb2 as pb
from demoservice import Demo, DemoSync
from denial.stage import REFUSED, refusal, staged
from guard.scripted import KEY, SERVICE, message, path
from guard.situations import ALL_SHAPES, KINDS, ROLE
from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import Code
from meshpact.interceptors.guard import Guard, GuardedMethod
from meshpact.interceptors.spec import MethodSpec
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.rawwire import grpc_message


class Stubborn(Demo):
    """Overhears each cancellation until it is let go, then does as if nothing had been."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.go, self.left = (threading.Event() for _ in range(3))
        self.overhears = 1000

    async def _stay(self) -> None:
        self.began.set()
        for _ in range(self.overhears):
            try:
                await asyncio.to_thread(self.go.wait)
                return
            except asyncio.CancelledError:
                continue

    async def hold(self, request: pb.HoldRequest, call: Call, /) -> pb.HoldResponse:
        await self._stay()
        self.left.set()
        return pb.HoldResponse()

    async def count(
        self, request: pb.CountRequest, call: Call, /
    ) -> AsyncIterator[pb.CountResponse]:
        for number in range(request.to):
            yield pb.CountResponse(number=number)
        await self._stay()
        try:
            yield pb.CountResponse(number=1000)
        finally:
            self.left.set()


@pytest.mark.parametrize("overhears", [1, 1000])
@pytest.mark.parametrize(("method", "to"), [("Hold", 0), ("Count", 0), ("Count", 3)])
def test_a_call_whose_handler_overhears_its_cancellation_is_ended_without_it(
    method: str, to: int, overhears: int, caplog: pytest.LogCaptureFixture
) -> None:
    servicer = Stubborn()
    servicer.overhears = overhears
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        with (
            bench.serving("aio", lambda: [servicer]) as port,
            bench.connect(port, "caller") as wire,
        ):
            stream = wire.open(f"{SERVICE}/{method}")
            body = pb.CountRequest(to=to) if method == "Count" else pb.HoldRequest(milliseconds=-1)
            wire.send(stream, grpc_message(body.SerializeToString()), end=True)
            assert servicer.began.wait(30)
            bench.roles.deny(bench.id_of("caller"))
            answer = wire.answer(stream, 30)
            assert refusal(answer) == REFUSED
            assert len(answer.messages) <= to + 1
            servicer.go.set()
            assert servicer.left.wait(30)
            bench.roles.deny()
            assert wire.call(f"{SERVICE}/Hello", grpc_message(b"")).code is Code.OK
    errors = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    # grpc's poller, when a loop of an earlier test is closed under it.
    assert not [each for each in errors if "PollerCompletionQueue" not in each]


def test_a_handler_of_asyncio_is_cancelled() -> None:
    servicers: list[Demo] = []

    def make() -> list[Demo]:
        servicers.append(Demo())
        return servicers

    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        with bench.serving("aio", make) as port, bench.connect(port, "caller") as wire:
            stream = wire.open(f"{SERVICE}/Count")
            wire.send(stream, grpc_message(pb.CountRequest(to=1000).SerializeToString()), end=False)
            hold = wire.open(f"{SERVICE}/Hold")
            held = grpc_message(pb.HoldRequest(milliseconds=-1).SerializeToString())
            wire.send(hold, held, end=True)
            assert wire.call(f"{SERVICE}/Hello", grpc_message(b"")).code is Code.OK
            bench.roles.deny(bench.id_of("caller"))
            assert refusal(wire.answer(hold, 30)) == REFUSED
            assert servicers[0].how == "CancelledError"


def test_a_thread_that_reads_on_is_told_that_its_caller_has_gone() -> None:
    servicer = DemoSync()
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        with bench.serving("sync", lambda: [servicer]) as port:
            with bench.connect(port, "caller") as wire:
                stream = wire.open(f"{SERVICE}/Chat")
                wire.send(stream, grpc_message(pb.ChatRequest(text="a").SerializeToString()))
                assert servicer.running.wait(30)
                bench.roles.deny(bench.id_of("caller"))
                assert refusal(wire.answer(stream, 30)) == REFUSED
            assert servicer.ended.wait(30)
            assert servicer.how in ("RpcError", "GeneratorExit")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
def test_nothing_of_ended_calls_is_left(
    kind: Kind, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[GuardedMethod] = []
    compile_method = Guard.compile

    def noting(guard: Guard, spec: MethodSpec[Any, Any]) -> GuardedMethod:
        compiled.append(compile_method(guard, spec))
        return compiled[-1]

    monkeypatch.setattr(Guard, "compile", noting)
    with staged(kind) as stage, stage.connect() as wire:
        for _ in range(3):
            assert wire.call(path(shape), message(shape, KEY)).code is Code.OK
        running = stage.call_until_it_waits(wire, shape)
        stage.bench.roles.deny(stage.bench.id_of("caller"))
        assert refusal(wire.answer(running, 30)) == REFUSED
        stage.script.go.set()
        assert wire.call(path(shape), message(shape, KEY)).reason == "IDENTITY_DENIED"
        stage.watching.wait(path(shape), 5)
        registries = [each.registry for each in compiled if each.registry is not None]
        assert len(registries) > len(ALL_SHAPES)
        assert [each.calls for each in registries if each.calls] == []


def test_a_guard_that_nobody_holds_any_more_is_let_go() -> None:
    with Workbench() as bench:
        guard = weakref.ref(bench.guard())
        gc.collect()
        assert guard() is None
        bench.roles.deny(bench.id_of("caller"))
