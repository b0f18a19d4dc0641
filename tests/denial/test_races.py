"""Denials that come while a call is being let in: it runs no handler, and ends once."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any

import grpc.aio
import pytest
from opentelemetry import context as otel

from demo.v1 import demo_pb2
from demo.v1.demo_mesh import DEMO_SERVICE
from denial.stage import REFUSED, refusal, staged
from guard.scripted import KEY, message, path
from guard.situations import ALL_SHAPES, KINDS, ROLE
from guard.watching import Watching
from meshpact.interceptors.admission import Running
from meshpact.interceptors.aio import AIO
from meshpact.interceptors.call import Call
from meshpact.interceptors.errors import Code, StatusError
from meshpact.interceptors.guard import GuardedMethod
from meshpact.interceptors.spec import MethodSpec
from meshpact.policy.v1 import policy_pb2 as pb
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.loopthread import LoopThread
from meshpact.testing.roles import StaticRoles

ECHO: MethodSpec[Any, Any] = next(s for s in DEMO_SERVICE.methods if s.path == path("unary"))


@pytest.fixture(autouse=True)
def no_span_left() -> Generator[None]:
    """Takes back the spans of calls that a test begins and no adapter ends."""
    token = otel.attach(otel.Context())
    yield
    otel.detach(token)


class Sudden(StaticRoles):
    """Roles that change in the midst of a call: `strike` runs once they were looked at so often."""

    def __init__(self, workloads: Mapping[str, list[str]]) -> None:
        self.looks_left = -1
        self.strike: Callable[[], object] = str
        super().__init__(workloads)

    @property
    def current(self) -> Any:
        self.looks_left -= 1
        if self.looks_left == 0:
            self.strike()
        return self._current

    @current.setter
    def current(self, found: Any) -> None:
        self._current = found


LOOKS = range(1, 5)
"""At the start of a call, at its denials, at its roles, and once it is in the registry."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("look", LOOKS)
def test_a_denial_at_any_moment_of_a_calls_admission_ends_it_once(
    kind: Kind, shape: str, look: int
) -> None:
    sudden = Sudden({f"spiffe://test.example/{name}": [ROLE] for name in ("caller", "other")})
    sudden.strike = lambda: sudden.deny("spiffe://test.example/caller")
    policy = pb.Policy()
    policy.concurrency.max = 1
    with staged(kind, policy, bindings=sudden) as stage:
        ran: list[int] = []
        stage.script.act = ran.append
        with stage.connect() as wire, stage.connect("other") as other:
            sudden.looks_left = look
            assert refusal(wire.call(path(shape), message(shape, KEY))) == REFUSED
            assert sudden.looks_left <= 0
            assert refusal(wire.call(path(shape), message(shape, KEY))) == REFUSED
            assert refusal(other.call(path(shape), message(shape, KEY))) == ("OK", "", "")
            lines = stage.watching.wait(path(shape), 3)
            assert [line.decision for line in lines] == ["deny", "deny", "allow"]
            assert ran == [KEY]


class Facts:
    """What grpc says of a call, as far as the guard asks."""

    def __init__(self, bench: Workbench, caller: str = "caller") -> None:
        leaf = bench.client(caller)
        self._auth = {"x509_pem_cert": [leaf.chain_pem], "x509_pem_cert_chain": [b""]}

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def auth_context(self) -> Mapping[str, Any]:
        return self._auth

    def time_remaining(self) -> float:
        return 30.0

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"


def admitted_too_late(bench: Workbench, watching: Watching) -> tuple[GuardedMethod, Running]:
    """A call that was denied after it was registered and before its handler ran."""
    sudden = Sudden({bench.id_of("caller"): [ROLE]})
    sudden.strike = lambda: sudden.deny(bench.id_of("caller"))
    guard = bench.guard(bindings=sudden, **watching.options)
    method = guard.compile(ECHO)
    sudden.looks_left = 4
    call = method.begin(Facts(bench), (), False, object())
    assert isinstance(call, Running)
    assert call.denial is not None
    return method, call


