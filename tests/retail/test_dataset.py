"""The order book: exact facts of the data, and the rules that make them."""

from __future__ import annotations

import lzma

import pytest

from reference.retail.dataset import matching, stock
from reference.retail.dataset.books import Books, Charge, ReturnLine, SaleLine, keep
from reference.retail.dataset.catalog import catalog
from reference.retail.dataset.rows import COLUMNS, DatasetError, Row, pence, read


def row(
    invoice: str = "1",
    code: str = "85123A",
    quantity: int = 1,
    price: int = 255,
    customer: str = "17850",
    at: str = "2011-11-01T09:00",
    description: str = "HEART",
) -> Row:
    return Row(invoice, code, description, quantity, at, price, customer, "France")


def test_every_row_of_the_file_is_accounted_for(books: Books) -> None:
    assert books.report.figures() == {
        "rows": 84711,
        "sale_lines": 83104,
        "charges": 260,
        "return_lines": 1016,
        "refunds": 60,
        "adjustments_down": 137,
        "adjustments_up": 114,
        "fees_alone": 20,
        "sales": 2752,
        "cancellations": 396,
        "sales_of_guests": 109,
        "sales_to_split": 41,
        "orders": 2827,
        "free_lines": 12,
        "folded_rows": 202,
        "folded_codes": 45,
        "refund_invoices": 45,
    }
    assert books.report.accounted() == 84711


def test_opening_stock_and_deliveries_follow_from_the_sales(books: Books) -> None:
    sold, opening = stock.sold(books.sales), stock.opening(books.sales)
    assert len(sold) == 2890
    assert sum(sold.values()) == 762917
    assert sum(opening.values()) == 614596
    assert sum(stock.delivery(books.sales).values()) == 153802
    largest: dict[str, int] = {}
    for line in (line for sale in books.sales for line in sale.lines):
        largest[line.sku] = max(largest.get(line.sku, 0), line.quantity)
    for sku, items in opening.items():
        assert items == max(largest[sku], -(-sold[sku] * 4 // 5))


def test_returns_match_the_latest_sale_or_count_as_unmatched(books: Books) -> None:
    found = matching.match(books)
    assert (found.lines_matched, found.lines_partly, found.lines_unmatched) == (463, 13, 540)
    assert (found.items_matched, found.items_unmatched) == (8134, 4198)


def test_a_large_sale_keeps_all_its_lines_in_parts_of_at_most_200(books: Books) -> None:
    largest = max(books.sales, key=lambda sale: len(sale.lines))
    parts = list(largest.parts())
    assert len(largest.lines) > 600
    assert [len(part) for part in parts[:-1]] == [200] * (len(parts) - 1)
    assert tuple(line for part in parts for line in part) == largest.lines


def test_the_catalog_has_the_median_price_and_the_usual_name(books: Books) -> None:
    products = {entry.sku: entry for entry in catalog(books)}
    assert len(products) == 2890
    assert products["85123A"].description == "WHITE HANGING HEART T-LIGHT HOLDER"
    assert products["85123A"].list_pence == 295
    assert not set(products) & {"POST", "DOT", "M", "C2", "BANK CHARGES"}
    assert "DCGSSGIRL" in products


def test_codes_are_folded_to_upper_case() -> None:
    books = keep([row(code="85123a"), row(code="85123A"), row(code="22423")])
    assert [line.sku for line in books.sales[0].lines] == ["85123A", "85123A", "22423"]
    assert (books.report.folded_rows, books.report.folded_codes) == (1, 1)


def test_fees_on_a_sale_are_charges_of_its_order() -> None:
    books = keep([row(), row(code="POST", quantity=3, price=1800)])
    assert books.sales[0].charges == (Charge("POST", 5400),)
    assert books.sales[0].lines == (SaleLine("85123A", 1, 255),)


def test_a_sale_of_fees_alone_is_set_aside() -> None:
    books = keep([row(code="DOT", price=1000)])
    assert not books.sales
    assert books.report.fees_alone == 1


def test_a_row_without_customer_and_price_is_an_adjustment() -> None:
    books = keep([row("1", price=0, customer="", quantity=-5), row("2", price=0, customer="")])
    assert not books.sales
    assert (books.report.adjustments_down, books.report.adjustments_up) == (1, 1)


def test_a_free_item_beside_priced_ones_is_sold_like_any_other() -> None:
    books = keep([row(customer="", price=0, code="23298"), row(customer="")])
    assert [line.sku for line in books.sales[0].lines] == ["23298", "85123A"]
    assert books.report.free_lines == 1


def test_a_gift_to_a_customer_is_a_sale() -> None:
    books = keep([row(price=0)])
    assert books.sales[0].lines == (SaleLine("85123A", 1, 0),)


def test_a_sale_without_customer_belongs_to_a_guest_of_its_own() -> None:
    books = keep([row("1", customer=""), row("2", customer="")])
    assert [sale.customer for sale in books.sales] == ["guest-1", "guest-2"]


def test_a_cancellation_takes_goods_back_and_not_fees() -> None:
    books = keep([row("C1", quantity=-2), row("C1", code="POST", quantity=-1)])
    assert books.cancellations[0].lines == (ReturnLine("85123A", 2),)
    assert books.report.refunds == 1


def test_a_return_takes_from_the_latest_sale_first() -> None:
    books = keep(
        [
            row("1", quantity=5, at="2011-11-01T09:00"),
            row("2", quantity=3, at="2011-11-02T09:00"),
            row("C3", quantity=-4, at="2011-11-03T09:00"),
            row("C4", quantity=-2, at="2011-11-04T09:00"),
            row("C5", quantity=-1, customer="9", at="2011-11-04T09:00"),
        ]
    )
    found = matching.match(books)
    assert (found.lines_matched, found.lines_partly, found.lines_unmatched) == (1, 1, 1)
    assert (found.items_matched, found.items_unmatched) == (5, 2)


@pytest.mark.parametrize(
    "wrong",
    [row(quantity=0), row(quantity=-1), row(price=-5), row("C1", quantity=1)],
    ids=["none sold", "less than none sold", "price below zero", "positive cancellation"],
)
def test_a_row_that_no_rule_covers_stops_the_import(wrong: Row) -> None:
    with pytest.raises(DatasetError):
        keep([wrong])


@pytest.mark.parametrize(
    ("text", "amount"),
    [("2.1", 210), ("0.85", 85), ("8286.22", 828622), ("0.0", 0), ("3", 300), ("-1.5", -150)],
)
def test_prices_are_read_exactly(text: str, amount: int) -> None:
    assert pence(text) == amount


@pytest.mark.parametrize("text", ["", "1.005", "abc", "1e3", "1,5"])
def test_a_price_that_is_not_exact_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="unit_price"):
        pence(text)


def test_a_file_with_other_columns_is_refused() -> None:
    with pytest.raises(DatasetError, match="columns are a, b"):
        list(read(lzma.compress(b"a,b\n1,2\n")))


def test_an_empty_file_has_no_rows() -> None:
    assert list(read(lzma.compress(",".join(COLUMNS).encode()))) == []
