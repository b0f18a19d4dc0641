"""What a process of a mesh is given to work with: its settings, its identity, ways to the others.

A factory named in mesh.yaml is `async def create(context: ServiceContext) -> list[servicer]`; a
driver is `async def run(context: ServiceContext, until: asyncio.Event) -> None`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from meshpact.certs.source import IdentitySource
from meshpact.clients import Channel
from meshpact.clients.forwarding import Forwarding
from meshpact.clients.meshforwarding import exchange_for, forwarding_to
from meshpact.interceptors.spec import ServiceSpec
from meshpact.mesh.config import MeshConfig, Service
from meshpact.mesh.sources import Sources
from meshpact.mesh.state import State
from meshpact.servers.background import PATIENCE, PAUSE, PAUSE_AT_MOST, Background, Job, Work
from meshpact.servers.errors import ServerError
from meshpact.servers.keptsecrets import kept_secret

if TYPE_CHECKING:
    from meshpact.servers.web import ASGIApp, WebLimits, WebServer

DATABASE_VARIABLE: Final = "DATABASE_URL"
"""The variable of the environment that moves the storage of all services into one database."""


class ServiceContext:
    """One process's view of its mesh. Made inside the event loop; `aclose` ends what it opened.

    `service` is the process's name in mesh.yaml, `root` the folder of mesh.yaml, `addresses` where
    the services listen (`host:port` by name). `report` takes figures to show in `meshpact up`.
    """

    def __init__(
        self,
        *,
        config: MeshConfig,
        service: str,
        state: State,
        root: Path,
        addresses: Mapping[str, str],
        report: Callable[[Mapping[str, object]], None] | None = None,
    ) -> None:
        self.config = config
        self.service = service
        self.state = state
        self.root = root
        self.addresses = addresses
        self._report = report
        self._sources = Sources(config, state)
        self._channels: dict[tuple[str, str], Channel] = {}
        self._closing = contextlib.AsyncExitStack()
        self._background = Background()
        self._exchange = exchange_for(config)
        self._web: WebServer | None = None
        self.told: list[str] = []
        self._health: dict[str, bool] = {}
        self._tell_health: Callable[[str, bool], object] | None = None

    @property
    def settings(self) -> Service:
        """The process's own entry in mesh.yaml."""
        return self.config.services[self.service]

    @property
    def identity(self) -> IdentitySource:
        """The source of the process's own identity."""
        return self.identity_of(self.service)

    def identity_of(self, service: str) -> IdentitySource:
        """The source of the identity of any workload that this process may be.

        SourceError when it cannot be had; `identity` in mesh.yaml says where it comes from.
        """
        return self._sources.of(service)

    def address(self, service: str) -> str:
        """Where a service listens, as `host:port`; KeyError when the mesh has no such service."""
        return self.addresses[service]

    def channel(
        self, service: str, *, services: Iterable[ServiceSpec] = (), identity: str = ""
    ) -> Channel:
        """The channel to a service of the mesh, as this process or as `identity`.

        One for each service and identity, closed with the context. `services` are the specs whose
        idempotent methods are to be retried; those of the first call count.
        """
        caller = identity or self.service
        key = (service, caller)
        if key not in self._channels:
            channel = Channel(
                self.address(service),
                identity=self.identity_of(caller),
                callee=self.config.service_id(service),
                services=services,
                forwarding=self.forwarding(service),
            )
            self._channels[key] = channel
            self._closing.push_async_callback(channel.close)
        return self._channels[key]

    async def connected(self, service: str, timeout: float) -> None:  # noqa: ASYNC109
        """Waits until the channels to a service that were asked for here are connected.

        CallError (UNAVAILABLE) when one is not within `timeout` seconds.
        """
        asked = [channel for (callee, _), channel in self._channels.items() if callee == service]
        await asyncio.gather(*(each.wait_ready(timeout) for each in asked))

    def forwarding(self, service: str) -> Forwarding:
        """How the end user of a call is passed on to a service; `channel` does it by itself."""
        return forwarding_to(self.config, service, self._exchange)

    @property
    def storage(self) -> str:
        """The URL of the process's database: DATABASE_URL of the environment, else `storage` in
        mesh.yaml, else a SQLite file of its own.

        A database may be shared: `Database(context.storage, schema=context.service)`.
        """
        if everywhere := os.environ.get(DATABASE_VARIABLE, ""):
            return everywhere
        if self.settings.storage:
            return self.settings.storage
        folder = self.state.root / "databases"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return f"sqlite:///{folder.resolve() / self.service}.db"

    def secret(self, name: str) -> bytes:
        """A random key of the service, 32 bytes, made at first use and kept in its state.

        All its processes on this state share it. Services that run on several machines must be
        given their keys from outside.
        """
        return kept_secret(self.state.root / "secrets" / self.service, name)

    @property
    def web_url(self) -> str:
        """The origin of the process's pages (RFC 6454), such as `http://localhost:8711`.

        The address is taken from then on. ServerError when it cannot be had, or mesh.yaml has no
        `services.NAME.web`.
        """
        return self._web_server().origin

    async def serve_web(self, app: ASGIApp, limits: WebLimits | None = None) -> None:
        """Serve pages at `services.NAME.web` until the process ends; ServerError as `web_url`.

        `limits` says what one request may take (`meshpact.servers.weblimits`). Pages are served
        before calls are: a page that needs them has to say so meanwhile.
        """
        server = self._web_server()
        self._closing.push_async_callback(server.stop)
        await server.start(app, limits)

    @property
    def web_address(self) -> str:
        """`host:port` of the process's pages, empty when it has none."""
        return "" if self._web is None else self._web.address

    def _web_server(self) -> WebServer:
        if self._web is None:
            web = self.settings.web
            if web is None:
                raise ServerError(
                    f"services.{self.service}.web is missing in mesh.yaml: say where the pages "
                    'are, such as web: {address: "localhost:8080"}.'
                )
            try:
                from meshpact.servers.web import WebServer
            except ModuleNotFoundError as error:
                raise ServerError(
                    f"pages need uvicorn ({error.name} is missing): pip install 'meshpact[web]'."
                ) from None
            self._web = WebServer(web, f"the web server of {self.service}")
            self._closing.push_async_callback(self._web.stop)
        return self._web

    def background(
        self,
        name: str,
        work: Work,
        *,
        every: float | None = None,
        pause: float = PAUSE,
        pause_at_most: float = PAUSE_AT_MOST,
        health: str = "",
        patience: float = PATIENCE,
    ) -> Job:
        """Run `work`, a coroutine function, in the background from when the process is ready.

        Again `every` seconds after it has ended, else once. What it raises is logged, and it is
        tried again after `pause` seconds, then growing ones up to `pause_at_most`. `health` is a
        name for `health`: bad once it has failed for `patience` seconds. When the process ends it
        is cancelled and awaited after the last call, before anything of `on_close`. ValueError for
        a name that is taken; `Job.start` begins sooner.
        """

        def told(well: bool) -> None:
            if health:
                self.health(health, well)

        return self._background.add(
            Job(
                name,
                work,
                every=every,
                pause=pause,
                pause_at_most=pause_at_most,
                patience=patience,
                told=told,
            )
        )

    def job(self, name: str) -> Job:
        """Work in the background by its name; ValueError when there is none."""
        return self._background.job(name)

    def ready(self) -> None:
        """The process is ready: what is to run in the background begins."""
        self._background.begin()

    def on_close(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Await `callback` when the process ends, after the last call; the last one added first."""
        self._closing.push_async_callback(callback)

    def tell(self, words: str) -> None:
        """A line for people, shown by `meshpact up` once the process is ready. No secret."""
        self.told.append(words)

    def report(self, figures: Mapping[str, object]) -> None:
        """Show figures in `meshpact up`; the last ones reported stand in its final report."""
        if self._report is not None:
            self._report(figures)

    def health(self, name: str, good: bool) -> None:
        """Tell the health of something under a name of its own (grpc.health.v1), such as
        `acme.identity.keys`. The services themselves are not touched: calls still come."""
        self._health[name] = good
        if self._tell_health is not None:
            self._tell_health(name, good)

    def tell_health(self, tell: Callable[[str, bool], object]) -> None:
        """From now on `tell` hears of each health, first of all that were told before."""
        self._tell_health = tell
        for name, good in self._health.items():
            tell(name, good)

    async def aclose(self) -> None:
        """End what runs in the background, run the callbacks and close the channels, the newest
        first; then the sources."""
        try:
            await self._background.close()
        finally:
            try:
                await self._closing.aclose()
            finally:
                self._sources.close()
