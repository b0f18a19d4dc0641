"""A statement that fails says which rule it broke, and nothing of the row."""

from __future__ import annotations

import logging
from typing import Any, Final

import pytest
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import DBAPIError

from meshpact.servers.storage.database import Database
from reference.support.billing.books import Books
from reference.support.billing.tables import customers, invoices
from salesfeed import PLACED
from support.desk import numbered, order

CUSTOMER: Final = "customer-4711"
COUNTRY: Final = "Ruritania"
SECRETS: Final = (CUSTOMER, COUNTRY, "987654", "not-a-number")
ROW: Final[dict[str, Any]] = {
    "customer": CUSTOMER,
    "country": COUNTRY,
    "invoice_count": 987_654,
    "last_order_at": 0,
}


async def logged(
    database: Database, caplog: pytest.LogCaptureFixture, statement: Any, values: Any = None
) -> str:
    """What the log has of a statement that failed: the whole chain of errors."""

    def work(connection: Connection) -> None:
        connection.execute(statement, values)

    with caplog.at_level(logging.DEBUG):
        try:
            await database.write(work)
        except DBAPIError as error:
            logging.getLogger("test").exception("it failed: %s %r %r", error, error, error.orig)
        else:
            raise AssertionError("the database took it")
    return caplog.text


@pytest.fixture
async def billed(database: Database) -> Database:
    """Billing's database with one customer's invoice."""
    placed = order((PLACED, (("A1", 1, 987_654),)), customer=CUSTOMER, country=COUNTRY)
    await Books(database).book(numbered(*placed))
    return database


async def test_a_row_that_breaks_a_rule_is_not_told(
    billed: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shown = await logged(billed, caplog, update(invoices).values(pending=-1))
    assert "sums_of_refunds" in shown
    assert not [each for each in SECRETS if each in shown]


async def test_a_row_that_is_there_already_is_not_told(
    billed: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shown = await logged(billed, caplog, insert(customers), ROW)
    assert "customers" in shown
    assert not [each for each in SECRETS if each in shown]


async def test_a_row_that_lacks_something_is_not_told(
    billed: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shown = await logged(billed, caplog, update(customers).values(country=None))
    assert "country" in shown
    assert not [each for each in SECRETS if each in shown]


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE customers SET invoice_count = :value", "not-a-number"),
        (
            "UPDATE customers SET invoice_count = CAST(CAST(:value AS text) AS bigint)",
            "not-a-number",
        ),
        ("SELECT CAST(customer AS bigint) FROM customers WHERE customer <> :value", ""),
        ("UPDATE customers SET country = country || :value", COUNTRY * 20),
    ],
)
async def test_a_value_that_does_not_fit_is_not_told(
    billed: Database, caplog: pytest.LogCaptureFixture, statement: str, value: str
) -> None:
    if billed.sqlite:
        return  # takes any value in any column
    shown = await logged(billed, caplog, text(statement), {"value": value})
    assert "SQLSTATE 22" in shown
    assert not [each for each in SECRETS if each in shown]
