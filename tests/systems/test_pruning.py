"""The reference organization forgets in time, and those who follow it lose nothing by that."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sqlalchemy import Table, func, insert, select

from acme.retail.inventory.v1.inventory_mesh import InventoryServiceBase
from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import OrderServiceClient, RevisionGone
from acme.retail.shipping.v1.shipping_mesh import ShippingServiceBase
from databases import NewUrl
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.outbox import Event, Head, Outbox
from meshpact.servers.storage.retention import JOB
from meshpact.testing.mesh import LocalMesh
from meshpact.testing.standin import stand_in
from reference.marketing.sales.ledger import Ledger
from reference.marketing.sales.tables import facts, totals
from reference.retail.orders.tables import EVENTS, metadata
from reference.support.billing.books import Books
from reference.support.billing.tables import answers, invoices
from salesfeed import PLACED, event
from systemmesh import system_mesh

DAY = 86_400
OLD = time.time() - 100 * DAY


class Organization:
    """Orders, and who follows them, running on one database for all."""

    def __init__(self, mesh: LocalMesh, url: str) -> None:
        self.mesh = mesh
        self._open = {name: Database(url.format(name), schema=name) for name in SERVICES}
        self.orders = self._open["orders"]
        self.outbox = Outbox(self.orders, metadata, EVENTS)

    async def close(self) -> None:
        for each in self._open.values():
            await each.close()

    async def placed(self, at: float, number: int) -> None:
        """One more order happened at a time."""
        outbox = Outbox(self.orders, metadata, EVENTS, clock=lambda: at)
        name = f"00000000-0000-4000-8000-{number:012}"
        made = event(PLACED, ("A", number, 100), at=int(at), order_id=name)
        happened = [Event("PLACED", made.SerializeToString())]
        await self.orders.write(lambda connection: outbox.append(connection, happened))

    async def booked(self, revision: int) -> None:
        """Returns when sales and billing have booked up to an event."""
        readers = Ledger(self._open["sales"]).revision, Books(self._open["billing"]).revision
        async with asyncio.timeout(60):
            for position in readers:
                while await position() < revision:
                    pass

    async def count(self, service: str, table: Table) -> int:
        counted = select(func.count()).select_from(table)
        database = self._open[service]
        return await database.read(lambda connection: connection.execute(counted).scalar_one())

    async def kept(self) -> list[int]:
        """How many there are of what is kept for good."""
        tables = (("sales", facts), ("sales", totals), ("billing", invoices))
        return [await self.count(service, table) for service, table in tables]

    async def answered(self, request_id: str, until: int) -> None:
        """Billing keeps an answer until a time."""
        kept = {"scope": "s", "content": "", "kind": "k", "response": b""}
        row = {**kept, "request_id": request_id, "expires_at": until}
        billing = self._open["billing"]
        await billing.write(lambda c: c.execute(insert(answers), row).rowcount)

    async def pruned(self) -> None:
        for name in FORGET:
            await self.mesh.job(name, JOB).run_now()

    async def watch(self, after: int) -> pb.OrderEvent:
        """The first event after a revision."""
        client = self.mesh.client(OrderServiceClient, as_="sales")
        request = pb.WatchOrderEventsRequest(after_revision=after)
        async for part in client.watch_order_events(request):
            return part.events[0]
        raise AssertionError("the stream ended")


SERVICES = ("orders", "sales", "billing")
FORGET = ("orders", "billing")


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> str:
    """Where databases are, with a place for the service's name."""
    if kind == "postgres":
        new: NewUrl = request.getfixturevalue("postgres")
        return new()
    return f"sqlite:///{tmp_path}/{{}}.db"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_old_events_and_rows_go_and_followers_lose_nothing(tmp_path: Path, url: str) -> None:
    with system_mesh(tmp_path) as mesh_file:
        async with LocalMesh(
            mesh_file,
            state=tmp_path / "state",
            services=SERVICES,
            servicers={
                "inventory": stand_in(InventoryServiceBase),
                "shipping": stand_in(ShippingServiceBase),
            },
            storage=url.format,
        ) as mesh:
            company = Organization(mesh, url)
            for number in range(1, 6):
                await company.placed(OLD, number)
            await company.placed(time.time(), 6)
            await company.booked(6)
            await company.answered("1", until=1)
            await company.answered("2", until=2**40)
            before = await company.kept()

            await company.pruned()
            assert await company.orders.read(company.outbox.head) == Head(5, 6)
            assert await company.count("billing", answers) == 1
            assert await company.kept() == before
            with pytest.raises(RevisionGone) as gone:
                await company.watch(4)
            assert (gone.value.oldest, gone.value.newest) == ("5", "6")
            assert (await company.watch(5)).revision == 6
            await company.placed(time.time(), 7)
            await company.booked(7)

            await company.answered("3", until=1)
            mesh.clock.advance(mesh.config.databases.prune_every + 1)
            async with asyncio.timeout(60):
                while await company.count("billing", answers) > 1:
                    pass
            await company.close()
