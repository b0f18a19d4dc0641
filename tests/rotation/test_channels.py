"""Real channels over real mTLS while the identity of their workload changes."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Generator

import grpc
import psutil
import pytest

from demo.v1 import demo_pb2
from demoservice import Demo, DemoSync
from meshpact.certs.identity import Identity
from meshpact.clients import CallError, Rotation
from meshpact.interceptors.call import Call
from meshpact.interceptors.identity import Peers
from meshpact.testing.authority import Authority
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.loopthread import LoopThread
from meshpact.testing.sources import PushedSource
from rotation.callers import AioCaller, Caller, SyncCaller
from rotation.domain import Domain, until
from rotation.load import KINDS

DEFAULT = Rotation()


class Tells(Demo):
    """Echo says who calls."""

    async def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        return demo_pb2.EchoResponse(text=call.caller.workload)


class Stage:
    """A server, and channels to it that are closed in the end."""

    def __init__(self, kind: Kind, stack: contextlib.ExitStack) -> None:
        self.kind: Kind = kind
        self.bench = stack.enter_context(Workbench())
        self.domain = Domain(self.bench.authority)
        self.server = self.domain.source("server")
        names = ("alice", "bob")
        self.bench.roles.set(
            {str(self.domain.id_of(name)): frozenset({"demo.caller"}) for name in names}
        )
        self.source = PushedSource(self.identity("alice"))
        self._stack = stack
        self._loop = stack.enter_context(LoopThread())
        self.port = 0

    def identity(self, name: str) -> Identity:
        """A new one."""
        self.domain.renew()
        return self.domain.source(name).current()

    def serve(self) -> None:
        """Begins to serve, until the end of the test."""
        self._stack.enter_context(self.serving())

    @contextlib.contextmanager
    def serving(self) -> Generator[None]:
        guard = self.bench.guard(peers=Peers(self.server))
        with self.bench.serving(
            "aio",
            lambda: [Tells()],
            guard=guard,
            identity=self.server,
            address=f"127.0.0.1:{self.port}",
        ) as port:
            self.port = port
            yield

    def caller(self, rotation: Rotation = DEFAULT, *, closed: bool = True) -> Caller:
        """A channel of this stage's kind, closed at the end of the test."""
        address, callee = f"127.0.0.1:{self.port}", self.domain.id_of("server")
        made: Caller
        if self.kind == "aio":
            made = AioCaller(self._loop, address, self.source, callee, rotation)
        else:
            made = SyncCaller(address, self.source, callee, rotation)
        if closed:
            self._stack.callback(made.close)
        return made

    def push(self, caller: Caller, name: str) -> None:
        """A new identity; returns when the channel uses it."""
        pushed = self.identity(name)
        self.source.push(pushed)
        until(lambda: caller.channel.identity is pushed, "the channel follows")


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest) -> Generator[Stage]:
    with contextlib.ExitStack() as stack:
        yield Stage(request.param, stack)


def settled(caller: Caller) -> Callable[[], bool]:
    return lambda: caller.channel.connections == 1


def refusal(caller: Caller) -> str:
    """The reason why a call is refused; empty when it is not."""
    try:
        caller.echo()
    except CallError as error:
        return error.reason
    return ""


