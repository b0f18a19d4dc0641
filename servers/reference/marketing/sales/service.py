"""SalesService: the ledger of sales, as its contract has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from acme.marketing.sales.v1 import sales_pb2 as pb
from acme.marketing.sales.v1.sales_mesh import (
    LIST_TOTALS,
    RevisionUnknown,
    SalesServiceBase,
    WindowInvalid,
)
from meshpact.interceptors.call import Call
from meshpact.servers.paging import PageTokens, page_size
from reference.marketing.sales import ledger
from reference.marketing.sales.ledger import HOUR, Dimension, Ledger, Total, Window, key_of
from reference.money import money

PART: Final = 500
"""Totals in one message at most."""
PAUSE: Final = 0.25
"""Seconds between two messages of changes."""
POLL: Final = 1.0
"""Seconds after which a watcher looks anyway: another process may book."""

_DIMENSIONS: Final = {
    pb.DIMENSION_COUNTRY: Dimension.COUNTRY,
    pb.DIMENSION_PRODUCT: Dimension.PRODUCT,
    pb.DIMENSION_HOUR: Dimension.HOUR,
}


class SalesService(SalesServiceBase):
    """Tells what was sold."""

    def __init__(self, sales: Ledger, tokens: PageTokens) -> None:
        self._sales = sales
        self._tokens = tokens

    async def list_totals(
        self, request: pb.ListTotalsRequest, call: Call, /
    ) -> pb.ListTotalsResponse:
        """One page of totals."""
        size = page_size(request.page_size, LIST_TOTALS.policy)
        found = await self._sales.page(
            _DIMENSIONS[request.dimension],
            _window(request.window),
            size + 1,
            self._tokens.start(request, call),
        )
        page, further = self._tokens.page(request, call, found, size, key_of)
        return pb.ListTotalsResponse(totals=map(_message, page), next_page_token=further)

    async def watch_totals(
        self, request: pb.WatchTotalsRequest, call: Call, /
    ) -> AsyncIterator[pb.WatchTotalsResponse]:
        """Totals as they are, then as they change."""
        dimensions = [_DIMENSIONS[each] for each in request.dimensions]
        window = _window(request.window)
        after, begun = request.after_revision, False
        with self._sales.listen() as signal:
            while True:
                try:
                    revision, found = await self._sales.changed(dimensions, window, after)
                except ledger.RevisionUnknown as error:
                    raise RevisionUnknown(asked=error.asked, revision=error.revision) from None
                if found or not begun:
                    for answer in _answers(revision, found):
                        yield answer
                    begun = True
                    await asyncio.sleep(PAUSE)
                after = revision
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(signal.wait(), POLL)


def _answers(revision: int, found: Sequence[Total]) -> Iterator[pb.WatchTotalsResponse]:
    for start in range(0, max(len(found), 1), PART):
        yield pb.WatchTotalsResponse(
            totals=map(_message, found[start : start + PART]),
            revision=revision,
            complete=start + PART >= len(found),
        )


def _message(total: Total) -> pb.Total:
    made = pb.Total(
        orders=total.orders, items=total.items, revenue=money(total.amount, total.currency)
    )
    match total.dimension:
        case Dimension.COUNTRY:
            made.country = total.name
        case Dimension.PRODUCT:
            made.sku = total.name
        case Dimension.HOUR:
            made.hour_time.FromSeconds(total.hour)
    return made


def _window(window: pb.Window) -> Window:
    start = window.start_time if window.HasField("start_time") else None
    end = window.end_time if window.HasField("end_time") else None
    found = Window(_seconds(start), _seconds(end))
    for each, time in ((found.start, start), (found.end, end)):
        if time is not None and (time.nanos or each is None or each % HOUR):
            raise _invalid(start, end)
    if found.start is not None and found.end is not None and found.start >= found.end:
        raise _invalid(start, end)
    return found


def _seconds(time: Timestamp | None) -> int | None:
    return None if time is None else time.ToSeconds()


def _invalid(start: Timestamp | None, end: Timestamp | None) -> WindowInvalid:
    return WindowInvalid(
        start_time="ever" if start is None else start.ToJsonString(),
        end_time="ever" if end is None else end.ToJsonString(),
    )
