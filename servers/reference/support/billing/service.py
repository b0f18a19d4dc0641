"""BillingService: the books and the refunds, as their contract has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message
from sqlalchemy import Connection

from acme.support.billing.v1 import billing_pb2 as pb
from acme.support.billing.v1.billing_mesh import (
    LIST_CUSTOMERS,
    LIST_INVOICES,
    LIST_REFUNDS,
    BillingServiceBase,
    RequestReused,
)
from meshpact.interceptors.call import Call, EndUser
from meshpact.servers.paging import PageTokens, page_size
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.idempotency import Idempotency
from reference.money import minor_units, money
from reference.support.billing import listing, messages, refunds
from reference.support.billing.limits import limit
from reference.support.billing.tables import answers

M = TypeVar("M", bound=Message)


class BillingService(BillingServiceBase):
    """Shows customers, invoices and refunds, and takes refunds."""

    def __init__(
        self,
        database: Database,
        tokens: PageTokens,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._idempotency = Idempotency(answers, lambda name: RequestReused(request_id=name))

    async def list_customers(
        self, request: pb.ListCustomersRequest, call: Call, /
    ) -> pb.ListCustomersResponse:
        """One page of customers."""
        size = page_size(request.page_size, LIST_CUSTOMERS.policy)
        after = self._tokens.start(request, call)
        found = await self._database.read(
            lambda connection: listing.find_customers(
                connection, request.customer_prefix, request.country, size + 1, after
            )
        )
        page, further = self._tokens.page(
            request, call, found, size, lambda each: (each.row.customer,)
        )
        return pb.ListCustomersResponse(
            customers=map(messages.customer, page), next_page_token=further
        )

    async def get_customer(
        self, request: pb.GetCustomerRequest, call: Call, /
    ) -> pb.GetCustomerResponse:
        """One customer."""
        found = await self._database.read(
            lambda connection: listing.customer(connection, request.customer)
        )
        return pb.GetCustomerResponse(customer=messages.customer(found))

    async def list_invoices(
        self, request: pb.ListInvoicesRequest, call: Call, /
    ) -> pb.ListInvoicesResponse:
        """One page of a customer's invoices."""
        size = page_size(request.page_size, LIST_INVOICES.policy)
        after = self._tokens.start(request, call)
        found = await self._database.read(
            lambda connection: listing.invoices_of(connection, request.customer, size + 1, after)
        )
        page, further = self._tokens.page(
            request, call, found, size, lambda row: (row.placed_at, row.invoice_id)
        )
        return pb.ListInvoicesResponse(
            invoices=map(messages.invoice, page), next_page_token=further
        )

    async def get_invoice(
        self, request: pb.GetInvoiceRequest, call: Call, /
    ) -> pb.GetInvoiceResponse:
        """One invoice with all that belongs to it."""
        invoice_id = request.invoice_id.lower()
        found = await self._database.read(
            lambda connection: listing.invoice(connection, invoice_id)
        )
        return pb.GetInvoiceResponse(
            invoice=messages.whole_invoice(found), refunds=map(messages.refund, found.refunds)
        )

    async def list_refunds(
        self, request: pb.ListRefundsRequest, call: Call, /
    ) -> pb.ListRefundsResponse:
        """One page of refunds."""
        size = page_size(request.page_size, LIST_REFUNDS.policy)
        after = self._tokens.start(request, call)
        state = messages.state_of(request.state)
        found = await self._database.read(
            lambda connection: listing.find_refunds(
                connection, request.customer, state, size + 1, after
            )
        )
        page, further = self._tokens.page(
            request, call, found, size, lambda row: (row.created_at, row.refund_id)
        )
        return pb.ListRefundsResponse(refunds=map(messages.refund, page), next_page_token=further)

    async def get_refund_limit(
        self, request: pb.GetRefundLimitRequest, call: Call, /
    ) -> pb.GetRefundLimitResponse:
        """What the caller may give back on an invoice."""
        user = _user(call)
        found = await self._database.read(
            lambda connection: refunds.allowed(
                connection, request.invoice_id.lower(), user.subject, _limit(user)
            )
        )
        return pb.GetRefundLimitResponse(
            alone=money(found.alone, found.currency), left=money(found.left, found.currency)
        )

    async def create_refund(
        self, request: pb.CreateRefundRequest, call: Call, /
    ) -> pb.CreateRefundResponse:
        """A refund, given or waiting."""
        user = _user(call)
        asked = refunds.Asked(
            refund_id=request.request_id.lower(),
            invoice_id=request.invoice_id.lower(),
            amount=minor_units(request.amount),
            currency=request.amount.currency_code,
            reason=request.reason,
            requester=user.subject,
        )

        def make(connection: Connection) -> pb.CreateRefundResponse:
            made = refunds.create(connection, asked, _limit(user), self._now())
            return pb.CreateRefundResponse(refund=messages.refund(made))

        return await self._once(request, call, make)

    async def approve_refund(
        self, request: pb.ApproveRefundRequest, call: Call, /
    ) -> pb.ApproveRefundResponse:
        """A refund that waited is given."""
        decider, refund_id = _user(call).subject, request.refund_id.lower()

        def make(connection: Connection) -> pb.ApproveRefundResponse:
            given = refunds.approve(connection, refund_id, decider, self._now())
            return pb.ApproveRefundResponse(refund=messages.refund(given))

        return await self._once(request, call, make)

    async def reject_refund(
        self, request: pb.RejectRefundRequest, call: Call, /
    ) -> pb.RejectRefundResponse:
        """A refund that waited is turned down."""
        decider, refund_id = _user(call).subject, request.refund_id.lower()

        def make(connection: Connection) -> pb.RejectRefundResponse:
            refused = refunds.reject(connection, refund_id, decider, request.rejection, self._now())
            return pb.RejectRefundResponse(refund=messages.refund(refused))

        return await self._once(request, call, make)

    async def _once(self, request: Message, call: Call, make: Callable[[Connection], M]) -> M:
        return await self._database.write(
            lambda connection: self._idempotency.remember(
                connection, call, request, lambda: make(connection)
            )
        )

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)


def _user(call: Call) -> EndUser:
    """Who asks; the contract lets nobody in without one."""
    assert call.user is not None
    return call.user


def _limit(user: EndUser) -> Callable[[str], int]:
    return lambda currency: limit(user.groups, currency)
