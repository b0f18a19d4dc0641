"""Billing behind its guard: invoices as orders go on, refunds within limits, decisions above."""

from __future__ import annotations

import pytest

from acme.support.billing.v1 import billing_pb2 as pb
from acme.support.billing.v1.billing_mesh import (
    RefundDecided,
    RefundTooLarge,
    RequestReused,
)
from reference.money import money
from salesfeed import CANCELLED, PLACED, RETURNED, SHIPPED
from support.desk import Desk, ask, new_id, order

pytestmark = pytest.mark.asyncio(loop_scope="module")

LINES = (("22423", 4, 12_75), ("85123a", 6, 2_55))


async def whole(desk: Desk, invoice_id: str) -> pb.GetInvoiceResponse:
    request = pb.GetInvoiceRequest(invoice_id=invoice_id)
    return await desk.client.get_invoice(request, token=desk.staff())


async def test_an_order_becomes_an_invoice_with_its_lines_and_charges(desk: Desk) -> None:
    (placed,) = order((PLACED, LINES), customer="12346", at=1_320_000_000, charges=18_00)
    await desk.happen(placed)
    found = (await whole(desk, placed.order_id)).invoice
    assert found == pb.Invoice(
        invoice_id=placed.order_id,
        customer="12346",
        country="Norway",
        state=pb.INVOICE_STATE_PAID,
        place_time=placed.place_time,
        total=money(84_30),
        credited=money(0),
        refunded=money(0),
        lines=[
            pb.InvoiceLine(sku="22423", quantity=4, unit_price=money(12_75)),
            pb.InvoiceLine(sku="85123A", quantity=6, unit_price=money(2_55)),
        ],
        charges=[pb.InvoiceCharge(code="POST", amount=money(18_00))],
    )


async def test_what_leaves_and_comes_back_shows_on_the_invoice(desk: Desk) -> None:
    placed, shipped, returned = order(
        (PLACED, LINES), (SHIPPED, LINES), (RETURNED, (("85123A", 2, 2_55),))
    )
    await desk.happen(placed, shipped)
    assert (await whole(desk, placed.order_id)).invoice.state == pb.INVOICE_STATE_SHIPPED
    await desk.happen(returned)
    found = (await whole(desk, placed.order_id)).invoice
    assert found.state == pb.INVOICE_STATE_SHIPPED
    assert found.credited == money(5_10)
    assert [line.credited_quantity for line in found.lines] == [0, 2]


async def test_a_cancelled_order_is_credited_whole(desk: Desk) -> None:
    events = order((PLACED, LINES), (CANCELLED, LINES), charges=18_00)
    await desk.happen(*events)
    found = (await whole(desk, events[0].order_id)).invoice
    assert (found.state, found.credited) == (pb.INVOICE_STATE_CANCELLED, found.total)
    assert [line.credited_quantity for line in found.lines] == [4, 6]


async def test_a_customer_has_what_all_invoices_come_to(desk: Desk) -> None:
    await desk.invoice(100_00, customer="40001", country="France", at=1_000)
    invoice = await desk.invoice(50_00, customer="40001", country="Spain", at=2_000)
    await desk.invoice(7_00, customer="40001", country="Italy", at=1_500)
    await desk.happen(*order((RETURNED, (("22423", 1, 50_00),)), order_id=invoice))
    token = desk.staff()
    other = await desk.invoice(80_00, customer="40001", country="France", at=1_001)
    await desk.refund(token, other, 30_00)
    found = (
        await desk.client.get_customer(pb.GetCustomerRequest(customer="40001"), token=token)
    ).customer
    assert (found.country, found.invoice_count) == ("Spain", 4)
    assert found.last_order_time.ToSeconds() == 2_000
    assert list(found.balances) == [money(157_00)]


async def test_customers_are_found_by_the_beginning_of_their_number_and_by_country(
    desk: Desk,
) -> None:
    numbers = [f"77{number:03}" for number in range(7)]
    for place, number in enumerate([*numbers, "78000", "7%", "7_"]):
        await desk.invoice(customer=number, country="Malta" if place % 2 else "Cyprus")
    token = desk.staff()

    async def found(size: int = 100, **fields: str) -> list[str]:
        names: list[str] = []
        after = ""
        while True:
            page = await desk.client.list_customers(
                pb.ListCustomersRequest(**fields, page_size=size, page_token=after), token=token
            )
            assert len(page.customers) <= size
            names += [each.customer for each in page.customers]
            after = page.next_page_token
            if not after:
                return names

    assert await found(customer_prefix="77") == numbers
    assert await found(2, customer_prefix="77") == numbers
    assert await found(customer_prefix="7%") == ["7%"]
    assert await found(customer_prefix="7_") == ["7_"]
    assert await found(customer_prefix="77", country="Malta") == numbers[1::2]
    assert await found(country="malta") == []
    assert set(numbers) < set(await found())


