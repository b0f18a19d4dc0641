"""Sets the sales database up, and follows orders."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import ORDER_SERVICE, OrderServiceClient
from meshpact.servers.context import ServiceContext
from meshpact.servers.following import Follower
from meshpact.servers.paging import PageTokens
from meshpact.servers.storage.opening import open_database
from reference.marketing.sales.ledger import Ledger
from reference.marketing.sales.service import SalesService

MIGRATIONS = Path(__file__).parent / "migrations"
HEALTH: Final = "acme.marketing.sales.orders"
"""The name under which health tells whether orders are followed (grpc.health.v1)."""


async def create(context: ServiceContext) -> list[SalesService]:
    """The factory that mesh.yaml names; ready when it returns, whether orders are there or not."""
    database = await open_database(context, MIGRATIONS)
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
    follower.begin(context, health=HEALTH)
    return [SalesService(sales, PageTokens(context.secret("pages")))]
