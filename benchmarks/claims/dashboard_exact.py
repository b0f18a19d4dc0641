"""Totals on the dashboard beside those that SQL tells, after connections broke many times."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from claims import Measurement
from databases import postgres_urls
from marketing.exactness import real_events, run


def measure(quick: bool) -> Measurement:
    """Counts totals that differ, on real sales and a real Postgres."""
    number, watchers = (300, 4) if quick else (2884, 12)
    with TemporaryDirectory() as folder, postgres_urls() as new:
        events = real_events(number, seed=11)
        outcome = asyncio.run(run(Path(folder), new(), events, watchers=watchers, seed=12))
    return Measurement(
        len(outcome.differing),
        {
            "sample": f"{len(events)} events of {number} real orders, {watchers} watchers",
            "compared": outcome.compared,
            "reconnects": outcome.reconnects,
            "restarts": outcome.restarts,
            "differing": outcome.differing[:10],
        },
    )