async def test_invoices_come_the_newest_first_page_by_page(desk: Desk) -> None:
    made = [await desk.invoice(customer="50001", at=at) for at in (10, 30, 20, 20, 5)]
    token = desk.staff()
    found: list[str] = []
    after = ""
    while len(found) < 5:
        page = await desk.client.list_invoices(
            pb.ListInvoicesRequest(customer="50001", page_size=2, page_token=after), token=token
        )
        found += [each.invoice_id for each in page.invoices]
        assert not any(each.lines for each in page.invoices)
        # One that comes meanwhile moves nothing.
        await desk.invoice(customer="50001", at=100 + len(found))
        after = page.next_page_token
    assert not after
    first, second = sorted((made[2], made[3]), reverse=True)
    assert found == [made[1], first, second, made[0], made[4]]


async def test_refunds_are_listed_by_customer_and_by_state(desk: Desk) -> None:
    invoice = await desk.invoice(500_00, customer="60001")
    token, supervisor = desk.staff(), desk.staff("supervisor")
    made = [(await desk.refund(token, invoice, pence)).refund_id for pence in (10_00, 60_00, 70_00)]
    await desk.reject(supervisor, made[1])

    async def found(**fields: object) -> list[str]:
        names: list[str] = []
        after = ""
        while True:
            request = pb.ListRefundsRequest(**fields, page_size=1, page_token=after)  # type: ignore[arg-type]
            page = await desk.client.list_refunds(request, token=token)
            names += [each.refund_id for each in page.refunds]
            after = page.next_page_token
            if not after:
                return names

    assert await found(customer="60001") == made[::-1]
    assert await found(customer="60001", state=pb.REFUND_STATE_PENDING) == [made[2]]
    assert await found(customer="60001", state=pb.REFUND_STATE_REJECTED) == [made[1]]
    assert made[2] in await found(state=pb.REFUND_STATE_PENDING)
    assert await found(customer="nobody") == []
    assert [each.refund_id for each in (await whole(desk, invoice)).refunds] == made[::-1]


async def test_a_refund_within_the_limit_is_given_at_once(desk: Desk) -> None:
    invoice = await desk.invoice(100_00, customer="17850")
    agent = desk.token("agent-within")
    assert await desk.left(agent, invoice) == (50_00, 100_00)
    given = await desk.refund(agent, invoice, 50_00)
    assert given.state == pb.REFUND_STATE_ISSUED
    assert (given.requester, given.decider, given.customer) == ("agent-within", "", "17850")
    assert given.decide_time == given.create_time
    assert await desk.left(agent, invoice) == (0, 50_00)
    assert (await whole(desk, invoice)).invoice.refunded == money(50_00)


async def test_splitting_a_refund_does_not_get_around_the_limit(desk: Desk) -> None:
    invoice = await desk.invoice(100_00)
    agent = desk.staff()
    states = [(await desk.refund(agent, invoice, 20_00)).state for _ in range(4)]
    issued, pending = pb.REFUND_STATE_ISSUED, pb.REFUND_STATE_PENDING
    assert states == [issued, issued, pending, pending]
    assert await desk.left(agent, invoice) == (10_00, 20_00)
    # Another invoice, and another agent, have limits of their own.
    assert (await desk.refund(agent, await desk.invoice(), 50_00)).state == issued
    assert (await desk.refund(desk.staff(), invoice, 20_00)).state == issued


async def test_a_supervisor_gives_more_and_above_that_another_one_decides(desk: Desk) -> None:
    invoice = await desk.invoice(2000_00)
    supervisor = desk.staff("supervisor")
    assert await desk.left(supervisor, invoice) == (500_00, 2000_00)
    assert (await desk.refund(supervisor, invoice, 500_00)).state == pb.REFUND_STATE_ISSUED
    waiting = await desk.refund(supervisor, invoice, 1)
    assert waiting.state == pb.REFUND_STATE_PENDING
    passed = await desk.approve(desk.staff("supervisor"), waiting.refund_id)
    assert passed.state == pb.REFUND_STATE_ISSUED


async def test_who_is_in_both_groups_has_the_larger_limit(desk: Desk) -> None:
    both = desk.staff("agent", "supervisor", "analyst")
    assert (await desk.left(both, await desk.invoice(1000_00)))[0] == 500_00


async def test_a_supervisor_lets_a_refund_pass_that_is_above_the_limit(desk: Desk) -> None:
    invoice = await desk.invoice(100_00)
    waiting = await desk.refund(desk.staff(), invoice, 80_00)
    assert waiting.state == pb.REFUND_STATE_PENDING
    assert not waiting.HasField("decide_time")
    assert (await whole(desk, invoice)).invoice.refunded == money(0)
    passed = await desk.approve(desk.token("decider", "supervisor"), waiting.refund_id)
    assert (passed.state, passed.decider) == (pb.REFUND_STATE_ISSUED, "decider")
    assert passed.HasField("decide_time")
    assert (await whole(desk, invoice)).invoice.refunded == money(80_00)


