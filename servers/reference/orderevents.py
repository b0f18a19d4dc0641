"""What all have in common that keep something up to date by the events of orders."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, select, update

from acme.retail.orders.v1 import orders_pb2 as orders
from meshpact.servers.following import Gap


def revision(connection: Connection, position: Table) -> int:
    """Up to which event everything is booked; `position` holds it in one row."""
    return int(connection.execute(select(position.c.revision)).scalar_one())


def advance(
    connection: Connection, position: Table, events: Sequence[orders.OrderEvent]
) -> list[orders.OrderEvent]:
    """The events that are new, with the position moved beyond them: book them in this transaction.

    Gap when they do not go on at the position, or another process booked meanwhile.
    """
    at = revision(connection, position)
    new = [event for event in events if event.revision > at]
    if not new:
        return new
    if [event.revision for event in new] != list(range(at + 1, at + 1 + len(new))):
        raise Gap(f"booked up to {at}, the next event is {new[0].revision}")
    moved = update(position).where(position.c.revision == at).values(revision=new[-1].revision)
    if connection.execute(moved).rowcount != 1:
        raise Gap(f"another process has booked beyond {at}")
    return new
