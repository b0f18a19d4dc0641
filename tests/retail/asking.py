"""Asking for an order until it is finished, as customers do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from acme.retail.orders.v1.orders_mesh import OrderUnfinished

T = TypeVar("T")


async def settled(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer: connections take a while to come back, and a busy machine is late."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except OrderUnfinished:
                await asyncio.sleep(0.1)
