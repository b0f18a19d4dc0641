"""Billing's database goes away, is locked or cannot be written: calls say so, money moves once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable

import pytest
from sqlalchemy import make_url

from acme.support.billing.v1 import billing_pb2 as pb
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code
from outages import WORDS, answered, away, back
from salesfeed import PLACED
from support.desk import Desk, new_id, order
from support.test_refusals import METHODS

pytestmark = pytest.mark.asyncio(loop_scope="module")


def place(desk: Desk) -> str:
    """Where billing's database is."""
    return desk.database.url.render_as_string(hide_password=False)


async def told(call: Awaitable[object]) -> tuple[Code, str, str, float | None]:
    """How a call is refused."""
    with pytest.raises(CallError) as caught:
        await call
    error = caught.value
    return error.code, error.reason, error.message, error.retry_after


UNAVAILABLE = (Code.UNAVAILABLE, "STORAGE_UNAVAILABLE", WORDS, 1.0)


async def test_every_method_says_that_the_database_is_away_and_goes_on_afterwards(
    desk: Desk,
) -> None:
    invoice, agent, supervisor = await desk.invoice(), desk.staff(), desk.staff("supervisor")
    (placed,) = order((PLACED, (("22423", 1, 100_00),)))
    name = new_id()
    await away(place(desk))
    try:
        for method in METHODS:
            token = supervisor if "supervisor" in method.groups else agent
            assert await told(method.send(desk.client, method.request, token)) == UNAVAILABLE
        assert await told(desk.refund(agent, invoice, 10_00, name)) == UNAVAILABLE
        await desk.feed.add(placed)
    finally:
        await back(place(desk))
    given = await answered(lambda: desk.refund(agent, invoice, 10_00, name))
    assert given.state == pb.REFUND_STATE_ISSUED
    assert (await desk.left(agent, invoice))[1] == 90_00
    await desk.happen()  # what was placed meanwhile is billed
    found = pb.GetInvoiceRequest(invoice_id=placed.order_id)
    assert (await desk.client.get_invoice(found, token=agent)).invoice.total.units == 100


async def test_while_another_program_writes_refunds_are_refused_and_invoices_shown(
    desk: Desk,
) -> None:
    if not desk.database.sqlite:
        return  # rows are locked there, not the database
    invoice, agent, name = await desk.invoice(), desk.staff(), new_id()
    other = sqlite3.connect(str(make_url(place(desk)).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tries = [told(desk.refund(agent, invoice, 10_00, name)) for _ in range(4)]
    assert await asyncio.gather(*tries) == [UNAVAILABLE] * 4
    assert (await desk.left(agent, invoice))[1] == 100_00
    other.execute("ROLLBACK")
    other.close()
    await answered(lambda: desk.refund(agent, invoice, 10_00, name))
    assert (await desk.left(agent, invoice))[1] == 90_00
