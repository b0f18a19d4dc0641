"""Sets billing up, and follows orders."""

from __future__ import annotations

from pathlib import Path

from acme.retail.orders.v1 import orders_pb2 as orders
from acme.retail.orders.v1.orders_mesh import ORDER_SERVICE, OrderServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.following import Follower
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.support.billing.books import Books
from reference.support.billing.service import BillingService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[BillingService]:
    """The factory that mesh.yaml names; ready when it returns, whether orders are there or not."""
    database = Database(context.storage, schema=context.service)
    context.on_close(database.close)
    await migrate(database, MIGRATIONS)
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
    context.on_close(follower.close)
    follower.start()
    return [BillingService(database, PageTokens(context.secret("pages")))]
