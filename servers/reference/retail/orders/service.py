"""The service of orders: contract on one side, saga and book on the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import aclosing, contextmanager
from datetime import datetime
from typing import Final, NoReturn

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import (
    NotDeliverable,
    OrderCancelled,
    OrderServiceBase,
    OrderUnfinished,
    OrderUnknown,
    OutOfStock,
    ProductUnknown,
    RequestReused,
    RevisionGone,
)
from meshpact.interceptors.errors import Code, MeshpactError, StatusError
from meshpact.servers.codegen import Call
from meshpact.servers.paging import PageTokens, page_size
from meshpact.servers.storage import outbox
from reference.money import minor_units, money
from reference.retail.orders.book import ReusedRequest
from reference.retail.orders.finisher import Finisher
from reference.retail.orders.model import Charge, Line, Order, State, Why, name_of
from reference.retail.orders.partners import Refused, Shipping
from reference.retail.orders.saga import Saga

STATES: Final = {
    State.PENDING: pb.ORDER_STATE_PENDING,
    State.CONFIRMED: pb.ORDER_STATE_CONFIRMED,
    State.SHIPPED: pb.ORDER_STATE_SHIPPED,
    State.REJECTED: pb.ORDER_STATE_REJECTED,
    State.CANCELLED: pb.ORDER_STATE_CANCELLED,
}
ENTRIES_PER_MESSAGE: Final = 500


class OrderService(OrderServiceBase):
    """Takes orders, and sees them through."""

    def __init__(
        self, saga: Saga, finisher: Finisher, shipping: Shipping, tokens: PageTokens
    ) -> None:
        self._saga = saga
        self._book = saga.book
        self._finisher = finisher
        self._shipping = shipping
        self._tokens = tokens

    async def place_order(
        self, request: pb.PlaceOrderRequest, call: Call, /
    ) -> pb.PlaceOrderResponse:
        customer = _customer(call)
        name = name_of(customer, request.request_id)
        lines = [
            Line(line.sku.upper(), line.quantity, minor_units(line.unit_price))
            for line in request.lines
        ]
        charges = [Charge(charge.code, minor_units(charge.amount)) for charge in request.charges]
        with _named(request.request_id):
            order, new = await self._book.take_down(name, customer, request.country, lines, charges)
        with self._unfinished(name):
            order = await self._saga.advance(name, (order, lines) if new else None)
        if order.state is not State.SHIPPED:
            _explain(order)
        return pb.PlaceOrderResponse(order=_message(order), shipment_id=order.id)

    async def get_order(self, request: pb.GetOrderRequest, call: Call, /) -> pb.GetOrderResponse:
        order = await self._own(request.order_id, call)
        return pb.GetOrderResponse(
            order=_message(order, await self._book.lines(order.id)),
            ship_time=await self._shipping.left_at(order) if order.state is State.SHIPPED else None,
        )

    async def list_orders(
        self, request: pb.ListOrdersRequest, call: Call, /
    ) -> pb.ListOrdersResponse:
        size = page_size(request.page_size, call.info.policy)
        at, name = self._tokens.start(request, call) or ("", "")
        before = (datetime.fromisoformat(str(at)), str(name)) if at else None
        found = await self._book.page(_customer(call), before, size + 1)
        page, more = self._tokens.page(
            request, call, found, size, lambda each: (each.placed_at.isoformat(), each.id)
        )
        return pb.ListOrdersResponse(orders=map(_message, page), next_page_token=more)

    async def cancel_order(
        self, request: pb.CancelOrderRequest, call: Call, /
    ) -> pb.CancelOrderResponse:
        order = await self._own(request.order_id, call)
        with self._unfinished(order.id, name_of(order.customer, order.id, "cancel")):
            order, items = await self._saga.cancel(order.id)
        return pb.CancelOrderResponse(order=_message(order), items_back=items)

    async def return_items(
        self, request: pb.ReturnItemsRequest, call: Call, /
    ) -> pb.ReturnItemsResponse:
        customer = _customer(call)
        name = name_of(customer, request.request_id, "return")
        lines = [(line.sku.upper(), line.quantity) for line in request.lines]
        with _named(request.request_id):
            back = await self._saga.returns.take(name, customer, lines)
        try:
            await self._saga.bring_back(back)
        except MeshpactError as problem:
            self._finisher.goods(name)
            raise OrderUnfinished(order_id=name) from problem
        except BaseException:
            self._finisher.goods(name)
            raise
        return pb.ReturnItemsResponse(
            lines=[pb.ReturnedLine(**line._asdict()) for line in back.lines]
        )

    async def watch_order_events(
        self, request: pb.WatchOrderEventsRequest, call: Call, /
    ) -> AsyncIterator[pb.WatchOrderEventsResponse]:
        try:
            async with aclosing(self._book.events.follow(request.after_revision)) as batches:
                async for batch in batches:
                    yield pb.WatchOrderEventsResponse(events=batch)
        except outbox.RevisionGone as gone:
            raise RevisionGone(
                revision=gone.revision, oldest=gone.head.oldest, newest=gone.head.newest
            ) from gone

    async def export_ledger(
        self, request: pb.ExportLedgerRequest, call: Call, /
    ) -> AsyncIterator[pb.ExportLedgerResponse]:
        found, unfinished = await self._book.entries()
        entries = [pb.LedgerEntry(**entry) for entry in found]
        for start in range(0, max(len(entries), 1), ENTRIES_PER_MESSAGE):
            yield pb.ExportLedgerResponse(
                entries=entries[start : start + ENTRIES_PER_MESSAGE], unfinished=unfinished
            )

    async def _own(self, name: str, call: Call) -> Order:
        order = await self._book.find(name.lower())
        if order is None or order.customer != _customer(call):
            raise OrderUnknown(order_id=name)
        return order

    @contextmanager
    def _unfinished(self, name: str, back: str = "") -> Generator[None]:
        """Whatever stops the saga on its way, the finisher takes over, and the return `back`."""
        try:
            yield
        except BaseException as problem:
            self._finisher.order(name)
            if back:
                self._finisher.goods(back)
            if isinstance(problem, MeshpactError | Refused):
                raise OrderUnfinished(order_id=name) from problem
            raise


@contextmanager
def _named(request_id: str) -> Generator[None]:
    try:
        yield
    except ReusedRequest as problem:
        raise RequestReused(request_id=request_id) from problem


def _customer(call: Call) -> str:
    if call.user is None:
        raise StatusError(Code.INTERNAL, "the contract asks for an end user, and none is there")
    return call.user.subject


def _explain(order: Order) -> NoReturn:
    reason = order.reason
    if order.state is State.CANCELLED:
        raise OrderCancelled(order_id=order.id)
    if order.state is not State.REJECTED or reason is None:
        raise OrderUnfinished(order_id=order.id)
    if reason.why is Why.OUT_OF_STOCK:
        raise OutOfStock(order_id=order.id, sku=reason.sku, available=reason.available)
    if reason.why is Why.PRODUCT_UNKNOWN:
        raise ProductUnknown(order_id=order.id, sku=reason.sku)
    raise NotDeliverable(order_id=order.id, why=reason.text)


def _message(order: Order, lines: list[Line] | None = None) -> pb.Order:
    message = pb.Order(
        order_id=order.id,
        customer=order.customer,
        state=STATES[order.state],
        lines=[
            pb.OrderLine(sku=line.sku, quantity=line.quantity, unit_price=money(line.unit_price))
            for line in lines or ()
        ],
        charges=[
            pb.Charge(code=charge.code, amount=money(charge.amount)) for charge in order.charges
        ],
        total=money(order.total),
    )
    message.place_time.FromDatetime(order.placed_at)
    return message
