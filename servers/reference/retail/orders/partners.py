"""The other services as the saga sees them: what they can do, and how they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import (
    InventoryServiceClient,
    OutOfStock,
    ReservationEnded,
    ReservationUnknown,
    UnknownSku,
)
from acme.retail.shipping.v1 import shipping_pb2
from acme.retail.shipping.v1.shipping_mesh import (
    ParcelTooLarge,
    ShipmentCancelled,
    ShipmentUnknown,
    ShippingServiceClient,
    StockGone,
)
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from reference.retail.orders.model import Order, Reason, Why


class Refused(Exception):
    """A partner said no for good: the order cannot be filled, `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.why)
        self.reason = reason


class Warehouse(Protocol):
    """Where the stock is. What raises anything but Refused has an outcome nobody knows yet."""

    async def reserve(self, order: Order, items: Mapping[str, int]) -> None:
        """Sets the items of an order aside; raises Refused."""
        ...

    async def confirm(self, order: Order) -> None:
        """Notes that they are paid for; raises Refused when they are on sale again."""
        ...

    async def release(self, order: Order) -> bool:
        """Puts them back on sale; False when they have left."""
        ...

    async def take_back(self, return_id: str, items: Mapping[str, int]) -> None:
        """Takes goods back in."""
        ...


class Carrier(Protocol):
    """How orders leave. What raises anything but Refused has an outcome nobody knows yet."""

    async def ship(self, order: Order, items: Mapping[str, int]) -> None:
        """Ships the reserved items of an order, as a parcel named like it; raises Refused."""
        ...

    async def keep_back(self, order: Order) -> bool:
        """Keeps its parcel from leaving; False when it has left."""
        ...


class Inventory:
    """The warehouse, behind its service."""

    def __init__(self, client: InventoryServiceClient) -> None:
        self._client = client

    async def reserve(self, order: Order, items: Mapping[str, int]) -> None:
        """See Warehouse."""
        request = inventory_pb2.ReserveStockRequest(request_id=order.id, lines=_stock(items))
        try:
            await self._client.reserve_stock(request)
        except OutOfStock as error:
            raise Refused(
                Reason(Why.OUT_OF_STOCK, sku=error.sku, available=int(error.available))
            ) from error
        except UnknownSku as error:
            raise Refused(Reason(Why.PRODUCT_UNKNOWN, sku=error.sku)) from error
        except ReservationEnded as error:
            raise Refused(_released()) from error

    async def confirm(self, order: Order) -> None:
        """See Warehouse."""
        request = inventory_pb2.ConfirmReservationRequest(reservation_id=order.id)
        try:
            await self._client.confirm_reservation(request)
        except (ReservationEnded, ReservationUnknown) as error:
            raise Refused(_released()) from error

    async def release(self, order: Order) -> bool:
        """See Warehouse."""
        request = inventory_pb2.ReleaseReservationRequest(reservation_id=order.id)
        try:
            await self._client.release_reservation(request)
        except ReservationEnded:
            return False
        return True

    async def take_back(self, return_id: str, items: Mapping[str, int]) -> None:
        """See Warehouse."""
        request = inventory_pb2.ReturnStockRequest(request_id=return_id, lines=_stock(items))
        await self._client.return_stock(request)


class Shipping:
    """The carrier, behind its service."""

    def __init__(self, client: ShippingServiceClient) -> None:
        self._client = client

    async def ship(self, order: Order, items: Mapping[str, int]) -> None:
        """See Carrier."""
        request = shipping_pb2.CreateShipmentRequest(
            request_id=order.id,
            order_id=order.id,
            customer=order.customer,
            country=order.country,
            lines=[
                shipping_pb2.ShipmentLine(sku=sku, quantity=quantity)
                for sku, quantity in items.items()
            ],
        )
        try:
            await self._client.create_shipment(request)
        except ParcelTooLarge as error:
            raise Refused(Reason(Why.NOT_DELIVERABLE, text=error.message)) from error
        except (ShipmentCancelled, StockGone) as error:
            raise Refused(_released()) from error

    async def left_at(self, order: Order) -> Timestamp | None:
        """When the parcel of an order left; None when it has not, or nobody can tell now.

        Made for the customer whose call is served: shipping sees their token, and shows no parcel
        to anybody else.
        """
        request = shipping_pb2.GetShipmentRequest(shipment_id=order.id)
        try:
            found = (await self._client.get_shipment(request)).shipment
        except ShipmentUnknown:
            return None
        except CallError as error:
            if error.code in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
                return None
            raise
        return found.ship_time if found.HasField("ship_time") else None

    async def keep_back(self, order: Order) -> bool:
        """See Carrier."""
        request = shipping_pb2.CancelShipmentRequest(shipment_id=order.id)
        answer = await self._client.cancel_shipment(request)
        return answer.state == shipping_pb2.SHIPMENT_STATE_CANCELLED


def _stock(items: Mapping[str, int]) -> list[inventory_pb2.StockLine]:
    return [inventory_pb2.StockLine(sku=sku, quantity=quantity) for sku, quantity in items.items()]


def _released() -> Reason:
    return Reason(Why.NOT_DELIVERABLE, text="Its stock was put back on sale.")
