"""Whatever the order of calls, repetitions and what comes at once: what goes back of an invoice by
credits and refunds is never more than was billed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from acme.retail.orders.v1 import orders_pb2 as orders
from databases import NewUrl
from meshpact.interceptors.errors import StatusError
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.support.billing import refunds
from reference.support.billing.app import MIGRATIONS
from reference.support.billing.books import Books
from reference.support.billing.limits import limit
from reference.support.billing.tables import credits_, invoices
from reference.support.billing.tables import refunds as refunds_table
from salesfeed import CANCELLED, PLACED, RETURNED
from support.desk import new_id, numbered, order

TOTAL: Final = 120_00
LIMIT: Final = 50_00
STAFF: Final = ("ann", "bob", "eve")


class Step(NamedTuple):
    """Something that happens to the invoice: by whom, how much, and to which of its refunds."""

    what: str
    who: str
    pence: int
    which: int


@pytest.fixture
def url(new_url: NewUrl) -> str:
    """A database for all examples; each has an invoice of its own."""
    return new_url()


steps = st.builds(
    Step,
    st.sampled_from(["ask", "ask", "again", "approve", "approve", "reject", "return", "cancel"]),
    st.sampled_from(STAFF),
    st.sampled_from([1, 10_00, 20_00, 50_00, 50_01, 60_00, 120_00]),
    st.integers(0, 5),
)


class Ledger:
    """One invoice, and ways to change it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.books = Books(database)
        self.invoice_id = new_id()
        self.asked: list[refunds.Asked] = []

    async def book(self, *events: orders.OrderEvent) -> None:
        """Lets something happen to the order; and hears of it twice, as after a lost answer."""
        at = await self.books.revision()
        new = numbered(*events, first=at + 1)
        await self.books.book(new)
        await self.books.book(new)

    def doing(self, step: Step) -> Callable[[], Awaitable[object]] | None:
        """What a step does by calls of its own; None for what the orders do."""
        if step.what == "ask":
            self.asked.append(
                refunds.Asked(new_id(), self.invoice_id, step.pence, "GBP", "broken", step.who)
            )
            return self.asking(self.asked[-1])
        if step.what in ("return", "cancel") or not self.asked:
            return None
        asked = self.asked[step.which % len(self.asked)]
        if step.what == "again":
            return self.asking(asked)
        if step.what == "approve":
            return self._writing(lambda db: refunds.approve(db, asked.refund_id, step.who, 2))
        return self._writing(lambda db: refunds.reject(db, asked.refund_id, step.who, "no", 2))

    def event(self, step: Step) -> list[orders.OrderEvent]:
        """What a step lets the orders do."""
        kind = {"return": RETURNED, "cancel": CANCELLED}.get(step.what)
        lines = (("22423", 1, step.pence),)
        return order((kind, lines), order_id=self.invoice_id) if kind else []

    def asking(self, asked: refunds.Asked) -> Callable[[], Awaitable[object]]:
        """Asks for a refund."""
        return self._writing(lambda db: refunds.create(db, asked, lambda _: LIMIT, 1))

    def _writing(self, work: Callable[[Connection], object]) -> Callable[[], Awaitable[object]]:
        async def write() -> object:
            try:
                return await self.database.write(work)
            except StatusError as refused:
                return refused

        return write

    async def check(self) -> None:
        """Says what does not hold."""
        invoice, rows, credited = await self.database.read(self._look)
        issued = [row for row in rows if row.state == refunds.ISSUED]
        assert invoice.credited + invoice.refunded <= invoice.total
        assert invoice.credited == credited
        assert invoice.refunded == sum(row.amount for row in issued)
        waiting = [row.amount for row in rows if row.state == refunds.PENDING]
        assert invoice.pending == sum(waiting)
        for who in STAFF:
            alone = [row.amount for row in issued if row.requester == who and not row.decider]
            assert sum(alone) <= LIMIT
        assert all(row.requester != row.decider for row in rows)

    def _look(self, connection: Connection) -> tuple[Any, Sequence[Any], int]:
        mine = select(invoices).where(invoices.c.invoice_id == self.invoice_id)
        given = select(refunds_table).where(refunds_table.c.invoice_id == self.invoice_id)
        back = select(func.coalesce(func.sum(credits_.c.amount), 0)).where(
            credits_.c.invoice_id == self.invoice_id
        )
        return (
            connection.execute(mine).one(),
            connection.execute(given).all(),
            int(connection.execute(back).scalar_one()),
        )


