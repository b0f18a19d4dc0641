"""The driver: the month replayed against a real shop, misfits refused, nothing unexpected."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from reference.retail.dataset import stock
from reference.retail.dataset.books import Books, Sale, SaleLine
from reference.retail.driver.misfits import Misfits
from reference.retail.driver.replay import Replay
from reference.retail.driver.run import Drive
from reference.retail.driver.stats import Histogram, Stats
from reference.retail.driver.storefront import Storefront
from reference.retail.driver.supply import Dashboard, Supplier
from retailshop import NewUrl, Shop

ENOUGH = 25


def cut(books: Books, sales: int) -> Books:
    """The first sales of the month, and the cancellations of their time."""
    first = books.sales[:sales]
    return Books(
        sales=first,
        cancellations=[each for each in books.cancellations if each.at <= first[-1].at],
        descriptions=books.descriptions,
    )


async def test_a_round_of_real_orders_ends_with_balanced_books_and_no_errors(
    tmp_path: Path, new_url: NewUrl, books: Books
) -> None:
    few = cut(books, ENOUGH)
    async with Shop(tmp_path, new_url, stock.opening(few.sales)) as shop:
        drive = Drive(shop.outside, few)
        until = asyncio.Event()
        running = asyncio.create_task(drive.run(until))
        async with asyncio.timeout(100):
            while not (drive.stats.rounds and len(drive.stats.refused) >= 7):
                assert not running.done()
                await asyncio.sleep(0.05)
        until.set()
        await running
        stats = drive.stats
        assert stats.errors == {}
        assert stats.ledger_balanced is True
        assert stats.orders_placed >= 5
        assert stats.outcomes["out_of_stock"] > 0
        assert stats.order_lines > stats.orders_placed
        assert stats.outcomes["stock_updates"] > 0
        assert shop.reports[-1] == stats.figures()
        assert {
            "ROLE_MISSING",
            "TOKEN_MISSING",
            "SCOPE_MISSING",
            "TOKEN_EXPIRED",
            "INVALID_REQUEST",
            "RATE_LIMITED",
        } <= set(stats.refused)


async def test_the_parts_of_a_large_sale_stand_or_fall_together(
    tmp_path: Path, new_url: NewUrl
) -> None:
    opening = {f"1{number:04}": 5 for number in range(250)}
    lines = tuple(SaleLine(sku, 2, 100) for sku in opening)
    sale = Sale("1", "customer-1", "2011-11-01T09:00", "France", lines, ())
    async with Shop(tmp_path, new_url, opening) as shop:
        stats = Stats()
        storefront = Storefront(shop.outside, stats, shop.tokens)
        run = Replay(Books(sales=[sale]), storefront, Supplier(shop.outside, stats), stats)
        for _ in range(2):
            until = asyncio.Event()

            async def ended(until: asyncio.Event = until) -> None:
                until.set()

            await run.run(until, ended, deliver=False)
        assert (stats.orders_placed, stats.order_lines) == (4, 500)
        assert stats.outcomes["sales_split"] == 2

        short = Stats()
        storefront = Storefront(shop.outside, short, shop.tokens)
        rich = dict.fromkeys(list(opening)[:240], 3)
        await Supplier(shop.outside, short).deliver(rich, uuid.uuid4())
        await storefront.buy(sale, uuid.uuid4())
        assert short.orders_placed == 1
        assert short.outcomes["out_of_stock"] == 1
        assert (short.outcomes["cancelled_parts"], short.outcomes["cancelled_items"]) == (1, 400)
        drive = Drive(shop.outside, Books(sales=[sale]))
        await drive.audit()
        assert drive.stats.ledger_balanced is True


async def test_a_misfit_that_is_let_in_is_an_unexpected_error(
    tmp_path: Path, new_url: NewUrl
) -> None:
    async with Shop(tmp_path, new_url) as shop:
        stats = Stats()
        misfits = Misfits(shop.outside, stats, shop.tokens)
        stranger = misfits.all[0]
        await misfits.run(stranger)
        assert (stats.refused, stats.errors_unexpected) == ({"ROLE_MISSING": 1}, 0)
        await misfits.run(stranger._replace(answers=frozenset()))
        assert stats.errors_unexpected == 1

        async def welcome() -> None:
            return None

        await misfits.run(stranger._replace(call=welcome))
        assert stats.errors["a stranger without a role was let in"] == 1
        scraper = misfits.all[-1]._replace(call=welcome)
        await misfits.run(scraper._replace(within=60.0))
        assert stats.errors["a scraper was let in 40 times at once"] == 1
        await misfits.run(scraper._replace(within=0.0))
        assert stats.errors["a scraper was let in 40 times at once"] == 1, "the limit had refilled"


async def test_a_delivery_is_booked_once_however_often_it_comes(
    tmp_path: Path, new_url: NewUrl
) -> None:
    opening = {f"1{number:04}": 1 for number in range(1100)}
    async with Shop(tmp_path, new_url, opening) as shop:
        stats = Stats()
        supplier, name = Supplier(shop.outside, stats), uuid.uuid4()
        for _ in range(2):
            await supplier.deliver(opening, name)
        assert stats.outcomes["delivered_items"] == 1100
        assert stats.errors_unexpected == 0
        assert await Dashboard(shop.outside, stats).untouched()


def test_quantiles_are_exact_to_a_few_percent() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    for number in range(1, 1001):
        histogram.add(number / 1000)
    assert histogram.quantile(0.5) == pytest.approx(0.5, rel=0.03)
    assert histogram.quantile(0.99) == pytest.approx(0.99, rel=0.03)
    histogram.add(0.0)
    histogram.add(1e6)
    assert histogram.quantile(1.0) == pytest.approx(150, rel=0.05)


def test_only_so_many_texts_of_errors_are_kept() -> None:
    stats = Stats()
    for number in range(100):
        stats.unexpected(f"error {number} " + "x" * 1000)
    assert stats.errors_unexpected == stats.errors.total() == 100
    assert len(stats.errors) == 11
    assert all(len(text) <= 160 for text in stats.errors)
