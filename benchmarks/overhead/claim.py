"""From a row of the table to a claim's measurement."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from typing import Any

from claims import Measurement, NotMeasured
from meshpact.servers import loop
from overhead.figures import Missing, Row


def measured(rows: Coroutine[Any, Any, list[Row | Missing]], *, quick: bool) -> Measurement:
    """Runs what gives one row. NotMeasured when it could not be had, or says nothing."""
    load = os.getloadavg()[0]
    [row] = loop.run(rows)
    if isinstance(row, Missing):
        raise NotMeasured(row.why)
    if not row.conclusive:
        raise NotMeasured(
            f"inconclusive: after {row.rounds} rounds two equal things still differ by "
            f"{abs(row.again):.3g} {row.unit}, over a third of the margin of {row.margin:.3g} "
            f"(measured: {row.value}, load average {load:.1f}). Measure again on a quieter machine"
        )
    detail: dict[str, object] = {
        "sample": f"{'quick: ' if quick else ''}{row.rounds} interleaved rounds",
        "range": [row.low, row.high],
        "a_a": row.again,
        "cpu_us": dict(row.microseconds),
        "load": round(load, 2),
        **row.extra,
    }
    return Measurement(row.value, detail)
