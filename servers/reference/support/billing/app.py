"""Sets billing up, and follows orders."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from acme.retail.orders.v1 import orders_pb2 as orders
from acme.retail.orders.v1.orders_mesh import ORDER_SERVICE, OrderServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.following import Follower
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.opening import open_database
from meshpact.servers.storage.retention import retention_of
from reference.support.billing.books import Books
from reference.support.billing.service import BillingService
from reference.support.billing.tables import answers

MIGRATIONS = Path(__file__).parent / "migrations"
HEALTH: Final = "acme.support.billing.orders"
"""The name under which health tells whether orders are followed (grpc.health.v1)."""


async def create(context: ServiceContext) -> list[BillingService]:
    """The factory that mesh.yaml names; ready when it returns, whether orders are there or not."""
    database = await open_database(context, MIGRATIONS)
    books = Books(database)
    client = OrderServiceClient(context.channel("orders", services=[ORDER_SERVICE]))
    follower = Follower(
        "orders",
        position=books.revision,
        open_=lambda after: client.watch_order_events(
            orders.WatchOrderEventsRequest(after_revision=after)
        ),
        take=lambda answer: books.book(answer.events),
    )
    retention = retention_of(context, database)
    retention.answers(answers)
    retention.begin(context)
    follower.begin(context, health=HEALTH)
    return [BillingService(database, PageTokens(context.secret("pages")))]
