"""What a running mesh looks like at one moment: read by the views, made by the supervisor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

FIGURES: Final[Mapping[str, object]] = {
    "orders_placed": 0,
    "order_lines": 0,
    "calls": 0,
    "refused_expected": 0,
    "errors_unexpected": 0,
    "p50_ms": None,
    "p99_ms": None,
    "ledger_balanced": None,
}
"""The figures of a driver that the final report always has, as they are without a driver."""


@dataclass(frozen=True)
class ServiceView:
    """One service: `state` is starting, ready, restarting or stopped; `rate` is calls a second.

    `identity` is empty while its identity is sound, else what is wrong with it.
    """

    name: str
    state: str
    pid: int
    address: str
    health: str
    restarts: int
    rate: float
    metrics: str
    web: str = ""
    """The origin of its pages, empty when it has none."""
    notes: Sequence[str] = ()
    """What it tells people, a line each (`ServiceContext.tell`)."""
    serves: Sequence[str] = ()
    identity: str = ""


@dataclass(frozen=True)
class Snapshot:
    """The whole mesh. `figures` are the driver's last, `elapsed` counts seconds since readiness."""

    services: Sequence[ServiceView]
    figures: Mapping[str, object] = field(default_factory=dict[str, object])
    elapsed: float = 0.0
    ready_s: float | None = None
    driver: str = ""
    """The driver's state, empty when mesh.yaml names none."""

    def report(self) -> dict[str, object]:
        """The object that `meshpact up --json` prints last."""
        known = {name: self.figures.get(name, default) for name, default in FIGURES.items()}
        further = {name: value for name, value in self.figures.items() if name not in FIGURES}
        services = [
            {
                "name": service.name,
                "address": service.address,
                "pid": service.pid,
                "restarts": service.restarts,
            }
            for service in self.services
        ]
        return {
            "services": services,
            **known,
            "ready_s": None if self.ready_s is None else round(self.ready_s, 3),
            **further,
        }


def failed(report: Mapping[str, object]) -> bool:
    """Whether a final report says that something went wrong."""
    return bool(report.get("errors_unexpected")) or report.get("ledger_balanced") is False


def number(figures: Mapping[str, object], name: str) -> float:
    """One figure as a number, NaN when there is none."""
    value = figures.get(name)
    return float(value) if isinstance(value, int | float) else math.nan
