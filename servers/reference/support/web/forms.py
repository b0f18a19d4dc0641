"""What the portal is sent: a refund in two steps, and what supervisors decide.

Every form carries the request_id of its call: sent twice, it does what it says once.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from acme.support.billing.v1 import billing_pb2 as pb
from acme.support.billing.v1.billing_mesh import BillingServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import StatusError
from reference.money import minor_units
from reference.support.web.pages import Pages, Shown
from reference.support.web.words import amount_of, reason_of, shown
from reference.web.login import Login, SignedIn
from reference.web.problems import of_call


class Forms:
    """The forms of the portal."""

    def __init__(self, login: Login, billing: BillingServiceClient, pages: Pages) -> None:
        self._login = login
        self._billing = billing
        self._pages = pages
        invoice, refund = "/invoices/{invoice_id:uuid}", "/refunds/{refund_id:uuid}"
        self.routes = [
            Route(f"{invoice}/refund", self.ask, methods=["POST"]),
            Route(f"{invoice}/refund/confirm", self.confirm, methods=["POST"]),
            Route(f"{refund}/approve", self.approve, methods=["POST"]),
            Route(f"{refund}/reject", self.reject, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """The first step: what would happen."""
        user, form = await self._login.form(request)
        written = Shown(form.get("amount", ""), form.get("reason", ""))
        found, limit = await self._pages.looked_up(request, user)
        try:
            amount = amount_of(written.amount, found.invoice.total.currency_code)
            if minor_units(amount) > minor_units(limit.left):
                raise ValueError(f"Only {shown(limit.left)} can be given back on this invoice.")
        except ValueError as error:
            return await self._pages.invoice_page(
                request, user, written._replace(amount_error=str(error)), 400
            )
        try:
            reason = reason_of(written.reason)
        except ValueError as error:
            return await self._pages.invoice_page(
                request, user, written._replace(reason_error=str(error)), 400
            )
        values = {
            "invoice": found.invoice,
            "amount": amount,
            "written": written.amount,
            "reason": reason,
            "alone": minor_units(amount) <= minor_units(limit.alone),
            "limit": limit,
            "request_id": str(uuid.uuid4()),
        }
        return self._pages.page(request, user, "confirm.html", values)

    async def confirm(self, request: Request) -> Response:
        """The second step: it happens."""
        user, form = await self._login.form(request)
        written = Shown(form.get("amount", ""), form.get("reason", ""))
        invoice_id = str(request.path_params["invoice_id"])
        try:
            asked = pb.CreateRefundRequest(
                request_id=form.get("request_id", ""),
                invoice_id=invoice_id,
                amount=amount_of(written.amount, form.get("currency", "")),
                reason=written.reason,
            )
        except ValueError as error:
            wrong = written._replace(amount_error=str(error))
            return await self._pages.invoice_page(request, user, wrong, 400)
        try:
            answer = await self._billing.create_refund(asked, token=await user.token())
        except (CallError, StatusError) as error:
            problem = of_call(error)
            if problem.status == 503:
                # Not the form again: what it asks for would have another name, and be given twice.
                return self._unsure(request, user, asked, written, problem.retry_after)
            return await self._pages.invoice_page(
                request, user, written._replace(error=problem.message), problem.status
            )
        where = f"/invoices/{invoice_id}?refund={answer.refund.refund_id}"
        return RedirectResponse(where, 303)

    def _unsure(
        self,
        request: Request,
        user: SignedIn,
        asked: pb.CreateRefundRequest,
        written: Shown,
        retry_after: int,
    ) -> Response:
        values = {
            "invoice_id": asked.invoice_id,
            "request_id": asked.request_id,
            "amount": asked.amount,
            "written": written,
        }
        page = self._pages.page(request, user, "unsure.html", values, 503)
        page.headers["retry-after"] = str(retry_after)
        return page

    async def approve(self, request: Request) -> Response:
        """A supervisor lets a refund pass."""
        user, form = await self._login.form(request)
        asked = pb.ApproveRefundRequest(
            request_id=form.get("request_id", ""),
            refund_id=str(request.path_params["refund_id"]),
        )
        call = self._billing.approve_refund(asked, token=await user.token())
        return await self._decided(request, call, "issued")

    async def reject(self, request: Request) -> Response:
        """A supervisor turns a refund down."""
        user, form = await self._login.form(request)
        try:
            rejection = reason_of(form.get("rejection", ""))
        except ValueError as error:
            return await self._pages.queue_page(request, user, str(error), 400)
        asked = pb.RejectRefundRequest(
            request_id=form.get("request_id", ""),
            refund_id=str(request.path_params["refund_id"]),
            rejection=rejection,
        )
        call = self._billing.reject_refund(asked, token=await user.token())
        return await self._decided(request, call, "rejected")

    async def _decided(self, request: Request, call: Awaitable[object], how: str) -> Response:
        try:
            await call
        except (CallError, StatusError) as error:
            problem = of_call(error)
            user = self._login.user(request)
            return await self._pages.queue_page(request, user, problem.message, problem.status)
        return RedirectResponse(f"/queue?decided={how}", 303)
