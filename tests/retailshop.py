"""The reference shop for tests: its four services behind real sockets and TLS, in one process.

They are made by the factories of mesh.yaml and guarded as mesh.yaml says; one may be closed and
opened again while the others run. The warehouse starts with OPENING unless told otherwise.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, cast

import msgspec

import reference.retail
from meshpact.interceptors.assemble import guard_for
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.config import load
from meshpact.mesh.local import at_state
from meshpact.mesh.state import State
from meshpact.servers import Drain, Server
from meshpact.servers.context import ServiceContext
from meshpact.servers.mount import Servicer
from meshpact.servers.process import find
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from meshpact.servers.supervisor.identities import Identities
from meshpact.servers.supervisor.ports import Reservation, reserve
from reference.retail.driver.tokens import Tokens
from reference.retail.inventory.ledger import Ledger
from reference.retail.store.catalog import Product, fill

ROOT: Final = Path(__file__).parent.parent
MESH: Final = ROOT / "mesh.yaml"
RETAIL: Final = Path(reference.retail.__file__).parent
ORDER: Final = ("inventory", "shipping", "store", "orders")
"""The services, those that others call first."""
REPLICA: Final = "store-2"
"""A second shop window, which a test may open: it costs time."""
OPENING: Final = {"22423": 50, "23084": 20_000, "85123A": 500}

Factory = Callable[[ServiceContext], Awaitable[list[Servicer]]]
NewUrl = Callable[[], str]
NewDatabase = Callable[[str], Awaitable[Database]]


class Shop:
    """A running shop. `reports` are the figures that a driver reported."""

    def __init__(self, folder: Path, new_url: NewUrl, opening: Mapping[str, int] = OPENING) -> None:
        self.state = State(folder / "state")
        config = at_state(load(MESH), MESH, self.state)
        self.urls = {name: new_url() for name in ORDER}
        self.urls[REPLICA] = self.urls["store"]
        services = {
            name: msgspec.structs.replace(service, storage=self.urls.get(name, ""))
            for name, service in config.services.items()
        }
        self.config = msgspec.structs.replace(config, services=services)
        self.addresses: dict[str, str] = {}
        self.reports: list[dict[str, object]] = []
        self.clock: Callable[[], float] = time.monotonic
        """What rate limits go by, in seconds; a test may let it stand still."""
        self._opening = opening
        self._running: dict[str, contextlib.AsyncExitStack] = {}
        self._ports: list[Reservation] = []

    async def __aenter__(self) -> Shop:
        Identities(self.config, self.state, lambda text: None).prepare()
        await self._stock()
        for name in ORDER:
            await self.open(name)
        self.outside = self.context("storefront")
        self.tokens = Tokens.of(self.outside)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.outside.aclose()
        for name in (REPLICA, *reversed(ORDER)):
            await self.close(name)
        for port in self._ports:
            port.release()

    async def _stock(self) -> None:
        inventory, store = await self.database("inventory"), await self.database("store")
        await migrate(inventory, RETAIL / "inventory" / "migrations")
        await Ledger(inventory).open(self._opening)
        await migrate(store, RETAIL / "store" / "migrations")
        await fill(store, [Product(sku, f"THING {sku}", 295, "GBP") for sku in self._opening])
        await inventory.close()
        await store.close()

    def _now(self) -> float:
        return self.clock()

    def context(self, service: str) -> ServiceContext:
        """What a process of the mesh would be given."""
        return ServiceContext(
            config=self.config,
            service=service,
            state=self.state,
            root=ROOT,
            addresses=self.addresses,
            report=lambda figures: self.reports.append(dict(figures)),
        )

    async def open(self, name: str) -> None:
        """Starts a service; one that was closed before comes back at its address, which nobody else
        takes meanwhile."""
        if name not in self.addresses:
            self._ports.append(reserve("127.0.0.1:0", f"service {name}"))
            self.addresses[name] = self._ports[-1].address
        async with contextlib.AsyncExitStack() as stack:
            context = self.context(name)
            stack.push_async_callback(context.aclose)
            assembled = guard_for(
                self.config,
                name,
                identity=context.identity,
                bindings=Reloader(MESH),
                audit_path=self.state.audit / f"{name}.jsonl",
                clock=self._now,
            )
            stack.callback(assembled.close)
            server = Server(
                identity=context.identity,
                guard=assembled.guard,
                address=self.addresses[name],
                drain=Drain(quiet=0.0, at_most=0.0, grace=0.0),
            )
            create = cast(Factory, find(self.config.services[name].factory, ROOT, name))
            for servicer in await create(context):
                server.add(servicer)
            await server.start()
            stack.push_async_callback(server.kill)
            context.ready()
            self._running[name] = stack.pop_all()

    async def close(self, name: str) -> None:
        """Ends a service at once, calls and all."""
        if name in self._running:
            await self._running.pop(name).aclose()

    async def database(self, name: str) -> Database:
        """A further way into a service's database, for tests that look or tamper."""
        return Database(self.urls[name], schema=name)
