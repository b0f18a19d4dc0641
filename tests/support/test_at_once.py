"""Those who press at the same moment, and those who may not look: money moves once, all is on
record."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import pytest

from acme.support.billing.v1 import billing_pb2 as pb
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from support.desk import Desk, ask, new_id
from support.test_refusals import METHODS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def outcomes(*calls: Coroutine[Any, Any, Any]) -> Counter[str]:
    """How calls that are made at once end: "" or the reason."""
    found = Counter[str]()
    for end in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(end, BaseException) and not isinstance(end, StatusError | CallError):
            raise end
        found[end.reason if isinstance(end, StatusError | CallError) else ""] += 1
    return found


async def refunded(desk: Desk, token: str, invoice_id: str) -> int:
    """Pence that were given back on an invoice."""
    found = await desk.client.get_invoice(pb.GetInvoiceRequest(invoice_id=invoice_id), token=token)
    given = [each.amount for each in found.refunds if each.state == pb.REFUND_STATE_ISSUED]
    amounts = sum(each.units * 100 + each.nanos // 10_000_000 for each in given)
    shown = found.invoice.refunded
    assert shown.units * 100 + shown.nanos // 10_000_000 == amounts
    return amounts


async def test_of_supervisors_who_decide_at_once_one_does(desk: Desk) -> None:
    agent = desk.staff()
    invoice = await desk.invoice(1000_00)
    waiting = await desk.refund(agent, invoice, 600_00)
    supervisors = [desk.staff("supervisor") for _ in range(6)]
    ends = await outcomes(
        *(desk.approve(each, waiting.refund_id) for each in supervisors[:4]),
        *(desk.reject(each, waiting.refund_id) for each in supervisors[4:]),
    )
    assert ends == Counter({"REFUND_DECIDED": 5, "": 1})
    assert await refunded(desk, agent, invoice) in (0, 600_00)
    assert (await desk.left(agent, invoice))[1] in (400_00, 1000_00)


async def test_of_refunds_that_come_at_once_no_more_is_given_than_was_paid(desk: Desk) -> None:
    invoice = await desk.invoice(100_00)
    agents = [desk.staff() for _ in range(8)]
    ends = await outcomes(*(desk.refund(each, invoice, 30_00) for each in agents))
    assert ends == Counter({"REFUND_TOO_LARGE": 5, "": 3})
    assert await refunded(desk, agents[0], invoice) == 90_00


async def test_refunds_that_wait_are_let_pass_at_once_up_to_what_was_paid(desk: Desk) -> None:
    invoice = await desk.invoice(1000_00)
    agent = desk.staff()
    waiting = [await desk.refund(agent, invoice, 500_00) for _ in range(2)]
    supervisors = [desk.staff("supervisor") for _ in range(4)]
    ends = await outcomes(
        *(
            desk.approve(each, waiting[number % 2].refund_id)
            for number, each in enumerate(supervisors)
        )
    )
    assert ends == Counter({"REFUND_DECIDED": 2, "": 2})
    assert await refunded(desk, agent, invoice) == 1000_00


async def test_one_request_sent_many_times_at_once_gives_money_once(desk: Desk) -> None:
    invoice, agent, name = await desk.invoice(100_00), desk.staff(), new_id()
    ends = await outcomes(*(desk.refund(agent, invoice, 10_00, name) for _ in range(6)))
    assert ends == Counter({"": 6})
    assert await refunded(desk, agent, invoice) == 10_00


@pytest.mark.parametrize("pence", [-1_00, 0, -(2**62)])
async def test_no_refund_takes_money(desk: Desk, pence: int) -> None:
    invoice, agent = await desk.invoice(100_00), desk.staff()
    asked = ask(invoice, 0)
    asked.amount.units = pence
    ends = await outcomes(desk.client.create_refund(asked, token=agent))
    assert ends == Counter({"INVALID_REQUEST": 1})
    assert (await desk.left(agent, invoice))[1] == 100_00


async def test_who_is_refused_is_on_record_too(desk: Desk) -> None:
    before = len(await desk.mesh.audit("billing"))
    for method in METHODS:
        for token in ("", desk.token("stranger", "viewer"), desk.token("late", lifetime=-5)):
            with pytest.raises((StatusError, CallError)):
                await method.send(desk.client, method.request, token)
    lines = (await desk.mesh.audit("billing"))[before:]
    for method in METHODS:
        mine = [each for each in lines if each.get("method", "").endswith(f"/{method.name}")]
        assert [(each["decision"], each["reason"]) for each in mine] == [
            ("deny", "TOKEN_MISSING"),
            ("deny", "ROLE_MISSING"),
            ("deny", "TOKEN_EXPIRED"),
        ]
