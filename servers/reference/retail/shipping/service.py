"""Shipping's service: contract on one side, parcels on the other; and its way to the warehouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import (
    InventoryServiceClient,
    ReservationEnded,
    ReservationUnknown,
)
from acme.retail.shipping.v1 import shipping_pb2 as pb
from acme.retail.shipping.v1.shipping_mesh import (
    ParcelTooLarge,
    RequestReused,
    ShipmentCancelled,
    ShipmentUnfinished,
    ShipmentUnknown,
    ShippingServiceBase,
    StockGone,
)
from meshpact.clients import CallError
from meshpact.servers.codegen import Call
from reference.retail.shipping import parcels
from reference.retail.shipping.parcels import ITEMS_AT_MOST, Parcels, Shipment, State

STATES: Final = {
    State.PACKING: pb.SHIPMENT_STATE_PACKING,
    State.SHIPPED: pb.SHIPMENT_STATE_SHIPPED,
    State.CANCELLED: pb.SHIPMENT_STATE_CANCELLED,
}
ENTRIES_PER_MESSAGE: Final = 500


class Inventory:
    """The warehouse, as parcels need it."""

    def __init__(self, client: InventoryServiceClient) -> None:
        self._client = client

    async def let_go(self, order_id: str) -> bool:
        """Books an order's stock as gone; False when nothing is set aside for it."""
        request = inventory_pb2.ShipReservationRequest(reservation_id=order_id)
        try:
            await self._client.ship_reservation(request)
        except (ReservationEnded, ReservationUnknown):
            return False
        return True


class ShippingService(ShippingServiceBase):
    """Ships parcels."""

    def __init__(self, shipments: Parcels) -> None:
        self._parcels = shipments

    async def create_shipment(
        self, request: pb.CreateShipmentRequest, call: Call, /
    ) -> pb.CreateShipmentResponse:
        name = request.request_id.lower()
        lines: dict[str, int] = {}
        for line in request.lines:
            sku = line.sku.upper()
            lines[sku] = lines.get(sku, 0) + line.quantity
        order_id = request.order_id.lower()
        try:
            shipment = await self._parcels.create(
                name, order_id, request.customer, request.country, dict(sorted(lines.items()))
            )
        except parcels.TooLarge as problem:
            raise ParcelTooLarge(items=problem.items, limit=ITEMS_AT_MOST) from problem
        except parcels.Cancelled as problem:
            raise ShipmentCancelled(shipment_id=name) from problem
        except parcels.StockGone as problem:
            raise StockGone(order_id=order_id) from problem
        except parcels.Reused as problem:
            raise RequestReused(request_id=name) from problem
        except CallError as problem:
            raise ShipmentUnfinished(shipment_id=name) from problem
        return pb.CreateShipmentResponse(shipment=_message(shipment))

    async def cancel_shipment(
        self, request: pb.CancelShipmentRequest, call: Call, /
    ) -> pb.CancelShipmentResponse:
        name = request.shipment_id.lower()
        try:
            state = await self._parcels.cancel(name)
        except CallError as problem:
            raise ShipmentUnfinished(shipment_id=name) from problem
        return pb.CancelShipmentResponse(state=STATES[state])

    async def get_shipment(
        self, request: pb.GetShipmentRequest, call: Call, /
    ) -> pb.GetShipmentResponse:
        name = request.shipment_id.lower()
        shipment = await self._parcels.find(name)
        user = call.user
        if shipment is None or user is None or shipment.customer != user.subject:
            raise ShipmentUnknown(shipment_id=name)
        return pb.GetShipmentResponse(shipment=_message(shipment))

    async def export_ledger(
        self, request: pb.ExportLedgerRequest, call: Call, /
    ) -> AsyncIterator[pb.ExportLedgerResponse]:
        shipped, unfinished = await self._parcels.entries()
        entries = [pb.LedgerEntry(sku=sku, shipped=items) for sku, items in shipped.items()]
        for start in range(0, max(len(entries), 1), ENTRIES_PER_MESSAGE):
            yield pb.ExportLedgerResponse(
                entries=entries[start : start + ENTRIES_PER_MESSAGE], unfinished=unfinished
            )


def _message(shipment: Shipment) -> pb.Shipment:
    message = pb.Shipment(
        shipment_id=shipment.id,
        order_id=shipment.order_id,
        state=STATES[shipment.state],
        items=shipment.items,
        country=shipment.country,
    )
    if shipment.shipped_at is not None:
        message.ship_time.FromDatetime(shipment.shipped_at)
    return message
