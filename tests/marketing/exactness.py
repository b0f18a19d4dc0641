"""Watchers who come and go while much is sold, and what they hold beside what SQL says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, case, distinct, func, select

from acme.marketing.sales.v1 import sales_pb2 as pb
from acme.marketing.sales.v1.sales_mesh import SalesServiceClient
from acme.retail.orders.v1 import orders_pb2 as orders
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from meshpact.servers.storage.database import Database
from meshpact.testing.mesh import LocalMesh
from reference.marketing.sales.tables import facts
from reference.money import minor_units
from reference.retail.dataset import rows
from reference.retail.dataset.books import keep
from salesfeed import CANCELLED, PLACED, RETURNED, Feed, event
from systemmesh import system_mesh

AUDIENCE = "marketing.acme.example"
HOUR = 3600
DIMENSIONS = (pb.DIMENSION_COUNTRY, pb.DIMENSION_PRODUCT, pb.DIMENSION_HOUR)
AWAY = (Code.UNAVAILABLE, Code.CANCELLED, Code.DEADLINE_EXCEEDED)

Key = tuple[str, str | int]
Sums = tuple[int, int, int]


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `differing` names totals of a watcher that SQL tells otherwise."""

    differing: list[str]
    compared: int
    reconnects: int
    restarts: int


def real_events(number: int, seed: int) -> list[orders.OrderEvent]:
    """Events of real sales, each order in an hour of one day, a few cancelled or sent back."""
    rng = random.Random(seed)
    found: list[orders.OrderEvent] = []
    for sale in keep(rows.read()).sales[:number]:
        lines = [(line.sku, line.quantity, line.pence) for line in sale.lines]
        at = rng.randrange(24) * HOUR + rng.randrange(HOUR)
        found.append(
            event(PLACED, *lines, country=sale.country, at=at, charges=rng.choice((0, 500)))
        )
        if rng.random() < 0.1:
            found.append(event(CANCELLED, *lines, country=sale.country, at=at + HOUR))
        elif rng.random() < 0.1:
            found.append(event(RETURNED, lines[0], country=sale.country, at=at + 2 * HOUR))
    return found


async def run(
    folder: Path, url: str, events: Sequence[orders.OrderEvent], *, watchers: int, seed: int
) -> Outcome:
    """Lets events happen while watchers lose their connections, and the service its process."""
    rng = random.Random(seed)
    feed = Feed()
    with system_mesh(folder) as mesh_file:
        async with LocalMesh(
            mesh_file,
            state=folder / "state",
            services=["sales"],
            servicers={"orders": feed.servicer},
            storage=lambda _: url,
        ) as mesh:
            people = [
                Watcher(mesh, len(events), random.Random(rng.random())) for _ in range(watchers)
            ]
            watching = [asyncio.create_task(each.watch()) for each in people]
            restarts = 0
            for start in range(0, len(events), 20):
                await feed.add(*events[start : start + 20])
                if rng.random() < 0.1:
                    await mesh.stop("sales")
                    await mesh.start("sales")
                    restarts += 1
                elif rng.random() < 0.2:
                    await feed.cut()
                await asyncio.sleep(0)
            await asyncio.gather(*watching)
    truth = await sql_totals(url)
    differing = [
        f"{key}: {each.totals.get(key)} instead of {truth.get(key)}"
        for each in people
        for key in sorted(truth.keys() | each.totals.keys(), key=str)
        if each.totals.get(key) != truth.get(key)
    ]
    return Outcome(
        differing, len(truth) * watchers, sum(each.reconnects for each in people), restarts
    )


class Watcher:
    """One who watches, hangs up at random, and comes back with the last revision it has."""

    def __init__(self, mesh: LocalMesh, target: int, rng: random.Random) -> None:
        self._mesh = mesh
        self._target = target
        self._rng = rng
        self.totals: dict[Key, Sums] = {}
        self.revision = 0
        self.reconnects = -1

    async def watch(self) -> None:
        """Until everything has been told."""
        while self.revision < self._target:
            self.reconnects += 1
            try:
                await self._once()
            except CallError as error:
                if error.code not in AWAY:
                    raise
                await asyncio.sleep(0.05)

    async def _once(self) -> None:
        issuers = self._mesh.config.issuers
        token = self._mesh.token(
            "analyst",
            scopes=["sales.read"],
            groups=["analyst"],
            audience=AUDIENCE,
            issuer=next(each.issuer for each in issuers if AUDIENCE in each.audiences),
        )
        client = self._mesh.client(SalesServiceClient, as_="dashboard-web")
        request = pb.WatchTotalsRequest(dimensions=DIMENSIONS, after_revision=self.revision)
        patience = self._rng.randrange(1, 6)
        async for answer in client.watch_totals(request, token=token):
            for each in answer.totals:
                kind = str(each.WhichOneof("of"))
                value = each.hour_time.ToSeconds() if kind == "hour_time" else getattr(each, kind)
                self.totals[kind, value] = (
                    each.orders,
                    each.items,
                    minor_units(each.revenue),
                )
            if answer.complete:
                self.revision = answer.revision
            patience -= 1
            if patience <= 0 or self.revision >= self._target:
                return


async def sql_totals(url: str) -> dict[Key, Sums]:
    """What the facts add up to, by SQL of its own."""
    database = Database(url, schema="sales")
    placed = func.count(distinct(case((facts.c.orders > 0, facts.c.revision))))
    items, amount = func.sum(facts.c["items"]), func.sum(facts.c.amount)

    def look(connection: Connection) -> dict[Key, Sums]:
        found: dict[Key, Sums] = {}
        for kind, column in (
            ("country", facts.c.country),
            ("sku", facts.c.sku),
            ("hour_time", facts.c.hour),
        ):
            wanted = select(column, placed, items, amount).group_by(column)
            if kind == "sku":
                wanted = wanted.where(facts.c.sku != "")
            for name, *sums in connection.execute(wanted):
                found[kind, name] = (int(sums[0]), int(sums[1]), int(sums[2]))
        return found

    try:
        return await database.read(look)
    finally:
        await database.close()