@pytest.mark.parametrize("first", ["its own thread", "the one that denies"])
def test_whoever_ends_a_call_that_was_denied_at_the_last_moment_is_the_only_one(
    first: str,
) -> None:
    watching = Watching()
    with Workbench() as bench:
        method, call = admitted_too_late(bench, watching)
        assert method.registry is not None
        call.fault = StatusError(Code.PERMISSION_DENIED, "denied", reason="IDENTITY_DENIED")
        ends: list[Callable[[], object]] = [
            lambda: method.end(call, call.denial),
            lambda: method.end(call, call.fault),
        ]
        if first != "its own thread":
            ends.reverse()
        assert list(method.registry.calls) == [call]
        assert [end() is not None for end in ends] == [True, False]
        assert list(method.registry.calls) == []
        assert [line.decision for line in watching.lines] == ["deny"]


def test_denials_are_heard_where_only_the_methods_of_a_guard_are_left_of_it() -> None:
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        method = bench.guard().compile(ECHO)
        gc.collect()
        assert method.registry is not None
        assert isinstance(method.begin(Facts(bench), (), False, "handle"), Running)
        cut: list[object] = []
        method.registry.cut = lambda _call, handle, _error: cut.append(handle)
        bench.roles.deny(bench.id_of("caller"))
        assert cut == ["handle"]


def test_a_call_that_cannot_be_ended_keeps_no_other_one_running(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Workbench() as bench:
        bench.roles.set({bench.id_of("caller"): [ROLE]})
        guard = bench.guard()
        method = guard.compile(ECHO)
        assert method.registry is not None
        for handle in ("first", "second", "third"):
            assert isinstance(method.begin(Facts(bench), (), False, handle), Running)
        cut: list[object] = []

        def broken(_call: Running, handle: Any, _error: StatusError) -> None:
            cut.append(handle)
            raise RuntimeError("grpc has changed")

        method.registry.cut = broken
        bench.roles.deny(bench.id_of("caller"))
        assert cut == ["first", "second", "third"]
        assert "the call of a denied identity goes on" in caplog.text


class Context(Facts):
    """The same with grpc's ways to end a call on asyncio."""

    async def abort(self, _code: object, details: str, trailing: object) -> None:
        raise grpc.aio.AbortError(details)

    def set_trailing_metadata(self, _pairs: object) -> None:
        pass


def test_a_denial_cancels_nobody_elses_call_on_another_loop_that_shares_a_handler() -> None:
    entered, unblocked, gate = (threading.Event() for _ in range(3))

    async def handle(request: demo_pb2.EchoRequest, call: Call) -> demo_pb2.EchoResponse:
        if call.caller.workload.endswith("/other"):
            entered.set()
            unblocked.wait(30)  # its loop stands still: its task is the one that runs there
        else:
            unblocked.set()
        await asyncio.to_thread(gate.wait, 30)
        return demo_pb2.EchoResponse(text=request.text)

    with Workbench() as bench, LoopThread() as one, LoopThread() as two:
        bench.roles.set({bench.id_of(name): [ROLE] for name in ("caller", "other")})
        shared: Any = AIO.handler(bench.guard(), ECHO, handle).unary_unary
        body = demo_pb2.EchoRequest(text="5").SerializeToString()

        def begin(caller: str, on: LoopThread) -> Future[bytes]:
            return asyncio.run_coroutine_threadsafe(shared(body, Context(bench, caller)), on.loop)

        others = begin("other", one)
        assert entered.wait(30)
        callers = begin("caller", two)
        assert unblocked.wait(30)
        bench.roles.deny(bench.id_of("caller"))
        assert isinstance(callers.exception(30), grpc.aio.AbortError)
        gate.set()
        assert demo_pb2.EchoResponse.FromString(others.result(30)).text == "5"
