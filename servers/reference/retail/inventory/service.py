"""The warehouse's service: contract on one side, ledger on the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from acme.retail.inventory.v1 import inventory_pb2 as pb
from acme.retail.inventory.v1.inventory_mesh import (
    InventoryServiceBase,
    OutOfStock,
    RequestReused,
    ReservationEnded,
    ReservationUnknown,
    RevisionUnknown,
    UnknownSku,
)
from meshpact.servers.codegen import Call
from meshpact.servers.imports import Rejection, imported, importing
from meshpact.servers.imports import Row as Numbered
from meshpact.servers.paging import PageTokens, page_size
from reference.retail.inventory import problems, watching
from reference.retail.inventory.importing import Import, Row
from reference.retail.inventory.ledger import Ledger, Receipt, State, Stock, added_up

STATES: Final = {
    State.RESERVED: pb.RESERVATION_STATE_RESERVED,
    State.CONFIRMED: pb.RESERVATION_STATE_CONFIRMED,
    State.SHIPPED: pb.RESERVATION_STATE_SHIPPED,
    State.RELEASED: pb.RESERVATION_STATE_RELEASED,
}
ENTRIES_PER_MESSAGE: Final = 500
KINDS: Final[dict[int, Receipt]] = {
    pb.STOCK_IMPORT_KIND_DELIVERY: Receipt.DELIVERY,
    pb.STOCK_IMPORT_KIND_COUNT: Receipt.COUNT,
}
REJECTED_AT_MOST: Final = 1000
"""Rows that a report names; all are counted."""


class InventoryService(InventoryServiceBase):
    """Serves one ledger."""

    def __init__(self, ledger: Ledger, tokens: PageTokens) -> None:
        self._ledger = ledger
        self._tokens = tokens

    async def get_stock(self, request: pb.GetStockRequest, call: Call, /) -> pb.GetStockResponse:
        sku = request.sku.upper()
        levels = await self._ledger.levels([sku])
        if sku not in levels:
            raise UnknownSku(sku=sku)
        return pb.GetStockResponse(stock=_stock(levels[sku]))

    async def batch_get_stock(
        self, request: pb.BatchGetStockRequest, call: Call, /
    ) -> pb.BatchGetStockResponse:
        skus = [sku.upper() for sku in request.skus]
        levels = await self._ledger.levels(skus)
        return pb.BatchGetStockResponse(stocks=[_stock(levels[s]) for s in skus if s in levels])

    async def list_stock(self, request: pb.ListStockRequest, call: Call, /) -> pb.ListStockResponse:
        size = page_size(request.page_size, call.info.policy)
        (after,) = self._tokens.start(request, call) or ("",)
        found = await self._ledger.page(str(after), size + 1)
        page, more = self._tokens.page(request, call, found, size, lambda each: (each.sku,))
        return pb.ListStockResponse(stocks=map(_stock, page), next_page_token=more)

    async def watch_stock(
        self, request: pb.WatchStockRequest, call: Call, /
    ) -> AsyncIterator[pb.WatchStockResponse]:
        skus = list(dict.fromkeys(sku.upper() for sku in request.skus))
        changes = watching.watch(
            self._ledger, skus, request.after_revision, on_hand_only=request.on_hand_only
        )
        with _explained():
            async for changed in changes:
                yield pb.WatchStockResponse(
                    stocks=map(_stock, changed.stocks), revision=changed.revision
                )

    async def reserve_stock(
        self, request: pb.ReserveStockRequest, call: Call, /
    ) -> pb.ReserveStockResponse:
        name = request.request_id.lower()
        with _explained():
            state = await self._ledger.reserve(name, _items(request.lines))
        return pb.ReserveStockResponse(reservation_id=name, state=STATES[state])

    async def confirm_reservation(
        self, request: pb.ConfirmReservationRequest, call: Call, /
    ) -> pb.ConfirmReservationResponse:
        with _explained():
            state = await self._ledger.confirm(request.reservation_id.lower())
        return pb.ConfirmReservationResponse(state=STATES[state])

    async def release_reservation(
        self, request: pb.ReleaseReservationRequest, call: Call, /
    ) -> pb.ReleaseReservationResponse:
        with _explained():
            state = await self._ledger.release(request.reservation_id.lower())
        return pb.ReleaseReservationResponse(state=STATES[state])

    async def ship_reservation(
        self, request: pb.ShipReservationRequest, call: Call, /
    ) -> pb.ShipReservationResponse:
        with _explained():
            state = await self._ledger.ship(request.reservation_id.lower())
        return pb.ShipReservationResponse(state=STATES[state])

    async def return_stock(
        self, request: pb.ReturnStockRequest, call: Call, /
    ) -> pb.ReturnStockResponse:
        items = _items(request.lines)
        with _explained():
            await self._ledger.receive(
                request.request_id.lower(), Receipt.RETURN, items, datetime.now(UTC)
            )
        return pb.ReturnStockResponse(items=sum(items.values()))

    async def import_stock(
        self, requests: AsyncIterator[pb.ImportStockRequest], call: Call, /
    ) -> pb.ImportStockResponse:
        parts = aiter(requests)
        first = await anext(parts, None)
        if first is None:
            return pb.ImportStockResponse()
        listed = Import(self._ledger, first.request_id.lower(), KINDS[first.kind])
        with _explained():
            report = await imported(
                importing(
                    _rows(first, parts),
                    listed.check,
                    listed.write,
                    rejections=REJECTED_AT_MOST,
                )
            )
        return pb.ImportStockResponse(
            rows_booked=report.accepted,
            rows_known=report.known,
            rows_rejected=report.rejected,
            rejected=map(_rejected, report.rejections),
            items=listed.items,
            revision=listed.revision,
        )

    async def export_ledger(
        self, request: pb.ExportLedgerRequest, call: Call, /
    ) -> AsyncIterator[pb.ExportLedgerResponse]:
        entries = [pb.LedgerEntry(**entry) for entry in await self._ledger.entries()]
        for start in range(0, len(entries), ENTRIES_PER_MESSAGE):
            yield pb.ExportLedgerResponse(entries=entries[start : start + ENTRIES_PER_MESSAGE])


def _stock(level: Stock) -> pb.Stock:
    return pb.Stock(
        sku=level.sku,
        on_hand=level.on_hand,
        reserved=level.reserved,
        shipped=level.shipped,
        revision=level.revision,
    )


async def _rows(
    first: pb.ImportStockRequest, parts: AsyncIterator[pb.ImportStockRequest]
) -> AsyncIterator[Numbered[Row]]:
    """The rows of a list, part by part. Raises RequestReused when a part is of another list."""
    part: pb.ImportStockRequest | None = first
    while part is not None:
        if (part.request_id, part.kind) != (first.request_id, first.kind):
            raise RequestReused(request_id=part.request_id)
        for row in part.rows:
            yield Numbered(row.line, Row(row.sku, row.description, row.quantity))
        part = await anext(parts, None)


def _rejected(row: Rejection) -> pb.RejectedRow:
    problem = pb.StockImportProblem.Value(f"STOCK_IMPORT_PROBLEM_{row.reason}")
    return pb.RejectedRow(line=row.line, field=row.field, problem=problem, message=row.message)


def _items(lines: Iterable[pb.StockLine]) -> dict[str, int]:
    return added_up((line.sku, line.quantity) for line in lines)


@contextmanager
def _explained() -> Generator[None]:
    """The ledger's refusals, in the contract's errors."""
    try:
        yield
    except problems.Shortage as problem:
        raise OutOfStock(
            sku=problem.sku, available=problem.available, requested=problem.requested
        ) from problem
    except problems.UnknownSku as problem:
        raise UnknownSku(sku=problem.sku) from problem
    except problems.UnknownReservation as problem:
        raise ReservationUnknown(reservation_id=problem.reservation) from problem
    except problems.EndedReservation as problem:
        raise ReservationEnded(reservation_id=problem.reservation, state=problem.state) from problem
    except problems.ReusedRequest as problem:
        raise RequestReused(request_id=problem.request) from problem
    except problems.UnknownRevision as problem:
        raise RevisionUnknown(revision=problem.revision, newest=problem.newest) from problem
