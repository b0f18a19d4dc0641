"""What the portal shows: customers, their invoices, and the refunds that wait."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from acme.support.billing.v1 import billing_pb2 as pb
from acme.support.billing.v1.billing_mesh import BillingServiceClient
from reference.support.web import words
from reference.web.app import Site
from reference.web.login import Login, SignedIn

APPROVE: Final = "billing.approve"
SHOP: Final = "customer-"
"""How the shop's customers are called before their number."""
DECIDED: Final = {"issued": "The refund is given.", "rejected": "The refund is turned down."}


class Shown(NamedTuple):
    """What an invoice's page says beside the invoice: what was written, and what is wrong."""

    amount: str = ""
    reason: str = ""
    amount_error: str = ""
    reason_error: str = ""
    error: str = ""


class Pages:
    """The pages of the portal."""

    def __init__(self, site: Site, login: Login, billing: BillingServiceClient) -> None:
        self._site = site
        self._login = login
        self._billing = billing
        self.routes = [
            Route("/", self.customers),
            Route("/customers/{number:path}", self.customer),
            Route("/invoices/{invoice_id:uuid}", self.invoice),
            Route("/queue", self.queue),
        ]

    async def customers(self, request: Request) -> Response:
        """A search, and what it finds."""
        user, asked = self._login.user(request), request.query_params
        number, country = asked.get("number", "").strip(), asked.get("country", "").strip()
        values: dict[str, object] = {"number": number, "country": country, "found": None}
        if number or country:
            answer = await self._find(user, number, country, asked.get("page", ""))
            if number.isdecimal() and not answer.customers:
                number = SHOP + number
                answer = await self._find(user, number, country, "")
            values |= {
                "searched": number,
                "found": answer.customers,
                "next": answer.next_page_token,
            }
        return self.page(request, user, "customers.html", values)

    async def _find(
        self, user: SignedIn, number: str, country: str, page: str
    ) -> pb.ListCustomersResponse:
        asked = pb.ListCustomersRequest(customer_prefix=number, country=country, page_token=page)
        return await self._billing.list_customers(asked, token=await user.token())

    async def customer(self, request: Request) -> Response:
        """One customer with invoices and refunds."""
        user, number = self._login.user(request), str(request.path_params["number"])
        token = await user.token()
        found, invoices, refunds = await asyncio.gather(
            self._billing.get_customer(pb.GetCustomerRequest(customer=number), token=token),
            self._billing.list_invoices(
                pb.ListInvoicesRequest(
                    customer=number, page_token=request.query_params.get("page", "")
                ),
                token=token,
            ),
            self._billing.list_refunds(
                pb.ListRefundsRequest(customer=number, page_size=100), token=token
            ),
        )
        values = {
            "customer": found.customer,
            "invoices": invoices.invoices,
            "next": invoices.next_page_token,
            "refunds": refunds.refunds,
        }
        return self.page(request, user, "customer.html", values)

    async def invoice(self, request: Request) -> Response:
        """One invoice, with the form for a refund."""
        return await self.invoice_page(request, self._login.user(request), Shown())

    async def invoice_page(
        self, request: Request, user: SignedIn, shown: Shown, status: int = 200
    ) -> Response:
        """An invoice's page with what is to be said on it."""
        found, limit = await self.looked_up(request, user)
        made = request.query_params.get("refund", "")
        values = {
            "invoice": found.invoice,
            "refunds": found.refunds,
            "limit": limit,
            "may_ask": bool(limit.left.units or limit.left.nanos),
            "shown": shown,
            "outcomes": words.MADE,
            "made": next((each for each in found.refunds if each.refund_id == made), None),
        }
        return self.page(request, user, "invoice.html", values, status)

    async def looked_up(
        self, request: Request, user: SignedIn
    ) -> tuple[pb.GetInvoiceResponse, pb.GetRefundLimitResponse]:
        """The invoice that a path names, and what the user may give back on it."""
        invoice_id, token = str(request.path_params["invoice_id"]), await user.token()
        return await asyncio.gather(
            self._billing.get_invoice(pb.GetInvoiceRequest(invoice_id=invoice_id), token=token),
            self._billing.get_refund_limit(
                pb.GetRefundLimitRequest(invoice_id=invoice_id), token=token
            ),
        )

    async def queue(self, request: Request) -> Response:
        """The refunds that wait for a supervisor."""
        return await self.queue_page(request, self._login.user(request))

    async def queue_page(
        self, request: Request, user: SignedIn, error: str = "", status: int = 200
    ) -> Response:
        """The queue with what is to be said on it."""
        asked = request.query_params
        answer = await self._billing.list_refunds(
            pb.ListRefundsRequest(
                state=pb.REFUND_STATE_PENDING, page_size=50, page_token=asked.get("page", "")
            ),
            token=await user.token(),
        )
        values = {
            "refunds": answer.refunds,
            "page": asked.get("page", ""),
            "next": answer.next_page_token,
            "decides": APPROVE in user.scopes,
            "decided": DECIDED.get(asked.get("decided", ""), ""),
            "error": error,
        }
        return self.page(request, user, "queue.html", values, status)

    def page(
        self,
        request: Request,
        user: SignedIn,
        template: str,
        values: Mapping[str, object],
        status: int = 200,
    ) -> Response:
        """A page from a template, which also sees what words are made with."""

        def person(subject: str) -> str:
            return "you" if subject == user.subject else f"colleague {words.short(subject)}"

        further = {
            "money": words.shown,
            "when": words.when,
            "short": words.short,
            "invoice_states": words.INVOICE_STATES,
            "refund_states": words.REFUND_STATES,
            "person": person,
            "new_id": lambda: str(uuid.uuid4()),
        }
        return self._site.page(request, template, {**further, **values}, status)
