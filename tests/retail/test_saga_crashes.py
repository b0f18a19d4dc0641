"""The saga when the processes die and calls come twice: nothing is lost, no order stays half done.

Seeded runs on real databases. An era ends when all work has ended or died; the next one begins as a
process does: with nothing but what the databases hold. Only the last era is without faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from acme.retail.orders.v1 import orders_pb2 as pb
from meshpact.clients import CallError
from meshpact.servers.storage.database import Database, Work
from meshpact.servers.storage.feed import ChangeFeed
from meshpact.servers.storage.outbox import Outbox
from reference.retail.inventory.ledger import Ledger
from reference.retail.orders.book import OrderBook
from reference.retail.orders.events import Events
from reference.retail.orders.finisher import Finisher
from reference.retail.orders.model import Line, name_of
from reference.retail.orders.partners import Refused
from reference.retail.orders.returns import Returns
from reference.retail.orders.saga import Saga
from reference.retail.orders.tables import EVENTS, metadata
from reference.retail.shipping.parcels import Parcels
from retailshop import NewDatabase
from sagaworld import Carrier, Warehouse, Wire, assert_agreement

T = TypeVar("T")
OPENING = {"A": 40, "B": 25, "C": 3}
CUSTOMERS = ("customer-1", "customer-2")
ERAS = 3
ORDERS_PER_ERA = 6


SIGNS = {pb.ORDER_EVENT_KIND_PLACED: 1, pb.ORDER_EVENT_KIND_SHIPPED: 0}
"""What an event adds to what was sold; the others take away."""


class Killed(Exception):
    """The process died here."""


EXPECTED = (Killed, CallError, Refused)


class Dying(Database):
    """A database whose process dies before or after some of its transactions."""

    def __init__(self, database: Database, fate: Fate) -> None:
        self.__dict__.update(database.__dict__)
        self._fate = fate

    async def write(self, work: Work[T]) -> T:
        self._fate.strike()
        done = await super().write(work)
        self._fate.strike()
        return done


class Fate:
    """What goes wrong, by the dice; nothing once `merciful`."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.merciful = False
        self.struck = 0

    def strike(self) -> None:
        if not self.merciful and self.dice.random() < 0.04:
            self.struck += 1
            raise Killed


class BadWire(Wire):
    """Loses calls, delivers calls twice, and dies with what it carries."""

    def __init__(self, fate: Fate) -> None:
        super().__init__()
        self._fate = fate

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        self._fate.strike()
        roll = 1.0 if self._fate.merciful else self._fate.dice.random()
        if roll < 0.12:
            self.lost = {self.calls: "there" if roll < 0.06 else "back"}
        elif roll < 0.24:
            first, second = await asyncio.gather(work(), work(), return_exceptions=True)
            for end in (first, second):
                if isinstance(end, BaseException):
                    raise end
        return await super().call(work)


class Shop:
    """One era of the shop's processes, on databases that outlive it."""

    def __init__(self, databases: dict[str, Database], fate: Fate) -> None:
        held = {name: Dying(database, fate) for name, database in databases.items()}
        wire = BadWire(fate)
        self.ledger = Ledger(held["inventory"])
        warehouse = Warehouse(self.ledger, wire)
        self.parcels = Parcels(held["shipping"], warehouse)
        self.book = OrderBook(held["orders"])
        self.saga = Saga(self.book, Returns(held["orders"]), warehouse, Carrier(self.parcels, wire))

    async def order(self, customer: str, request_id: str, lines: Sequence[Line]) -> None:
        name = name_of(customer, request_id)
        order, new = await self.book.take_down(name, customer, "France", lines, [])
        await self.saga.advance(name, (order, list(lines)) if new else None)

    async def send_back(self, customer: str, request_id: str, sku: str, quantity: int) -> None:
        name = name_of(customer, request_id, "return")
        back = await self.saga.returns.take(name, customer, [(sku, quantity)])
        await self.saga.bring_back(back)

    async def swept(self) -> None:
        """What a process does at its start, until it is done or dies."""
        finisher = Finisher(self.saga, pause=0.001, tries=4)
        run = asyncio.create_task(finisher.run())
        idle = asyncio.create_task(finisher.idle())
        await asyncio.wait({run, idle}, return_when=asyncio.FIRST_COMPLETED)
        for each in (run, idle):
            each.cancel()
        ended, _ = await asyncio.gather(run, idle, return_exceptions=True)
        if isinstance(ended, BaseException) and not isinstance(ended, asyncio.CancelledError):
            raise ended


@pytest.mark.parametrize("seed", range(8))
async def test_crashes_and_repetitions_lose_no_stock_and_leave_no_order_half_done(
    new_database: NewDatabase, seed: int
) -> None:
    fate = Fate(seed)
    databases = {name: await new_database(name) for name in ("inventory", "orders", "shipping")}
    await Ledger(databases["inventory"]).open(OPENING)
    names: list[str] = []
    for _ in range(ERAS):
        shop = Shop(databases, fate)
        async with asyncio.timeout(60):
            work = [shop.swept(), *_trades(shop, fate.dice, names)]
            for end in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(end, BaseException) and not isinstance(end, EXPECTED):
                    raise end
    assert fate.struck > 0
    fate.merciful = True
    shop = Shop(databases, fate)
    async with asyncio.timeout(60):
        await shop.swept()
    assert await shop.book.unfinished() == []
    assert await shop.saga.returns.unfinished() == []
    taken = [name for name in names if await shop.book.find(name) is not None]
    await assert_agreement(shop.ledger, shop.book, shop.parcels, taken)
    await assert_events_tell_the_books(shop, databases["orders"])


def _trades(shop: Shop, dice: random.Random, names: list[str]) -> list[Awaitable[Any]]:
    trades: list[Awaitable[Any]] = []
    for _ in range(ORDERS_PER_ERA):
        customer, request = dice.choice(CUSTOMERS), str(uuid.UUID(int=dice.getrandbits(128)))
        lines = [Line(sku, dice.randint(1, 3), 100) for sku in dice.sample("ABC", 2)]
        name = name_of(customer, request)
        names.append(name)
        trades += [shop.order(customer, request, lines) for _ in range(dice.randint(1, 2))]
        if dice.random() < 0.4:
            trades.append(_cancelled(shop, name))
        if dice.random() < 0.4:
            back = str(uuid.UUID(int=dice.getrandbits(128)))
            trades.append(shop.send_back(customer, back, dice.choice("ABC"), 1))
    return trades


async def _cancelled(shop: Shop, name: str) -> None:
    with contextlib.suppress(LookupError):
        await shop.saga.cancel(name)


async def assert_events_tell_the_books(shop: Shop, database: Database) -> None:
    """Placed less cancelled and returned is what is still out, by SKU."""
    sold: dict[str, int] = {}
    revision, newest = 0, (await ChangeFeed(Outbox(database, metadata, EVENTS)).head()).newest
    async for batch in Events(database).follow(0):
        for event in batch:
            revision += 1
            assert event.revision == revision
            sign = SIGNS.get(event.kind, -1)
            for line in event.lines:
                sold[line.sku] = sold.get(line.sku, 0) + sign * line.quantity
        if revision == newest:
            break
    entries = (await shop.book.entries())[0]
    out = {each["sku"]: each["shipped"] - each["returned"] for each in entries}
    assert {sku: count for sku, count in sold.items() if count} == {
        sku: count for sku, count in out.items() if count
    }
