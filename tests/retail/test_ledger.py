"""The stock ledger: whatever happens in whatever order, it balances and books nothing twice."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.retail.inventory.ledger import Ledger, Receipt, State, added_up
from reference.retail.inventory.problems import (
    EndedReservation,
    ReusedRequest,
    Shortage,
    StockProblem,
    UnknownReservation,
    UnknownRevision,
    UnknownSku,
)
from retailshop import RETAIL, NewDatabase, NewUrl

OPENING = {"A": 10, "B": 3, "C": 0}
NOW = datetime(2011, 11, 1, tzinfo=UTC)


def name(number: int) -> str:
    return str(uuid.UUID(int=number))


async def opened(new_database: NewDatabase) -> Ledger:
    ledger = Ledger(await new_database("inventory"))
    await ledger.open(OPENING)
    return ledger


async def assert_balanced(ledger: Ledger) -> None:
    for entry in await ledger.entries():
        came = entry["opening"] + entry["delivered"] + entry["returned"] + entry["adjusted"]
        assert came == entry["on_hand"] + entry["reserved"] + entry["shipped"], entry
        assert entry["reserved"] == entry["reserved_count"], entry
        assert entry["shipped"] == entry["shipped_count"], entry
        assert entry["on_hand"] >= 0, entry


lines = st.dictionaries(st.sampled_from("ABC"), st.integers(1, 4), min_size=1).map(
    lambda found: added_up(found.items())
)
nothing: st.SearchStrategy[dict[str, int]] = st.builds(dict[str, int])
step: st.SearchStrategy[tuple[str, int, dict[str, int]]] = st.one_of(
    st.tuples(st.just("reserve"), st.integers(1, 5), lines),
    st.tuples(st.sampled_from(["confirm", "ship", "release"]), st.integers(1, 5), nothing),
    st.tuples(st.sampled_from(["delivered", "returned"]), st.integers(11, 14), lines),
)


def book(ledger: Ledger, kind: str, number: int, items: dict[str, int]) -> Awaitable[object]:
    match kind:
        case "reserve":
            return ledger.reserve(name(number), items)
        case "confirm":
            return ledger.confirm(name(number))
        case "ship":
            return ledger.ship(name(number))
        case "release":
            return ledger.release(name(number))
        case _:
            return ledger.receive(name(number), Receipt(kind), items, NOW)


async def interleave(
    new_url: NewUrl, steps: list[tuple[str, int, dict[str, int]]], at_once: int
) -> None:
    database = Database(new_url())
    try:
        await migrate(database, RETAIL / "inventory" / "migrations")
        ledger = Ledger(database)
        await ledger.open(OPENING)
        for start in range(0, len(steps), at_once):
            ends = await asyncio.gather(
                *(book(ledger, *step) for step in steps[start : start + at_once]),
                return_exceptions=True,
            )
            assert [end for end in ends if isinstance(end, BaseException)] == [
                end for end in ends if isinstance(end, StockProblem)
            ]
            await assert_balanced(ledger)
    finally:
        await database.close()


@given(steps=st.lists(step, max_size=20), at_once=st.integers(1, 4))
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_interleaving_of_bookings_keeps_the_ledger_balanced(
    new_url: NewUrl, steps: list[tuple[str, int, dict[str, int]]], at_once: int
) -> None:
    asyncio.run(interleave(new_url, steps, at_once))


async def test_a_reservation_moves_stock_to_reserved_and_then_to_shipped(
    new_database: NewDatabase,
) -> None:
    ledger = await opened(new_database)
    assert await ledger.reserve(name(1), {"A": 4}) is State.RESERVED
    assert (await ledger.levels(["A"]))["A"][1:4] == (6, 4, 0)
    assert await ledger.confirm(name(1)) is State.CONFIRMED
    assert await ledger.ship(name(1)) is State.SHIPPED
    assert (await ledger.levels(["A"]))["A"][1:4] == (6, 0, 4)


async def test_a_reservation_is_all_or_nothing(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    with pytest.raises(Shortage) as caught:
        await ledger.reserve(name(1), {"A": 1, "B": 4})
    assert (caught.value.sku, caught.value.available, caught.value.requested) == ("B", 3, 4)
    assert (await ledger.levels(["A"]))["A"].on_hand == 10


async def test_a_refused_reservation_may_be_tried_again(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    with pytest.raises(Shortage):
        await ledger.reserve(name(1), {"C": 1})
    await ledger.receive(name(2), Receipt.DELIVERY, {"C": 1}, NOW)
    assert await ledger.reserve(name(1), {"C": 1}) is State.RESERVED


async def test_a_repeated_reservation_books_once(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    states = await asyncio.gather(*(ledger.reserve(name(1), {"A": 4}) for _ in range(8)))
    assert set(states) == {State.RESERVED}
    assert (await ledger.levels(["A"]))["A"].reserved == 4


async def test_two_orders_for_the_last_items_do_not_both_get_them(
    new_database: NewDatabase,
) -> None:
    ledger = await opened(new_database)
    ends = await asyncio.gather(
        *(ledger.reserve(name(number), {"B": 2, "A": 1}) for number in range(1, 7)),
        return_exceptions=True,
    )
    assert sum(end is State.RESERVED for end in ends) == 1
    assert sum(isinstance(end, Shortage) for end in ends) == 5
    await assert_balanced(ledger)


async def test_a_name_used_for_other_lines_is_refused(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    await ledger.reserve(name(1), {"A": 4})
    with pytest.raises(ReusedRequest):
        await ledger.reserve(name(1), {"A": 5})
    await ledger.receive(name(2), Receipt.RETURN, {"A": 1}, NOW)
    with pytest.raises(ReusedRequest):
        await ledger.receive(name(2), Receipt.DELIVERY, {"A": 1}, NOW)


async def test_releasing_an_unknown_name_bars_a_late_reservation(
    new_database: NewDatabase,
) -> None:
    ledger = await opened(new_database)
    assert await ledger.release(name(1)) is State.RELEASED
    with pytest.raises(EndedReservation):
        await ledger.reserve(name(1), {"A": 1})
    assert (await ledger.levels(["A"]))["A"].on_hand == 10


async def test_what_left_cannot_be_released_and_what_was_released_cannot_leave(
    new_database: NewDatabase,
) -> None:
    ledger = await opened(new_database)
    await ledger.reserve(name(1), {"A": 1})
    await ledger.ship(name(1))
    with pytest.raises(EndedReservation):
        await ledger.release(name(1))
    await ledger.reserve(name(2), {"A": 1})
    await ledger.release(name(2))
    with pytest.raises(EndedReservation):
        await ledger.ship(name(2))
    await assert_balanced(ledger)


async def test_unknown_names_and_codes_are_told_apart(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    with pytest.raises(UnknownReservation):
        await ledger.ship(name(1))
    with pytest.raises(UnknownReservation):
        await ledger.confirm(name(1))
    with pytest.raises(UnknownSku):
        await ledger.reserve(name(1), {"A": 1, "ZZZ": 1})
    with pytest.raises(UnknownSku):
        await ledger.receive(name(1), Receipt.DELIVERY, {"ZZZ": 1}, NOW)


async def test_a_ledger_is_opened_once(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    await ledger.open({"A": 99})
    assert (await ledger.levels(["A"]))["A"].on_hand == 10


async def test_each_booking_that_changes_stock_counts_the_revision_up(
    new_database: NewDatabase,
) -> None:
    ledger = await opened(new_database)
    await ledger.reserve(name(1), {"A": 1, "B": 1})
    await ledger.reserve(name(1), {"A": 1, "B": 1})
    await ledger.confirm(name(1))
    await ledger.receive(name(2), Receipt.DELIVERY, {"B": 1, "C": 1}, NOW)
    await ledger.ship(name(1))
    stocks, newest = await ledger.changed([], None)
    assert newest == 3
    assert {stock.sku: stock.revision for stock in stocks} == {"A": 3, "B": 3, "C": 2}
    assert [stock.sku for stock in (await ledger.changed([], 2))[0]] == ["A", "B"]
    assert [stock.sku for stock in (await ledger.changed(["B", "C"], 1))[0]] == ["C", "B"]
    assert len((await ledger.changed([], 0))[0]) == 3
    assert await ledger.changed([], 3) == ([], 3)
    with pytest.raises(UnknownRevision):
        await ledger.changed([], 4)


async def test_bookings_at_once_have_revisions_of_their_own(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    wanted = [{"A": 1}, {"B": 1, "A": 1}, {"A": 1, "B": 1}, {"A": 2}]
    await asyncio.gather(*(ledger.reserve(name(n), items) for n, items in enumerate(wanted)))
    await asyncio.gather(*(ledger.ship(name(n)) for n in range(len(wanted))))
    assert (await ledger.changed([], None))[1] == 8
    await assert_balanced(ledger)


async def test_work_whose_caller_is_gone_is_finished_whole(new_database: NewDatabase) -> None:
    ledger = await opened(new_database)
    caller = asyncio.create_task(ledger.reserve(name(1), {"A": 4}))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await ledger.reserve(name(1), {"A": 4}) is State.RESERVED
    assert (await ledger.levels(["A"]))["A"].reserved == 4
    await assert_balanced(ledger)
