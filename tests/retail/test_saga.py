"""The saga when calls fail on their way there or back: nothing is lost, nothing is booked twice.

Warehouse and carrier are the real ones on real databases; only the wire between is replaced by one
that loses what it is told to lose.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshpact.clients import CallError
from meshpact.servers.background import Job
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.retail.inventory.ledger import Ledger
from reference.retail.orders.book import OrderBook
from reference.retail.orders.finisher import Finisher
from reference.retail.orders.model import Line, Order, name_of
from reference.retail.orders.returns import Returns
from reference.retail.orders.saga import Saga
from reference.retail.shipping.parcels import Parcels
from retailshop import RETAIL
from sagaworld import Carrier, Warehouse, Wire, assert_agreement

T = TypeVar("T")
OPENING = {"A": 6, "B": 4}

faults = st.dictionaries(st.integers(0, 9), st.sampled_from(["there", "back"]), max_size=4)
orders = st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 3)), min_size=1, max_size=3)
ends = st.lists(st.sampled_from(["advance", "give_up", "cancel"]), max_size=3)
AT_LAST_PACKING = {3: "there"}
"""The parcel is made up, and then the warehouse cannot be asked."""


@given(lost=faults, wanted=orders, ends=ends)
@example(lost=AT_LAST_PACKING, wanted=[("A", 1)], ends=["give_up"])
@example(lost=AT_LAST_PACKING, wanted=[("A", 1)], ends=["cancel"])
@example(lost={3: "back"}, wanted=[("A", 1)], ends=["give_up"])
@example(lost={2: "back"}, wanted=[("A", 1)], ends=["cancel"])
@example(lost={0: "back"}, wanted=[("A", 1)], ends=["give_up"])
@settings(max_examples=25, deadline=None)
def test_whatever_the_wire_loses_the_books_agree_once_all_is_finished(
    lost: dict[int, str], wanted: list[tuple[str, int]], ends: list[str]
) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(replay(Path(folder), Wire(lost), wanted, ends))


async def replay(folder: Path, wire: Wire, wanted: list[tuple[str, int]], ends: list[str]) -> None:
    databases = {name: Database(f"sqlite:///{folder}/{name}.db") for name in PARTS}
    async with contextlib.AsyncExitStack() as stack:
        for name, database in databases.items():
            stack.push_async_callback(database.close)
            await migrate(database, RETAIL / name / "migrations")
        await play(databases, wire, wanted, ends)


async def play(
    databases: dict[str, Database], wire: Wire, wanted: list[tuple[str, int]], ends: list[str]
) -> None:
    ledger = Ledger(databases["inventory"])
    await ledger.open(OPENING)
    warehouse = Warehouse(ledger, wire)
    shipments = Parcels(databases["shipping"], warehouse)
    book = OrderBook(databases["orders"])
    saga = Saga(book, Returns(databases["orders"]), warehouse, Carrier(shipments, wire))
    names = [name_of("customer", str(uuid.UUID(int=number))) for number in range(len(wanted))]
    for name, (sku, quantity) in zip(names, wanted, strict=True):
        await book.take_down(name, "customer", "France", [Line(sku, quantity, 100)], [])
    steps = [saga.advance(name) for name in names]
    for kind, name in zip(ends, names, strict=False):
        match kind:
            case "advance":
                steps.append(saga.advance(name))
            case "give_up":
                steps.append(saga.give_up(name))
            case _:
                steps.append(_order(saga.cancel(name)))
    for end in await asyncio.gather(*steps, return_exceptions=True):
        assert isinstance(end, Order | CallError), end
    finisher = Finisher(saga, pause=0.001, tries=3)
    job = Job("finisher", finisher.run)
    job.start()
    async with asyncio.timeout(60):
        await finisher.idle()
    await job.close()
    await assert_agreement(ledger, book, shipments, names)


PARTS = ("inventory", "orders", "shipping")


async def _order(cancelling: Awaitable[tuple[Order, int]]) -> Order:
    return (await cancelling)[0]