def test_new_calls_go_out_with_the_new_certificate(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    assert caller.echo() == "spiffe://test.example/alice"
    stage.push(caller, "bob")
    assert caller.echo() == "spiffe://test.example/bob"
    until(settled(caller), "the old connection is closed")


def test_a_stream_goes_on_over_the_connection_that_it_began_on(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    talk = caller.talk()
    assert talk.say("one") == "one"
    for name in ("bob", "alice", "bob"):
        stage.push(caller, name)
        assert caller.echo() == f"spiffe://test.example/{name}"
        assert talk.say(name) == name
    until(lambda: caller.channel.connections == 2, "those between are closed")
    assert talk.end() == []
    until(settled(caller), "the old connection is closed")


def test_a_stream_that_outlives_its_certificate_by_too_much_is_ended_with_words(
    stage: Stage,
) -> None:
    stage.serve()
    caller = stage.caller(Rotation(drain=0.05))
    talk = caller.talk()
    talk.say("one")
    stage.push(caller, "bob")
    until(settled(caller), "the old connection is closed")
    with pytest.raises(CallError, match="This workload has a new certificate") as caught:
        talk.say("two")
    assert caught.value.code is grpc.StatusCode.CANCELLED
    assert caller.echo() == "spiffe://test.example/bob"


def test_a_server_that_is_away_is_found_again_with_the_new_certificate(stage: Stage) -> None:
    with stage.serving():
        caller = stage.caller()
        assert caller.echo() == "spiffe://test.example/alice"
    with pytest.raises(CallError):
        caller.echo()
    stage.push(caller, "bob")
    with stage.serving():
        caller.wait_ready(30)
        assert caller.echo() == "spiffe://test.example/bob"
    until(settled(caller), "the old connection is closed")


def test_a_channel_that_was_never_used_just_takes_the_new_certificate(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    stage.push(caller, "bob")
    assert caller.echo() == "spiffe://test.example/bob"


def test_waiting_to_be_ready_goes_on_with_the_identity_that_works(stage: Stage) -> None:
    stage.serve()
    theirs = Domain(Authority("other.example")).source("alice").current()
    posing = Identity(theirs.svid, stage.source.current().bundles)
    stage.source.push(posing)
    caller = stage.caller()
    with pytest.raises(CallError):
        caller.echo()
    waiting = threading.Thread(target=caller.wait_ready, args=(60,))
    waiting.start()
    stage.push(caller, "bob")
    waiting.join(60)
    assert not waiting.is_alive()
    assert caller.echo() == "spiffe://test.example/bob"


def test_many_changes_leave_nothing_behind(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    process = psutil.Process()

    def change(times: int) -> None:
        for number in range(times):
            stage.push(caller, ("alice", "bob")[number % 2])
            caller.echo()
        until(settled(caller), "old connections are closed")
        gc.collect()

    change(3)
    files, threads = process.num_fds(), threading.active_count()
    change(25)
    until(lambda: process.num_fds() <= files, f"no more than {files} open files")
    until(lambda: threading.active_count() <= threads, f"no more than {threads} threads")


def test_a_channel_is_closed_in_the_middle_of_a_change(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller()
    talk = caller.talk()
    talk.say("one")
    stage.push(caller, "bob")
    stage.source.push(stage.identity("alice"))
    caller.close()
    with pytest.raises(CallError, match="is closed"):
        talk.say("two")
    with pytest.raises(CallError, match="is closed"):
        caller.echo()
    stage.source.push(stage.identity("bob"))
    until(lambda: not _threads(), "its threads have ended")


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "meshpact-rotation"]


def test_a_channel_that_is_dropped_without_being_closed_is_let_go(stage: Stage) -> None:
    stage.serve()
    caller = stage.caller(closed=False)
    caller.echo()
    channel = weakref.ref(caller.channel)
    del caller

    def gone() -> bool:
        gc.collect()
        return channel() is None

    until(gone, "nobody holds the channel")
    stage.source.push(stage.identity("bob"))


def test_the_servers_of_both_kinds_show_their_new_certificate_and_keep_connections(
    stage: Stage,
) -> None:
    made: Callable[[], list[Demo | DemoSync]] = (
        (lambda: [Demo()]) if stage.kind == "aio" else (lambda: [DemoSync()])
    )
    guard = stage.bench.guard(peers=Peers(stage.server))
    with stage.bench.serving(stage.kind, made, guard=guard, identity=stage.server) as port:
        stage.port = port
        first = stage.caller()
        talk = first.talk()
        talk.say("one")
        for step in (stage.domain.prepare, stage.domain.activate):
            step()
        stage.source.push(Identity(stage.source.current().svid, stage.server.current().bundles))
        second = stage.caller()
        assert second.echo() == "hello"
        assert talk.say("two") == "two"
        assert first.echo() == "hello"
        stage.domain.retire()
        with pytest.raises(CallError) as caught:
            stage.caller().echo()
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        until(lambda: refusal(first) == "IDENTITY_INVALID", "the old CA is trusted no more")
        assert talk.say("three") == "three"
        assert talk.end() == []
