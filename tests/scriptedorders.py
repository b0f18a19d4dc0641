"""Orders' contract in a process of its own: it tells the events that stand in a file, by line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from google.protobuf.json_format import MessageToJson, Parse

from acme.retail.orders.v1 import orders_pb2 as pb
from acme.retail.orders.v1.orders_mesh import OrderServiceBase
from meshpact.servers.codegen import Call
from meshpact.servers.context import ServiceContext
from meshpact.testing.standin import stand_in

FACTORY: Final = "scriptedorders:create"
FILE: Final = "events.jsonl"
POLL: Final = 0.02


def write(home: Path, events: Iterable[pb.OrderEvent]) -> None:
    """Lets events happen, with the revisions that they bring."""
    lines = "".join(f"{MessageToJson(each, indent=None)}\n" for each in events)
    with (home / FILE).open("a", encoding="utf-8") as file:
        file.write(lines)


async def create(context: ServiceContext) -> list[OrderServiceBase]:
    """The factory of orders in a test's mesh.yaml; the file lies beside that."""
    path = context.root / FILE

    async def watch_order_events(
        request: pb.WatchOrderEventsRequest, _call: Call
    ) -> AsyncIterator[pb.WatchOrderEventsResponse]:
        after = request.after_revision
        while True:
            whole, _, _ = path.read_text("utf-8").rpartition("\n")
            for line in whole.splitlines()[after:]:
                event = Parse(line, pb.OrderEvent())
                after = event.revision
                yield pb.WatchOrderEventsResponse(events=[event])
            await asyncio.sleep(POLL)

    return [stand_in(OrderServiceBase, watch_order_events=watch_order_events)]
