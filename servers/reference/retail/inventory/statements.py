"""The ledger's statements, made once: nothing is put together while stock is booked.

Whoever changes stock locks its rows first, by SKU, and counts the revision then: two bookings never
wait for each other crosswise. SQLite has one writer and locks nothing.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Update, bindparam, func, insert, select, update

from reference.retail.inventory.tables import (
    import_lines,
    ledger_head,
    receipt_lines,
    receipts,
    reservation_lines,
    reservations,
    stock,
)

LEVELS: Final = select(
    stock.c.sku, stock.c.on_hand, stock.c.reserved, stock.c.shipped, stock.c.revision
)
CHANGED: Final = LEVELS.where(stock.c.revision > bindparam("after")).order_by(
    stock.c.revision, stock.c.sku
)
CHANGED_OF: Final = CHANGED.where(stock.c.sku.in_(bindparam("skus", expanding=True)))
LEVELS_OF: Final = LEVELS.where(stock.c.sku.in_(bindparam("skus", expanding=True)))
PAGE: Final = (
    LEVELS.where(stock.c.sku > bindparam("after")).order_by(stock.c.sku).limit(bindparam("size"))
)
NEWEST: Final = select(ledger_head.c.revision)
COUNT: Final = (
    update(ledger_head)
    .values(revision=ledger_head.c.revision + 1)
    .returning(ledger_head.c.revision)
)
FIND: Final = (
    select(reservations.c.state, reservations.c.content)
    .where(reservations.c.id == bindparam("id"))
    .with_for_update()
)
ON_HAND: Final = (
    select(stock.c.sku, stock.c.on_hand)
    .where(stock.c.sku.in_(bindparam("skus", expanding=True)))
    .order_by(stock.c.sku)
    .with_for_update()
)
RESERVE: Final = insert(reservations)
RESERVE_LINES: Final = insert(reservation_lines)
LINES_OF: Final = (
    select(reservation_lines.c.sku, reservation_lines.c.quantity)
    .join(stock, stock.c.sku == reservation_lines.c.sku)
    .where(reservation_lines.c.reservation_id == bindparam("id"))
    .order_by(reservation_lines.c.sku)
    .with_for_update(of=stock)
)
SET_STATE: Final = (
    update(reservations).where(reservations.c.id == bindparam("of")).values(state=bindparam("to"))
)
FIND_RECEIPT: Final = select(receipts.c.kind, receipts.c.content).where(
    receipts.c.id == bindparam("id")
)
RECEIVE: Final = insert(receipts)
RECEIVE_LINES: Final = insert(receipt_lines)
IMPORT_LINES: Final = insert(import_lines)
IMPORTED: Final = select(import_lines.c.line, import_lines.c.sku, import_lines.c.told).where(
    import_lines.c.receipt_id == bindparam("id"),
    import_lines.c.line.in_(bindparam("lines", expanding=True)),
)

HELD: Final = (
    select(
        reservation_lines.c.sku,
        reservations.c.state.label("why"),
        func.sum(reservation_lines.c.quantity).label("items"),
    )
    .join(reservations, reservations.c.id == reservation_lines.c.reservation_id)
    .group_by(reservation_lines.c.sku, reservations.c.state)
)
CAME: Final = (
    select(
        receipt_lines.c.sku,
        receipts.c.kind.label("why"),
        func.sum(receipt_lines.c.quantity).label("items"),
    )
    .join(receipts, receipts.c.id == receipt_lines.c.receipt_id)
    .group_by(receipt_lines.c.sku, receipts.c.kind)
)
LISTED: Final = (
    select(
        import_lines.c.sku,
        receipts.c.kind.label("why"),
        func.sum(import_lines.c.booked).label("items"),
    )
    .join(receipts, receipts.c.id == import_lines.c.receipt_id)
    .group_by(import_lines.c.sku, receipts.c.kind)
)
ACCOUNTS: Final = select(stock).order_by(stock.c.sku)


def moving(source: str, target: str) -> Update:
    """Moves `items` of the SKU `of` from one count to another, at the revision `at`."""
    return (
        update(stock)
        .where(stock.c.sku == bindparam("of"))
        .values(
            {
                source: stock.c[source] - bindparam("items"),
                target: stock.c[target] + bindparam("items"),
                "revision": bindparam("at"),
            }
        )
    )


def coming(count: str) -> Update:
    """Puts `items` of the SKU `of` on hand and adds them to a count, at the revision `at`."""
    return (
        update(stock)
        .where(stock.c.sku == bindparam("of"))
        .values(
            {
                "on_hand": stock.c.on_hand + bindparam("items"),
                count: stock.c[count] + bindparam("items"),
                "revision": bindparam("at"),
            }
        )
    )
