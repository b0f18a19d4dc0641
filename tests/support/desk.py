"""Billing for tests: fed by scripted orders, called by the portal's workload for its staff."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from acme.retail.orders.v1 import orders_pb2 as orders
from acme.support.billing.v1 import billing_pb2 as pb
from acme.support.billing.v1.billing_mesh import BillingServiceClient
from meshpact.servers.storage.database import Database
from meshpact.testing.mesh import LocalMesh
from reference.money import money
from reference.support.billing.books import Books
from salesfeed import PLACED, Feed, event
from systemmesh import system_mesh

AUDIENCE: Final = "support.acme.example"
SCOPES: Final = ("billing.read", "billing.refund", "billing.approve")
WITHIN: Final = 20.0


def new_id() -> str:
    """The name of an order, a refund or a request."""
    return str(uuid.uuid4())


def order(
    *happened: tuple[orders.OrderEventKind.ValueType, tuple[tuple[str, int, int], ...]],
    order_id: str = "",
    **options: Any,
) -> list[orders.OrderEvent]:
    """What happens to one order, without revisions."""
    name = order_id or new_id()
    return [event(kind, *lines, order_id=name, **options) for kind, lines in happened]


def numbered(*events: orders.OrderEvent, first: int = 1) -> list[orders.OrderEvent]:
    """Events with revisions from `first` on."""
    for revision, each in enumerate(events, first):
        each.revision = revision
    return list(events)


class Desk:
    """Billing in a mesh; `database` is its database, opened from beside."""

    def __init__(self, mesh: LocalMesh, feed: Feed, database: Database) -> None:
        self.mesh = mesh
        self.feed = feed
        self.database = database
        self.books = Books(database)
        self.issuer = next(
            each.issuer for each in mesh.config.issuers if AUDIENCE in each.audiences
        )
        self._numbers = itertools.count()

    @property
    def client(self) -> BillingServiceClient:
        """As the portal."""
        return self.client_as("support-web")

    def client_as(self, workload: str) -> BillingServiceClient:
        """As any workload."""
        return self.mesh.client(BillingServiceClient, as_=workload)

    def token(self, user: str, *groups: str, **options: Any) -> str:
        """A token of the staff, an agent's if nothing else is said."""
        given: dict[str, Any] = {
            "scopes": SCOPES,
            "groups": groups or ("agent",),
            "issuer": self.issuer,
            "audience": AUDIENCE,
        }
        return self.mesh.token(user, **(given | options))

    def staff(self, *groups: str) -> str:
        """The token of somebody who was never seen before."""
        return self.token(f"{'-'.join(groups) or 'agent'}-{next(self._numbers)}", *groups)

    async def happen(self, *events: orders.OrderEvent) -> None:
        """Lets orders go on, until billing has heard of it."""
        revision = await self.feed.add(*events)
        async with asyncio.timeout(WITHIN):
            while True:
                if await self.books.revision() >= revision:
                    return
                await asyncio.sleep(0.005)

    async def invoice(self, pence: int = 100_00, **options: Any) -> str:
        """A new invoice; its name."""
        (placed,) = order((PLACED, (("22423", 1, pence),)), **options)
        await self.happen(placed)
        return placed.order_id

    async def refund(
        self, token: str, invoice_id: str, pence: int, request_id: str = ""
    ) -> pb.Refund:
        """Asks for a refund."""
        answer = await self.client.create_refund(ask(invoice_id, pence, request_id), token=token)
        return answer.refund

    async def approve(self, token: str, refund_id: str, request_id: str = "") -> pb.Refund:
        """Lets a refund pass."""
        request = pb.ApproveRefundRequest(request_id=request_id or new_id(), refund_id=refund_id)
        return (await self.client.approve_refund(request, token=token)).refund

    async def reject(self, token: str, refund_id: str, rejection: str = "not so") -> pb.Refund:
        """Turns a refund down."""
        request = pb.RejectRefundRequest(
            request_id=new_id(), refund_id=refund_id, rejection=rejection
        )
        return (await self.client.reject_refund(request, token=token)).refund

    async def left(self, token: str, invoice_id: str) -> tuple[int, int]:
        """Pence that the caller may give back alone, and at all."""
        found = await self.client.get_refund_limit(
            pb.GetRefundLimitRequest(invoice_id=invoice_id), token=token
        )
        return found.alone.units * 100 + found.alone.nanos // 10_000_000, (
            found.left.units * 100 + found.left.nanos // 10_000_000
        )


def ask(
    invoice_id: str, pence: int, request_id: str = "", currency: str = "GBP"
) -> pb.CreateRefundRequest:
    """A request for a refund."""
    return pb.CreateRefundRequest(
        request_id=request_id or new_id(),
        invoice_id=invoice_id,
        amount=money(pence, currency),
        reason="broken on arrival",
    )


@asynccontextmanager
async def desk_of(home: Path, storage: Callable[[str], str]) -> AsyncGenerator[Desk]:
    """Billing, running; `storage` gives the URL of a service's database."""
    feed = Feed()
    with system_mesh(home) as mesh_file:
        async with LocalMesh(
            mesh_file,
            state=home / "state",
            services=["billing"],
            servicers={"orders": feed.servicer},
            storage=storage,
        ) as mesh:
            database = Database(storage("billing"), schema="billing")
            try:
                yield Desk(mesh, feed, database)
            finally:
                await database.close()
