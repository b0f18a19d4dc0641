"""What customers do at the storefront: browse, order, ask, send back. Outcomes are counted."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import (
    ORDER_SERVICE,
    NotDeliverable,
    OrderCancelled,
    OrderServiceClient,
    OrderUnfinished,
    OutOfStock,
)
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import SHIPPING_SERVICE, ShippingServiceClient
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import STORE_SERVICE, StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from meshpact.servers.context import ServiceContext
from reference.money import money
from reference.retail.dataset.books import LINES_PER_ORDER, Cancellation, Charge, Sale, SaleLine
from reference.retail.driver.stats import Stats
from reference.retail.driver.tokens import Tokens

T = TypeVar("T")

LOOKS: Final = 3
"""Products that a customer looks at before ordering."""
EVERY: Final = 10
"""Every so many orders, the customer looks after them."""
TRIES: Final = 6
PAUSE: Final = 0.2
"""Seconds before an unfinished order is asked for again; each further pause is twice as long."""
LOST: Final = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.CANCELLED})
"""Ends of calls that do not tell whether anything was done."""


class Storefront:
    """The way of all customers into the shop, as one workload.

    `orders_only`: they order and return, and do not look around before or after. `patience` is for
    how many seconds they ask again when the shop does not answer at all.
    """

    def __init__(
        self,
        context: ServiceContext,
        stats: Stats,
        tokens: Tokens,
        *,
        orders_only: bool = False,
        patience: float = 0.0,
    ) -> None:
        self._stats = stats
        self._orders_only = orders_only
        self._patience = patience
        self._tokens = tokens
        self._store = StoreServiceClient(context.channel("store", services=[STORE_SERVICE]))
        self._orders = OrderServiceClient(context.channel("orders", services=[ORDER_SERVICE]))
        self._shipping = ShippingServiceClient(
            context.channel("shipping", services=[SHIPPING_SERVICE])
        )
        self._served = 0

    async def buy(self, sale: Sale, request: uuid.UUID) -> None:
        """Replays a sale: a look at some products, then the order, in parts if it is large.

        The parts belong together: when one is not taken, the others are cancelled.
        """
        token = self._tokens.of_customer(sale.customer)
        if not self._orders_only:
            await self._browse(sale.lines[:LOOKS], token)
        parts = list(sale.parts())
        self._stats.outcomes["sales_split"] += len(parts) > 1
        placed: list[pb.Order] = []
        for number, lines in enumerate(parts):
            order = pb.PlaceOrderRequest(
                request_id=str(uuid.uuid5(request, f"part {number}")),
                lines=map(_line, lines),
                charges=map(_charge, sale.charges if number == 0 else ()),
                country=sale.country,
            )
            taken = await self._place(order, token)
            if taken is None:
                for earlier in placed:
                    await self._cancel(earlier, token)
                return
            placed.append(taken)
            self._served += 1
            if self._served % EVERY == 0 and not self._orders_only:
                await self._look_after(taken, token)

    async def send_back(self, cancellation: Cancellation, request: uuid.UUID) -> None:
        """Replays a cancellation: goods go back, whether or not the shop finds their sale."""
        token = self._tokens.of_customer(cancellation.customer)
        for start in range(0, len(cancellation.lines), LINES_PER_ORDER):
            lines = cancellation.lines[start : start + LINES_PER_ORDER]
            wanted = pb.ReturnItemsRequest(
                request_id=str(uuid.uuid5(request, f"from {start}")),
                lines=[pb.ReturnLine(sku=sku, quantity=items) for sku, items in lines],
            )
            answer = await self._answered(
                functools.partial(self._orders.return_items, wanted, token=token)
            )
            for line in answer.lines:
                self._stats.outcomes["returned_items"] += line.matched
                self._stats.outcomes["unmatched_returns"] += line.unmatched > 0

    async def _browse(self, lines: Iterable[SaleLine], token: str) -> None:
        wanted = [line.sku for line in lines]

        async def looks() -> AsyncIterator[store_pb2.BrowseRequest]:
            for sku in wanted:
                yield store_pb2.BrowseRequest(sku=sku)

        self._stats.calls += 1
        seen = [answer.sku async for answer in self._store.browse(looks(), token=token)]
        if seen != wanted:
            self._stats.unexpected(f"browsing {wanted} showed {seen}")

    async def _place(self, order: pb.PlaceOrderRequest, token: str) -> pb.Order | None:
        try:
            answer = await self._answered(lambda: self._orders.place_order(order, token=token))
        except OutOfStock:
            self._stats.outcomes["out_of_stock"] += 1
        except NotDeliverable:
            self._stats.outcomes["not_deliverable"] += 1
        except OrderCancelled:
            self._stats.outcomes["cancelled"] += 1
        else:
            self._stats.placed(len(order.lines))
            return answer.order
        return None

    async def _answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call until it is answered; every try carries the same request_id."""
        loop = asyncio.get_running_loop()
        pause, tries, end = PAUSE, 1, loop.time() + self._patience
        while True:
            try:
                return await self._timed(call())
            except OrderUnfinished:
                if tries >= TRIES and loop.time() >= end:
                    raise
            except CallError as error:
                if error.code not in LOST or loop.time() >= end:
                    raise
            self._stats.outcomes["asked_again"] += 1
            await asyncio.sleep(pause)
            tries += 1
            pause = pause * 2 if tries < TRIES else PAUSE

    async def _cancel(self, order: pb.Order, token: str) -> None:
        request = pb.CancelOrderRequest(order_id=order.order_id)
        answer = await self._answered(lambda: self._orders.cancel_order(request, token=token))
        self._stats.outcomes["cancelled_parts"] += 1
        self._stats.outcomes["cancelled_items"] += answer.items_back

    async def _look_after(self, order: pb.Order, token: str) -> None:
        name = order.order_id
        found = await self._timed(
            self._orders.get_order(pb.GetOrderRequest(order_id=name), token=token)
        )
        sku = found.order.lines[0].sku
        await asyncio.gather(
            self._timed(self._orders.list_orders(pb.ListOrdersRequest(), token=token)),
            self._timed(
                self._shipping.get_shipment(
                    shipping_pb2.GetShipmentRequest(shipment_id=name), token=token
                )
            ),
            self._timed(self._store.get_product(store_pb2.GetProductRequest(sku=sku))),
        )

    async def _timed(self, call: Awaitable[T]) -> T:
        self._stats.calls += 1
        start = time.perf_counter()
        try:
            return await call
        finally:
            self._stats.latency.add(time.perf_counter() - start)


def _line(line: SaleLine) -> pb.OrderLine:
    return pb.OrderLine(sku=line.sku, quantity=line.quantity, unit_price=money(line.pence))


def _charge(charge: Charge) -> pb.Charge:
    return pb.Charge(code=charge.code, amount=money(charge.pence))


def valid_order(lines: Sequence[SaleLine], request_id: str) -> pb.PlaceOrderRequest:
    """An order in which nothing is wrong, for callers of whom something else is."""
    return pb.PlaceOrderRequest(
        request_id=request_id, lines=map(_line, lines), country="United Kingdom"
    )
