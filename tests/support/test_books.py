"""The books: each event once, credits on the right lines, and never more than was billed."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import select

from meshpact.servers.following import Gap
from meshpact.servers.storage.database import Database
from reference.support.billing.books import Books
from reference.support.billing.tables import credits_, customers, invoices, lines
from salesfeed import CANCELLED, PLACED, RETURNED, SHIPPED
from support.desk import new_id, numbered, order


async def rows(database: Database, table: Any) -> list[Any]:
    return await database.read(
        lambda connection: list(
            connection.execute(select(table).order_by(*table.primary_key.columns)).all()
        )
    )


async def test_events_that_were_booked_before_change_nothing(database: Database) -> None:
    books = Books(database)
    sold = (("A1", 2, 100),)
    events = numbered(*order((PLACED, sold), (SHIPPED, sold), (RETURNED, (("A1", 1, 100),))))
    assert await books.book(events[:2]) == 2
    for _ in range(2):
        assert await books.book(events) == 3
    (invoice,) = await rows(database, invoices)
    assert (invoice.state, invoice.total, invoice.credited) == ("SHIPPED", 200, 100)
    assert [row.invoice_count for row in await rows(database, customers)] == [1]


async def test_a_gap_between_events_is_refused_and_nothing_of_it_booked(
    database: Database,
) -> None:
    books = Books(database)
    with pytest.raises(Gap):
        await books.book(numbered(*order((PLACED, (("A1", 1, 1),))), first=2))
    first, second = numbered(*order((PLACED, (("A1", 1, 1),)), (SHIPPED, ())))
    second.revision = 3
    with pytest.raises(Gap):
        await books.book([first, second])
    assert await books.revision() == 0
    assert await rows(database, invoices) == []


async def test_an_order_that_is_billed_again_is_billed_once(database: Database) -> None:
    name, sold = new_id(), (("A1", 1, 100),)
    twice = [each for _ in "12" for each in order((PLACED, sold), order_id=name.upper())]
    again = order((PLACED, sold), order_id=name)
    await Books(database).book(numbered(*twice))
    await Books(database).book(numbered(*again, first=3))
    assert [row.invoice_id for row in await rows(database, invoices)] == [name]
    assert [row.invoice_count for row in await rows(database, customers)] == [1]


async def test_what_comes_back_is_counted_on_lines_of_its_price_first(database: Database) -> None:
    sold = (("A1", 3, 100), ("a1", 3, 90), ("B2", 1, 50))
    placed, *back = order(
        (PLACED, sold),
        (RETURNED, (("A1", 2, 90),)),
        (RETURNED, (("A1", 2, 90), ("B2", 1, 50))),
    )
    await Books(database).book(numbered(placed, *back))
    assert [row.credited_quantity for row in await rows(database, lines)] == [1, 3, 1]
    assert [(row.due, row.amount) for row in await rows(database, credits_)] == [
        (180, 180),
        (230, 230),
    ]


async def test_what_is_credited_ends_at_what_was_billed(database: Database) -> None:
    # A discount of 7 pounds: the goods are worth more than the invoice.
    placed, back = order((PLACED, (("A1", 1, 10_00),)), (RETURNED, (("A1", 1, 10_00),)))
    placed.charges.add(code="D").amount.units = -7
    placed.total.units = 3
    await Books(database).book(numbered(placed, back))
    (invoice,) = await rows(database, invoices)
    assert (invoice.total, invoice.credited) == (3_00, 3_00)
    assert [(row.due, row.amount) for row in await rows(database, credits_)] == [(10_00, 3_00)]


async def test_an_order_with_more_discount_than_goods_can_be_undone(database: Database) -> None:
    placed, undone = order((PLACED, (("A1", 1, 1_00),)), (CANCELLED, (("A1", 1, 1_00),)))
    for each in (placed, undone):
        each.total.units = -4
    await Books(database).book(numbered(placed, undone))
    (invoice,) = await rows(database, invoices)
    assert (invoice.state, invoice.total, invoice.credited) == ("CANCELLED", -4_00, -4_00)


async def test_orders_that_were_billed_elsewhere_are_told_in_the_log_and_passed_over(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    events = order((SHIPPED, ()), (RETURNED, (("A1", 1, 100),)), customer="4711")
    with caplog.at_level(logging.ERROR):
        assert await Books(database).book(numbered(*events)) == 2
    assert "event 2 credits an order that was never billed" in caplog.text
    assert "4711" not in caplog.text


async def test_the_country_of_a_customer_is_that_of_the_last_order(database: Database) -> None:
    books = Books(database)
    revision = 0
    for at, country in ((5, "France"), (9, "Malta"), (7, "Spain")):
        placed = order((PLACED, (("A1", 1, 1),)), country=country, at=at)
        revision = await books.book(numbered(*placed, first=revision + 1))
    (customer,) = await rows(database, customers)
    assert (customer.country, customer.last_order_at) == ("Malta", 9_000_000)
    assert customer.invoice_count == 3
