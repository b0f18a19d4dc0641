"""Orders a second: the replay at full speed through the whole mesh, nothing left out.

Every order is five guarded calls over mTLS (PlaceOrder with the customer's token, ReserveStock,
ConfirmReservation, CreateShipment, ShipReservation) and seven transactions in three databases. The
rate is what was placed and answered in the window; processor time is summed over all processes.
"""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from claims import NotMeasured
from shop.running import Running

DURABILITY: Final = "SQLite, WAL, synchronous=NORMAL, transactions that wait committed together"
WARM_UP: Final = 3.0


class Speed(NamedTuple):
    """What was measured: processor milliseconds an order by process, in the window."""

    orders: int
    lines: int
    seconds: float
    milliseconds: dict[str, float]
    balanced: bool
    errors: int

    @property
    def per_second(self) -> float:
        """Orders placed and answered in a second."""
        return self.orders / self.seconds if self.seconds else 0.0


def measure(seconds: float) -> Speed:
    """Runs the mesh at full speed for so many seconds after the first orders."""
    with Running("full_speed") as mesh:
        mesh.until("ready after")
        mesh.until_more(0)
        time.sleep(WARM_UP)
        begun, before = mesh.until_more(mesh.placed()), mesh.processor()
        time.sleep(seconds)
        placed, after = mesh.until_more(mesh.placed()) - begun, mesh.processor()
        report = mesh.end()
    if not report["ordering_s"] or not placed:
        raise NotMeasured("no orders were placed")
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    return Speed(
        report["orders_placed"],
        report["order_lines"],
        report["ordering_s"],
        {name: round(each * 1000 / placed, 2) for name, each in sorted(spent.items())},
        report["ledger_balanced"] is True,
        report["errors_unexpected"],
    )
