"""A server and channels to it, of either kind, whose workloads' identities a test changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from demo.v1 import demo_pb2
from demoservice import Demo, DemoSync
from meshpact.certs.identity import Identity
from meshpact.clients import CallError, Rotation
from meshpact.interceptors.call import Call
from meshpact.interceptors.identity import Peers
from meshpact.servers.options import Limits
from meshpact.servers.supervisor.ports import reserve
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.loopthread import LoopThread
from meshpact.testing.sources import PushedSource
from rotation.callers import AioCaller, Caller, SyncCaller
from rotation.domain import Domain, until

DEFAULT = Rotation()


class Tells(Demo):
    """Echo says who calls."""

    async def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        return demo_pb2.EchoResponse(text=call.caller.workload)


class TellsSync(DemoSync):
    """The same on threads."""

    def echo(self, request: demo_pb2.EchoRequest, call: Call, /) -> demo_pb2.EchoResponse:
        return demo_pb2.EchoResponse(text=call.caller.workload)


class Stage:
    """A server, and channels to it that are closed in the end.

    `kind` is that of the channels; `server_kind`, that of the server, may be set before `serve`.
    """

    def __init__(self, kind: Kind, stack: contextlib.ExitStack) -> None:
        self.kind: Kind = kind
        self.server_kind: Kind = "aio"
        self.limits: Limits | None = None
        self.bench = stack.enter_context(Workbench())
        self.domain = Domain(self.bench.authority)
        self.server = self.domain.source("server")
        self.callee = self.domain.id_of("server")
        names = ("alice", "bob")
        self.bench.roles.set(
            {str(self.domain.id_of(name)): frozenset({"demo.caller"}) for name in names}
        )
        self.source = PushedSource(self.identity("alice"))
        self._stack = stack
        self._loop = stack.enter_context(LoopThread())
        held = reserve("127.0.0.1:0", "the stage")
        stack.callback(held.release)
        self.address = held.address
        """Held, so that nobody else takes it while nothing is served there."""

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
            self.server_kind,
            lambda: [Tells() if self.server_kind == "aio" else TellsSync()],
            guard=guard,
            identity=self.server,
            address=self.address,
            limits=self.limits,
        ):
            yield

    def caller(self, rotation: Rotation = DEFAULT, *, closed: bool = True) -> Caller:
        """A channel of this stage's kind, closed at the end of the test."""
        address, callee = self.address, self.callee
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


def settled(caller: Caller) -> Callable[[], bool]:
    return lambda: caller.channel.connections == 1


def refusal(caller: Caller) -> str:
    """The reason why a call is refused; empty when it is not."""
    try:
        caller.echo()
    except CallError as error:
        return error.reason
    return ""
