"""The reference shop for tests: its four services as LocalMesh runs them, the warehouse filled.

The warehouse starts with OPENING unless told otherwise. Issuers are those of mesh.yaml: people's
tokens come from the development issuer, as the driver's do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import reference.retail
from meshpact.certs.source import IdentitySource
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from meshpact.testing.mesh import LocalMesh
from reference.retail.driver.tokens import Tokens
from reference.retail.inventory.ledger import Ledger
from reference.retail.store.catalog import Product, fill

ROOT: Final = Path(__file__).parent.parent
MESH: Final = ROOT / "mesh.yaml"
ISSUERS: Final = ("https://issuer.meshpact.localhost", "http://localhost:8710")
RETAIL: Final = Path(reference.retail.__file__).parent
ORDER: Final = ("inventory", "shipping", "store", "orders")
"""The services, those that others call first."""
REPLICA: Final = "store-2"
"""A second shop window, which a test may start: it costs time."""
OPENING: Final = {"22423": 50, "23084": 20_000, "85123A": 500}

NewUrl = Callable[[], str]
NewDatabase = Callable[[str], Awaitable[Database]]


class Shop:
    """A running shop. `reports` are the figures that a driver reported."""

    def __init__(self, folder: Path, new_url: NewUrl, opening: Mapping[str, int] = OPENING) -> None:
        self.urls = {name: new_url() for name in ORDER}
        self.urls[REPLICA] = self.urls["store"]
        self.mesh = LocalMesh(
            MESH,
            state=folder / "state",
            services=ORDER,
            storage=lambda name: self.urls.get(name, ""),
            keep_issuers=ISSUERS,
        )
        self.reports: list[dict[str, object]] = []
        self._opening = opening

    async def __aenter__(self) -> Shop:
        await self._stock()
        await self.mesh.__aenter__()
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
        await self.mesh.__aexit__(kind, error, trace)

    async def _stock(self) -> None:
        inventory, store = await self.database("inventory"), await self.database("store")
        await migrate(inventory, RETAIL / "inventory" / "migrations")
        await Ledger(inventory).open(self._opening)
        await migrate(store, RETAIL / "store" / "migrations")
        await fill(store, [Product(sku, f"THING {sku}", 295, "GBP") for sku in self._opening])
        await inventory.close()
        await store.close()

    def context(self, service: str) -> ServiceContext:
        """What a process of the mesh would be given; it may be any other workload, too."""
        return _Context(self.mesh, service, lambda figures: self.reports.append(dict(figures)))

    async def database(self, name: str) -> Database:
        """A further way into a service's database, for tests that look or tamper."""
        return Database(self.urls[name], schema=name)


class _Context(ServiceContext):
    """Has an identity issued when it is first asked for: of twenty workloads a test is a few."""

    def __init__(
        self, mesh: LocalMesh, service: str, report: Callable[[Mapping[str, object]], None]
    ) -> None:
        super().__init__(
            config=mesh.config,
            service=service,
            state=mesh.state,
            root=ROOT,
            addresses=mesh.addresses,
            report=report,
        )
        self._mesh = mesh

    def identity_of(self, service: str) -> IdentitySource:
        self._mesh.caller(service)
        return super().identity_of(service)
