"""Watches of stock: what changed since a revision, then what changes, always as it is now.

Nothing is queued for a slow reader: what it is sent next is read when it is ready for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from reference.retail.inventory.ledger import CHANGES, Ledger, Stock
from reference.retail.inventory.problems import UnknownSku

GATHERING: Final = 0.2
"""Seconds after a change in which further ones are gathered into the same message."""
PULSE: Final = 1.0
"""Seconds after which a message comes even if nothing changed, and other processes' are noticed."""
MOST: Final = 500
"""SKUs in one message."""


class Changed(NamedTuple):
    """Stock that changed; all changes up to `revision` have been told with it."""

    stocks: list[Stock]
    revision: int


async def watch(
    ledger: Ledger, skus: Sequence[str], after: int, *, on_hand_only: bool = False
) -> AsyncIterator[Changed]:
    """Follows the stock of some SKUs, or of all for none, from a revision on.

    Raises UnknownSku and, also later when the ledger was put back, UnknownRevision.
    """
    if skus:
        known = await ledger.levels(skus)
        for sku in skus:
            if sku not in known:
                raise UnknownSku(sku)
    told: dict[str, int] = {}
    since = after or None
    with ledger.database.listen(CHANGES) as signal:
        while True:
            stocks, newest = await ledger.changed(skus, since)
            if on_hand_only:
                stocks = [each for each in stocks if told.get(each.sku) != each.on_hand]
                told.update((each.sku, each.on_hand) for each in stocks)
            for changed in _parts(stocks, newest):
                yield changed
            since = newest
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PULSE):
                    await signal.wait()
                await asyncio.sleep(GATHERING)


def _parts(stocks: list[Stock], newest: int) -> list[Changed]:
    parts = [stocks[start : start + MOST] for start in range(0, max(len(stocks), 1), MOST)]
    # A revision may reach over two parts: what is told whole before the last part ends below it.
    return [
        *(Changed(part, max(part[-1].revision - 1, 0)) for part in parts[:-1]),
        Changed(parts[-1], newest),
    ]