@given(groups=st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=5))
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_never_more_than_was_billed_goes_back(url: str, groups: list[list[Step]]) -> None:
    async def run() -> None:
        database = Database(url, schema="billing")
        try:
            await migrate(database, MIGRATIONS)
            ledger = Ledger(database)
            placed = order((PLACED, (("22423", 1, TOTAL),)), order_id=ledger.invoice_id)
            await ledger.book(*placed)
            for group in groups:
                # All of a group at once; what the orders do comes one by one, as it does.
                calls = [doing for step in group if (doing := ledger.doing(step)) is not None]
                events = [event for step in group for event in ledger.event(step)]
                booking = [ledger.book(*events)] if events else []
                await asyncio.gather(*(call() for call in calls), *booking)
                await ledger.check()
        finally:
            await database.close()

    asyncio.run(run())


async def test_of_many_refunds_at_once_no_more_are_given_than_there_is(database: Database) -> None:
    ledger = Ledger(database)
    placed = order((PLACED, (("22423", 1, TOTAL),)), order_id=ledger.invoice_id)
    await ledger.book(*placed)
    asking = [Step("ask", f"agent-{number}", 50_00, 0) for number in range(12)]
    found = await asyncio.gather(*(doing() for step in asking if (doing := ledger.doing(step))))
    assert sum(not isinstance(each, StatusError) for each in found) == 2
    await ledger.check()


async def test_one_agent_at_many_desks_at_once_stays_within_the_limit(database: Database) -> None:
    ledger = Ledger(database)
    placed = order((PLACED, (("22423", 1, 1000_00),)), order_id=ledger.invoice_id)
    await ledger.book(*placed)
    asking = [Step("ask", "ann", 20_00, 0) for _ in range(10)]
    found: list[Any] = await asyncio.gather(
        *(doing() for step in asking if (doing := ledger.doing(step)))
    )
    assert sorted(each.state for each in found) == ["ISSUED"] * 2 + ["PENDING"] * 8
    await ledger.check()


async def test_a_name_that_two_take_at_once_on_two_invoices_belongs_to_one(
    database: Database,
) -> None:
    first, second = Ledger(database), Ledger(database)
    for each in (first, second):
        placed = order((PLACED, (("22423", 1, TOTAL),)), order_id=each.invoice_id)
        await each.book(*placed)
    name = new_id()
    asking = [
        each.asking(refunds.Asked(name, each.invoice_id, 10_00, "GBP", "broken", who))
        for each, who in ((first, "ann"), (second, "bob"))
    ]
    found = await asyncio.gather(*(ask() for ask in asking))
    assert [getattr(each, "reason", "") for each in found].count("REQUEST_REUSED") == 1
    for each in (first, second):
        await each.check()


@pytest.mark.parametrize(
    ("groups", "currency", "pence"),
    [
        ((), "GBP", 0),
        (("agent",), "GBP", 50_00),
        (("supervisor",), "GBP", 500_00),
        (("supervisor", "agent", "analyst"), "GBP", 500_00),
        (("agent",), "EUR", 0),
        (("analyst",), "GBP", 0),
    ],
)
def test_limits_are_those_of_the_best_group_and_nothing_where_none_is_set(
    groups: tuple[str, ...], currency: str, pence: int
) -> None:
    assert limit(groups, currency) == pence
