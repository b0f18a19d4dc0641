"""Sets the sales database up, and follows orders."""

from __future__ import annotations

from pathlib import Path

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import ORDER_SERVICE, OrderServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.following import Follower
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.migrate import migrate
from reference.marketing.sales.ledger import Ledger
from reference.marketing.sales.service import SalesService

MIGRATIONS = Path(__file__).parent / "migrations"


async def create(context: ServiceContext) -> list[SalesService]:
    """The factory that mesh.yaml names; ready when it returns, whether orders are there or not."""
    database = Database(context.storage, schema=context.service)
    context.on_close(database.close)
    await migrate(database, MIGRATIONS)
    sales = Ledger(database)
    orders = OrderServiceClient(context.channel("orders", services=[ORDER_SERVICE]))
    follower = Follower(
        "orders",
        position=sales.revision,
        open_=lambda after: orders.watch_order_events(
            pb.WatchOrderEventsRequest(after_revision=after)
        ),
        take=lambda answer: sales.book(answer.events),
    )
    context.on_close(follower.close)
    follower.start()
    return [SalesService(sales, PageTokens(context.secret("pages")))]
