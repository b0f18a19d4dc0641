"""A mesh for tests without asyncio: it runs on a thread of its own, clients are blocking ones.

with BlockingMesh(LocalMesh("mesh.yaml", state=tmp_path)) as mesh:
    inventory = mesh.client(InventoryServiceClientSync, as_="store")
"""

from __future__ import annotations

import contextlib
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Protocol, TypeVar

from meshpact.clients import CallError, ChannelSync
from meshpact.testing.clock import Clock
from meshpact.testing.faults import Faults
from meshpact.testing.loopthread import LoopThread
from meshpact.testing.mesh import RECONNECTING, LocalMesh, spec_of

C = TypeVar("C", covariant=True)
T = TypeVar("T")


class ClientClassSync(Protocol[C]):
    """A generated client for threads, such as `InventoryServiceClientSync`."""

    def __call__(self, channel: ChannelSync, /) -> C:
        """The client on a channel."""
        ...


class BlockingMesh:
    """A `LocalMesh` that has not been entered yet, run on a thread while this one is entered."""

    def __init__(self, mesh: LocalMesh) -> None:
        self._mesh = mesh
        self._loop = LoopThread()
        self._ending = contextlib.ExitStack()
        self._channels: dict[tuple[str, str], ChannelSync] = {}

    @property
    def clock(self) -> Clock:
        """The clock that its limits, tokens and timers go by."""
        return self._mesh.clock

    @property
    def faults(self) -> Faults:
        """The faults before and behind its handlers."""
        return self._mesh.faults

    def __enter__(self) -> BlockingMesh:
        with contextlib.ExitStack() as ending:
            ending.enter_context(self._loop)
            self.run(self._mesh.__aenter__())
            ending.callback(lambda: self.run(self._mesh.__aexit__(None, None, None)))
            self._ending = ending.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives in the loop of the mesh; TimeoutError after 30 s."""
        return self._loop.run(work)

    def client(self, kind: ClientClassSync[C], *, as_: str) -> C:
        """As `LocalMesh.client`, for a blocking client."""
        spec = spec_of(kind)
        service = self._mesh.server_of(spec)
        key = (service, as_)
        if key not in self._channels:
            context = self._mesh.caller(as_)
            channel = ChannelSync(
                context.address(service),
                identity=context.identity,
                callee=context.config.service_id(service),
                services=[spec],
                forwarding=context.forwarding(service),
            )
            self._channels[key] = channel
            self._ending.callback(channel.close)
        return kind(self._channels[key])

    def start(self, service: str) -> None:
        """As `LocalMesh.start`."""
        self.run(self._mesh.start(service))
        for (callee, _), channel in self._channels.items():
            if callee == service:
                with contextlib.suppress(CallError):
                    channel.wait_ready(RECONNECTING)

    def stop(self, service: str) -> None:
        """As `LocalMesh.stop`."""
        self.run(self._mesh.stop(service))

    def token(self, user: str, **options: Any) -> str:
        """As `LocalMesh.token`."""
        return self._mesh.token(user, **options)

    def audit(self, service: str) -> list[dict[str, Any]]:
        """As `LocalMesh.audit`."""
        return self.run(self._mesh.audit(service))
