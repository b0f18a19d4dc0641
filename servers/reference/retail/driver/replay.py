"""The replay: the trades of the month in their order, round after round.

Several run at once; those of one customer follow each other, so that goods are sent back after
they were bought. A lorry comes when the week changes and when the month begins anew.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from meshpact.interceptors.errors import MeshpactError
from reference.retail.dataset import stock
from reference.retail.dataset.books import Books, Cancellation, Sale
from reference.retail.driver.stats import Stats
from reference.retail.driver.storefront import Storefront
from reference.retail.driver.supply import Supplier


class Pace(NamedTuple):
    """How fast trades follow each other: so many at once, so many begun in a second at most."""

    in_flight: int
    per_second: float


EASY: Final = Pace(in_flight=8, per_second=30.0)
"""What two cores bear without haste."""
BRISK: Final = Pace(in_flight=24, per_second=60.0)
"""What two cores bear while services start again."""
FULL_SPEED: Final = Pace(in_flight=48, per_second=1e6)
"""As fast as the shop takes them."""


class Replay:
    """Replays the books until `until` is set. Every round of every run has request_ids of its own.

    `checked` is awaited after each round, when nothing is under way.
    """

    def __init__(
        self,
        books: Books,
        storefront: Storefront,
        supplier: Supplier,
        stats: Stats,
        *,
        pace: Pace = EASY,
    ) -> None:
        self._trades = books.trades()
        self._goods = stock.delivery(books.sales)
        self._storefront = storefront
        self._supplier = supplier
        self._stats = stats
        self._pause = 1 / pace.per_second
        self._run = uuid.uuid4()
        self._rounds = itertools.count(1)
        self._places = asyncio.Semaphore(pace.in_flight)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}

    async def run(
        self, until: asyncio.Event, checked: Callable[[], Awaitable[None]], *, deliver: bool
    ) -> None:
        """Goes on round after round. `deliver`: a lorry comes before the first round too."""
        while not until.is_set():
            await self._round(uuid.uuid5(self._run, f"round {next(self._rounds)}"), until, deliver)
            deliver = True
            if not until.is_set():
                self._stats.rounds += 1
                await checked()

    async def _round(self, name: uuid.UUID, until: asyncio.Event, deliver: bool) -> None:
        loop = asyncio.get_running_loop()
        week = stock.week(self._trades[0].at)
        if deliver:
            await self._deliver(uuid.uuid5(name, "first lorry"))
        begin = loop.time()
        for trade in self._trades:
            await self._places.acquire()
            if until.is_set():
                self._places.release()
                break
            if stock.week(trade.at) != week:
                week = stock.week(trade.at)
                await self._deliver(uuid.uuid5(name, f"lorry of week {week}"))
            self._start(trade, uuid.uuid5(name, trade.invoice))
            begin = max(begin + self._pause, loop.time() - self._pause)
            if (wait := begin - loop.time()) > 0:
                await asyncio.sleep(wait)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, trade: Sale | Cancellation, request: uuid.UUID) -> None:
        before = self._last.get(trade.customer)
        task = asyncio.create_task(self._trade(trade, request, before))
        self._tasks.add(task)
        self._last[trade.customer] = task

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if self._last.get(trade.customer) is task:
                del self._last[trade.customer]
            self._places.release()

        task.add_done_callback(ended)

    async def _trade(
        self, trade: Sale | Cancellation, request: uuid.UUID, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            if isinstance(trade, Sale):
                await self._storefront.buy(trade, request)
            else:
                await self._storefront.send_back(trade, request)
        except MeshpactError as error:
            self._stats.unexpected(f"{type(trade).__name__}: {type(error).__name__}: {error}")

    async def _deliver(self, request: uuid.UUID) -> None:
        try:
            await self._supplier.deliver(self._goods, request)
        except MeshpactError as error:
            self._stats.unexpected(f"delivery: {error}")
