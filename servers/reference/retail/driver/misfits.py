"""Callers that must be refused: each has something wrong, and one answer that is right.

An answer with another code or reason, or none at all, is an unexpected error.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from acme.retail.inventory.v1 import inventory_pb2
from acme.retail.inventory.v1.inventory_mesh import InventoryServiceClient
from acme.retail.orders.v1 import orders_pb2
from acme.retail.orders.v1.orders_mesh import OrderServiceClient
from acme.retail.store.v1 import store_pb2
from acme.retail.store.v1.store_mesh import StoreServiceClient
from meshpact.clients import CallError
from meshpact.interceptors.errors import (
    BUDGET_SPENT,
    INVALID_REQUEST,
    RATE_LIMITED,
    ROLE_MISSING,
    SCOPE_MISSING,
    TOKEN_EXPIRED,
    TOKEN_MISSING,
    Code,
    MeshpactError,
    Reason,
    StatusError,
)
from meshpact.servers.context import ServiceContext
from reference.retail.dataset.books import SaleLine
from reference.retail.driver.stats import Stats
from reference.retail.driver.storefront import valid_order
from reference.retail.driver.tokens import SCOPES, Tokens

BURST: Final = 40
"""Calls that the scraper makes at once; its limit lets half of them pass, and the rest a second
later."""
MOMENT: Final = 0.05
"""Seconds that a call gets which would go on for a minute."""
CUSTOMER: Final = "customer-misfit"
TWO_HOURS: Final = 7200.0


class Misfit(NamedTuple):
    """A wrong call and the answers that are right.

    `some_pass`: it is enough that one of `times` calls, made at once, is refused. A machine on
    which they take `within` seconds or longer shows nothing: the limit lets as many pass.
    """

    name: str
    call: Callable[[], Awaitable[object]]
    answers: frozenset[tuple[Code, str]]
    times: int = 1
    some_pass: bool = False
    within: float = 1.0


def _only(reason: Reason) -> frozenset[tuple[Code, str]]:
    return frozenset({(reason.code, reason.name)})


class Misfits:
    """All misfits, one after the other."""

    def __init__(self, context: ServiceContext, stats: Stats, tokens: Tokens) -> None:
        self._stats = stats
        self._tokens = tokens
        self._orders = OrderServiceClient(context.channel("orders"))
        self._strangers = InventoryServiceClient(context.channel("inventory", identity="stranger"))
        self._watchers = InventoryServiceClient(context.channel("inventory", identity="dashboard"))
        self._scrapers = StoreServiceClient(context.channel("store", identity="scraper"))
        # Where a call ends that runs out of time decides whether it has a reason: C-core gives
        # none, on this side and on the other.
        late = frozenset(
            {(Code.DEADLINE_EXCEEDED, ""), (Code.DEADLINE_EXCEEDED, BUDGET_SPENT.name)}
        )
        self.all = (
            Misfit("a stranger without a role", self._stranger, _only(ROLE_MISSING)),
            Misfit("an order of nobody", self._nobody, _only(TOKEN_MISSING)),
            Misfit("an order with a scope missing", self._no_scope, _only(SCOPE_MISSING)),
            Misfit("an order with an old token", self._old_token, _only(TOKEN_EXPIRED)),
            Misfit("an order of nothing", self._nothing, _only(INVALID_REQUEST)),
            Misfit("a watch beyond its time", self._no_time, late),
            Misfit("a scraper", self._scrape, _only(RATE_LIMITED), times=BURST, some_pass=True),
        )

    async def run(self, misfit: Misfit) -> None:
        """Makes one misfit's calls and judges the answers."""
        clock = asyncio.get_running_loop().time
        until = clock() + misfit.within
        ends = await asyncio.gather(*(self._judge(misfit) for _ in range(misfit.times)))
        if misfit.some_pass and not any(ends) and clock() < until:
            self._stats.unexpected(f"{misfit.name} was let in {misfit.times} times at once")

    async def _judge(self, misfit: Misfit) -> bool:
        self._stats.calls += 1
        try:
            await misfit.call()
        except (CallError, StatusError) as error:
            if (error.code, error.reason) not in misfit.answers:
                self._stats.unexpected(f"{misfit.name}: {error.code.name} {error.reason}: {error}")
                return True
            self._stats.refused[error.reason or error.code.name] += 1
            return True
        except MeshpactError as error:
            self._stats.unexpected(f"{misfit.name}: {error}")
            return True
        if not misfit.some_pass:
            self._stats.unexpected(f"{misfit.name} was let in")
        return False

    async def _stranger(self) -> object:
        return await self._strangers.get_stock(inventory_pb2.GetStockRequest(sku="85123A"))

    async def _nobody(self) -> object:
        return await self._orders.place_order(self._order())

    async def _no_scope(self) -> object:
        token = self._tokens.mint(CUSTOMER, ["orders.read"])
        return await self._orders.place_order(self._order(), token=token)

    async def _old_token(self) -> object:
        token = self._tokens.mint(CUSTOMER, SCOPES, age=TWO_HOURS)
        return await self._orders.place_order(self._order(), token=token)

    async def _nothing(self) -> object:
        token = self._tokens.of_customer(CUSTOMER)
        return await self._orders.place_order(self._order(quantity=0), token=token)

    async def _no_time(self) -> object:
        request = inventory_pb2.WatchStockRequest(skus=["85123A"])
        return [seen async for seen in self._watchers.watch_stock(request, timeout=MOMENT)]

    async def _scrape(self) -> object:
        return await self._scrapers.list_products(store_pb2.ListProductsRequest())

    @staticmethod
    def _order(quantity: int = 1) -> orders_pb2.PlaceOrderRequest:
        return valid_order([SaleLine("85123A", quantity, 295)], str(uuid.uuid4()))
