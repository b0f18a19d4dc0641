"""The way of an order through the shop: reserve, confirm, ship; or undo what was done.

    pending -> confirmed -> shipped
        |          |
        +----------+--> rejected, cancelled

A pending order's stock is reserved and confirmed, a confirmed order's parcel is sent. What stands
in the book was done; every call may be made again: an order that was left anywhere goes on from
there. The warehouse decides who wins when an order is shipped and
undone at once: stock that left cannot be released, released stock cannot leave.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from reference.retail.orders.book import OrderBook
from reference.retail.orders.model import FINAL, Line, Order, Reason, State, Why, items_of
from reference.retail.orders.partners import Carrier, Refused, Warehouse
from reference.retail.orders.returns import Return, Returns


class Saga:
    """Sees orders and returns through. A step that fails with anything but Refused may be tried
    again by calling the same method.
    """

    def __init__(
        self, book: OrderBook, returns: Returns, warehouse: Warehouse, carrier: Carrier
    ) -> None:
        self.book = book
        self.returns = returns
        self._warehouse = warehouse
        self._carrier = carrier
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: defaultdict[str, int] = defaultdict(int)

    async def advance(self, name: str, fresh: tuple[Order, list[Line]] | None = None) -> Order:
        """Brings an order to its end, from wherever it is.

        `fresh` is an order that the caller has just written down, with its lines; what others did
        to it since is found out with its first move.
        """
        async with self._alone(name):
            order = fresh[0] if fresh else await self._read(name)
            if order.state in FINAL:
                return order
            lines = fresh[1] if fresh else await self.book.lines(name)
            items = items_of(lines)
            try:
                if order.state is State.PENDING:
                    await self._warehouse.reserve(order, items)
                    await self._warehouse.confirm(order)
                    order = await self.book.move(order, State.CONFIRMED, lines=lines)
                if order.state is State.CONFIRMED:
                    await self._carrier.ship(order, items)
                    order = await self.book.move(order, State.SHIPPED, lines=lines)
            except Refused as refusal:
                order = await self._undo(order, State.REJECTED, refusal.reason)
            return order

    async def give_up(self, name: str) -> Order:
        """Undoes an order that the shop could not finish, for good; one that left is shipped."""
        async with self._alone(name):
            order = await self._read(name)
            if order.state in FINAL:
                return order
            text = "The shop could not finish it in time."
            return await self._undo(order, State.REJECTED, Reason(Why.NOT_DELIVERABLE, text=text))

    async def cancel(self, name: str) -> tuple[Order, int]:
        """Undoes an order for its customer; how many items are on sale again through that."""
        async with self._alone(name):
            order = await self._read(name)
            if order.state not in FINAL:
                order = await self._undo(order, State.CANCELLED, None)
            if order.state is State.SHIPPED:
                await self.returns.take_whole(order)
                order = await self._read(name)
        if order.state is State.REJECTED:
            return order, 0
        if order.shipped_at is None:
            return order, sum(items_of(await self.book.lines(name)).values())
        back = await self.returns.of_cancel(order)
        if back is None:
            return order, 0
        await self.bring_back(back)
        return order, sum(back.items().values())

    async def bring_back(self, back: Return) -> None:
        """Has the warehouse take a return in."""
        if not back.done:
            await self._warehouse.take_back(back.id, back.items())
            await self.returns.finish(back.id)

    async def _undo(self, order: Order, end: State, reason: Reason | None) -> Order:
        """Puts the stock back and keeps the parcel; an order that left anyway is shipped.

        No parcel was asked for before the order was written down as confirmed.
        """
        if await self._warehouse.release(order) and (
            order.state is not State.CONFIRMED or await self._carrier.keep_back(order)
        ):
            return await self.book.move(order, end, reason)
        await self._carrier.ship(order, items_of(await self.book.lines(order.id)))
        return await self.book.move(order, State.SHIPPED)

    async def _read(self, name: str) -> Order:
        order = await self.book.find(name)
        if order is None:
            raise LookupError(f"no order {name}")
        return order

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncGenerator[None]:
        """One at a time for each order, in this process."""
        self._waiting[name] += 1
        try:
            async with self._locks[name]:
                yield
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name], self._locks[name]
