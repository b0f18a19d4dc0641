"""The ledger of sales: each event once, totals that are what their facts add up to."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from acme.retail.orders.v1 import orders_pb2 as pb
from meshpact.servers.following import Gap
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.marketing.sales import ledger as sales
from reference.marketing.sales.app import MIGRATIONS
from reference.marketing.sales.ledger import Dimension, Ledger, Total, Window
from reference.marketing.sales.tables import facts
from salesfeed import CANCELLED, PLACED, RETURNED, SHIPPED, event

ALL = tuple(Dimension)
HOUR = 3600


def numbered(*events: pb.OrderEvent, first: int = 1) -> list[pb.OrderEvent]:
    for revision, each in enumerate(events, first):
        each.revision = revision
    return list(events)


async def totals(ledger: Ledger, dimension: Dimension, window: Window = Window()) -> list[Total]:  # noqa: B008
    return (await ledger.changed([dimension], window, 0))[1]


async def test_an_order_counts_once_in_each_country_product_and_hour(ledger: Ledger) -> None:
    placed = event(PLACED, ("85123a", 6, 255), ("22423", 1, 1275), ("85123A", 2, 255), at=7250)
    assert await ledger.book(numbered(placed)) == 1
    assert await totals(ledger, Dimension.COUNTRY) == [
        Total(Dimension.COUNTRY, "Norway", 0, "GBP", 1, 9, 3315)
    ]
    assert await totals(ledger, Dimension.PRODUCT) == [
        Total(Dimension.PRODUCT, "22423", 0, "GBP", 1, 1, 1275),
        Total(Dimension.PRODUCT, "85123A", 0, "GBP", 1, 8, 2040),
    ]
    assert await totals(ledger, Dimension.HOUR) == [
        Total(Dimension.HOUR, "", 7200, "GBP", 1, 9, 3315)
    ]


async def test_charges_count_for_the_country_and_the_hour_but_for_no_product(
    ledger: Ledger,
) -> None:
    await ledger.book(numbered(event(PLACED, ("22423", 1, 1000), charges=1800)))
    assert [each.amount for each in await totals(ledger, Dimension.COUNTRY)] == [2800]
    assert [each.amount for each in await totals(ledger, Dimension.PRODUCT)] == [1000]


async def test_what_is_cancelled_or_comes_back_is_taken_off_in_its_own_hour(
    ledger: Ledger,
) -> None:
    await ledger.book(
        numbered(
            event(PLACED, ("22423", 4, 100), at=0),
            event(SHIPPED, ("22423", 4, 100), at=10),
            event(RETURNED, ("22423", 1, 100), at=HOUR),
            event(PLACED, ("22423", 2, 100), at=HOUR, charges=50),
            event(CANCELLED, ("22423", 2, 100), at=2 * HOUR, charges=50),
        )
    )
    assert [(each.hour, each.orders, each.items, each.amount) for each in
            await totals(ledger, Dimension.HOUR)] == [
        (0, 1, 4, 400), (HOUR, 1, 1, 150), (2 * HOUR, 0, -2, -250),
    ]  # fmt: skip
    assert [(each.orders, each.items, each.amount) for each in
            await totals(ledger, Dimension.COUNTRY)] == [(2, 3, 300)]  # fmt: skip


async def test_a_window_adds_up_its_hours_alone(ledger: Ledger) -> None:
    await ledger.book(
        numbered(*(event(PLACED, ("22423", 1, 100), at=hour * HOUR) for hour in range(4)))
    )
    for window, items in (
        (Window(HOUR, 3 * HOUR), 2),
        (Window(HOUR, None), 3),
        (Window(None, HOUR), 1),
        (Window(9 * HOUR, None), 0),
    ):
        assert sum(each.items for each in await totals(ledger, Dimension.COUNTRY, window)) == items


async def test_only_what_changed_since_a_revision_is_told_as_it_is_now(ledger: Ledger) -> None:
    await ledger.book(numbered(event(PLACED, ("A1", 1, 100)), event(PLACED, ("B2", 1, 100))))
    await ledger.book(numbered(event(PLACED, ("B2", 5, 100)), first=3))
    revision, found = await ledger.changed([Dimension.PRODUCT], Window(), 2)
    assert revision == 3
    assert [(each.name, each.items) for each in found] == [("B2", 6)]
    assert await ledger.changed(ALL, Window(), 3) == (3, [])


async def test_a_change_outside_of_the_window_is_none(ledger: Ledger) -> None:
    await ledger.book(numbered(event(PLACED, ("A1", 1, 100), at=0)))
    await ledger.book(numbered(event(PLACED, ("A1", 1, 100), at=5 * HOUR), first=2))
    assert (await ledger.changed(ALL, Window(None, HOUR), 1)) == (2, [])


async def test_currencies_are_not_added_to_each_other(ledger: Ledger) -> None:
    await ledger.book(
        numbered(event(PLACED, ("A1", 1, 100)), event(PLACED, ("A1", 2, 100), currency="EUR"))
    )
    assert [(each.currency, each.items) for each in await totals(ledger, Dimension.PRODUCT)] == [
        ("EUR", 2),
        ("GBP", 1),
    ]


async def test_events_that_were_booked_before_change_nothing(ledger: Ledger) -> None:
    events = numbered(event(PLACED, ("A1", 1, 100)), event(PLACED, ("A1", 1, 100)))
    await ledger.book(events[:1])
    assert await ledger.book(events) == 2
    assert await ledger.book(events) == 2
    assert [each.items for each in await totals(ledger, Dimension.PRODUCT)] == [2]


async def test_a_gap_between_events_is_refused_and_nothing_of_it_booked(ledger: Ledger) -> None:
    with pytest.raises(Gap):
        await ledger.book(numbered(event(PLACED, ("A1", 1, 100)), first=2))
    with pytest.raises(Gap):
        first, second = numbered(event(PLACED, ("A1", 1, 1)), event(PLACED, ("A1", 1, 1)))
        second.revision = 3
        await ledger.book([first, second])
    assert await ledger.changed(ALL, Window(), 0) == (0, [])


async def test_a_revision_that_is_still_to_come_is_unknown(ledger: Ledger) -> None:
    with pytest.raises(sales.RevisionUnknown) as unknown:
        await ledger.changed(ALL, Window(), 1)
    assert (unknown.value.asked, unknown.value.revision) == (1, 0)


async def test_two_who_book_the_same_events_book_them_once(ledger: Ledger, url: str) -> None:
    other = Database(url, schema="sales")
    events = numbered(*(event(PLACED, ("A1", 1, 100)) for _ in range(20)))
    try:
        twin = Ledger(other)
        for each in range(0, 20, 2):
            for booker in (ledger, twin):
                await booker.book(events[each : each + 2])
    finally:
        await other.close()
    assert [each.items for each in await totals(ledger, Dimension.PRODUCT)] == [20]


@st.composite
def happened(draw: st.DrawFn) -> pb.OrderEvent:
    """Any event."""
    line = st.tuples(
        st.sampled_from(["A1", "a1", "B2", "C3"]), st.integers(1, 9), st.integers(0, 999)
    )
    return event(
        draw(st.sampled_from([PLACED, SHIPPED, CANCELLED, RETURNED])),
        *draw(st.lists(line, min_size=1, max_size=4)),
        country=draw(st.sampled_from(["Norway", "France"])),
        at=draw(st.integers(0, 3)) * HOUR,
        charges=draw(st.sampled_from([0, 1800])),
    )


@given(
    events=st.lists(happened(), min_size=1, max_size=12),
    cuts=st.sets(st.integers(1, 11)),
    data=st.data(),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whoever_puts_changes_in_place_has_what_the_facts_add_up_to(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[pb.OrderEvent],
    cuts: set[int],
    data: st.DataObject,
) -> None:
    window = data.draw(
        st.sampled_from([Window(), Window(HOUR, 3 * HOUR), Window(2 * HOUR, None)]), label="window"
    )

    async def check() -> None:
        folder = tmp_path_factory.mktemp("ledger")
        database = Database(f"sqlite:///{folder / 'sales.db'}")
        await migrate(database, MIGRATIONS)
        ledger = Ledger(database)
        kept: dict[tuple[Dimension, str, int, str], Total] = {}
        at, numbers = 0, numbered(*events)
        for end in sorted({cut for cut in cuts if cut < len(events)} | {len(events)}):
            await ledger.book(numbers[:end])
            at, changed = await ledger.changed(ALL, window, at)
            kept |= {
                (each.dimension, each.name, each.hour, each.currency): each for each in changed
            }
        assert at == len(events)
        _, whole = await ledger.changed(ALL, window, 0)
        assert sorted(kept.values()) == sorted(whole)
        bounds = [facts.c.hour >= window.start] if window.start is not None else []
        bounds += [facts.c.hour < window.end] if window.end is not None else []
        by_product = await database.read(
            lambda connection: connection.execute(
                select(facts.c.sku, func.sum(facts.c["items"]), func.sum(facts.c.amount))
                .where(facts.c.sku != "", *bounds)
                .group_by(facts.c.sku)
                .order_by(facts.c.sku)
            ).all()
        )
        mine = [each for each in whole if each.dimension is Dimension.PRODUCT]
        assert [(each.name, each.items, each.amount) for each in mine] == [
            tuple(row) for row in by_product
        ]
        await database.close()

    asyncio.run(check())
