"""Every look at personal data stands in the audit trail, and none of the data in any log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Generator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from sqlalchemy import Connection, text

from acme.support.billing.v1 import billing_pb2 as pb
from meshpact.clients import CallError
from meshpact.interceptors.errors import Code, StatusError
from meshpact.servers.redaction import redacted
from salesfeed import PLACED
from support.desk import Desk, ask, desk_of, new_id, order
from support.test_refusals import BY_NAME, METHODS, Method, refused

CUSTOMER: Final = "customer-4711"
COUNTRY: Final = "Ruritania"
REASON: Final = "the vase of aunt Agatha arrived in pieces"
REJECTION: Final = "aunt Agatha has had one before"
AGENT: Final = "agent-of-this-test"
SECRETS: Final = (CUSTOMER, COUNTRY, REASON, REJECTION, AGENT, "98.76", "9876")
PENCE: Final = 98_76


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    """Billing of its own for each test: they break it."""
    url = f"sqlite:///{tmp_path}/billing.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres")()
    async with desk_of(tmp_path, lambda _: url) as running:
        yield running


def request_of(method: Method, invoice_id: str, refund_id: str) -> Any:
    """A good request with all the personal data that it can hold."""
    match method.name:
        case "ListCustomers":
            return pb.ListCustomersRequest(customer_prefix=CUSTOMER, country=COUNTRY)
        case "GetCustomer":
            return pb.GetCustomerRequest(customer=CUSTOMER)
        case "ListInvoices":
            return pb.ListInvoicesRequest(customer=CUSTOMER)
        case "ListRefunds":
            return pb.ListRefundsRequest(customer=CUSTOMER)
        case "CreateRefund":
            made = ask(invoice_id, PENCE)
            made.reason = REASON
            return made
        case "ApproveRefund":
            return pb.ApproveRefundRequest(request_id=new_id(), refund_id=refund_id)
        case "RejectRefund":
            return pb.RejectRefundRequest(
                request_id=new_id(), refund_id=refund_id, rejection=REJECTION
            )
        case _:
            return type(method.request)(invoice_id=invoice_id)


async def prepared(desk: Desk) -> tuple[str, str]:
    """An invoice of the customer, and a refund on it that waits."""
    invoice = await desk.invoice(10 * PENCE, customer=CUSTOMER, country=COUNTRY)
    waiting = await desk.client.create_refund(
        request_of(BY_NAME["CreateRefund"], invoice, ""), token=desk.token(AGENT)
    )
    return invoice, waiting.refund.refund_id


@contextlib.contextmanager
def no_trail(desk: Desk) -> Generator[None]:
    """While it lasts, nothing can be written to the audit trail."""
    audit, aside = desk.mesh.state.audit, desk.mesh.state.audit.with_name("aside")
    audit.rename(aside)
    for file in list(aside.iterdir()):
        if file.name.endswith(".jsonl"):
            file.unlink()
    audit.write_text("in the way")
    try:
        yield
    finally:
        audit.unlink()
        aside.rename(audit)


async def test_every_call_stands_in_the_trail_with_its_intent_and_nobodys_name(
    desk: Desk,
) -> None:
    invoice, refund = await prepared(desk)
    for method in METHODS:
        token = desk.token(f"{AGENT}-{method.name}", *method.groups)
        with contextlib.suppress(StatusError):
            await method.send(desk.client, request_of(method, invoice, refund), token)
    lines = await desk.mesh.audit("billing")
    for method in METHODS:
        mine = [each for each in lines if each.get("method", "").endswith(f"/{method.name}")]
        assert {each["event"] for each in mine} == {"intent", "call"}
        assert all(each["decision"] == "allow" and each["user_hash"] for each in mine)
    written = (desk.mesh.state.audit / "billing.jsonl").read_text()
    assert [secret for secret in SECRETS if secret in written] == []


async def test_a_call_that_cannot_be_put_on_record_is_refused_and_nothing_happens(
    desk: Desk,
) -> None:
    invoice, refund = await prepared(desk)
    reader = desk.token("reader")
    whole = pb.GetInvoiceRequest(invoice_id=invoice)
    before = await desk.client.get_invoice(whole, token=reader)
    with no_trail(desk):
        for method in METHODS:
            token = desk.token(f"{AGENT}-{method.name}", *method.groups)
            code, reason, words = await refused(
                method.send(desk.client, request_of(method, invoice, refund), token)
            )
            assert (code, reason) == (Code.UNAVAILABLE, "AUDIT_UNAVAILABLE"), method.name
            assert words
    assert await desk.client.get_invoice(whole, token=reader) == before


async def test_messages_in_a_log_show_nothing_personal(desk: Desk) -> None:
    invoice, refund = await prepared(desk)
    written: list[str] = []
    for method in METHODS:
        request = request_of(method, invoice, refund)
        written.append(redacted(request))
        with contextlib.suppress(StatusError):
            token = desk.token(f"{AGENT}-{method.name}", *method.groups)
            answer: Any = await method.send(desk.client, request, token)
            written.append(redacted(answer))
    assert len(written) > len(METHODS)
    everything = "\n".join(written)
    assert [secret for secret in SECRETS if secret in everything] == []
    assert '"reason": "[redacted]"' in everything
    assert '"customer": "[redacted]"' in everything


async def test_no_log_holds_personal_data_whatever_goes_wrong(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    invoice, refund = await prepared(desk)

    async def reasons() -> list[str]:
        found: list[str] = []
        for method in METHODS:
            token = desk.token(f"{AGENT}-{method.name}", *method.groups)
            try:
                await method.send(desk.client, request_of(method, invoice, refund), token)
            except (CallError, StatusError) as error:
                assert isinstance(error, CallError | StatusError)
                found.append(error.reason)
        return found

    assert await reasons() == ["REFUND_DECIDED"]  # approved, then turned down
    # Columns that are gone: statements fail with their values at hand.
    for table, column in (
        ("customers", "country"),
        ("invoices", "placed_at"),
        ("refunds", "rejection"),
    ):
        change = f"ALTER TABLE {table} RENAME COLUMN {column} TO gone"
        await desk.database.write(partial(_run, change))
    assert set(await reasons()) == {"MASKED"}
    await desk.feed.add(*order((PLACED, (("A1", 1, PENCE),)), customer=CUSTOMER, country=COUNTRY))
    async with asyncio.timeout(20):
        while True:
            if "following orders: failed" in caplog.text:
                break
            await asyncio.sleep(0.01)
    assert [secret for secret in SECRETS if secret in caplog.text] == []


def _run(statement: str, connection: Connection) -> None:
    connection.execute(text(statement))