async def test_what_is_turned_down_is_free_again(desk: Desk) -> None:
    invoice = await desk.invoice(100_00)
    agent, supervisor = desk.staff(), desk.staff("supervisor")
    waiting = await desk.refund(agent, invoice, 80_00)
    assert await desk.left(agent, invoice) == (20_00, 20_00)
    refused = await desk.reject(supervisor, waiting.refund_id, "a replacement was sent")
    assert refused.state == pb.REFUND_STATE_REJECTED
    assert refused.rejection == "a replacement was sent"
    assert await desk.left(agent, invoice) == (50_00, 100_00)


async def test_a_refund_that_was_let_pass_counts_for_the_limit(desk: Desk) -> None:
    invoice = await desk.invoice(300_00)
    agent = desk.staff()
    waiting = await desk.refund(agent, invoice, 60_00)
    assert await desk.left(agent, invoice) == (50_00, 240_00)
    await desk.approve(desk.staff("supervisor"), waiting.refund_id)
    assert await desk.left(agent, invoice) == (0, 240_00)


async def test_a_refund_for_which_too_little_is_left_when_goods_came_back_is_refused(
    desk: Desk,
) -> None:
    invoice = await desk.invoice(100_00)
    waiting = await desk.refund(desk.staff(), invoice, 80_00)
    await desk.happen(*order((RETURNED, (("22423", 1, 100_00),)), order_id=invoice))
    supervisor = desk.staff("supervisor")
    with pytest.raises(RefundTooLarge) as refused:
        await desk.approve(supervisor, waiting.refund_id)
    assert refused.value.metadata == {
        "invoice_id": invoice,
        "left": "0.00 GBP",
        "requested": "80.00 GBP",
    }
    await desk.reject(supervisor, waiting.refund_id)


async def test_goods_that_come_back_after_a_refund_are_credited_with_what_is_left(
    desk: Desk,
) -> None:
    invoice = await desk.invoice(100_00)
    await desk.refund(desk.staff(), invoice, 50_00)
    await desk.happen(*order((CANCELLED, (("22423", 1, 100_00),)), order_id=invoice))
    found = (await whole(desk, invoice)).invoice
    assert (found.credited, found.refunded) == (money(50_00), money(50_00))


async def test_the_same_request_again_gives_the_same_answer_and_changes_nothing(
    desk: Desk,
) -> None:
    invoice = await desk.invoice(100_00)
    agent, supervisor = desk.staff(), desk.staff("supervisor")
    name = new_id()
    first = await desk.refund(agent, invoice, 60_00, name)
    decision = new_id()
    passed = await desk.approve(supervisor, name, decision)
    assert first.state == pb.REFUND_STATE_PENDING
    assert await desk.refund(agent, invoice, 60_00, name) == first
    assert await desk.refund(agent, invoice, 60_00, name.upper()) == first
    assert await desk.approve(supervisor, name, decision) == passed
    assert (await whole(desk, invoice)).invoice.refunded == money(60_00)
    with pytest.raises(RefundDecided) as decided:
        await desk.approve(supervisor, name)
    assert decided.value.metadata == {"refund_id": name, "state": "issued"}


async def test_a_request_id_stands_for_one_request_whoever_sends_it(desk: Desk) -> None:
    invoice, other = await desk.invoice(), await desk.invoice()
    agent, name = desk.staff(), new_id()
    await desk.refund(agent, invoice, 10_00, name)
    for token, request in (
        (agent, ask(invoice, 10_01, name)),
        (agent, ask(other, 10_00, name)),
        (desk.staff(), ask(invoice, 10_00, name)),
        (desk.staff(), ask(other, 10_00, name)),
    ):
        with pytest.raises(RequestReused) as refused:
            await desk.client.create_refund(request, token=token)
        assert refused.value.request_id == name
    assert await desk.left(agent, invoice) == (40_00, 90_00)
    assert (await desk.left(agent, other))[1] == 100_00


async def test_billing_goes_on_where_it_ended_after_a_restart_and_lost_connections(
    desk: Desk,
) -> None:
    before = await desk.books.revision()
    agent = desk.staff()
    invoice = await desk.invoice(customer="90001")
    for _ in range(2):
        await desk.feed.cut()
        await desk.happen(*order((SHIPPED, (("22423", 1, 100_00),)), order_id=invoice))
    await desk.mesh.stop("billing")
    revision = await desk.feed.add(*order((PLACED, LINES), customer="90001"))
    await desk.mesh.start("billing")
    await desk.happen()
    assert await desk.books.revision() == revision == before + 4
    found = await desk.client.get_customer(pb.GetCustomerRequest(customer="90001"), token=agent)
    assert found.customer.invoice_count == 2
